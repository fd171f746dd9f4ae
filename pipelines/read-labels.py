#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""read-labels.py [VIDEO] [PROMPTS]: prints the best label of each frame, read from GstClipMeta in Python.

Without a video a test picture is labelled. Needs Debian's python3-gst-1.0.
"""
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402


def best_label(buffer):
    """-> (label, confidence), or None when no label passed"""
    meta = buffer.get_custom_meta("GstClipMeta")
    if not meta:
        return None
    for obj in meta.get_structure().get_value("objects"):
        labels = [label for label in obj.get_value("labels") if label.get_value("passed")]
        if labels:
            best = max(labels, key=lambda label: label.get_value("confidence"))
            return best.get_value("label"), best.get_value("confidence")
    return None


def print_label(_pad, info):
    buffer = info.get_buffer()
    found = best_label(buffer)
    time = buffer.pts / Gst.SECOND
    print(f"{time:8.3f} s  " + (f"{found[1]:5.1%}  {found[0]}" if found else "nothing passed"))
    return Gst.PadProbeReturn.OK


def main():
    Gst.init(None)
    prompts = sys.argv[2] if len(sys.argv) > 2 else "color bars;snow;a black picture"
    source = "filesrc name=file ! decodebin" if len(sys.argv) > 1 else "videotestsrc num-buffers=5"
    pipeline = Gst.parse_launch(f"{source} ! videoconvert ! clipclassify name=clip ! fakesink name=sink")
    pipeline.get_by_name("clip").set_property("prompts", prompts)
    if len(sys.argv) > 1:
        pipeline.get_by_name("file").set_property("location", sys.argv[1])
    pipeline.get_by_name("sink").get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, print_label)
    pipeline.set_state(Gst.State.PLAYING)
    message = pipeline.get_bus().timed_pop_filtered(Gst.CLOCK_TIME_NONE, Gst.MessageType.EOS | Gst.MessageType.ERROR)
    pipeline.set_state(Gst.State.NULL)
    if message.type == Gst.MessageType.ERROR:
        sys.exit(f"read-labels.py: {message.parse_error()[0].message}")


if __name__ == "__main__":
    main()
