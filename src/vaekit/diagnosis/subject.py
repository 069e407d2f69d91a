"""What is examined: a model, its data, and what its training left behind."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch

from vaekit.data import Batch, Items, Kind
from vaekit.distributions import Noise
from vaekit.model import VAE, Pass
from vaekit.presets import ABOUT

CHUNK = 128  # items decoded at once


@dataclass(frozen=True)
class Effort:
    """How much an examination looks at.

    Attributes:
        items: Items that are encoded and decoded.
        refined: Items whose posteriors are improved, in so many `steps`.
        steps: Of that.
        classifier: Steps of the classifier that tells codes from draws of the prior.
    """

    items: int
    refined: int
    steps: int
    classifier: int


QUICK = Effort(items=256, refined=32, steps=20, classifier=100)  # when training ends
FULL = Effort(items=768, refined=128, steps=60, classifier=300)  # when the doctor is asked


@dataclass
class Subject:
    """What the checks look at.

    Attributes:
        model: In evaluation mode.
        kind: The kind of its data.
        seen, heldout: What it trained on, and what it did not.
        records: The lines of metrics.jsonl.
        events: Those of run.json.
        config: What it was trained with, as config.yaml says.
        effort: How much is looked at.
    """

    model: VAE
    kind: Kind
    seen: Items
    heldout: Items
    records: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    effort: Effort = FULL

    @property
    def preset(self) -> str:
        return str(self.config.get("preset", ""))

    @property
    def arguments(self) -> dict[str, Any]:
        """The preset's own options that were given."""
        return self.config.get("arguments") or {}

    def takes(self, preset: str) -> bool:
        """Whether a preset is for this kind of data."""
        return self.kind.name in ABOUT[preset].kinds and (not ABOUT[preset].labels or self.kind.conditional)

    @property
    def beta(self) -> float | None:
        """What the rate weighed in the end, in units of the distortion's weight; None where training had no such."""
        known = [record["beta"] for record in self.records if "beta" in record]
        return known[-1] if known else 1.0

    def some(self, items: Items, most: int) -> Items:
        """At most so many items, in an order that says nothing."""
        chosen = Noise(0, "diagnosis: items").permutation(len(items))[:most]
        return items.subset(chosen)

    def chunks(self, items: Items) -> list[Batch]:
        """Items in batches of about the same size."""
        device = next(self.model.parameters()).device
        places = torch.arange(len(items)).chunk(math.ceil(len(items) / CHUNK))
        return [items.batch(place).to(device) for place in places]

    @cached_property
    def passes(self) -> list[Pass]:
        """Passes of some training items, a draw from each posterior."""
        chosen = self.some(self.seen, self.effort.items)
        with torch.no_grad():
            return [
                self.model(b.x, b.c, b.mask, noise=Noise(0, "diagnosis", i))
                for i, b in enumerate(self.chunks(chosen))
            ]

    @cached_property
    def rate(self) -> float | None:
        """Mean KL(q ‖ p) of some training items, nats; None of a code that is a point."""
        if not self.model.bottleneck.stochastic:
            return None
        return float(torch.cat([out.rate for out in self.passes]).detach().mean())
