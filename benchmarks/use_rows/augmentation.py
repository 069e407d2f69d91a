"""Augmentation: 20 labelled pictures a class, a small network, and what more pictures of the same labels are worth."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from statistics import fmean, stdev

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import vaekit
from use_rows.shared import DATA, Figures, Row
from vaekit.data import Source, read
from vaekit.distributions import Noise

EACH, DRAWS = 20, 4  # items of a class; draws of them behind each figure, so that three seeds are twelve
STEPS, BATCH, RATE = 400, 64, 2e-3  # of the classifier, the same for every arm
VAE_STEPS, FACTOR = 600, 11
ANGLE, SCALE, SHIFT = 10.0, 0.1, 2.0  # degrees, share, pixels: the largest of the affine jitter

Pool = tuple[Tensor, Tensor]  # pictures (N, 1, 28, 28) in [0, 1] and labels (N,)


def fashion(split: str) -> Pool:
    source = read(DATA / "fashion-mnist" / f"{split}-images-idx3-ubyte.gz")
    images = torch.from_numpy(np.asarray(source.values)).float().div(255).unsqueeze(1)
    return images, torch.from_numpy(np.asarray(source.labels)).long()  # type: ignore[union-attr]


def few(everything: Pool, draw: int) -> Pool:
    """Twenty of each class."""
    order = Noise(draw, "few").permutation(len(everything[1]))
    rows = torch.cat([order[everything[1][order] == label][:EACH] for label in range(10)])
    return everything[0][rows], everything[1][rows]


def affine(x: Tensor) -> Tensor:
    """Turned, scaled and shifted a little, each picture in its own way."""
    turn, size, across, down = (2 * torch.rand(4, len(x)) - 1).unbind()
    turn, size = math.radians(ANGLE) * turn, 1 + SCALE * size
    side = x.shape[-1] / 2
    first = torch.stack([size * turn.cos(), -size * turn.sin(), SHIFT / side * across], 1)
    second = torch.stack([size * turn.sin(), size * turn.cos(), SHIFT / side * down], 1)
    where = functional.affine_grid(torch.stack([first, second], 1), list(x.shape), align_corners=False)
    return functional.grid_sample(x, where, align_corners=False)


def accuracy(real: Pool, made: Pool | None, jitter: bool, test: Pool, draw: int) -> float:
    """Per cent of the test set that a network is right about, half of each of its batches being new items."""
    with Noise(draw, "classifier").torch():
        net = nn.Sequential(
            nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), nn.Flatten(),
            nn.Linear(32 * 49, 64), nn.ReLU(), nn.Linear(64, 10),
        )  # fmt: skip
        optimizer = torch.optim.Adam(net.parameters(), RATE)
        for step in range(STEPS):
            optimizer.param_groups[0]["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / STEPS))
            x, y = batch(real, made)
            loss = functional.cross_entropy(net(affine(x) if jitter else x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        right = [(net(x).argmax(1) == y) for x, y in zip(*(t.split(2_500) for t in test), strict=True)]
    return 100 * float(torch.cat(right).float().mean())


def batch(real: Pool, made: Pool | None) -> Pool:
    count = BATCH if made is None else BATCH // 2
    rows = torch.randint(len(real[0]), (count,))
    if made is None:
        return real[0][rows], real[1][rows]
    new = torch.randint(len(made[0]), (BATCH - count,))
    return torch.cat([real[0][rows], made[0][new]]), torch.cat([real[1][rows], made[1][new]])


def ours(real: Pool, draw: int) -> Pool:
    """New items by a conditional VAE that has seen the 200 items and nothing else."""
    images, labels = (255 * real[0].squeeze(1)).round().byte().numpy(), real[1].numpy()
    with tempfile.TemporaryDirectory() as place:
        run = vaekit.fit(
            Source(images, labels, tuple(str(label) for label in range(10))), preset="conditional_vae",
            steps=VAE_STEPS, batch_size=64, seed=draw, threads=1, device="cpu", quiet=True, out=f"{place}/run",
        )  # fmt: skip
    x, y = run.augment(images, labels, factor=FACTOR, seed=draw)
    new = torch.from_numpy(x[len(images) :]).float().div(255).unsqueeze(1)
    return new, torch.from_numpy(y[len(images) :])


def pixels(real: Pool, draw: int) -> Pool:
    """The same without a model: pictures moved by half the difference between two others of their label."""
    noise, rows = Noise(draw, "pixels"), torch.arange(len(real[0])).repeat(FACTOR - 1)
    alike = torch.stack([torch.nonzero(real[1] == label).squeeze(1) for label in range(10)])  # (10, EACH)
    first = torch.from_numpy(noise.integers(EACH, (len(rows),)).astype(np.int64))
    second = (first + 1 + torch.from_numpy(noise.integers(EACH - 1, (len(rows),)).astype(np.int64))) % EACH
    label = real[1][rows]
    change = real[0][alike[label, first]] - real[0][alike[label, second]]
    return (real[0][rows] + 0.5 * change).clamp(0, 1), label


def measured(seed: int, make: Callable[[Pool, int], Pool] | None, paired: bool = False) -> Figures:
    """Accuracy alone and with affine jitter; what new items add to each, draw by draw, where that is asked for."""
    train, test, found = fashion("train"), fashion("t10k"), []
    for draw in range(DRAWS * seed, DRAWS * (seed + 1)):
        real = few(train, draw)
        made = None if make is None else make(real, draw)
        row = [accuracy(real, made, jitter, test, draw) for jitter in (False, True)]
        if paired:
            row += [row[jitter] - accuracy(real, None, bool(jitter), test, draw) for jitter in (0, 1)]
        found.append(row)
    names = ("alone", "with_affine", "gain_alone", "gain_with_affine")
    columns = dict(zip(names, zip(*found, strict=True), strict=False))
    errors = {f"{name}_error": stdev(values) / math.sqrt(DRAWS) for name, values in columns.items()}
    return {name: fmean(values) for name, values in columns.items()} | errors


def vaekit_items(seed: int) -> Figures:
    return measured(seed, ours, paired=True)


def pixel_items(seed: int) -> Figures:
    return measured(seed, pixels)


def no_items(seed: int) -> Figures:
    return measured(seed, None)


ROWS = [
    Row(
        "Augmentation: 20 labelled pictures a class",
        f"Fashion-MNIST, {EACH} pictures of each class, the model trained on these alone; a small network, "
        f"{STEPS} steps of {BATCH} in every arm, half of each batch new items; accuracy on the 10 000 test pictures in "
        f"per cent, without and with affine jitter of every batch; each seed the mean of {DRAWS} draws. A gain is what "
        "new items add to the same arm without them, draw by draw.",
        {"vaekit": vaekit_items, "differences of pixels": pixel_items, "no new items": no_items},
        ("alone", "alone_error", "with_affine", "with_affine_error", "gain_alone", "gain_alone_error",
         "gain_with_affine", "gain_with_affine_error"),
        {
            "at least 2 points above no new items": lambda a: a["vaekit"]["alone"] >= a["no new items"]["alone"] + 2,
            "with affine jitter, above affine jitter": lambda a: (
                a["vaekit"]["with_affine"] > a["no new items"]["with_affine"]
            ),
        },
    )
]  # fmt: skip
