"""What is explored: a trained model, the kind of its data, what is known of the run, and its data if they are there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from vaekit import files, operations, persistence
from vaekit.data import Kind
from vaekit.distributions import Noise
from vaekit.errors import FileError
from vaekit.explorer.reading import condition
from vaekit.model import VAE


class Opened(Protocol):
    """A run that is opened already, as `vaekit.Run` is."""

    model: VAE
    kind: Kind
    path: Path
    about: dict[str, Any]
    facts: dict[str, Any]


@dataclass(frozen=True)
class Subject:
    """A run as the explorer needs it.

    Attributes:
        model: In evaluation mode.
        kind: The kind of its data.
        path: The run folder.
        about: What was saved beside the model: preset, objective, metrics, calibration.
        run: What run.json says.
    """

    model: VAE
    kind: Kind
    path: Path
    about: Mapping[str, Any] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Opened) -> Subject:
        """An opened run."""
        return cls(run.model, run.kind, run.path, run.about, run.facts)

    @property
    def calibration(self) -> Mapping[str, Any]:
        """What new items are held against; nothing before the training has ended."""
        return self.about.get("calibration") or {}

    @property
    def stochastic(self) -> bool:
        """Whether codes have densities, so that there are a rate and a likelihood."""
        return self.model.bottleneck.stochastic

    @property
    def discrete(self) -> bool:
        """Whether codes are names of entries, of which none lies between two others."""
        return self.model.bottleneck.discrete

    @property
    def samples(self) -> bool:
        """Whether there is a prior to draw from."""
        return self.stochastic or getattr(self.model.bottleneck, "prior", None) is not None

    def condition(self, label: int | None, rows: int) -> Tensor | None:
        """The condition of some rows, (rows, A): a label's, or the one that came most often; None without any.

        Args:
            label: Place in `kind.labels`, or None.
            rows: How many.
        """
        return condition(self.kind, label, rows)

    @cached_property
    def like(self) -> Any:
        """A code in the form the model gives: one tensor, or one for each latent variable."""
        with torch.no_grad():
            return self.model.encode(torch.zeros(1, *self.kind.shape), self.condition(None, 1))

    @cached_property
    def width(self) -> int:
        """Numbers of a code, D."""
        return operations.packed(self.like).shape[1]

    @torch.no_grad()
    def decode(self, codes: Tensor, label: int | None = None) -> tuple[Tensor, Tensor | None]:
        """The centre of p(x | z) of each code in the model's space, (N, *shape), and the condition.

        Args:
            codes: (N, D) packed.
            label: Of a conditional model.
        """
        c = self.condition(label, len(codes))
        return operations.decode(self.model, codes, c, like=self.like), c

    @torch.no_grad()
    def prior_codes(self, count: int, seed: int = 0) -> Tensor:
        """Draws from the prior as packed codes, (count, D)."""
        bottleneck, noise = self.model.bottleneck, Noise(seed, "explore: prior")
        c = self.kind.conditions(count, None, Noise(seed, "explore: labels"))
        return operations.packed(bottleneck.codes(bottleneck(c=c, n=count, noise=noise)[1])).float()


def opened(path: Path) -> Subject:
    """A run folder, or the model folder in one, as what is explored.

    Raises:
        FileError: It is not a run or model folder, it is damaged, or it has no model yet.
    """
    place = path / "model" if (path / "model").is_dir() else path
    model, kind, about = persistence.load(place)
    if kind is None:
        raise FileError("E301", "this model was saved without the kind of its data.", where=place)
    told: Any = files.read_json(path / "run.json") if (path / "run.json").is_file() else {}
    return Subject(model, kind, path, about, told if isinstance(told, dict) else {})
