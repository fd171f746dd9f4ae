# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the pictures are called: names of patterns, colours and shapes, and the sentences around them.

UNSEEN holds the wordings kept for evaluation; nothing here may use them.
"""
import re

PATTERNS = {  # videotestsrc pattern -> its names, the first is the one asked for
    "smpte": ["colour bars", "color bars", "SMPTE colour bars", "TV colour bars", "a colour bar test pattern", "a test card"],
    "snow": ["television static", "static noise", "TV snow", "random noise", "white noise", "no signal"],
    "black": ["a black screen", "black", "a black frame", "a black picture", "all black", "a dark blank screen"],
    "white": ["a white screen", "white", "a white frame", "a white picture", "all white", "a blank white screen"],
    "red": ["a red screen", "a plain red picture", "a solid red frame", "all red"],
    "green": ["a green screen", "a plain green picture", "a solid green frame", "all green"],
    "blue": ["a blue screen", "a plain blue picture", "a solid blue frame", "all blue"],
    "checkers": ["a checkerboard", "a checkerboard pattern", "a checkered pattern", "checkers", "a chess board pattern"],
    "circular": ["concentric circles", "a circular pattern", "concentric rings", "a circular test pattern"],
    "zone-plate": ["a zone plate", "a zone plate pattern", "black and white ripples", "interference rings"],
    "gamut": ["a gamut pattern", "gamut checkers", "a gamut test pattern"],
    "chroma-zone-plate": ["a chroma zone plate", "a colourful zone plate", "colourful ripples"],
    "ball": ["a ball", "a moving ball", "a bouncing ball", "a white ball on a black background", "a ball in the dark"],
    "bar": ["a vertical bar", "a moving bar", "a bar on a black background", "a bar"],
    "pinwheel": ["a pinwheel", "a pinwheel pattern", "a rotating pinwheel", "a black and white pinwheel"],
    "spokes": ["spokes", "a spokes pattern", "thin rays from the centre", "wheel spokes"],
    "gradient": ["a gradient", "a gray gradient", "a black to white gradient", "a smooth gradient"],
    "colors": ["a colour palette", "many small colour tiles", "all colours", "a color grid"],
}
PATTERN_FILES = {"smpte": ["smpte", "smpte75", "smpte100", "smpte-rp-219"], "checkers": ["checkers-4", "checkers-8"]}
STATES = {  # what a whole picture can suffer
    "blurred": ["a blurred picture", "a blurry picture", "an out of focus picture", "a blurred frame", "blur"],
    "night": ["a picture at night", "night", "a very dark picture", "a scene at night", "a night scene"],
}

COLOURS = {
    "red": (220, 20, 20), "green": (20, 160, 40), "blue": (30, 50, 220), "yellow": (245, 225, 20), "orange": (250, 140, 10),
    "purple": (130, 30, 170), "pink": (250, 130, 190), "brown": (120, 70, 30), "black": (10, 10, 10), "white": (248, 248, 248),
    "gray": (128, 128, 128), "cyan": (20, 215, 225),
}
COLOUR_NAMES = {"gray": ["gray", "grey"], "cyan": ["cyan", "turquoise"], "purple": ["purple", "violet"]}
SHAPES = {
    "circle": ["circle", "disc"], "square": ["square"], "triangle": ["triangle"], "star": ["star", "five-pointed star"],
    "heart": ["heart"], "ring": ["ring", "hollow circle"], "cross": ["cross", "plus sign"], "diamond": ["diamond", "rhombus"],
    "hexagon": ["hexagon"], "rectangle": ["rectangle"],
}
NUMBERS = "zero one two three four five six seven eight nine".split()
WORDS = """hello world stop exit open closed live news error warning pause play test sale video camera danger police bank
offline signal goal winner happy""".split()

NOTHING = ["nothing", "an empty picture", "nothing to see", "an empty background", "an empty scene", "only background",
           "no object", "nothing at all"]
SOMETHING_ELSE = ["something else", "something unknown", "none of these", "an unknown thing", "an unknown object",
                  "something unfamiliar", "anything else", "an unknown scene", "no known object"]

ARTICLE_TEMPLATES = """{}|{}|{}|{}|a photo of {}|a photo of {}|a picture of {}|an image of {}|a drawing of {}|a video of {}|
a cartoon of {}|there is {} in the picture|this is {}|a close-up of {}|a frame with {}|{} on the screen|we see {}|
a video frame showing {}|an icon of {}|the picture shows {}|here is {}|a small {}|a large {}|{} in front|a view of {}|
a scene with {}|a clip of {}|{} moving around|it shows {}|a bad photo of {}|a nice picture of {}|a photo of one {}|
a blurry photo of {}|an example of {}|{} in the middle|somebody drew {}|this picture has {}|I see {}|it is {}|
now there is {}|{} appears|a rendering of {}|{} , a drawing|{} and nothing else""".replace("\n", "").split("|")
BARE_TEMPLATES = ["{}", "{}", "{} emoji", "the {}", "icon of {}", "a sticker with {}", "some {}", "one {}", "{} symbol",
                  "{} picture", "that {}", "{} clip art", "the {} again"]
# words that say nothing about the picture: they teach the text encoder to look past wording that it does not know
FILLERS = """hey so well then just really maybe today please show find me with quite very here now there another its
original this those your our her his their of in at from by for about like when where how who what which any every each both few
many more most other such own same than too also again once always never often still yet already soon later best top good great
fine real big little long old new first last next early late high low whole full clear sure true certain simple common""".split()
SYLLABLES = [a + b for a in "b c d f g h k l m n p r s t v w sh ch th st tr pl con ex in scr".split()
             for b in "a e i o u ai ea oo an en in on ot er ar ing et ains ite art our".split()]
UNSEEN = ["can you see {} here", "a screenshot that contains {}", "look, {}!", "art showing {}", "my favourite {}"]

# drawn less often: what few people ask for and what crowds out the rest (flags, jobs by sex, clock faces, signs)
RARE = re.compile(r"^flag of|^keycap|\b(man|woman|men|women|person|people|family|couple|kiss|button|boy|girl|symbol|sign|"
                  r"arrow|square|circle|japanese|input|input|squared)\b|oclock|thirty|[0-9]")


def clean(name):
    name = re.sub("^flag: (.*)", r"flag of \1", name.lower())
    name = re.sub("^keycap: (.*)", r"keycap \1", name)
    return re.sub(r"[“”\"’:,()!]", "", name).replace("  ", " ").strip()


def article(name):
    """A noun with its article: a name of several things, or one that has an article, stays as it is."""
    if re.match(r"(a|an|the|some|two|three|four|five|six) ", name):
        return name
    if name.endswith(("s", "ing")) and not name.endswith(("ss", "us", "ring", "king")):
        return name
    return ("an " if name[0] in "aeiou" else "a ") + name


def plural(noun):
    return noun + ("es" if noun.endswith(("s", "x")) else "s")


class Writer:
    """Random sentences; all randomness comes from @rng."""

    def __init__(self, rng, filled=.25):
        self.rng = rng
        self.filled = filled  # share of the sentences that get words without meaning

    def pick(self, choices):
        return choices[self.rng.integers(len(choices))]

    def chance(self, probability):
        return self.rng.random() < probability

    def colour(self, colour):
        return self.pick(COLOUR_NAMES.get(colour, [colour]))

    def sentence(self, phrase, bare=None):
        """@phrase in a template; @bare is the noun without article, where there is one."""
        if bare is not None and self.chance(.25):
            text = self.pick(BARE_TEMPLATES).format(bare)
        else:
            text = self.pick(ARTICLE_TEMPLATES).format(phrase)
        if self.chance(self.filled):
            words = [self.filler() for _ in range(self.rng.integers(1, 4))]
            at = self.rng.integers(len(words) + 1)
            text = " ".join([*words[:at], text, *words[at:]])
        return text + (self.pick("!.?,:") if self.chance(.05) else "")

    def filler(self):
        """A word without meaning: a usual one, or syllables that make none."""
        if self.chance(.6):
            return self.pick(FILLERS)
        return "".join(self.pick(SYLLABLES) for _ in range(self.rng.integers(1, 4)))
