# SPDX-License-Identifier: LGPL-2.1-or-later
"""A byte-pair vocabulary of CLIP's kind, trained from the captions themselves (openai/CLIP simple_tokenizer.py)."""
import collections
import json

import regex

WORDS = regex.compile(r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")


def byte_symbols():
    """A printable character for every byte, as GPT-2 and CLIP choose them."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    rest = [b for b in range(256) if b not in plain]
    return dict(zip(plain + rest, [chr(b) for b in plain] + [chr(256 + i) for i in range(len(rest))]))


BYTES = byte_symbols()


def split(text):
    return WORDS.findall(" ".join(text.lower().split()))


def symbols(word):
    letters = [BYTES[b] for b in word.encode()]
    return (*letters[:-1], letters[-1] + "</w>")


def merge(word, pair):
    merged, i = [], 0
    while i < len(word):
        if word[i:i + 2] == pair:
            merged.append(pair[0] + pair[1])
            i += 2
        else:
            merged.append(word[i])
            i += 1
    return tuple(merged)


def train_merges(captions, count):
    """The @count most useful merges of the captions' words, in order."""
    frequency = collections.Counter(w for c in captions for w in split(c))
    spelled = {w: symbols(w) for w in frequency}
    pairs = collections.Counter()
    where = collections.defaultdict(set)

    def note(word, sign):
        for pair in zip(spelled[word], spelled[word][1:]):
            pairs[pair] += sign * frequency[word]
            where[pair].add(word)
    for word in spelled:
        note(word, 1)
    merges = []
    while len(merges) < count and pairs:
        best = max(pairs, key=lambda p: (pairs[p], p))
        if pairs[best] <= 0:
            break
        merges.append(best)
        for word in where.pop(best):
            note(word, -1)
            spelled[word] = merge(spelled[word], best)
            note(word, 1)
        del pairs[best]
    return merges


class Tokenizer:
    CONTEXT = 32

    def __init__(self, merges):
        self.merges = [tuple(m) for m in merges]
        self.ranks = {m: i for i, m in enumerate(self.merges)}
        letters = list(BYTES.values())
        names = letters + [c + "</w>" for c in letters] + [a + b for a, b in self.merges]
        self.vocabulary = {t: i for i, t in enumerate([*names, "<|startoftext|>", "<|endoftext|>"])}
        self.size = len(self.vocabulary)
        self.cache = {}

    def pieces(self, word):
        if word not in self.cache:
            parts = symbols(word)
            while len(parts) > 1:
                pair = min(zip(parts, parts[1:]), key=lambda p: self.ranks.get(p, len(self.ranks)))
                if pair not in self.ranks:
                    break
                parts = merge(parts, pair)
            self.cache[word] = [self.vocabulary[p] for p in parts]
        return self.cache[word]

    def __call__(self, text):
        """Ids with start and end, at most CONTEXT of them."""
        ids = [i for word in split(text) for i in self.pieces(word)]
        return [self.size - 2, *ids[:self.CONTEXT - 2], self.size - 1]

    def save(self, folder):
        (folder / "vocab.json").write_text(json.dumps(self.vocabulary, ensure_ascii=False))
        (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in self.merges))
        (folder / "tokenizer_config.json").write_text(json.dumps({
            "tokenizer_class": "CLIPTokenizer", "model_max_length": self.CONTEXT, "do_lower_case": True,
            "bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>",
            "pad_token": "<|endoftext|>"}, indent=1) + "\n")
