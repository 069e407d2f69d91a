"""Nats between a log density of the model's values and one of the user's, as a function that can be traced.

The same as `Kind.log_volume`; for tables in tensors alone.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vaekit.data import Images, Kind, Parts, Table, Vectors
from vaekit.data.columns import Number
from vaekit.distributions import Family


def volume(kind: Kind, family: Family | None = None) -> nn.Module:
    """(x (B, *shape), mask or None) → (B,) nats, or one number for all, of a kind of data.

    Args:
        kind: A kind.
        family: The model's likelihood; by default the kind's own.
    """
    own: Any = kind.family if family is None else family
    if isinstance(kind, Table):
        return OfTable(kind)
    if isinstance(kind, Parts):
        return OfParts(kind, own)
    if isinstance(kind, Vectors) and not own.discrete and kind.scale is not None:
        return Each(-np.log(np.asarray(kind.scale)))
    if isinstance(kind, Images) and not own.discrete and kind.binarize == "none" and kind.top != 1:
        return Each(np.full(kind.shape, -math.log(kind.top)))
    return Each(np.zeros(1))


class Each(nn.Module):
    """A number for each value that was observed.

    Args:
        nats: (*shape), or one number that is 0.
    """

    each: Tensor

    def __init__(self, nats: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("each", torch.from_numpy(nats.astype(np.float32)), persistent=False)
        self.whole = float(nats.sum())

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor | float:
        if mask is None or self.whole == 0:
            return self.whole
        return (mask.to(self.each.dtype) * self.each).flatten(1).sum(1)


class OfParts(nn.Module):
    """The parts' own, one after the other."""

    def __init__(self, kind: Parts, family: Any) -> None:
        super().__init__()
        self.widths, self.shapes = kind.widths, [part.shape for part in kind.parts.values()]
        self.parts = nn.ModuleList(
            volume(part, own) for part, own in zip(kind.parts.values(), family.families, strict=True)
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor | float:
        masks = [None] * len(self.parts) if mask is None else mask.split(self.widths, 1)
        total: Tensor | float = 0.0
        for part, value, seen, shape in zip(
            self.parts, x.split(self.widths, 1), masks, self.shapes, strict=True
        ):
            own = None if seen is None else seen.unflatten(1, shape)
            total = total + part(value.unflatten(1, shape), own)
        return total


class OfTable(nn.Module):
    """log |d score / d value| of each number that counts, and −log h of each point mass on a grid of step h."""

    begins: Tensor
    slopes: Tensor
    special: Tensor
    steps: Tensor

    def __init__(self, kind: Table) -> None:
        super().__init__()
        self.scored, self.first = len(kind.scored), kind.shape[0] - len(kind.headed)
        maps = [column.nodes for column in kind.scored]  # type: ignore[attr-defined]
        pieces = max((len(knots) - 1 for knots, _ in maps), default=1)
        begins = np.full((len(maps), pieces), np.inf, dtype=np.float32)
        slopes = np.zeros((len(maps), pieces), dtype=np.float32)
        for row, (knots, scores) in enumerate(maps):
            begins[row, : len(scores) - 2] = not_below(scores[1:-1])  # the first piece begins at −∞
            found = np.log(np.diff(scores) / np.diff(knots))
            slopes[row] = np.concatenate([found, np.repeat(found[-1:], pieces - len(found))])
        steps = [
            (len(c.special), math.log(c.grid))
            if isinstance(c, Number) and c.grid not in (0.0, 1.0)
            else (0, 0.0)
            for c in kind.headed
        ]
        self.spread = any(nats for _, nats in steps)
        self.register_buffer("begins", torch.from_numpy(begins), persistent=False)
        self.register_buffer("slopes", torch.from_numpy(slopes), persistent=False)
        self.register_buffer("special", torch.tensor([float(few) for few, _ in steps]), persistent=False)
        self.register_buffer("steps", torch.tensor([nats for _, nats in steps]), persistent=False)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor | float:
        total: Tensor | float = 0.0
        if self.scored:
            scores = x[:, : self.scored].unsqueeze(2)
            piece = (scores >= self.begins).long().sum(2, keepdim=True)  # (B, S, 1)
            each = self.slopes.expand(x.shape[0], -1, -1).gather(2, piece).squeeze(2)
            seen = torch.ones_like(each) if mask is None else mask[:, : self.scored].to(each.dtype)
            total = total + (each * seen).sum(1)
        if self.spread:
            heads = x[:, self.first :]
            point = (heads < self.special).to(x.dtype)
            point = point if mask is None else point * mask[:, self.first :].to(x.dtype)
            total = total - (point * self.steps).sum(1)
        return total


def not_below(values: np.ndarray) -> np.ndarray:
    """The least float32 that is not below each value: a float32 reaches the one exactly where it reaches the other.

    Example:
        >>> bool(not_below(np.array([0.1]))[0] >= 0.1), float(not_below(np.array([0.5]))[0])
        (True, 0.5)
    """
    found = values.astype(np.float32)
    return np.where(found < values, np.nextafter(found, np.float32(np.inf)), found).astype(np.float32)
