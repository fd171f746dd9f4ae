#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Plays the quick start's scenes through clipclassify, changes the prompts once on the way, and prints what was seen when.

Objects move over moving backgrounds, a word is shown, then the signal fails. Needs python3-gst-1.0 and
fonts-noto-color-emoji.
"""
import argparse
import collections
import json
import pathlib
import sys
from typing import NamedTuple

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

FPS, SECONDS, TRANSITION = 15, 2, .5
NOTHING = "-"  # a negative prompt took the frame: nothing is reported
PROMPTS = ["a dog face;a pizza;a rocket;the word stop;!nothing;!something else",
           "colour bars;television static;a black screen;a checkerboard;!something else"]
EMOJI, LETTERS = "Noto Color Emoji 130", "DejaVu Sans Bold 90"


class Scene(NamedTuple):
    background: str  # videotestsrc's properties, and what makes something else of its picture
    text: str  # an emoji or a word that wanders over it
    font: str
    prompts: int  # which set is in force
    expected: str


# a few pixels of noise, drawn large: clouds that change with every frame
CLOUDS = "pattern=snow ! video/x-raw,format=RGB,width=16,height=9 ! videoscale method=bilinear ! videoconvert"
SCENES = [
    Scene("pattern=circular horizontal-speed=4", "\U0001f436", EMOJI, 0, "a dog face"),
    Scene(CLOUDS, "", EMOJI, 0, NOTHING),
    Scene(CLOUDS, "\U0001f355", EMOJI, 0, "a pizza"),
    Scene("pattern=pinwheel", "\U0001f680", EMOJI, 0, "a rocket"),
    Scene("pattern=black", "STOP", LETTERS, 0, "the word stop"),
    Scene("pattern=smpte", "", EMOJI, 1, "colour bars"),
    Scene("pattern=snow", "", EMOJI, 1, "television static"),
    Scene("pattern=black", "", EMOJI, 1, "a black screen"),
]


def description(options):
    parts = ["concat name=all adjust-base=false"]
    for index, scene in enumerate(SCENES):
        parts.append(f"videotestsrc num-buffers={FPS * SECONDS} timestamp-offset={index * SECONDS * Gst.SECOND} "
                     f"{scene.background} ! video/x-raw,format=I420,width=640,height=360,framerate={FPS}/1 ! "
                     f"textoverlay name=text{index} text=\"{scene.text}\" font-desc=\"{scene.font}\" wrap-mode=none "
                     "halignment=center valignment=center draw-shadow=false draw-outline=false ! all.")
    parts.append(f"all. ! clocksync ! queue ! clipclassify name=clip model={options.model} min-confidence=0.5 ! tee name=classified")
    parts.append(f"classified. ! queue ! clipjson ! filesink location=\"{options.labels}\"")
    parts.append("classified. ! queue ! videoconvert ! clipoverlay history=8000000000 ! tee name=shown")
    parts.append(f"shown. ! queue ! videoconvert ! vp8enc deadline=1 cpu-used=8 ! webmmux ! filesink location=\"{options.video}\"")
    if options.window:
        parts.append("shown. ! queue ! videoconvert ! autovideosink")
    return " ".join(parts)


def wander(_pad, info, text):
    """Moves the text from left to right through its scene."""
    progress = info.get_buffer().pts / Gst.SECOND / SECONDS % 1
    text.set_property("deltax", int(240 * progress) - 120)
    return Gst.PadProbeReturn.OK


def switch(_pad, info, clip):
    """Sets the prompts of the scene that the frame belongs to; frames go on with the old ones meanwhile."""
    wanted = PROMPTS[SCENES[info.get_buffer().pts // (SECONDS * Gst.SECOND)].prompts]
    if clip.get_property("prompts") != wanted:
        clip.set_property("prompts", wanted)
    return Gst.PadProbeReturn.OK


def play(options):
    pipeline = Gst.parse_launch(description(options))
    clip = pipeline.get_by_name("clip")
    clip.set_property("prompts", PROMPTS[0])
    clip.get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, switch, clip)
    for index in range(len(SCENES)):
        text = pipeline.get_by_name(f"text{index}")
        text.get_static_pad("video_sink").add_probe(Gst.PadProbeType.BUFFER, wander, text)
    pipeline.set_state(Gst.State.PLAYING)
    message = pipeline.get_bus().timed_pop_filtered(Gst.CLOCK_TIME_NONE, Gst.MessageType.EOS | Gst.MessageType.ERROR)
    pipeline.set_state(Gst.State.NULL)
    if message.type == Gst.MessageType.ERROR:
        error, details = message.parse_error()
        sys.exit(f"play-scenes.py: {error.message}\n{details or ''}")


def seen(path):
    """Scene's number -> how often each label was first, the transition left out."""
    counts = collections.defaultdict(collections.Counter)
    for line in path.read_text().splitlines():
        frame = json.loads(line)
        scene, within = divmod(frame["timestamp"] / 1e9, SECONDS)
        # no object: before the first result of a live stream
        labels = [x for o in frame["objects"] for x in o["clip"]["labels"] if x["passed"] and not x["negative"]]
        if within >= TRANSITION:
            counts[int(scene)][max(labels, key=lambda x: x["confidence"])["label"] if labels else NOTHING] += 1
    return counts


def report(counts):
    """Prints the table; the number of scenes in which less than 95 % of the frames show what was expected"""
    wrong = 0
    print(f"{'time':>11}  {'expected':20}  {'seen':20}  frames")
    for index, scene in enumerate(SCENES):
        label, _ = (counts[index].most_common(1) or [("no frame", 0)])[0]
        right, total = counts[index][scene.expected], counts[index].total()
        wrong += total == 0 or right < .95 * total
        print(f"{index * SECONDS:4d} - {(index + 1) * SECONDS:2d} s  {scene.expected:20}  {label:20}  {right:3}/{total}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=pathlib.Path, default=pathlib.Path("labels.jsonl"))
    parser.add_argument("--video", type=pathlib.Path, default=pathlib.Path("annotated.webm"))
    parser.add_argument("--model", default="demo")
    parser.add_argument("--window", action="store_true")
    options = parser.parse_args()
    Gst.init(None)
    print("Prompts at first: " + PROMPTS[0] + "\n    after 10 s:   " + PROMPTS[1])
    play(options)
    wrong = report(seen(options.labels))
    if wrong:
        sys.exit(f"play-scenes.py: {wrong} of {len(SCENES)} scenes do not show what was expected in 95 % of their frames")


if __name__ == "__main__":
    main()
