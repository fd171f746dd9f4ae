# SPDX-License-Identifier: LGPL-2.1-or-later
"""Short encoded videos whose label no single frame gives away. Drawn from what the demo model knows: emoji."""
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from support import run

THINGS = {"a dog face": "\U0001f436", "a pizza": "\U0001f355", "a rocket": "\U0001f680", "a red apple": "\U0001f34e",
          "a guitar": "\U0001f3b8", "a soccer ball": "\u26bd", "a bicycle": "\U0001f6b2", "a cactus": "\U0001f335"}
LABELS = list(THINGS)
SIDE, FRAMES, RATE = 128, 12, 10
MIDDLE = FRAMES // 2
FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
# each of them gives the same bytes on every run
FORMATS = [("webm", "vp8enc target-bitrate=1000000 ! webmmux"), ("mkv", "x264enc threads=1 ! matroskamux"),
           ("ogg", "theoraenc ! oggmux"), ("avi", "jpegenc ! avimux")]


class Clip(NamedTuple):
    kind: str
    label: str
    path: object


class Painter:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        font = ImageFont.truetype(FONT, 109)  # the size of its bitmaps
        self.sprites = {name: self.sprite(text, font) for name, text in THINGS.items()}

    @staticmethod
    def sprite(text, font):
        picture = Image.new("RGBA", (136, 128))
        ImageDraw.Draw(picture).text((0, 0), text, font=font, embedded_color=True)
        return picture.crop(picture.getbbox())

    def other(self, label):
        return self.rng.choice([name for name in LABELS if name != label])

    def scene(self, label, share=.65, place=None):
        """[SIDE,SIDE,3]: the thing on a plain ground, as wide as @share of the picture; @place: 0..1 from the left"""
        picture = Image.new("RGB", (SIDE, SIDE), tuple(int(v) for v in self.rng.integers(40, 220, 3)))
        sprite = self.sprites[label]
        width = int(SIDE * share)
        sprite = sprite.resize((width, width * sprite.height // sprite.width))
        x = self.rng.random() if place is None else place
        picture.paste(sprite, (int((SIDE - width) * x), int(self.rng.uniform(0, max(1, SIDE - sprite.height)))), sprite)
        return np.asarray(picture, np.float32).copy()

    def glimpses(self, label):
        """The thing in 5 of 12 frames, each of the others once; never in the middle."""
        shown = [label] * (FRAMES - len(LABELS) + 1) + [name for name in LABELS if name != label]
        self.rng.shuffle(shown)
        if shown[MIDDLE] == label:
            elsewhere = next(i for i, name in enumerate(shown) if name != label)
            shown[MIDDLE], shown[elsewhere] = shown[elsewhere], label
        return [self.scene(name) for name in shown]

    def company(self, label):
        """The thing beside another one, which is another one in each frame."""
        frames = []
        for i in range(FRAMES):
            left, right = self.scene(label, .5, .5), self.scene(self.other(label), .5, .5)
            half = SIDE // 2
            frame = np.concatenate([left[:, half // 2:-half // 2], right[:, half // 2:-half // 2]], 1)
            frames.append(frame if i % 2 else frame[:, ::-1])
        return frames

    def blends(self, label):
        """The thing shines through another one, which is another one in each frame."""
        return [.5 * self.scene(label) + .5 * self.scene(self.other(label)) for _ in range(FRAMES)]

    def faults(self, label):
        """A bad signal: noise, or darkness, or a lost block, or lost contrast."""
        return [self.suffer(self.scene(label), i % 4) for i in range(FRAMES)]

    def suffer(self, frame, fault):
        if fault == 0:
            return frame + self.rng.normal(0, 75, frame.shape)
        if fault == 1:
            return frame * .15 + self.rng.normal(8, 4, frame.shape)
        if fault == 2:
            x, y = self.rng.integers(0, SIDE // 2, 2)
            frame[y:y + 72, x:x + 72] = self.rng.integers(0, 255, 3)
            return frame
        return (frame - 128) * .3 + 128 + self.rng.normal(0, 15, frame.shape)

    def behind(self, label):
        """The thing crosses the picture behind a fence that moves against it: no frame has all its parts."""
        frames = [self.scene(label, .8, i / (FRAMES - 1)) for i in range(FRAMES)]
        for i, frame in enumerate(frames):
            frame[:, (np.arange(SIDE) + 11 * i) % 40 >= 22] = self.rng.integers(0, 255, 3)
        return frames

    def order(self, first, second):
        """One scene after the other, each broken now and then by a frame of something else; cut: where the second begins."""
        frames = [self.scene(first if i < FRAMES else second, place=.5) for i in range(2 * FRAMES)]
        for i in range(2, 2 * FRAMES, 5):
            frames[i] = self.scene(str(self.rng.choice([name for name in LABELS if name not in (first, second)])))
        return frames


KINDS = ["glimpses", "company", "blends", "faults", "behind"]


def chain(folder, name, frames, form, rate=RATE):
    """-> (path, the part of a gst-launch-1.0 command that encodes the frames into it)"""
    extension, encoder = form
    raw, path = folder / f"{name}.rgb", folder / f"{name}.{extension}"
    raw.write_bytes(np.uint8(np.clip(np.stack(frames), 0, 255)).tobytes())
    return path, (f"filesrc location={raw} ! rawvideoparse format=rgb width={SIDE} height={SIDE} framerate={rate}/1 ! "
                  f"videoconvert ! {encoder} ! filesink location={path}").split()


def encode(chains):
    """All in one process."""
    result = run("gst-launch-1.0", "-q", *(word for words in chains for word in words))
    assert result.returncode == 0, result.stderr.decode()


def make(folder, seed):
    """-> [Clip]: each kind of each label, in four codecs and containers"""
    painter, clips, chains = Painter(seed), [], []
    for kind in KINDS:
        for label in LABELS:
            form = FORMATS[len(clips) % len(FORMATS)]
            path, words = chain(folder, f"{len(clips):02d}-{kind}", getattr(painter, kind)(label), form)
            clips.append(Clip(kind, label, path))
            chains.append(words)
    encode(chains)
    return clips


def uneven(folder, frames, rates):
    """-> path: the first half of the frames at the first rate, the second at the second"""
    half, path, parts = len(frames) // 2, folder / "uneven.mkv", []
    for i, rate in enumerate(rates):
        raw = folder / f"{i}.rgb"
        raw.write_bytes(np.uint8(np.clip(np.stack(frames[i * half:(i + 1) * half]), 0, 255)).tobytes())
        parts += (f"filesrc location={raw} ! rawvideoparse format=rgb width={SIDE} height={SIDE} framerate={rate}/1 ! "
                  "capssetter caps=video/x-raw,framerate=0/1 ! all.").split()
    encode([f"concat name=all ! videoconvert ! jpegenc ! matroskamux ! filesink location={path}".split(), parts])
    return path
