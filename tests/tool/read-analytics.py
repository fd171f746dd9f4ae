#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""read-analytics.py LAUNCH: a line of JSON for each frame that reaches LAUNCH's element "sink": the labels and tensors
that GStreamer's own Python bindings find. Exit status 77: GStreamer has no analytics metadata.
"""
import json
import sys

import gi

gi.require_version("Gst", "1.0")
try:
    gi.require_version("GstAnalytics", "1.0")
except ValueError as error:
    print(error, file=sys.stderr)
    sys.exit(77)
from gi.repository import GLib, Gst, GstAnalytics  # noqa: E402


def read_labels(buffer):
    """-> [[(label, level), ...] for each classification]"""
    relations = GstAnalytics.buffer_get_analytics_relation_meta(buffer)
    found = []
    for mtd in relations or ():
        if isinstance(mtd, GstAnalytics.ClsMtd):
            found.append([(GLib.quark_to_string(mtd.get_quark(i)), mtd.get_level(i))
                          for i in range(mtd.get_length())])
    return found


def read_tensors(buffer):
    """-> {id: (dims, type, bytes in hexadecimal)}"""
    meta = GstAnalytics.buffer_get_tensor_meta(buffer)
    found = {}
    for i in range(meta.num_tensors if meta else 0):
        tensor = meta.get(i)
        data = tensor.data.extract_dup(0, tensor.data.get_size())
        found[GLib.quark_to_string(tensor.id)] = tensor.get_dims(), tensor.data_type.value_nick, bytes(data).hex()
    return found


def print_frame(_pad, info):
    buffer = info.get_buffer()
    print(json.dumps({"labels": read_labels(buffer), "tensors": read_tensors(buffer)}))
    return Gst.PadProbeReturn.OK


def main():
    Gst.init(None)
    pipeline = Gst.parse_launch(sys.argv[1])
    pipeline.get_by_name("sink").get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, print_frame)
    pipeline.set_state(Gst.State.PLAYING)
    message = pipeline.get_bus().timed_pop_filtered(60 * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR)
    pipeline.set_state(Gst.State.NULL)
    if not message or message.type == Gst.MessageType.ERROR:
        sys.exit(f"read-analytics.py: {message.parse_error() if message else 'no end in a minute'}")


if __name__ == "__main__":
    main()
