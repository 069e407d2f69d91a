"""Random numbers as a function of (seed, purpose, step): the same on every machine, from any starting point.

A counter-based generator (Philox) has no history: key = (seed, purpose), counter = step. A run that is stopped and
started again therefore draws what it would have drawn, and nothing needs to be remembered.

Source: Salmon, Moraes, Dror, Shaw (2011), Parallel random numbers: as easy as 1, 2, 3.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor


def key(*words: object) -> int:
    """A 64-bit number from words, the same everywhere.

    Example:
        >>> key("train", 3) == key("train", 3), key("train", 3) == key("train", 4)
        (True, False)
    """
    text = "/".join(str(word) for word in words).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


class Noise:
    """A stream of random numbers for one purpose at one step.

    Args:
        seed: The run's seed.
        purpose: What the numbers are for; two purposes never share numbers.
        step: Optimizer step, or any counter.
        part: (rank, ranks): numbers are drawn for all ranks' rows and this rank's share is returned.

    Example:
        >>> a, b = Noise(0, "train", step=5), Noise(0, "train", step=5)
        >>> bool((a.normal((2, 3)) == b.normal((2, 3))).all())
        True
    """

    def __init__(self, seed: int, purpose: str = "", step: int = 0, part: tuple[int, int] = (0, 1)) -> None:
        self.seed, self.purpose, self.step, self.part = seed, purpose, step, part
        self._generator: np.random.Generator | None = None
        self._seedings = 0

    @property
    def generator(self) -> np.random.Generator:
        """numpy's generator at this key and counter; made at its first use, since many a stream is never drawn from."""
        if self._generator is None:
            words = np.array([self.seed & 0xFFFFFFFFFFFFFFFF, key(self.purpose)], dtype=np.uint64)
            bits = np.random.Philox(key=words, counter=np.array([0, 0, 0, self.step], dtype=np.uint64))
            self._generator = np.random.Generator(bits)
        return self._generator

    def normal(self, shape: Sequence[int], like: Tensor | None = None) -> Tensor:
        """Standard normal numbers of a shape, with the dtype and device of `like`."""
        return _like(self._share(self.generator.standard_normal(self._whole(shape), _dtype(like))), like)

    def uniform(self, shape: Sequence[int], like: Tensor | None = None) -> Tensor:
        """Uniform numbers in (0, 1), with the dtype and device of `like`; neither end is ever reached."""
        u = self.generator.random(self._whole(shape), _dtype(like))
        tiny = np.finfo(u.dtype).eps / 4
        return _like(self._share(np.clip(u, tiny, None, out=u)), like)

    def integers(self, high: int, shape: Sequence[int]) -> np.ndarray:
        """Uniform whole numbers 0 … high − 1, each with exactly the same probability."""
        whole = self._whole(shape)
        if high != 255:
            dtype = np.uint8 if high <= 256 else np.uint16 if high <= 65536 else np.int64
            return self._share(self.generator.integers(0, high, whole, dtype=dtype))
        # bytes with the value 255 drawn again: a third of the time that `integers` takes, on a hot path
        count = math.prod(whole)
        numbers = self.generator.bit_generator.random_raw(-(-count // 8)).astype("<u8").view(np.uint8)[:count]
        again = np.flatnonzero(numbers == 255)
        numbers[again] = self.generator.integers(0, 255, len(again), dtype=np.uint8)
        return self._share(numbers.reshape(whole))

    def permutation(self, n: int) -> Tensor:
        """A random order of n things, as (n,) integers."""
        return torch.from_numpy(self.generator.permutation(n))

    def choice(self, probabilities: Sequence[float], n: int) -> Tensor:
        """n indices drawn with the given probabilities, as (n,) integers."""
        p = np.asarray(probabilities, dtype=np.float64)
        return torch.from_numpy(self.generator.choice(len(p), size=n, p=p / p.sum()))

    @contextlib.contextmanager
    def torch(self) -> Iterator[None]:
        """Inside, torch's own generator is seeded from this stream; afterwards it is as it was before."""
        state = torch.get_rng_state()
        self._seedings += 1  # a second time in one stream is another seed
        torch.default_generator.manual_seed(key(self.seed, self.purpose, self.step, self._seedings) >> 1)
        try:
            yield
        finally:
            torch.set_rng_state(state)

    def _whole(self, shape: Sequence[int]) -> tuple[int, ...]:
        return (shape[0] * self.part[1], *shape[1:]) if self.part[1] > 1 else tuple(shape)

    def _share(self, numbers: np.ndarray) -> np.ndarray:
        rank, ranks = self.part
        return numbers if ranks == 1 else np.split(numbers, ranks)[rank]


class RowNoise(Noise):
    """Random numbers keyed by row: a row's numbers do not depend on the rows beside it.

    Evaluations use it, so that they do not depend on batch size or order. Rows with the same key get the same numbers;
    `RowNoise(seed, purpose, zeros)` gives every row the same ones.

    Args:
        seed, purpose: As in `Noise`.
        rows: A key for each datum, (B,) integers.
        first: Index of the first of the K samples drawn for each datum.
    """

    def __init__(self, seed: int, purpose: str, rows: Tensor, first: int = 0) -> None:
        super().__init__(seed, purpose)
        self.rows, self.first, self.drawn = rows, first, 0

    def uniform(self, shape: Sequence[int], like: Tensor | None = None) -> Tensor:
        dtype = _dtype(like)
        below_one = 1 - np.finfo(dtype).epsneg  # rounding to float32 could reach 1
        return _like(np.minimum(self._uniform(shape).astype(dtype), dtype(below_one)), like)

    def normal(self, shape: Sequence[int], like: Tensor | None = None) -> Tensor:
        radius = np.sqrt(-2 * np.log(self._uniform(shape)))  # Box and Muller (1958)
        return _like((radius * np.cos(2 * math.pi * self._uniform(shape))).astype(_dtype(like)), like)

    def _uniform(self, shape: Sequence[int]) -> np.ndarray:
        """One number for each (datum, sample, dimension), by hashing the three."""
        self.drawn += 1
        samples, width = shape[0] // len(self.rows), math.prod(shape[1:])
        start = np.uint64(key(self.seed, self.purpose, self.drawn))
        sample = np.arange(self.first, self.first + samples, dtype=np.uint64)
        rows = _mixed(self.rows.cpu().numpy().astype(np.uint64) + start)[:, None]  # (B, 1)
        pairs = _mixed(rows + _mixed(sample + np.uint64(1)))  # (B, K)
        words = _mixed(
            pairs.reshape(-1, 1) + np.arange(1, width + 1, dtype=np.uint64) * _GOLDEN
        )  # (N, width)
        return (((words >> np.uint64(11)) + 0.5) * 2.0**-53).reshape(tuple(shape))


KEYED = 1 << 20  # values whose keys are computed at once, in 64-bit numbers
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mixed(words: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64: every bit of a word into every other (Steele, Lea, Flood, 2014)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def content_keys(rows: Tensor) -> Tensor:
    """A key for each row that depends on its content alone.

    Args:
        rows: (N, …) of any dtype; real numbers count by their bits.

    Returns:
        (N,) integers.

    Example:
        >>> keys = content_keys(torch.tensor([[1.0], [2.0], [1.0]]))
        >>> bool(keys[0] == keys[2]), bool(keys[0] == keys[1])
        (True, False)
    """
    width = rows[:1].numel() if len(rows) else 1
    weights = _mixed(np.arange(1, width + 1, dtype=np.uint64) * _GOLDEN)
    total = np.zeros(len(rows), dtype=np.uint64)
    size = max(1, KEYED // max(1, width))
    for start in range(0, len(rows), size):
        values = np.ascontiguousarray(rows[start : start + size].flatten(1).cpu().numpy())  # (size, D)
        whole = values.view(f"u{values.itemsize}") if values.dtype.kind == "f" else values
        total[start : start + size] = _mixed(whole.astype(np.uint64) + weights).sum(1, dtype=np.uint64)
    return torch.from_numpy((_mixed(total) >> np.uint64(1)).astype(np.int64))


def ambient() -> Noise:
    """Noise seeded from torch's own generator: what `torch.manual_seed` governs."""
    return Noise(int(torch.randint(2**62, ())))


class Mean(Noise):
    """No noise at all: `draw` answers with the distribution's centre."""

    def __init__(self) -> None:
        super().__init__(0, "mean")


MEAN = Mean()


def _dtype(like: Tensor | None) -> type:
    return np.float64 if like is not None and like.dtype == torch.float64 else np.float32


def _like(numbers: np.ndarray, like: Tensor | None) -> Tensor:
    t = torch.from_numpy(numbers)
    return (
        t
        if like is None or (like.device.type == "cpu" and like.dtype == t.dtype)
        else t.to(like.device, like.dtype)
    )
