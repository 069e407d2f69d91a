"""What every family of models is given: the same images, the same seconds, the same questions afterwards."""

from __future__ import annotations

import copy
import gzip
import math
import os
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vaekit.distributions import Noise
from vaekit.training import warm_cosine

DATA = Path(os.environ.get("VAEKIT_DATA", "data"))
LEVELS, SIDE = 16, 14
PIXELS = SIDE * SIDE
HELD = 5_000  # of the training images, for tuning; no model is trained on them


class Sets(NamedTuple):
    """Images (N, 14, 14) of 16 levels, uint8, and labels (N,).

    Attributes:
        train, train_labels: What models learn from.
        held, held_labels: What networks were chosen on, with seed 9 and 4 to 8 seconds.
        test, test_labels: What the table is about; looked at once.
    """

    train: np.ndarray
    train_labels: np.ndarray
    held: np.ndarray
    held_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray


def reduced(images: np.ndarray) -> np.ndarray:
    """Pictures (N, 28, 28) of 256 levels as (N, 14, 14) of 16: the mean of four pixels, cut down to four bits.

    Example:
        >>> int(reduced(np.full((1, 28, 28), 255, np.uint8)).max())
        15
    """
    means = images.reshape(-1, SIDE, 2, SIDE, 2).astype(np.uint16).sum((2, 4)) // 4
    return (means // (256 // LEVELS)).astype(np.uint8)


@lru_cache(maxsize=1)
def fashion() -> Sets:
    """Fashion-MNIST in 14 × 14 pixels and 16 levels."""
    train, test = reduced(_idx("train-images-idx3")), reduced(_idx("t10k-images-idx3"))
    labels = _idx("train-labels-idx1")
    return Sets(train[:-HELD], labels[:-HELD], train[-HELD:], labels[-HELD:], test, _idx("t10k-labels-idx1"))


def _idx(name: str) -> np.ndarray:
    raw = gzip.decompress((DATA / f"fashion-mnist/{name}-ubyte.gz").read_bytes())
    shape = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(raw[3])]
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


class Learner:
    """A model that learns from images of levels and then answers.

    A family says how one step goes (`step`), how images are drawn (`sample`) and, if it can, how many bits an image
    costs (`bits`). Time is that of this process on its processor, so that a busy machine does not matter.

    Attributes:
        net: Whatever is trained; it is what samples are drawn with too, unless `parameters` says otherwise.
        batch: Images of one step.
    """

    net: nn.Module
    batch = 128

    def learn(self, images: np.ndarray, seconds: float, seed: int, most: int = 10**9) -> int:
        """Train for so many seconds of computing, or for so many steps; the number of steps comes back."""
        rows = torch.from_numpy(images)
        clock, steps = stopwatch(seconds), 0
        self.net.train()
        with Noise(seed, "steps").torch():
            while (done := clock()) < 1 and steps < most:
                index = torch.randint(len(rows), (min(self.batch, len(rows)),))
                self.step(rows[index], done)
                steps += 1
        self.finish()
        self.net.eval()
        return steps

    def step(self, images: Tensor, done: float) -> None:
        """One update on images (B, 14, 14) uint8; `done` is the share of the time that is over."""
        raise NotImplementedError

    def finish(self) -> None:
        """What is left to do when the time is over."""

    def sample(self, n: int) -> np.ndarray:
        """n images (n, 14, 14) uint8, drawn with torch's own generator."""
        raise NotImplementedError

    def bits(self, images: np.ndarray) -> np.ndarray | None:
        """−log₂ p of each image or a bound from above, for each pixel, (N,); None where the model has none."""
        return None

    def parameters(self) -> int:
        """Numbers that are learned and that sampling needs."""
        return sum(p.numel() for p in self.net.parameters())


def stopwatch(seconds: float) -> Callable[[], float]:
    """Share of so many seconds of computing that this process has used since now."""
    began = time.process_time()
    return lambda: (time.process_time() - began) / seconds


class Descent:
    """Adam with a warm cosine, a bound on the gradient, and the moving average of the weights.

    Args:
        net: What moves.
        lr: Largest learning rate.
        average: Decay of the average; 0 keeps none.
        betas, decay, clip: Moments' decays, decoupled decay of weights, longest gradient.
    """

    def __init__(
        self,
        net: nn.Module,
        lr: float,
        average: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.99),
        decay: float = 0.0,
        clip: float = 1.0,
        cool: Callable[[float], float] = warm_cosine,
    ) -> None:
        self.net, self.lr, self.average, self.clip, self.cool, self.steps = net, lr, average, clip, cool, 0
        self.optimizer = torch.optim.AdamW(net.parameters(), lr, betas, weight_decay=decay, fused=True)
        self.mean = copy.deepcopy(net).requires_grad_(False) if average else net

    def step(self, loss: Tensor, done: float) -> None:
        """One step down the loss; one that is not finite is left out."""
        self.optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), self.clip)
        if not bool(torch.isfinite(norm)):
            return
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr * self.cool(done)
        self.optimizer.step()
        self.steps += 1
        if self.average:
            rate = min(self.average, (1 + self.steps) / (10 + self.steps))
            torch._foreach_lerp_(list(self.mean.parameters()), list(self.net.parameters()), 1 - rate)

    def settle(self) -> None:
        """The average takes the weights' place."""
        if self.average:
            self.net.load_state_dict(self.mean.state_dict())


def in_parts(
    answer: Callable[[Tensor], Tensor], images: np.ndarray | Sequence, size: int = 500
) -> np.ndarray:
    """Answers (N,) to images, some at a time, without gradients."""
    rows = torch.as_tensor(images)
    with torch.no_grad():
        return torch.cat([answer(rows[i : i + size]) for i in range(0, len(rows), size)]).double().numpy()


def units(images: Tensor) -> Tensor:
    """Levels 0 … 15 as values from −1 to 1."""
    return images.float() * (2 / (LEVELS - 1)) - 1


def bits_per_pixel(nats: Tensor) -> Tensor:
    """Nats of an image as bits of each pixel."""
    return nats / (PIXELS * math.log(2))
