#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Train the demo model: python3 train.py OUT [--seed 0] [--pictures 1500000] ... ; see pipelines/train-demo."""
import argparse
import json
import math
import os
import pathlib
import random
import time

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

import captions
import model as towers
import scenes
import sources
import tokenizer as bpe

MERGES = 2600
SMALL, SMALL_SHARE = 60, .7  # side of the pictures in the first part of the training, and that part
TEXT_BUCKETS = 3  # captions of like length go through together: padding would cost more than the text


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=pathlib.Path, help="folder of the model to write; its checkpoints go beside it")
    parser.add_argument("--cache", type=pathlib.Path, required=True, help="folder for the packed picture sources")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pictures", type=int, default=1_300_000)
    parser.add_argument("--batch", type=int, default=192)
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate of the layers' matrices (Muon)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the training process")
    parser.add_argument("--workers", type=int, default=1, help="processes that render pictures")
    parser.add_argument("--save-every", type=float, default=300, help="seconds between checkpoints")
    return parser.parse_args()


def learn_tokenizer(path, cache):
    """The vocabulary, from 60,000 captions and all names; the same for every seed."""
    if not path.exists():
        generator = scenes.Scenes(cache, 12345)
        generator.write.filled = 0
        texts = [c for _ in range(30_000) for c in generator.sample().captions]
        for table in generator.sprites.values():
            texts += [n for n in table.names if n] + [k for ks in table.keywords for k in ks]
        texts += captions.FILLERS + [n for names in captions.PATTERNS.values() for n in names] * 20
        path.write_text(json.dumps(bpe.train_merges(texts, MERGES), ensure_ascii=False))
    return bpe.Tokenizer(json.loads(path.read_text()))


class Batches(torch.utils.data.Dataset):
    """Batch i of a seed is the same whoever renders it, so that a resumed run sees what it would have seen."""

    def __init__(self, cache, tokenizer, seed, size, count):
        self.cache, self.tokenizer, self.seed, self.size, self.count = cache, tokenizer, seed, size, count
        self.scenes = None

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if self.scenes is None:
            torch.set_num_threads(1)
            self.scenes = scenes.Scenes(self.cache, 0, towers.SIZE)
        self.scenes.reseed([self.seed, index])
        self.scenes.size = SMALL if index < SMALL_SHARE * self.count else towers.SIZE
        samples = [self.scenes.sample() for _ in range(self.size)]
        pictures = torch.from_numpy(np.stack([np.asarray(s.picture) for s in samples]))
        ids = [self.tokenizer(s.captions[k]) for k in (0, 1) for s in samples]
        numbers = {}
        concepts = [torch.tensor([numbers.setdefault(s.concepts[k], len(numbers)) for s in samples]) for k in (0, 1)]
        return pictures, self.buckets(ids), concepts

    def buckets(self, ids):
        """[(ids [n,L], ends [n])] and the order that undoes the sorting by length."""
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        parts = []
        for chunk in np.array_split(order, TEXT_BUCKETS):
            length = len(ids[chunk[-1]])
            padded = [ids[i] + [0] * (length - len(ids[i])) for i in chunk]
            parts.append((torch.tensor(padded), torch.tensor([len(ids[i]) - 1 for i in chunk])))
        return parts, torch.tensor(order).argsort()


def optimizers(model, rate):
    """Muon for the layers' matrices, AdamW for the rest."""
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and ".blocks." in n]
    inside = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in inside]
    return [torch.optim.Muon(matrices, lr=rate, weight_decay=.05, momentum=.95, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW([{"params": [p for p in others if p.ndim > 1], "weight_decay": .02},
                               {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0}],
                              lr=rate * .7, betas=(.9, .98))]


def rate_factor(progress, step):
    """The learning rate's factor: a short warm-up, then a cosine."""
    return min(1, (step + 1) / 200) * max(.005, .5 + .5 * math.cos(math.pi * progress))


class Run:
    """The state of a training, which a checkpoint holds."""

    def __init__(self, options, tokenizer):
        self.options = options
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(options.seed)
        random.seed(options.seed)
        self.model = towers.Clip(tokenizer.size).to(self.device)
        self.optimizers = optimizers(self.model, options.rate)
        self.rates = [[g["lr"] for g in o.param_groups] for o in self.optimizers]
        self.steps = options.pictures // options.batch
        self.step = 0
        self.path = options.out.with_suffix(".checkpoint")

    def identity(self):
        return {k: getattr(self.options, k) for k in ("seed", "pictures", "batch", "rate")}

    def save(self):
        temporary = self.path.with_suffix(".tmp")
        torch.save({"identity": self.identity(), "step": self.step, "model": self.model.state_dict(),
                    "optimizers": [o.state_dict() for o in self.optimizers], "random": torch.get_rng_state()}, temporary)
        os.replace(temporary, self.path)

    def resume(self):
        if not self.path.exists():
            return
        state = torch.load(self.path, map_location=self.device)
        if state["identity"] != self.identity():
            raise SystemExit(f"{self.path} is of another training ({state['identity']}), this one is {self.identity()}; "
                             "remove it or give the same options")
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)
        torch.set_rng_state(state["random"].cpu())
        self.step = state["step"]

    def losses(self, batch):
        pictures, (parts, order), concepts = batch
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            images = self.model.encode_image(pictures.to(self.device))
            texts = torch.cat([self.model.encode_text(i.to(self.device), e.to(self.device)) for i, e in parts])[order]
        images, texts = F.normalize(images.float(), dim=-1), F.normalize(texts.float(), dim=-1)
        scale, halves = self.model.logit_scale.exp(), texts.chunk(2)
        results = [towers.contrastive_loss(images, t, c.to(self.device), scale) for t, c in zip(halves, concepts)]
        return results[0][0] * .6 + results[1][0] * .4, results[0][1]

    def train_step(self, batch):
        factor = rate_factor(self.step / self.steps, self.step)
        for optimizer, rates in zip(self.optimizers, self.rates):
            for group, rate in zip(optimizer.param_groups, rates):
                group["lr"] = rate * factor
        loss, right = self.losses(batch)
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, math.log(100))
        self.step += 1
        return loss.item(), right.item()


def main():
    options = arguments()
    torch.set_num_threads(options.threads)
    options.cache.mkdir(parents=True, exist_ok=True)
    for name in sources.MAKERS:
        print(f"{name}: {sources.pack(options.cache, name)} pictures", flush=True)
    for held in (False, True):
        sources.pack_patterns(options.cache, held)
    tokenizer = learn_tokenizer(options.cache / "merges.json", options.cache)
    run = Run(options, tokenizer)
    run.resume()
    batches = Batches(options.cache, tokenizer, options.seed, options.batch, run.steps)
    todo = torch.utils.data.Subset(batches, range(run.step, run.steps))
    loader = torch.utils.data.DataLoader(todo, batch_size=None, num_workers=options.workers,
                                         prefetch_factor=8 if options.workers else None)
    saved, loss, right = time.monotonic(), None, None
    with tqdm(total=options.pictures, initial=run.step * options.batch, unit=" pictures", smoothing=.02, mininterval=5) as bar:
        for batch in loader:
            now = run.train_step(batch)
            loss, right = (now if loss is None else (.95 * loss + .05 * now[0], .95 * right + .05 * now[1]))
            bar.update(options.batch)
            bar.set_postfix_str(f"loss {loss:.3f}, own caption first {right:.3f}", refresh=False)
            if time.monotonic() - saved > options.save_every:
                run.save()
                saved = time.monotonic()
    run.save()
    towers.save(run.model, tokenizer, options.out)
    sources.record(options.cache, options.out / "sources.json")
    print(f"{options.out}: {sum(p.numel() for p in run.model.parameters()):,} parameters, vocabulary {tokenizer.size}")


if __name__ == "__main__":
    main()
