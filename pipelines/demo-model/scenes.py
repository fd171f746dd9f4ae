# SPDX-License-Identifier: LGPL-2.1-or-later
"""Training and evaluation pictures with their captions, composed on the fly.

Every picture comes with two captions and the concept of each: captions of one concept in a batch are no negatives of each
other. All randomness comes from one generator, so that a seed gives the same pictures anywhere.
"""
import json
import re
import zlib
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageFont

import captions as words
import sources

BACKGROUNDS = 1500  # random clouds and gradients made once a generator, then cropped, flipped and recoloured


class Sample(NamedTuple):
    picture: Image.Image
    captions: tuple  # two sentences
    concepts: tuple  # what each of them means


class Sprites(NamedTuple):
    pictures: np.ndarray  # uint8 [N, SIDE, SIDE, 4]
    names: list  # "" where unknown
    keywords: list
    cumulative: np.ndarray  # of the weights by which named ones are drawn


def load_sprites(cache, source):
    labels = json.loads((cache / f"{source}.json").read_text())
    names = [words.clean(n) for n, _ in labels]
    weights = [0 if not n else .12 if words.RARE.search(n) else 1 for n in names]
    return Sprites(np.load(cache / f"{source}.npy", mmap_mode="r"), names,
                   [[k for k in map(words.clean, keywords) if k] for _, keywords in labels], np.cumsum(weights))


def is_held(index, source):
    """A tenth of the unnamed clip art is kept for evaluation."""
    return zlib.crc32(f"{source} {index}".encode()) % 10 == 0


class Scenes:
    """The generator. @cache: folder of the packed sources; @held: patterns and fonts kept for evaluation instead."""

    SHARES = {"noto": 7, "twemoji": 7, "symbola": 2, "clipart": 3}  # how often a sprite comes from where

    def __init__(self, cache, seed, size=96, held=False, tables=tuple(SHARES)):
        self.rng = np.random.default_rng(seed)
        self.write = words.Writer(self.rng)
        self.size = size
        self.held = held
        self.sprites = {t: load_sprites(cache, t) for t in tables}
        self.drawn = [t for t in tables for _ in range(self.SHARES.get(t, 0))]
        art = self.sprites["clipart"].names if "clipart" in tables else []
        self.unknown = [i for i, n in enumerate(art) if not n and is_held(i, "clipart") == held]
        self.bank = sources.pack_patterns(cache, held)
        self.font_files = sources.fonts(held)
        self.fonts = {}
        self.clouds = None

    def reseed(self, seed):
        self.rng = self.write.rng = np.random.default_rng(seed)

    # draws
    def pick(self, choices):
        return choices[self.rng.integers(len(choices))]

    def chance(self, probability):
        return self.rng.random() < probability

    def between(self, low, high):
        return self.rng.uniform(low, high)

    def colour(self, avoid=(), name=None):
        """A colour's name and a shade of it."""
        while name is None or name in avoid:
            name = self.pick(list(words.COLOURS))
        shade = np.clip(np.array(words.COLOURS[name]) + self.rng.normal(0, 9, 3), 0, 255)
        return name, tuple(int(v) for v in shade)

    # backgrounds
    def cloud(self, side):
        """Coloured noise of several scales, somewhat like an unsharp photograph."""
        total = np.zeros((side, side, 3), np.float32)
        for cells, weight in ((3, 1.4), (6, .8), (14, .5), (32, .25)):
            noise = self.rng.normal(0, 1, (cells, cells, 1)) * .8 + self.rng.normal(0, 1, (cells, cells, 3)) * .5
            small = Image.fromarray(np.uint8(np.clip(noise * 50 + 128, 0, 255)))
            total += weight * (np.asarray(small.resize((side, side), Image.BICUBIC), np.float32) - 128)
        return np.uint8(np.clip(total + self.rng.uniform(30, 220, 3), 0, 255))

    def cloud_bank(self):
        if self.clouds is None:
            state, self.rng = self.rng, np.random.default_rng(7 + self.held)
            self.clouds = [self.cloud(144) for _ in range(BACKGROUNDS // (10 if self.held else 1))]
            self.rng = state
        return self.clouds

    def clouded(self):
        side = int(self.between(60, 144))
        x, y = self.rng.integers(0, 145 - side, 2)
        part = self.pick(self.cloud_bank())[y:y + side, x:x + side, self.rng.permutation(3)]
        if self.chance(.5):
            part = part[:, ::-1]
        return Image.fromarray(np.ascontiguousarray(part)).resize((self.size, self.size), Image.BILINEAR)

    def gradient(self):
        first, second = self.rng.integers(0, 256, (2, 3))
        ramp = np.linspace(0, 1, self.size)[:, None]
        line = (first * ramp + second * (1 - ramp)).astype(np.uint8)
        area = np.broadcast_to(line[:, None], (self.size, self.size, 3))
        return Image.fromarray(np.ascontiguousarray(area if self.chance(.6) else area.transpose(1, 0, 2)))

    def pattern(self, name=None):
        """A test pattern: (picture, name)."""
        name = name or self.pick(list(words.PATTERNS))
        frames = self.bank[self.pick(words.PATTERN_FILES.get(name, [name]))]
        frame = Image.fromarray(frames[self.rng.integers(len(frames))])
        if not self.held and self.chance(.2):
            return frame.resize((self.size, self.size), Image.BILINEAR), name
        side = 96 if self.held else int(96 * self.between(.9, 1)) if self.chance(.5) else 96
        x = (128 - side) // 2 if self.held or self.chance(.6) else int(self.between(0, 128 - side))
        y = (96 - side) // 2
        return frame.resize((self.size, self.size), Image.BILINEAR, box=(x, y, x + side, y + side)), name

    def background(self, pattern=.25):
        """(picture, pattern's name or None, colour's name or None)"""
        kind = self.rng.random()
        if kind < pattern:
            return (*self.pattern(), None)
        if kind < pattern + .25:
            name, shade = self.colour()
            return Image.new("RGB", (self.size, self.size), shade), None, name
        return (self.gradient() if kind < pattern + .4 else self.clouded()), None, None

    # sprites
    def sprite(self, source=None, index=None):
        """(RGBA picture, name, keywords); line drawings get a colour."""
        if source is None:
            source = self.pick(self.drawn)
        table = self.sprites[source]
        if index is None:
            index = int(np.searchsorted(table.cumulative, self.rng.random() * table.cumulative[-1], side="right"))
        pixels = table.pictures[index]
        if source == "symbola":
            pixels = pixels.copy()
            pixels[..., :3] = self.rng.integers(0, 256, 3)
        return Image.fromarray(pixels), table.names[index], table.keywords[index]

    def recolour(self, sprite, name):
        """Other shades, so that the form must tell; not where the name speaks of colour."""
        if any(c in name.split() for c in words.COLOURS):
            return sprite
        kind = self.rng.random()
        rgb, alpha = sprite.convert("RGB"), sprite.getchannel("A")
        if kind < .12:
            hue, saturation, value = rgb.convert("HSV").split()
            shift = int(self.between(-40, 40))
            rgb = Image.merge("HSV", (hue.point(lambda v: (v + shift) % 256), saturation, value)).convert("RGB")
        elif kind < .17:
            rgb = rgb.convert("L").convert("RGB")
        elif kind < .24:
            rgb = ImageChops.offset(rgb, 0).point(lambda v: min(255, v // 48 * 48 + 24))
        elif kind < .30:
            rgb = Image.merge("RGB", [rgb.getchannel(int(c)) for c in self.rng.permutation(3)])
        else:
            return sprite
        rgb.putalpha(alpha)
        return rgb

    def paste(self, picture, sprite, low=.25, high=1.0, area=None):
        """Draw @sprite at a random place and size (parts of the side) on @picture; up to an eighth may be cut off."""
        width = max(10, int(self.size * self.between(low, high)))
        height = int(width * self.between(.85, 1.18)) if self.chance(.4) else width
        sprite = sprite.resize((width, height), Image.BILINEAR, reducing_gap=1.5)
        if self.chance(.35):
            sprite = sprite.rotate(self.between(-20, 20), Image.BILINEAR, expand=True)
        left, right = area or (0, self.size)
        over = width / 8
        xs = sorted((left - over, right - sprite.width + over))
        ys = sorted((-over, self.size - sprite.height + over))
        picture.paste(sprite, (int(self.between(*xs)), int(self.between(*ys))), sprite)

    # whole scenes
    def object(self, source=None, index=None):
        picture, pattern, colour = self.background()
        sprite, name, keywords = self.sprite(source, index)
        sprite = self.recolour(sprite, name)
        noun = words.article(name)
        if index is None and self.chance(.08):
            return self.two_objects(picture, sprite, name)
        self.paste(picture, sprite)
        phrase = noun
        if pattern and self.chance(.25):
            phrase = self.pick(["{} over {}", "{} in front of {}", "{} on {}"]).format(noun, self.pick(words.PATTERNS[pattern]))
        elif colour and self.chance(.15):
            phrase = f"{noun} on a {self.write.colour(colour)} background"
        other = self.pick(keywords) if keywords and self.chance(.3) else name
        return Sample(picture, (self.write.sentence(phrase, name if phrase == noun else None),
                                self.write.sentence(words.article(other), other)), (name, other))

    def two_objects(self, picture, sprite, name):
        second, second_name, _ = self.sprite()
        half = self.size // 2
        self.paste(picture, sprite, .3, .5, (0, half))
        self.paste(picture, second, .3, .5, (half, self.size))
        both = f"{words.article(name)} and {words.article(second_name)}"
        one = self.pick([name, second_name])
        return Sample(picture, (self.write.sentence(both), self.write.sentence(words.article(one), one)), (both, one))

    def test_pattern(self, name=None):
        picture, name = self.pattern(name)
        return Sample(picture, tuple(self.write.sentence(self.pick(words.PATTERNS[name])) for _ in range(2)), (name, name))

    def polygon(self, shape):
        """Corners of @shape within -1..1."""
        if shape == "heart":
            t = np.linspace(0, 2 * np.pi, 40)
            return np.stack([np.sin(t) ** 3, -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 16], 1)
        if shape in ("star", "hexagon"):
            corners = 10 if shape == "star" else 6
            t = np.arange(corners) / corners * 2 * np.pi - np.pi / 2
            radius = np.where(np.arange(corners) % 2, .42, 1) if shape == "star" else np.ones(corners)
            return np.stack([radius * np.cos(t), radius * np.sin(t)], 1)
        wide = [(-1, -.5), (1, -.5), (1, .5), (-1, .5)]
        return np.array({
            "square": [(-.85, -.85), (.85, -.85), (.85, .85), (-.85, .85)],
            "rectangle": wide if self.chance(.6) else [(y, x) for x, y in wide],
            "triangle": [(0, -1), (1, .8), (-1, .8)],
            "diamond": [(0, -1.1), (.75, 0), (0, 1.1), (-.75, 0)],
            "cross": [(-.3, -1), (.3, -1), (.3, -.3), (1, -.3), (1, .3), (.3, .3), (.3, 1), (-.3, 1), (-.3, .3), (-1, .3),
                      (-1, -.3), (-.3, -.3)],
        }[shape])

    def draw_shape(self, canvas, shape, x, y, radius, shade):
        box = (x - radius, y - radius, x + radius, y + radius)
        if shape == "circle":
            canvas.ellipse(box, fill=shade)
        elif shape == "ring":
            canvas.ellipse(box, outline=shade, width=max(2, int(radius * .3)))
        else:
            canvas.polygon([(x + radius * a, y + radius * b) for a, b in self.polygon(shape)], fill=shade)

    def shape_ground(self, colour, shade):
        """A background on which @shade shows: (picture of twice the size, its colour's name or None)"""
        double = 2 * self.size
        if self.chance(.6):
            name, ground = self.colour((colour,))
            return Image.new("RGB", (double, double), ground), name
        while True:
            picture, _, name = self.background(pattern=.08)
            if name != colour and np.abs(np.asarray(picture, float).mean((0, 1)) - shade).max() > 60:
                return picture.resize((double, double)), name

    def shapes(self, shape=None, colour=None):
        single = shape is not None or self.chance(.75)
        shape = shape or self.pick(list(words.SHAPES))
        colour, shade = self.colour(name=colour)
        picture, ground = self.shape_ground(colour, shade)
        canvas, double, place, count = ImageDraw.Draw(picture), 2 * self.size, "", 1
        if single:
            radius = double * self.between(.14, .42)
            x, y = self.between(radius, double - radius), self.between(radius, double - radius)
            self.draw_shape(canvas, shape, x, y, radius, shade)
            dx, dy = x / double - .5, y / double - .5
            if max(abs(dx), abs(dy)) > .18 and self.chance(.3):
                place = ((" on the left", " on the right")[dx > 0] if abs(dx) > abs(dy)
                         else (" at the top", " at the bottom")[dy > 0])
        else:
            count = int(self.rng.integers(2, 6))
            for cell in self.rng.permutation(9)[:count]:
                self.draw_shape(canvas, shape, double * (cell % 3 + .5) / 3, double * (cell // 3 + .5) / 3,
                                double / 6 * self.between(.6, .9), shade)
        return Sample(picture.resize((self.size, self.size), Image.BOX), *self.shape_captions(shape, colour, count, place, ground))

    def shape_captions(self, shape, colour, count, place, ground):
        noun, tint = self.pick(words.SHAPES[shape]), self.write.colour(colour)
        if count == 1:
            first = f"a {tint} {noun}"
            second = self.pick([first, first, words.article(noun), f"something {tint}"])
            key = f"{colour} {shape}"
        else:
            first = f"{words.NUMBERS[count]} {tint} {words.plural(noun)}"
            second = self.pick([f"{words.NUMBERS[count]} {words.plural(noun)}", f"{tint} {words.plural(noun)}", first])
            key = f"{count} {colour} {shape}"
        full = first + place + (f" on a {self.write.colour(ground)} background" if ground and self.chance(.3) else "")
        second_key = key if second == first else re.sub(r"\b(violet)\b", "purple", second)
        return (self.write.sentence(full), self.write.sentence(second)), (key, second_key)

    def font(self, size):
        size = max(8, size // 6 * 6)
        path = self.pick(self.font_files)
        if (path, size) not in self.fonts:
            self.fonts[path, size] = ImageFont.truetype(str(path), size)
        return self.fonts[path, size]

    def written(self, text, low, high):
        """@text in a font over a background; its box is @low to @high of the side."""
        picture, _, _ = self.background(pattern=.1)
        font = self.font(int(self.size * .8))
        box = font.getbbox(text)
        mask = Image.new("L", (box[2] - box[0] + 8, box[3] - box[1] + 8))
        ImageDraw.Draw(mask).text((4 - box[0], 4 - box[1]), text, 255, font=font)
        scale = self.size * self.between(low, high) / max(mask.size)
        mask = mask.resize([max(4, int(v * scale)) for v in mask.size], Image.BILINEAR, reducing_gap=2)
        if self.chance(.3):
            mask = mask.rotate(self.between(-12, 12), Image.BILINEAR, expand=True)
        x = int(self.between(0, max(1, self.size - mask.width)))
        y = int(self.between(0, max(1, self.size - mask.height)))
        ground = np.asarray(picture, float).mean((0, 1))
        ink = self.colour()[1]
        while np.abs(np.array(ink) - ground).max() < 90:
            ink = self.colour()[1]
        if self.chance(.3):  # a sign: the word on a plate
            plate = self.colour()[1]
            if np.abs(np.array(ink) - plate).max() > 120:
                picture.paste(plate, (x - 3, y - 3, x + mask.width + 3, y + mask.height + 3))
        picture.paste(ink, (x, y), mask)
        return picture

    def digit(self, value=None):
        value = int(self.rng.integers(10)) if value is None else value
        picture = self.written(str(value), .35, .95)
        forms = [f"the number {value}", f"the digit {value}", f"a {value}", str(value), f"the number {words.NUMBERS[value]}",
                 f"the digit {words.NUMBERS[value]}"]
        return Sample(picture, (self.write.sentence(self.pick(forms)), self.pick(forms)), (f"digit {value}",) * 2)

    def word(self, word=None):
        word = word or self.pick(words.WORDS)
        picture = self.written(self.pick([word, word.upper(), word.capitalize()]), .6, 1.0)
        forms = [f"the word {word}", f"a sign that says {word}", f"the text {word}", f"{word} in letters"]
        return Sample(picture, (self.write.sentence(self.pick(forms)), self.pick(forms)), (f"word {word}",) * 2)

    def nothing(self):
        picture = self.clouded() if self.chance(.6) else self.gradient()
        return Sample(picture, (self.write.sentence(self.pick(words.NOTHING)), self.pick(words.NOTHING)), ("nothing",) * 2)

    def scribble(self):
        """Lines, blobs and patches that mean nothing."""
        picture, _, _ = self.background(pattern=.05)
        canvas = ImageDraw.Draw(picture)
        for _ in range(self.rng.integers(3, 14)):
            points = [tuple(p) for p in self.rng.uniform(0, self.size, (self.rng.integers(3, 7), 2))]
            shade = self.colour()[1]
            if self.chance(.5):
                canvas.line(points, fill=shade, width=int(self.rng.integers(1, 8)), joint="curve")
            else:
                canvas.polygon(points, fill=shade)
        return picture

    def jigsaw(self):
        """The tiles of a known scene in another order."""
        picture, tile = self.object().picture, self.size // 4
        order, result = self.rng.permutation(16), Image.new("RGB", picture.size)
        for to, origin in enumerate(order):
            x, y = origin % 4 * tile, origin // 4 * tile
            result.paste(picture.crop((x, y, x + tile, y + tile)), (to % 4 * tile, to // 4 * tile))
        return result

    def something_else(self):
        kind = self.rng.random()
        if kind < .6 and self.unknown:
            picture, _, _ = self.background(pattern=.1)
            sprite = Image.fromarray(self.sprites["clipart"].pictures[self.pick(self.unknown)])
            self.paste(picture, sprite, .4, 1.2)
        else:
            picture = self.scribble() if kind < .8 else self.jigsaw()
        forms = words.SOMETHING_ELSE
        return Sample(picture, (self.write.sentence(self.pick(forms)), self.pick(forms)), ("something else",) * 2)

    def suffering(self, state=None):
        """A known scene out of focus or at night."""
        state = state or self.pick(list(words.STATES))
        sample = self.object() if self.chance(.6) else self.shapes()
        forms = words.STATES[state]
        return Sample(self.suffer(sample.picture, state), (self.write.sentence(self.pick(forms)), self.pick(forms)), (state,) * 2)

    def suffer(self, picture, state):
        if state == "blurred":
            return picture.filter(ImageFilter.GaussianBlur(self.size * self.between(.05, .09)))
        dark = np.asarray(picture, np.float32) * np.array([.10, .11, .18], np.float32) * self.between(.7, 1.3)
        return Image.fromarray(np.uint8(np.clip(dark + self.rng.normal(4, 3, dark.shape), 0, 255)))

    def augment(self, picture):
        """What cameras and encoders do; never so much that the caption becomes wrong."""
        if self.chance(.3):
            picture = ImageEnhance.Brightness(picture).enhance(self.between(.65, 1.3))
        if self.chance(.3):
            picture = ImageEnhance.Contrast(picture).enhance(self.between(.7, 1.3))
        if self.chance(.12):
            picture = picture.filter(ImageFilter.GaussianBlur(self.between(.3, 1.1)))
        if self.chance(.15):
            noisy = np.asarray(picture, np.float32) + self.rng.standard_normal((self.size, self.size, 1), np.float32) * self.between(2, 14)
            picture = Image.fromarray(np.uint8(np.clip(noisy, 0, 255)))
        return picture

    MIX = (("object", .55), ("shapes", .15), ("digit", .09), ("test_pattern", .06), ("word", .05), ("something_else", .05),
           ("nothing", .025), ("suffering", .025))

    def sample(self):
        """One training picture with captions, after the mix."""
        kind = self.rng.random()
        for name, share in self.MIX:
            kind -= share
            if kind < 0:
                break
        sample = getattr(self, name)()
        if name in ("nothing", "suffering") or (name == "test_pattern" and self.chance(.7)):
            return sample
        return sample._replace(picture=self.augment(sample.picture))
