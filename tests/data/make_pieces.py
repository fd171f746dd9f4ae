# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes siglip-pieces/ and siglip2-pieces/: SentencePiece models learnt from texts.py, and transformers' answers."""
import io
import json
import pathlib
import sys
import warnings

import sentencepiece
from transformers import Siglip2Tokenizer, SiglipTokenizer
from transformers.tokenization_utils_sentencepiece import SentencePieceExtractor
from transformers.utils import logging

import texts

# as the published ones were trained: T5's of c4_en, and Gemma's
SIGLIP = dict(model_type="unigram", vocab_size=480, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, normalization_rule_name="nmt_nfkc",
              character_coverage=0.9995)
SIGLIP2 = dict(model_type="bpe", vocab_size=640, pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", eos_piece="<eos>",
               bos_piece="<bos>", byte_fallback=True, split_digits=True, add_dummy_prefix=False, remove_extra_whitespaces=False,
               normalization_rule_name="identity", user_defined_symbols=["<mask>", "\n", "\n\n", "\u2581\u2581"])
# transformers takes these for the pieces themselves, SentencePiece and we for text
SPELT = ("</s>", "<unk>", "<eos>", "<pad>", "<bos>")


def train(folder, name, options):
    folder.mkdir(parents=True, exist_ok=True)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(t.lower() for t in texts.captions()), model_writer=model,
                                             hard_vocab_limit=False, num_threads=1, minloglevel=2, **options)
    (folder / name).write_bytes(model.getvalue())
    return folder / name


def write(folder, settings, encode):
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1) + "\n")
    strings = list(dict.fromkeys(texts.CASES + texts.FOREIGN + texts.plain() + texts.PIECES))
    with open(folder / "tokens.jsonl", "w", encoding="utf-8") as f:
        for text in strings:
            if not any(s in text for s in SPELT):
                f.write(json.dumps({"text": text, "ids": encode(text)}, ensure_ascii=False) + "\n")


def make_siglip(folder):
    tokenizer = SiglipTokenizer(vocab_file=str(train(folder, "spiece.model", SIGLIP)))
    write(folder, {"tokenizer_class": "SiglipTokenizer", "do_lower_case": True, "eos_token": "</s>", "pad_token": "</s>",
                   "unk_token": "<unk>", "model_max_length": 64}, lambda text: tokenizer(text)["input_ids"])


def make_siglip2(folder):
    """transformers reads these from tokenizer.json, which holds the model's pieces and the merges that follow from their order"""
    path = train(folder, "tokenizer.model", SIGLIP2)
    vocabulary, _, merges = SentencePieceExtractor(str(path)).extract(vocab_scores=True)
    tokenizer = Siglip2Tokenizer(vocab=vocabulary, merges=merges)
    tokenizer.add_tokens([s for s in SIGLIP2["user_defined_symbols"]])
    assert [tokenizer.convert_tokens_to_ids(t) for t in ("<pad>", "<eos>", "<bos>", "<unk>")] == [0, 1, 2, 3]
    # the published files say so in a post-processor
    write(folder, {"tokenizer_class": "GemmaTokenizer", "add_bos_token": False, "add_eos_token": True,
                   "eos_token": {"content": "<eos>", "special": True}, "pad_token": {"content": "<pad>", "special": True}},
          lambda text: tokenizer(text, add_special_tokens=False)["input_ids"] + [1])


def main(out):
    logging.set_verbosity_error()
    warnings.simplefilter("ignore")
    make_siglip(out / "siglip-pieces")
    make_siglip2(out / "siglip2-pieces")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
