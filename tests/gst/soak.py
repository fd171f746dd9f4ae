#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""soak.py [--minutes M] [--seed S]: what an operator runs for months, for M minutes (2).

Four streams share one engine: a live camera whose labels are drawn and written, an encoded file that is played again and
again, a live stream with tracked regions that is pooled over time, and a still picture whose encoder is gated. Meanwhile
prompts and properties change every quarter of a second and streams are paused. Checks that every frame that came in went
out, to every branch, that memory, threads and open files stay as they were after the first quarter, and that nothing
failed. Prints TAP. Needs python3-gst-1.0."""
import argparse
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstVideo", "1.0")
from gi.repository import GLib, Gst, GstVideo  # noqa: E402

CLASSIFY = "clipclassify name=clip model=demo model-instance-id=soak"
FILE_FRAMES = 90
GROWTH_MB = 8  # an allocator's own; a leak of a frame or of a result at 30 frames/s would be more within a minute
SETS = ["snow;a ball;a black picture", "a red circle;a blue square;!something else", "colour bars;snow", "one thing"]
CHANGES = [("top-k", lambda r: r.randrange(1, 6)), ("inference-interval", lambda r: r.randrange(1, 4)),
           ("prompts", lambda r: r.choice(SETS)), ("templates", lambda r: r.choice(["none", "simple"])),
           ("pooling", lambda r: r.choice(["none", "mean", "ema"])), ("window", lambda r: r.randrange(10**8, 2 * 10**9)),
           ("batch-size", lambda r: r.choice([0, 1, 4])), ("change-threshold", lambda r: r.choice([0.0, 3.0])),
           ("hold-time", lambda r: r.randrange(0, 10**9)), ("min-confidence", lambda r: r.random() / 2)]
# at first, on every stream: what makes the device compile kernels, which take memory that stays
WARM_UP = [("batch-size", size) for size in (1, 2, 4, 8, 0)] + [("prompts", prompts) for prompts in SETS]


def resident_mb():
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def usage():
    return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))


class Stream:
    """A pipeline, and how many frames came to its classifier and to the end of each branch."""

    def __init__(self, name, description):
        self.name, self.came, self.left, self.rounds = name, 0, {}, 0
        self.pipeline = Gst.parse_launch(description)
        self.clip = self.pipeline.get_by_name("clip")
        self.clip.set_property("prompts", SETS[0])
        self.clip.get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, self.arrive)
        for sink in self.pipeline.iterate_sinks():
            self.left[sink.name] = 0
            sink.get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, self.leave, sink.name)
        self.bus = self.pipeline.get_bus()

    def arrive(self, _pad, _info):
        self.came += 1
        return Gst.PadProbeReturn.OK

    def leave(self, _pad, _info, sink):
        self.left[sink] += 1
        return Gst.PadProbeReturn.OK

    def wait(self, seconds):
        """Raises what the pipeline complains of; TRUE at the end of the stream"""
        kinds = Gst.MessageType.ERROR | Gst.MessageType.EOS
        message = self.bus.timed_pop_filtered(int(seconds * Gst.SECOND), kinds)
        if message and message.type == Gst.MessageType.ERROR:
            error, details = message.parse_error()
            raise RuntimeError(f"{self.name}: {error.message} {details}")
        return message is not None

    def again(self):
        """The file from its start, when all of it has gone through"""
        self.rounds += 1
        self.pipeline.seek_simple(Gst.Format.TIME, Gst.SeekFlags.FLUSH | Gst.SeekFlags.KEY_UNIT, 0)


class Detector(threading.Thread):
    """A camera with a detector and a tracker: three objects that wander, one of which is another one every second."""
    WIDTH, HEIGHT = 320, 240

    def __init__(self, source):
        super().__init__(daemon=True)
        self.source, self.ended, self.frame = source, threading.Event(), 0
        self.picture = os.urandom(self.WIDTH * self.HEIGHT * 3)

    def make(self):
        buffer = Gst.Buffer.new_wrapped(self.picture)
        for index in range(3):
            number = index + 1 if index else 100 + self.frame // 30
            x = (self.frame * (index + 1)) % 200
            roi = GstVideo.buffer_add_video_region_of_interest_meta(buffer, "thing", x, 10 * index, 100, 100)
            roi.add_param(Gst.Structure.new_from_string(f"object_id, id=(int){number};"))
        return buffer

    def run(self):
        while not self.ended.wait(1 / 30):
            self.frame += 1
            self.source.emit("push-buffer", self.make())
        self.source.emit("end-of-stream")


def encode(path):
    subprocess.run(["gst-launch-1.0", "-q", "videotestsrc", f"num-buffers={FILE_FRAMES}", "pattern=ball", "!",
                    "video/x-raw,width=320,height=240,framerate=30/1", "!", "x264enc", "speed-preset=ultrafast", "!",
                    "matroskamux", "!", "filesink", f"location={path}"], check=True)


def make_streams(folder):
    video = pathlib.Path(folder) / "ball.mkv"
    encode(video)
    live = "videotestsrc is-live=true {} ! video/x-raw,format={},width=320,height=240,framerate=30/1 ! "
    streams = [
        Stream("camera", live.format("pattern=ball", "NV12") + CLASSIFY + " ! tee name=t t. ! queue ! clipjson ! fakesink "
               "name=json t. ! queue ! clipoverlay ! fakesink name=picture"),
        Stream("file", f"filesrc location={video} ! decodebin ! videoconvert ! {CLASSIFY} batch-size=4 ! clipjson ! "
               "fakesink name=json sync=true"),
        Stream("regions", "appsrc name=source is-live=true format=time do-timestamp=true caps=video/x-raw,format=RGB,"
               f"width={Detector.WIDTH},height={Detector.HEIGHT},framerate=30/1 ! {CLASSIFY} inference-region=roi-list reclassify-interval=5 pooling=mean ! fakesink name=end"),
        Stream("still", live.format("pattern=checkers-8", "I420") + CLASSIFY + " change-threshold=3 ! fakesink name=end")]
    return streams, Detector(streams[2].pipeline.get_by_name("source"))


def change(streams, rng, step):
    if step <= len(WARM_UP):
        for stream in streams:
            stream.clip.set_property(*WARM_UP[step - 1])
        return
    stream = rng.choice(streams)
    name, value = rng.choice(CHANGES)
    if name == "pooling":
        Gst.util_set_object_arg(stream.clip, name, value(rng))
    else:
        stream.clip.set_property(name, value(rng))
    if step % 20 == 0:
        streams[0].pipeline.set_state(Gst.State.PAUSED)
    elif step % 20 == 1:
        streams[0].pipeline.set_state(Gst.State.PLAYING)


def play(streams, detector, minutes, rng):
    """-> [(MB, threads, files)] of every quarter of a second"""
    samples, end, step = [], time.monotonic() + minutes * 60, 0
    for stream in streams:
        stream.pipeline.set_state(Gst.State.PLAYING)
    detector.start()
    while time.monotonic() < end:
        time.sleep(.25)
        step += 1
        change(streams, rng, step)
        for stream in streams:
            if stream.wait(0):
                stream.again()
        samples.append((resident_mb(), *usage()))
    detector.ended.set()
    for stream in streams:
        stream.pipeline.set_state(Gst.State.PLAYING)
        stream.pipeline.get_state(5 * Gst.SECOND)
        if stream.name in ("camera", "still"):
            stream.pipeline.send_event(Gst.Event.new_eos())
    for stream in streams:
        if not stream.wait(30):
            raise RuntimeError(f"{stream.name}: the end does not come through")
    return samples


def check(streams, samples):
    """-> {sentence: whether it holds}"""
    checks = {}
    for stream in streams:
        out = ", ".join(f"{count} to {sink}" for sink, count in stream.left.items())
        checks[f"{stream.name}: {stream.came} frames in, {out}"] = stream.came > 0 and set(stream.left.values()) == {stream.came}
    file = streams[1]
    wanted = (file.rounds + 1) * FILE_FRAMES
    checks[f"file: {file.rounds + 1} rounds of {FILE_FRAMES} frames"] = file.came == wanted
    quarter = len(samples) // 4
    early, late = ([statistics.median(column) for column in zip(*part)] for part in (samples[quarter:2 * quarter], samples[-quarter:]))
    checks[f"memory: {early[0]:.1f} MB in the second quarter, {late[0]:.1f} MB in the last"] = late[0] - early[0] < GROWTH_MB
    checks[f"threads: {early[1]:.0f} and {late[1]:.0f}"] = abs(late[1] - early[1]) <= 2
    checks[f"open files: {early[2]:.0f} and {late[2]:.0f}"] = abs(late[2] - early[2]) <= 2
    return checks


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    Gst.init(None)
    with tempfile.TemporaryDirectory() as folder:
        streams, detector = make_streams(folder)
        try:
            checks = check(streams, play(streams, detector, options.minutes, random.Random(options.seed)))
        except (RuntimeError, GLib.Error) as error:
            checks = {str(error): False}
        for stream in streams:
            stream.pipeline.set_state(Gst.State.NULL)
    print(f"1..{len(checks)}")
    for number, (name, passed) in enumerate(checks.items(), 1):
        print(f"{'ok' if passed else 'not ok'} {number} {name}")
    return not all(checks.values())


if __name__ == "__main__":
    sys.exit(main())
