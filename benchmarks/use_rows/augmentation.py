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
STEPS, BATCH, RATE = 500, 64, 2e-3  # of the classifier, the same for every arm
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
    """The same mixing without a model: pictures of a label mixed pixel by pixel (SMOTE)."""
    noise, rows = Noise(draw, "pixels"), torch.arange(len(real[0])).repeat(FACTOR - 1)
    alike = {label: torch.nonzero(real[1] == label).squeeze(1) for label in range(10)}
    share = noise.uniform((len(rows), 1, 1, 1))
    partner = torch.stack([alike[int(y)][int(noise.integers(EACH, (1,))[0])] for y in real[1][rows]])
    return real[0][rows] + share * (real[0][partner] - real[0][rows]), real[1][rows]


def measured(seed: int, made: Callable[[Pool, int], Pool] | None, jitter: bool) -> Figures:
    """Accuracy, and what it is above the same network without (and with affine) augmentation, over several draws."""
    train, test, found = fashion("train"), fashion("t10k"), []
    for draw in range(DRAWS * seed, DRAWS * (seed + 1)):
        real = few(train, draw)
        pool = None if made is None else made(real, draw)
        own = accuracy(real, pool, jitter, test, draw)
        base = own if made is None else accuracy(real, None, jitter, test, draw)
        found.append((own, own - base))
    figures = {
        "accuracy": fmean(own for own, _ in found),
        "standard_error": _error([own for own, _ in found]),
    }
    if made is not None:  # above the arm that differs in the new items alone, draw by draw
        gains = [gain for _, gain in found]
        figures |= {"gain": fmean(gains), "gain_error": _error(gains)}
    return figures


def _error(values: list[float]) -> float:
    return stdev(values) / math.sqrt(len(values))


def vaekit_alone(seed: int) -> Figures:
    return measured(seed, ours, False)


def affine_and_vaekit(seed: int) -> Figures:
    return measured(seed, ours, True)


def affine_alone(seed: int) -> Figures:
    return measured(seed, None, True)


def none(seed: int) -> Figures:
    return measured(seed, None, False)


def pixels_alone(seed: int) -> Figures:
    return measured(seed, pixels, False)


def affine_and_pixels(seed: int) -> Figures:
    return measured(seed, pixels, True)


ROWS = [
    Row(
        "Augmentation: 20 labelled pictures a class",
        f"Fashion-MNIST, {EACH} pictures of each class, the model trained on these alone; a small network, "
        f"{STEPS} steps of {BATCH} in every arm, half of each batch new; accuracy on the 10 000 test pictures in "
        f"per cent, each seed the mean of {DRAWS} draws. `gain`: against the same arm without new items, draw by draw.",
        {
            "affine + vaekit": affine_and_vaekit, "vaekit": vaekit_alone, "affine": affine_alone, "none": none,
            "affine + pixels mixed": affine_and_pixels, "pixels mixed": pixels_alone,
        },
        ("accuracy", "standard_error", "gain", "gain_error"),
        {
            "at least 2 points above none": lambda a: a["vaekit"]["accuracy"] >= a["none"]["accuracy"] + 2,
            "affine + vaekit above affine": lambda a: a["affine + vaekit"]["accuracy"] > a["affine"]["accuracy"],
        },
    )
]  # fmt: skip
