"""Running figures of the training batches, summed on the device and read only when someone looks."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from vaekit.training.train import Progress


class Meter:
    """Means since the last `clear`: ELBO, rate, distortion, gradient norm, items a second."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.sums: Tensor | None = None
        self.steps = self.items = 0
        self.began = time.monotonic()

    @torch.no_grad()
    def add(self, now: Progress) -> None:
        """Take in a step."""
        out = now.out
        stochastic = out.model is not None and out.model.bottleneck.stochastic
        rate = out.rate.mean() if stochastic else torch.full_like(now.loss, torch.nan)
        row = torch.stack([out.distortion.mean(), rate, now.gradient_norm]).detach()  # (3,)
        self.sums = row if self.sums is None else self.sums + row
        self.steps += 1
        self.items += len(out.x) // out.samples

    def figures(self, volume: float = 0.0) -> dict[str, Any]:
        """The means, for people and for the record; what the model does not have is None.

        Args:
            volume: Nats that make a log density of the model's values one of the user's, in the mean over data.
        """
        if self.sums is None:
            return {}
        distortion, rate, norm = (self.sums / self.steps).tolist()
        distortion -= volume
        known = rate == rate  # a deterministic code has no rate
        return {
            "elbo": -(distortion + rate) if known else None,
            "rate": rate if known else None,
            "distortion": distortion,
            "gradient_norm": norm,
            "items_per_second": self.items / max(time.monotonic() - self.began, 1e-9),
        }
