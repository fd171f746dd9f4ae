# SPDX-License-Identifier: LGPL-2.1-or-later
"""Recognises actions in a video file or a live source and prints from when to when which label held.

The embeddings of a window of time are pooled, as CLIP does with videos, and a label must lead for some time before
it counts. SOURCE is a video file, a camera (/dev/video0) or a network camera (rtsp://HOST/PATH). Where there is no
such camera a live test picture stands in."""
import argparse
import json
import pathlib
import signal
import sys
import time
from typing import NamedTuple

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

from cutting import CutError, cut  # noqa: E402

NAME = "recognise-action"
STAND_IN = "videotestsrc is-live=true ! video/x-raw,width=640,height=480,framerate=15/1"
# The leaky queue keeps the picture live when the converter is slow; clipclassify itself holds no live frame up.
LIVE = "videoconvert ! queue leaky=downstream max-size-buffers=1"
PATIENCE = 20  # seconds that a pipeline may take to end after it was told to
# and a file to its first frame: decodebin of GStreamer 1.22 now and then loses the error of a damaged file
FIRST_FRAME = 30


class Span(NamedTuple):
    """Running times in nanoseconds, None where the stream has none; the confidence is the mean over the span."""
    start: int
    end: int
    label: str
    confidence: float


class Failure(Exception):
    pass


def seconds(text):
    value = float(text)
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"expected seconds, 0 or more, not {text}")
    return value


def fraction(text):
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected 0 to 1, not {text}")
    return value


def count(text):
    value = int(text)
    if not 1 <= value <= 1000000:
        raise argparse.ArgumentTypeError(f"expected 1 or more, not {text}")
    return value


def parse():
    parser = argparse.ArgumentParser(prog=NAME, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("prompts", metavar="LABEL;ANOTHER", nargs="?", help="what to look for; a leading ! for a negative")
    parser.add_argument("-f", "--prompts-file", metavar="FILE", help="instead: a label a line, as clipclassify's prompts-file")
    parser.add_argument("-t", "--templates", default="ucf101", help="none, ucf101, kinetics700, ... or a file; default: ucf101")
    parser.add_argument("-m", "--model", help="weights; default: $GST_CLIP_MODEL, else a downloaded model, else demo")
    parser.add_argument("-w", "--window", type=seconds, default=2, metavar="SECONDS", help="default: 2; 0: since the start")
    parser.add_argument("-p", "--pooling", choices=["mean", "ema", "none"], default="mean", help="default: mean")
    parser.add_argument("-i", "--inference-interval", type=count, default=1, metavar="N", help="encode every Nth frame")
    parser.add_argument("--hold", type=seconds, default=.5, metavar="SECONDS",
                        help="how long a label must lead before it counts; default: 0.5")
    parser.add_argument("--hysteresis", type=fraction, default=.1, help="and by how much of confidence; default: 0.1")
    parser.add_argument("-c", "--min-confidence", type=fraction, default=.5, help="below, no label holds; default: 0.5")
    parser.add_argument("-s", "--stop", type=seconds, default=0, metavar="SECONDS", help="stop after so many seconds")
    parser.add_argument("-o", "--output", metavar="LABELS.jsonl", help="the frames' JSON lines, of window and frame")
    parser.add_argument("--json", action="store_true", help="a JSON line for each span")
    parser.add_argument("--whole", action="store_true",
                        help="a file: one answer for all of it, of the mean of its frames' embeddings, and no spans")
    parser.add_argument("--cut", type=pathlib.Path, metavar="FOLDER", help="a file: its spans as WebM files without sound")
    options = parser.parse_args()
    check(parser, options)
    return options


def is_network(source):
    return source.partition("://")[0] in ("rtsp", "rtsps", "rtspt", "rtspu", "rtsph") and "://" in source


def is_file(source):
    return not is_network(source) and not source.startswith("/dev/")


def check(parser, options):
    if (options.prompts is None) == (options.prompts_file is None):
        parser.error("expected either labels or --prompts-file")
    if (options.whole or options.cut) and not is_file(options.source):
        parser.error("--whole and --cut are for files")
    if options.whole and options.cut:
        parser.error("--whole finds no spans to --cut")


def check_files(options):
    source, output = pathlib.Path(options.source), pathlib.Path(options.output or "")
    if is_file(options.source) and not source.is_file():
        raise Failure(f"there is no file '{source}'")
    if options.output and output.exists() and source.exists() and output.samefile(source):
        raise Failure(f"-o would write over {source}")
    if options.cut:
        options.cut.mkdir(parents=True, exist_ok=True)


def source_of(options):
    """The beginning of the pipeline's description."""
    if is_network(options.source):
        return f"rtspsrc name=source latency=200 ! application/x-rtp,media=video ! decodebin ! {LIVE}"
    if is_file(options.source):
        return "filesrc name=source ! decodebin ! videoconvert"
    if pathlib.Path(options.source).exists():
        return f"v4l2src name=source ! decodebin ! {LIVE}"
    print(f"{NAME}: there is no {options.source}; a live test picture stands in", file=sys.stderr)
    return f"{STAND_IN} ! {LIVE}"


def need_elements(*names):
    for name in names:
        if not Gst.ElementFactory.find(name):
            raise Failure(f"there is no GStreamer element '{name}'; run pipelines/quickstart once, or meson install -C build")


def rules(options):
    """clipclassify's properties that are numbers; for the answer to the whole file the window is all of it."""
    pooling, window, confidence = options.pooling, options.window, options.min_confidence
    if options.whole:
        pooling, window, confidence = "mean", 0, 0
    return (f"pooling={pooling} window={int(window * Gst.SECOND)} min-confidence={confidence} "
            f"hold-time={int(options.hold * Gst.SECOND)} hysteresis={options.hysteresis} "
            f"inference-interval={options.inference_interval}")


def build(options):
    sink = "fakesink"
    if options.output or options.whole:
        sink = "clipjson ! " + ("filesink" if options.output else "fakesink") + " name=lines"
    pipeline = Gst.parse_launch(f"{source_of(options)} ! clipclassify name=clip {rules(options)} ! {sink}")
    if source := pipeline.get_by_name("source"):
        source.set_property("device" if source.find_property("device") else "location", options.source)
    if options.output:
        pipeline.get_by_name("lines").set_property("location", options.output)
    for name in ("prompts", "prompts-file", "templates", "model"):
        if value := getattr(options, name.replace("-", "_")):
            pipeline.get_by_name("clip").set_property(name, value)
    return pipeline


def span_of(structure):
    """What a clip-label-changed says of the label that held until then; None when there was none."""
    label = structure.get_value("previous")
    if label is None:
        return None
    times = [structure.get_value("previous-" + name) for name in ("start", "end")]
    start, end = (None if value == Gst.CLOCK_TIME_NONE else value for value in times)
    return Span(start, end, label, structure.get_value("previous-confidence"))


class Signals:
    """The first interrupt ends the stream in order, the next one at once."""

    def __init__(self):
        self.came = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.note)

    def note(self, number, _frame):
        self.came = True
        signal.signal(number, signal.SIG_DFL)


def is_stuck(pipeline, since):
    return time.monotonic() > since + FIRST_FRAME and pipeline.get_state(0)[0] == Gst.StateChangeReturn.ASYNC


def play(pipeline, stop, on_span, file):
    """Runs the pipeline until it ends, or for @stop seconds (0: no limit); on_span is called for each span."""
    bus, signals, ending = pipeline.get_bus(), Signals(), False
    pipeline.set_state(Gst.State.PLAYING)
    since = time.monotonic()  # the model is loaded now
    deadline = since + stop if stop else None
    while True:
        message = bus.timed_pop_filtered(Gst.SECOND // 10, Gst.MessageType.EOS | Gst.MessageType.ERROR |
                                         Gst.MessageType.WARNING | Gst.MessageType.ELEMENT)
        if message and handle(message, on_span):
            return
        if file and is_stuck(pipeline, since):
            raise Failure(f"no frame came out of the file within {FIRST_FRAME} seconds; is it damaged?")
        if ending and time.monotonic() > deadline:
            raise Failure(f"the stream did not end within {PATIENCE} seconds")
        if not ending and (signals.came or (deadline and time.monotonic() >= deadline)):
            ending, deadline = True, time.monotonic() + PATIENCE
            pipeline.send_event(Gst.Event.new_eos())


def handle(message, on_span):
    """Whether the stream has ended; raises its error."""
    if message.type == Gst.MessageType.ERROR:
        error, details = message.parse_error()
        raise Failure(error.message + (f"\n{details}" if details else ""))
    if message.type == Gst.MessageType.WARNING:
        print(f"{NAME}: warning: {message.parse_warning()[0].message}", file=sys.stderr)
    structure = message.get_structure()
    if message.type == Gst.MessageType.ELEMENT and structure and structure.get_name() == "clip-label-changed":
        span = span_of(structure)
        if span:
            on_span(span)
    return message.type == Gst.MessageType.EOS


def in_seconds(time):
    return None if time is None else round(time / Gst.SECOND, 9)


def print_span(span, as_json):
    start, end = in_seconds(span.start), in_seconds(span.end)
    if as_json:
        print(json.dumps({"from": start, "to": end, "label": span.label, "confidence": span.confidence},
                         ensure_ascii=False), flush=True)
    else:
        start, end = ("?" if value is None else f"{value:.3f}" for value in (start, end))
        print(f"{start:>10} - {end:>10}  {span.label:32}  {span.confidence:10.3f}", flush=True)


def recognise(options):
    """Prints the spans as they end."""
    spans = []

    def on_span(span):
        if not spans and not options.json:
            print(f"{'from (s)':>10} - {'to (s)':>10}  {'label':32}  confidence")
        spans.append(span)
        print_span(span, options.json)

    run(build(options), options, on_span)
    if not spans:
        print(f"{NAME}: no label held: none led for {options.hold:g} s with a confidence of {options.min_confidence:g} or "
              "more; --hold and --min-confidence say what counts", file=sys.stderr)
    if options.cut:
        cut(options.source, spans, options.cut)


def run(pipeline, options, on_span):
    try:
        play(pipeline, options.stop, on_span, is_file(options.source))
    finally:
        pipeline.set_state(Gst.State.READY)  # a failure has left a span open: it ends here
        while message := pipeline.get_bus().pop_filtered(Gst.MessageType.ELEMENT):
            handle(message, on_span)
        pipeline.set_state(Gst.State.NULL)


def judge(options):
    """Prints the answer for the whole file: the window since the start, as of its last frame."""
    newest = [None]

    def keep(_pad, info):
        newest[0] = info.get_buffer()
        return Gst.PadProbeReturn.OK

    pipeline = build(options)
    pipeline.get_by_name("lines").get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, keep)
    run(pipeline, options, lambda span: None)
    line = json.loads(newest[0].extract_dup(0, newest[0].get_size())) if newest[0] else {"objects": []}
    if not line["objects"]:
        raise Failure("there is no frame in it")
    clip = line["objects"][0]["clip"]
    labels = sorted((label for label in clip["labels"] if not label["negative"]), key=lambda label: -label["confidence"])
    print_answer(clip["window"]["frames"], labels, options.json)


def print_answer(frames, labels, as_json):
    if as_json:
        keys = "label", "cosine", "confidence"
        print(json.dumps({"frames": frames, "labels": [{key: label[key] for key in keys} for label in labels]},
                         ensure_ascii=False))
        return
    print(f"{'label':32}  confidence  cosine    (mean of {frames} frames)")
    for label in labels[:5]:
        print(f"{label['label']:32}  {label['confidence']:10.3f}  {label['cosine']:.3f}")


def main():
    options = parse()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # who reads the spans may have seen enough
    Gst.init(None)
    try:
        check_files(options)
        need_elements("clipclassify", "clipjson")
        (judge if options.whole else recognise)(options)
    except (Failure, CutError, OSError) as failure:
        sys.exit(f"{NAME}: {failure}")


if __name__ == "__main__":
    main()
