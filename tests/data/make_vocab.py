# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes vocab/ and vocab-gz/: a small byte-pair vocabulary learnt from our captions, and strings with their ids."""
import collections
import gzip
import html
import json
import pathlib
import sys

import regex
from open_clip.tokenizer import SimpleTokenizer, _clean_lower, bytes_to_unicode

import texts

MERGES = 126
START, END = "<|startoftext|>", "<|endoftext|>"
# openai/CLIP's expression; open_clip has the same but for the names of the special tokens
PATTERN = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def clean(text):
    """openai/CLIP's cleaning without ftfy"""
    return regex.sub(r"\s+", " ", html.unescape(html.unescape(text)).strip()).strip().lower()


def merge(word, pair):
    """every occurrence of the pair, left to right"""
    out, i = [], 0
    while i < len(word):
        both = tuple(word[i:i + 2]) == pair
        out.append("".join(pair) if both else word[i])
        i += 2 if both else 1
    return tuple(out)


def learn(captions, count):
    """-> the count best merges; of equally frequent pairs the one that sorts first"""
    symbols = bytes_to_unicode()
    words = collections.Counter()
    for caption in captions:
        for word in regex.findall(PATTERN, clean(caption), regex.IGNORECASE):
            parts = [symbols[b] for b in word.encode()]
            words[tuple(parts[:-1]) + (parts[-1] + "</w>",)] += 1
    merges = []
    while len(merges) < count:
        pairs = collections.Counter()
        for word, n in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += n
        best = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(best)
        words = {merge(word, best): n for word, n in words.items()}
    return merges


def reference(path):
    """open_clip's tokenizer on our merges, with the special tokens spelt as OpenAI's"""
    tokenizer = SimpleTokenizer(bpe_path=str(path))
    size = len(tokenizer.encoder)
    assert size == 512 + MERGES + 2 and "" not in tokenizer.encoder
    for name, id_ in ((START, size - 2), (END, size - 1)):
        del tokenizer.encoder[tokenizer.decoder[id_]]
        tokenizer.encoder[name], tokenizer.decoder[id_] = id_, name
    tokenizer.cache = {START: START, END: END}
    tokenizer.pat = regex.compile(PATTERN, regex.IGNORECASE)
    return tokenizer


def encode(tokenizer, text):
    # ftfy repairs before the rest; only strings on which that changes nothing belong here
    assert _clean_lower(text) == clean(text), f"ftfy changes {text!r}"
    return [tokenizer.encoder[START], *tokenizer.encode(text), tokenizer.encoder[END]]


def write_vocabulary(folder, tokenizer, merges):
    """the files of a Hugging Face repository"""
    from transformers import CLIPTokenizer
    fast = CLIPTokenizer(vocab=dict(tokenizer.encoder), merges=merges, model_max_length=77)
    fast.backend_tokenizer.save(str(folder / "tokenizer.json"))
    with open(folder / "vocab.json", "w", encoding="utf-8") as f:
        json.dump(tokenizer.encoder, f, ensure_ascii=False)
    with open(folder / "merges.txt", "w", encoding="utf-8") as f:
        f.write("#version: 0.2\n" + "\n".join(map(" ".join, merges)) + "\n")


def main(out):
    folder, packed = out / "vocab", out / "vocab-gz"
    folder.mkdir(parents=True, exist_ok=True)
    packed.mkdir(exist_ok=True)
    merges = learn(texts.captions(), MERGES)
    # OpenAI's own format; only the name is theirs, since the name is what is looked for
    path = packed / "bpe_simple_vocab_16e6.txt.gz"
    path.write_bytes(gzip.compress(("#version: 0.2\n" + "\n".join(map(" ".join, merges))).encode(), mtime=0))
    tokenizer = reference(path)
    write_vocabulary(folder, tokenizer, merges)
    strings = list(dict.fromkeys(texts.CASES + texts.FOREIGN + texts.plain()))
    with open(folder / "tokens.jsonl", "w", encoding="utf-8") as f:
        for text in strings:
            f.write(json.dumps({"text": text, "ids": encode(tokenizer, text)}, ensure_ascii=False) + "\n")
    print(f"vocab: {len(tokenizer.encoder)} tokens, {len(strings)} strings")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
