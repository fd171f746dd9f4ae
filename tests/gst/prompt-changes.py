#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""prompt-changes.py: a live stream whose prompts are replaced 100 times, 50 at a time.

Checks that no frame is lost, that the newest set is in force at the end and that memory stays flat; prints how
long frames stayed in the element without and with changes. Prints TAP. Needs python3-gst-1.0.
"""
import time

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

FRAMES, CHANGES, QUIET = 450, 100, 60
GROWTH_MB = 12  # what an allocator may keep; 100 leaked sets of 50 labels and their results would be more


def resident_mb():
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


class Meter:
    """Time between a buffer's arrival at the element and its departure, and what it carried."""

    def __init__(self, element):
        self.times, self.came, self.last_labels = [], 0.0, []
        element.get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, self.arrive)
        element.get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, self.leave)

    def arrive(self, _pad, _info):
        self.came = time.monotonic()
        return Gst.PadProbeReturn.OK

    def leave(self, _pad, info):
        self.times.append((time.monotonic() - self.came) * 1e3)
        meta = info.get_buffer().get_custom_meta("GstClipMeta")
        for thing in meta.get_structure().get_value("objects"):  # none before the first result of a live stream
            self.last_labels = [thing.get_value("labels")[0].get_value("label")]
        return Gst.PadProbeReturn.OK


def summary(times):
    ordered = sorted(times)
    return f"median {ordered[len(ordered) // 2]:.1f} ms, 99 % {ordered[int(len(ordered) * .99)]:.1f} ms, max {ordered[-1]:.1f} ms"


def main():
    Gst.init(None)
    pipeline = Gst.parse_launch(
        f"videotestsrc is-live=true num-buffers={FRAMES} ! video/x-raw,format=NV12,width=640,height=480,framerate=30/1 ! "
        "clipclassify name=clip model=demo prompts=snow ! fakesink sync=false")
    clip, bus = pipeline.get_by_name("clip"), pipeline.get_bus()
    meter, memory, changes = Meter(clip), [], 0
    pipeline.set_state(Gst.State.PLAYING)
    message = None
    while not message:
        message = bus.timed_pop_filtered(100 * Gst.MSECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR)
        if len(meter.times) >= QUIET and changes < CHANGES:
            clip.set_property("prompts", ";".join(f"thing {n} of set {changes}" for n in range(50)))
            changes += 1
            memory.append(resident_mb())
    checks = {
        f"{len(meter.times)} of {FRAMES} frames came through": len(meter.times) == FRAMES,
        f"the last of {changes} sets is in force": meter.last_labels == [f"thing 0 of set {CHANGES - 1}"],
        f"resident memory {memory[10]:.0f} MB after 10 changes, {memory[-1]:.0f} MB after the last":
            memory[-1] - memory[10] < GROWTH_MB,
        "the stream ended without an error": message.type == Gst.MessageType.EOS,
    }
    pipeline.set_state(Gst.State.NULL)
    print(f"# a frame in the element, no changes: {summary(meter.times[10:QUIET])}")
    print(f"# a frame in the element, with changes: {summary(meter.times[QUIET:])}")
    print(f"1..{len(checks)}")
    for number, (name, passed) in enumerate(checks.items(), 1):
        print(f"{'ok' if passed else 'not ok'} {number} {name}")
    return not all(checks.values())


if __name__ == "__main__":
    raise SystemExit(main())
