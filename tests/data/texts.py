# SPDX-License-Identifier: LGPL-2.1-or-later
"""Texts of our own: the captions from which the vocabulary is learnt, and the strings that are tokenised."""
import itertools

SUBJECTS = ["a person", "two people", "a dog", "a black cat", "a red car", "an empty room", "a bicycle", "a green field",
            "a delivery van", "a crowd", "a child", "a bird", "a boat", "a forklift", "a ladder", "an open door"]
ACTIONS = ["standing", "waving", "running", "sleeping", "waiting", "moving slowly", "seen from above", "in the dark",
           "behind a window", "at the gate", "in the rain", "in the snow"]
FRAMES = ["a photo of {}", "a blurry photo of {}", "a video frame of {}", "a close-up of {}", "a drawing of {}",
          "a bad picture of {}", "there is {} here", "{}."]
FOREIGN = ["un café près de la gare", "eine leere Straße", "ein Mädchen läuft", "una niña sonríe", "кошка на окне",
           "собака бежит", "μια γάτα", "猫が窓にいる", "一只狗在跑", "空の部屋", "강아지", "🙂 🐶 🐱 🚲", "كلب يركض"]


def captions():
    """every combination once: a text large enough that the most frequent pairs are clear"""
    text = [f.format(f"{s} {a}") for f, s, a in itertools.product(FRAMES, SUBJECTS, ACTIONS)]
    return text + FOREIGN * 40


def plain():
    """a spread of captions, not all of them"""
    every = captions()[:len(FRAMES) * len(SUBJECTS) * len(ACTIONS)]
    return every[::41]


CASES = [
    "", " ", "\t\n", "a", "Z", "0", "the", "THE", "dog", "Dog", "DOG", "dOg", "dogs", "dogdog", "doghouse", "xyzzy",
    "antidisestablishmentarianism", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "a b c d e f g", "a-b", "a_b", "a.b", "a,b",
    "close-up", "state-of-the-art", "hello, world!", "what?!", "...", "a . b", "!!!", "?!?!", "#hashtag", "@someone",
    "user@example.org", "https://example.org/a?b=c&d=e", "C:\\temp\\new", "a/b/c", "[a] {b} (c)", "<a>", "a < b > c", "~", "`code`",
    "100%", "$5", "1 + 1 = 2", "a*b", "a|b", "^caret", "\"quoted\"", "'single'", "''", "'",
    # contractions: the expression takes them before letters
    "it's", "IT'S", "don't", "DON'T", "we're", "they've", "I'm", "I'M", "he'll", "she'd", "o'clock", "rock'n'roll", "'s", "'t", "s'",
    "dogs'", "the dog's bone", "'re 've 'm 'll 'd", "it's's", "can't've",
    # digits one by one
    "1", "12", "2025", "3.14159", "1,000,000", "1st", "4k", "h264", "v1.2.3", "00:01:02", "a1b2c3", "1a", "room 101", "٣", "१२३", "²", "½",
    "Ⅳ", "①",
    # white space of each kind; the expression and the cleaning see one space
    "a  b", " a b ", "a\tb", "a\nb", "a\r\nb", "a\u00a0b", "a\u2003b", "a\u3000b", "a\u1680b", "a\u205fb", "\u2009a\u2009", "a \t \n b",
    # letters outside ASCII
    "café", "CAFÉ", "naïve", "Straße", "STRASSE", "Ärger über Öl", "El Niño", "coração", "façade", "Ångström", "Łódź", "žluťoučký kůň",
    "İstanbul", "ΣΊΣΥΦΟΣ", "ὈΔΥΣΣΕΎΣ", "γάτα", "КОШКА", "кошка", "щука", "ЁЛКА", "ї", "שלום", "كلب", "สุนัข", "कुत्ता", "ქართული", "Հայ", "አማርኛ",
    "猫", "猫狗", "一只狗在跑", "東京タワー", "ひらがな", "カタカナ", "강아지", "한국어 문장", "dog 猫 chien", "猫dog", "dog猫", "x́",
    # emoji and symbols
    "🙂", "🐶🐱", "a 🐶 b", "👍🏽", "👨‍👩‍👧", "🏳️‍🌈", "🇩🇪", "❤️", "☃", "→", "a→b", "±", "×", "÷", "°C", "€", "£5", "¥", "₿", "©", "®", "™", "§", "¶",
    "•", "–", "—", "a–b", "a—b", "«a»", "¿qué?", "¡hola!", "†", "‰", "№", "𝒳", "𐍈", "𓀀",
    # HTML is unescaped twice
    "a &amp; b", "a &amp;amp; b", "&lt;a&gt;", "&quot;a&quot;", "&#100;&#111;&#103;", "&#x64;og", "&#39;s", "&eacute;",
    "caf&eacute;", "&nbsp;a&nbsp;b", "&copy; 2025", "&notanentity;", "&amp", "&", "& b", "&#xZZ;", "&#;", "&hearts;", "&Eacute;T&Eacute;",
    # the special tokens' names, whole and broken
    "<|startoftext|>", "<|endoftext|>", "a <|endoftext|> b", "a<|endoftext|>b", "<|ENDOFTEXT|>", "<|endoftext", "<|endoftext|", "< |endoftext|>",
    "</w>", "dog</w>", "Ġdog", "a/w>",
]

# further ones for SigLIP's tokenizers: signs of SentencePiece itself, line breaks, normalisation, a prompt beyond any context
PIECES = [
    "\u2581", "a\u2581b", "\u2581a photo", " \u2581 a", "a\x1cb", "a\x85b", "one\n\ntwo\nthree", "two  spaces", "three   spaces", "\ufb01ne", "\uff21\uff22", "e\u0301",
    "a\u200bb", "\ufeffa", "A\u030a", "a photo of a cat" * 40, "This is a photo of a person waving, seen from above.", "\u03a3\u0391\u03a3",
    "\ud55c\uae00", "<mask>", "<0x41>", "s/>", "<s>", "a\u00adb",
]
