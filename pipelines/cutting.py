# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cuts spans of time out of a video file, exactly to the frame: it is decoded once more and each span encoded anew."""
import re

from gi.repository import Gst

SOURCE = "filesrc name=source ! decodebin ! videoconvert ! appsink name=frames sync=false max-buffers=4"
RECORDER = "appsrc name=frames format=time block=true max-bytes=20000000 ! videoconvert ! vp8enc deadline=1 cpu-used=8 " \
           "! webmmux ! filesink name=file"


class CutError(Exception):
    pass


def wait_for_end(pipeline):
    message = pipeline.get_bus().timed_pop_filtered(Gst.CLOCK_TIME_NONE, Gst.MessageType.EOS | Gst.MessageType.ERROR)
    if message.type == Gst.MessageType.ERROR:
        raise CutError(message.parse_error()[0].message)


class Recorder:
    """A file that appears under its name when it is complete."""

    def __init__(self, path):
        self.path, self.part = path, path.with_name(path.name + ".part")
        self.pipeline = Gst.parse_launch(RECORDER)
        self.pipeline.get_by_name("file").set_property("location", str(self.part))
        self.source = self.pipeline.get_by_name("frames")
        self.pipeline.set_state(Gst.State.PLAYING)

    def push(self, sample, time):
        buffer = sample.get_buffer()
        frame = buffer.copy_region(Gst.BufferCopyFlags.MEMORY | Gst.BufferCopyFlags.META, 0, buffer.get_size())
        frame.pts, frame.duration = time, buffer.duration
        if self.source.emit("push-sample", Gst.Sample.new(frame, sample.get_caps(), None, None)) != Gst.FlowReturn.OK:
            wait_for_end(self.pipeline)

    def finish(self):
        self.source.emit("end-of-stream")
        wait_for_end(self.pipeline)
        self.pipeline.set_state(Gst.State.NULL)
        self.part.rename(self.path)

    def drop(self):
        self.pipeline.set_state(Gst.State.NULL)
        self.part.unlink(missing_ok=True)


def frames_of(pipeline):
    """-> (running time, sample) of each frame"""
    sink = pipeline.get_by_name("frames")
    while sample := sink.emit("pull-sample"):
        yield sample.get_segment().to_running_time(Gst.Format.TIME, sample.get_buffer().pts), sample
    wait_for_end(pipeline)


def name_of(index, span):
    return f"{index:03d}-{re.sub('[^a-z0-9]+', '-', span.label.lower()).strip('-')[:60]}.webm"


def cut_frames(frames, spans, folder):
    recorder, index = None, 0
    try:
        for time, sample in frames:
            while index < len(spans) and time >= spans[index].end:
                if recorder:
                    recorder.finish()
                recorder, index = None, index + 1
            if index == len(spans):
                return
            if time >= spans[index].start:
                recorder = recorder or Recorder(folder / name_of(index, spans[index]))
                recorder.push(sample, time - spans[index].start)
        if recorder:
            recorder.finish()
            recorder = None
    finally:
        if recorder:
            recorder.drop()


def cut(path, spans, folder):
    """Writes NNN-LABEL.webm into @folder for each of @spans, which lie one after the other, with start, end (ns) and label."""
    if any(span.start is None or span.end is None for span in spans):
        raise CutError(f"{path}: has no times to cut at")
    pipeline = Gst.parse_launch(SOURCE)
    pipeline.get_by_name("source").set_property("location", str(path))
    pipeline.set_state(Gst.State.PLAYING)
    try:
        cut_frames(frames_of(pipeline), spans, folder)
    finally:
        pipeline.set_state(Gst.State.NULL)
