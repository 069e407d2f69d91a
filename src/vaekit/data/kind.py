"""A kind of data: what the raw values are. The only place that knows; it is saved with the model."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vaekit.data.batch import Batch
from vaekit.distributions import Family, Gaussian, Noise, Scale
from vaekit.errors import UsageError, nearest
from vaekit.networks.maps import Shaped, Unshaped
from vaekit.networks.pyramid import DensePyramid, Pyramid

POSITIONS = 8  # of a map of features for items without a plane


class Kind(ABC):
    """What the raw values are, how the model sees them, and which likelihood and networks suit them.

    Attributes:
        name: The word users type after `--kind`.
        shape: Shape of one item as the model sees it, (C, H, W) or (D,).
        family: The default likelihood.
        labels: Names of the classes, in the order of their index; empty if there are none.
        frequencies: How often each class came in training, in the order of `labels`.
        conditional: Whether batches carry the labels as the networks' condition.
        shows_mean: Whether a new item is shown as the mean of p(x | z) and not as a draw from it.
        decodes_draws: Whether codes are decoded to draws from p(x | z) and not to its centre.
    """

    name: str
    shape: tuple[int, ...]
    family: Family
    labels: tuple[str, ...]
    frequencies: tuple[float, ...]
    conditional: bool = False
    shows_mean: bool = False
    decodes_draws: bool = False

    @abstractmethod
    def store(self, values: Any) -> Tensor:
        """Take a user's array into storage form, (N, *shape), holding it against what the model was trained on.

        Raises:
            DataError: Another shape, another range, or values that are not finite (named by row).
        """

    @abstractmethod
    def encode(self, raw: Tensor, labels: Tensor | None = None, noise: Noise | None = None) -> Batch:
        """Raw rows (B, *shape) in storage form as a batch in the model's space; without noise always the same."""

    @abstractmethod
    def decode(self, x: Tensor, c: Tensor | None = None) -> Any:
        """The model's values (B, *shape) as what users know: images 0..255, vectors in their own units, tables.

        The condition (B, A) matters where it is part of an item.
        """

    @abstractmethod
    def encoder(self, outputs: int, condition: int = 0) -> nn.Module:
        """A sensible network from one item to `outputs` numbers."""

    @abstractmethod
    def decoder(self, inputs: int, family: Family | None = None, condition: int = 0) -> nn.Module:
        """A sensible network from `inputs` numbers to the parameters of a likelihood for one item."""

    def classifier(self, outputs: int) -> nn.Module:
        """A sensible network from one item to features that tell its class."""
        return self.encoder(outputs)

    @property
    def grid(self) -> tuple[int, ...]:
        """Positions of a map of features, (G,) for items without a plane: where codes of a codebook stand."""
        return (POSITIONS,)

    def map_encoder(self, channels: int, condition: int = 0) -> nn.Module:
        """A sensible network from one item to a map (channels, *grid)."""
        return Shaped(self.encoder(channels * math.prod(self.grid), condition), (channels, *self.grid))

    def map_decoder(self, channels: int, family: Family | None = None, condition: int = 0) -> nn.Module:
        """A sensible network from a map (channels, *grid) to the parameters of a likelihood for one item."""
        return Unshaped(self.decoder(channels * math.prod(self.grid), family, condition))

    def pyramid(
        self, width: int, levels: int, condition: int = 0, convolutional: bool = False
    ) -> Pyramid | DensePyramid:
        """A sensible network from one item to features at several levels, top first; its `shapes` are theirs.

        Args:
            width: Of a level that is a vector; maps have fewer channels, an eighth of it at the finest.
            levels: How many, where the items do not say.
            condition: Width of a condition.
            convolutional: Whether small images too get convolutions.

        Raises:
            ValueError: Convolutions were asked for, and these items have no plane.
        """
        if convolutional:
            raise ValueError(f"{self.name} have no plane for convolutions: leave convolutional out")
        return DensePyramid(self.encoder(width, condition), width, levels, width // 2 or 1, condition)

    def finest_decoder(
        self, shape: Sequence[int], family: Family | None = None, condition: int = 0
    ) -> nn.Module:
        """A small network from a pyramid's finest level, (W, …), to the parameters of a likelihood for one item."""
        return self.decoder(shape[0], family, condition)

    def log_volume(self, batch: Batch, family: Family | None = None) -> float | Tensor:
        """Nats to add to a log density of the model's values so that it is one of the user's values.

        The model may see values divided by s; p(user's) = p(model's) / s for each of them. Of a mass nothing is
        divided.

        Args:
            batch: Rows as the model sees them.
            family: The model's likelihood, which may be another one than the kind's own, which it is by default.
        """
        return 0.0

    def family_with(self, scale: Scale) -> Family:
        """A Gaussian likelihood with a scale of one's own."""
        return Gaussian(scale)

    @property
    def dims(self) -> int:
        """How many values an item has to its user: what bits per dimension are divided by."""
        return math.prod(self.shape)

    @property
    def condition_width(self) -> int:
        """A, the numbers of a condition."""
        return len(self.labels)

    def conditions(self, n: int, where: Mapping[str, Any] | None, noise: Noise) -> Tensor | None:
        """What to condition n new items on: what was asked for, or labels as frequent as in training.

        Args:
            n: How many.
            where: `{"label": name}`.
            noise: Of what was not asked for.

        Returns:
            (n, A), or None for an unconditional model.

        Raises:
            UsageError: E103, the model takes no condition, or there is no such label.
        """
        if where and not self.conditional:
            hint = "train with --preset conditional_vae"
            raise UsageError("E103", "this model takes no condition.", hint=hint)
        if not self.conditional:
            return None
        label = (where or {}).get("label")
        odd = set(where or {}) - {"label"}
        if odd or (label is not None and label not in self.labels):
            unknown, known = (odd.pop(), ["label"]) if odd else (str(label), list(self.labels))
            raise UsageError("E103", f"there is no {unknown!r}; {nearest(unknown, known)}")
        if label is not None:
            return self.condition(torch.full((n,), self.labels.index(label)))
        return self.condition(noise.choice(self.frequencies, n))

    def condition(self, labels: Tensor) -> Tensor:
        """Label indices (B,) as the condition the networks see, (B, classes); an unknown label is a row of zeros."""
        from torch.nn import functional

        known = labels.clamp(min=0)
        return functional.one_hot(known, len(self.labels)).float() * (labels >= 0).unsqueeze(1)
