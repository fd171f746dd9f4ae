# SPDX-License-Identifier: LGPL-2.1-or-later
"""Picture sources of the demo model, packed once into a cache folder.

Every source is a Debian package; SOURCES says which, under which licence, and what it is used for. The packed form of a
source is NAME.npy, uint8 [N, SIDE, SIDE, 4] (RGBA, or white ink with the glyph as alpha), and NAME.json with the names and
keywords of its N pictures.
"""
import functools
import html
import io
import json
import pathlib
import re
import subprocess

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIDE = 96
FONTS = pathlib.Path("/usr/share/fonts")
CLDR = pathlib.Path("/usr/share/unicode/cldr/common")
CLIPART = pathlib.Path("/usr/share/openclipart/png")
EMOJIONE = pathlib.Path("/usr/share/rubygems-integration/all/gems")

SOURCES = {
    "noto": ("Noto Color Emoji", "fonts-noto-color-emoji", "Google", "SIL Open Font License 1.1", "pictures"),
    "twemoji": ("Twemoji", "firefox-esr", "Twitter, Inc and other contributors", "CC BY 4.0", "pictures"),
    "symbola": ("Symbola", "fonts-symbola", "George Douros", "free for any use", "pictures"),
    "clipart": ("Open Clip Art Library", "openclipart-png", "its contributors", "public domain", "pictures"),
    "names": ("Unicode CLDR annotations", "unicode-cldr-core", "Unicode, Inc", "Unicode License", "names"),
    "fonts": ("DejaVu, Liberation, GNU FreeFont, Open Sans, Cantarell, Comic Neue, Hack, Inconsolata",
              "fonts-dejavu-core fonts-dejavu-extra fonts-liberation fonts-freefont-ttf fonts-open-sans fonts-cantarell "
              "fonts-comic-neue fonts-hack fonts-inconsolata",
              "their authors", "Bitstream Vera, SIL OFL 1.1, GPL 3 with font exception, Apache 2.0, MIT",
              "rendered words and digits"),
    "patterns": ("videotestsrc", "gstreamer1.0-plugins-base", "GStreamer", "LGPL 2.1 or later", "test patterns"),
    "emojione": ("EmojiOne (gemojione)", "ruby-gemojione", "EmojiOne", "CC BY-SA 4.0", "evaluation only"),
    "held fonts": ("Lato, Roboto, Carlito", "fonts-lato fonts-roboto-unhinted fonts-crosextra-carlito",
                   "their authors", "SIL OFL 1.1, Apache 2.0", "evaluation only"),
}
TRAIN_FONTS = re.compile("DejaVu|Liberation|Free(Sans|Serif|Mono)|OpenSans|Cantarell|ComicNeue|Hack|Inconsolata")
HELD_FONTS = re.compile("Lato-(Regular|Bold|Black|Italic)|Roboto-(Regular|Bold|Black|Italic)|Carlito")


def fonts(held):
    """The font files for training, or those kept for evaluation."""
    pattern = HELD_FONTS if held else TRAIN_FONTS
    return sorted(f for f in FONTS.rglob("*.[to]tf") if pattern.match(f.name))


@functools.cache
def annotations():
    """Emoji sequence -> (name, keywords), in English, skin tones left out."""
    names, keywords = {}, {}
    for folder in ("annotations", "annotationsDerived"):
        text = (CLDR / folder / "en.xml").read_text()
        for emoji, tts, value in re.findall(r'<annotation cp="([^"]+)"( type="tts")?>([^<]+)<', text):
            emoji, value = html.unescape(emoji), html.unescape(value)
            if tts:
                names[emoji] = value
            else:
                keywords[emoji] = [k.strip() for k in value.split("|")]
    skin = re.compile("[\U0001f3fb-\U0001f3ff]")
    return {e: (n, keywords.get(e, [])) for e, n in names.items() if not skin.search(e)}


def fit(picture):
    """Crop to what is drawn and centre it in a square of SIDE; None when nothing is drawn."""
    box = picture.getchannel("A").getbbox()
    if not box:
        return None
    picture = picture.crop(box)
    scale = SIDE / max(picture.size)
    picture = picture.resize([max(1, round(v * scale)) for v in picture.size], Image.LANCZOS)
    square = Image.new("RGBA", (SIDE, SIDE))
    square.paste(picture, ((SIDE - picture.width) // 2, (SIDE - picture.height) // 2))
    return np.asarray(square)


def glyph(font, text):
    """One emoji as RGBA, or None: a sequence that the font lacks falls apart into several glyphs."""
    if font.getlength(text) > 1.6 * font.getlength("\U0001f600"):
        return None
    picture = Image.new("RGBA", (240, 240))
    ImageDraw.Draw(picture).text((40, 40), text, font=font, embedded_color=True, fill="white")
    return fit(picture)


def from_font(path, size, colour=True):
    font = ImageFont.truetype(str(path), size)
    known = set()
    if not colour:
        from fontTools.ttLib import TTFont
        known = set(TTFont(str(path)).getBestCmap())
    pictures, seen = [], set()
    for emoji, (name, keywords) in annotations().items():
        if not colour and not all(ord(c) in known or c == "\ufe0f" for c in emoji):
            continue
        # what is text by default needs the variation selector to show as emoji
        texts = [emoji + "\ufe0f", emoji] if colour and len(emoji) == 1 else [emoji]
        picture = next((g for g in (glyph(font, t) for t in texts) if g is not None), None)
        if picture is None:
            continue
        ink = picture[picture[..., 3] > 0][:, :3]
        if picture.tobytes() in seen or (colour and (ink.max() == 0 or ink.min() == 255)):
            continue  # the missing-glyph box, or a plain text glyph
        seen.add(picture.tobytes())
        pictures.append((picture, name, keywords))
    return pictures


def colour_layers(font):
    """Code points -> [(glyph, fill), ...] of a font with COLR layers, ligatures included."""
    colours, palette, characters = font["COLR"].ColorLayers, font["CPAL"].palettes[0], font.getBestCmap()
    sequences = {(c,): g for c, g in characters.items()}
    code = {g: c for c, g in reversed(list(characters.items()))}
    for lookup in font["GSUB"].table.LookupList.Lookup:
        for table in lookup.SubTable:
            for first, ligatures in getattr(getattr(table, "ExtSubTable", table), "ligatures", {}).items():
                for ligature in ligatures:
                    parts = [first, *ligature.Component]
                    if all(p in code for p in parts):
                        sequences[tuple(code[p] for p in parts)] = ligature.LigGlyph

    def fill(index):
        if index == 0xffff:
            return 'fill="black"'
        c = palette[index]
        return f'fill="rgb({c.red},{c.green},{c.blue})" fill-opacity="{c.alpha / 255:.2f}"'
    return {"".join(chr(c) for c in s if c != 0xfe0f): [(layer.name, fill(layer.colorID)) for layer in colours[g]]
            for s, g in sequences.items() if g in colours}


def render_layers(glyphs, ascent, em, layers, cell=120):
    """Drawings of several emoji by rsvg-convert, as RGBA cells side by side."""
    from fontTools.pens.svgPathPen import SVGPathPen
    parts = []
    for column, emoji in enumerate(layers):
        scale = cell / em
        parts.append(f'<g transform="translate({column * cell},{ascent * scale}) scale({scale},{-scale})">')
        for name, fill in emoji:
            pen = SVGPathPen(glyphs)
            glyphs[name].draw(pen)
            parts.append(f'<path {fill} d="{pen.getCommands()}"/>')
        parts.append("</g>")
    svg = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{cell * len(layers)}" height="{cell * 5 // 4}">'
           + "".join(parts) + "</svg>")
    png = subprocess.run(["rsvg-convert", "--unlimited"], input=svg.encode(), stdout=subprocess.PIPE, check=True).stdout
    sheet = Image.open(io.BytesIO(png)).convert("RGBA")
    return [sheet.crop((i * cell, 0, (i + 1) * cell, sheet.height)) for i in range(len(layers))]


def from_layers(path):
    from fontTools.ttLib import TTFont
    font = TTFont(str(path))
    known = colour_layers(font)
    wanted = [(e, n, k) for e, (n, k) in annotations().items() if e.replace("\ufe0f", "") in known]
    pictures = []
    for start in range(0, len(wanted), 50):
        part = wanted[start:start + 50]
        drawn = render_layers(font.getGlyphSet(), font["hhea"].ascent, font["head"].unitsPerEm,
                              [known[e.replace("\ufe0f", "")] for e, _, _ in part])
        pictures += [(p, n, k) for p, (_, n, k) in zip(map(fit, drawn), part) if p is not None]
    return pictures


def from_emojione():
    folder = next(EMOJIONE.glob("gemojione-*/assets/png"))
    files = {f.stem.replace("-FE0F", "").replace("-200D", "").lstrip("0"): f for f in folder.glob("*.png")}
    pictures = []
    for emoji, (name, keywords) in annotations().items():
        code = "-".join("%04X" % ord(c) for c in emoji if c not in "\ufe0f\u200d").lstrip("0")
        picture = fit(Image.open(files[code]).convert("RGBA")) if code in files else None
        if picture is not None:
            pictures.append((picture, name, keywords))
    return pictures


def clipart_name(path, vocabulary):
    """(name, keywords) of a clip art file; the name is "" where no word of it is known."""
    folders = [p.replace("_", " ") for p in path.relative_to(CLIPART).parts[:-1]]
    words = [w for w in re.findall("[a-z]+", path.stem.lower()) if len(w) > 2 and w in vocabulary]
    vague = {"signs and symbols", "recreation", "miscellany", "special", "unsorted", "logos", "computer", "icons"}
    known = [f for f in folders if f not in vague]
    if "flags" in folders or not known:
        return "", []
    return " ".join(words) if words else known[-1], known[-2:]


def from_clipart():
    vocabulary = {w for name, keywords in annotations().values() for text in [name, *keywords]
                  for w in re.findall("[a-z]+", text.lower())} - {"the", "and", "for", "with", "not", "one", "ray", "bill"}
    pictures = []
    for path in sorted(CLIPART.rglob("*.png")):
        try:
            with Image.open(path) as picture:
                if picture.width * picture.height > 4_000_000:
                    continue
                picture = picture.convert("RGBA")
        except (OSError, Image.DecompressionBombError):
            continue
        picture.thumbnail((256, 256))
        picture = fit(picture)
        if picture is not None:
            pictures.append((picture, *clipart_name(path, vocabulary)))
    return pictures


def find_font(name):
    for folder in (FONTS, pathlib.Path("/usr/lib/firefox-esr/fonts")):
        for path in folder.rglob(name):
            return path
    raise SystemExit(f"{name} is not installed; install {', '.join(s[1] for s in SOURCES.values())}")


MAKERS = {
    "noto": lambda: from_font(find_font("NotoColorEmoji.ttf"), 109),
    "twemoji": lambda: from_layers(find_font("TwemojiMozilla.ttf")),
    "symbola": lambda: from_font(find_font("Symbola_hint.ttf"), 120, colour=False),
    "clipart": from_clipart,
    "emojione": from_emojione,
}


def pack(cache, name):
    """Make one source's cache files unless they are there; returns how many pictures it has."""
    array, labels = cache / f"{name}.npy", cache / f"{name}.json"
    if not labels.exists():
        pictures = MAKERS[name]()
        np.save(array, np.stack([p for p, _, _ in pictures]))
        labels.write_text(json.dumps([[n, k] for _, n, k in pictures], ensure_ascii=False))
    return len(json.loads(labels.read_text()))


# videotestsrc patterns and the properties that vary them
PATTERNS = """smpte snow black white red green blue checkers-4 checkers-8 circular smpte75 zone-plate gamut
chroma-zone-plate ball smpte100 bar pinwheel spokes gradient colors smpte-rp-219""".split()
TRAIN_SIZES = ["320x240", "640x480", "1280x720", "160x120"]
HELD_SIZES = ["480x360", "720x576"]


def pattern_frames(pattern, size, method, rng):
    """Frames of one test pattern, RGB [n, 96, 128, 3]."""
    extra = []
    if "zone-plate" in pattern:
        extra = [f"kx2={rng.integers(5, 35)}", f"ky2={rng.integers(5, 35)}", f"kt={rng.integers(8)}"]
    if pattern == "ball" and rng.random() < .5:
        extra = ["foreground-color=%d" % (0xff000000 + int(rng.integers(100, 256)) * 0x10000 + int(rng.integers(100, 256)) * 0x100
                                          + int(rng.integers(100, 256))), "motion=sweep"]
    width, height = size.split("x")
    command = ["gst-launch-1.0", "-q", "videotestsrc", f"pattern={pattern}", "num-buffers=12", *extra, "!",
               f"video/x-raw,format=RGB,width={width},height={height},framerate=4/1", "!", "videoscale", f"method={method}",
               "add-borders=false", "!", "video/x-raw,width=128,height=96,pixel-aspect-ratio=1/1", "!", "fdsink"]
    frames = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return np.frombuffer(frames, np.uint8).reshape(-1, 96, 128, 3)


def pack_patterns(cache, held):
    path = cache / ("patterns-held.npz" if held else "patterns.npz")
    if not path.exists():
        rng = np.random.default_rng(1 if held else 0)
        bank = {p: np.concatenate([pattern_frames(p, s, m, rng) for s in (HELD_SIZES if held else TRAIN_SIZES)
                                   for m in ("nearest-neighbour", "bilinear")]) for p in PATTERNS}
        temporary = path.with_suffix(".tmp.npz")
        np.savez(temporary, **bank)
        temporary.rename(path)
    return dict(np.load(path))


def package_version(name):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return done.stdout.decode() or "unknown"


def record(cache, path):
    """What the model was made of, for the folder of its weights: names, licences, package versions, counts."""
    entries = []
    for key, (name, packages, author, licence, use) in SOURCES.items():
        entry = {"name": name, "by": author, "licence": licence, "used for": use,
                 "packages": {p: package_version(p) for p in packages.split()}}
        if key in MAKERS:
            entry["pictures"] = pack(cache, key)
        elif key == "names":
            entry["names"] = len(annotations())
        elif "fonts" in key:
            entry["fonts"] = len(fonts(held=key != "fonts"))
        else:
            entry["frames"] = sum(len(f) for f in pack_patterns(cache, False).values())
        entries.append(entry)
    path.write_text(json.dumps(entries, indent=1) + "\n")
