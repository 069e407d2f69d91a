"""Codes as rows of numbers: what a file holds, whatever the form in which a model's latent values come."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


def packed(z: Any) -> Tensor:
    """A value of each latent variable as rows of numbers, the top one first.

    Args:
        z: (B, *latent), or a list of them, in the form `encode` gives.

    Returns:
        (B, D) floats.

    Example:
        >>> packed([torch.zeros(2, 3), torch.ones(2, 1, 2, dtype=torch.long)]).shape
        torch.Size([2, 5])
    """
    parts = z if isinstance(z, list) else [z]
    flat = [part.flatten(1) for part in parts]
    return torch.cat([part if part.is_floating_point() else part.float() for part in flat], 1)


def unpacked(rows: Tensor, like: Any) -> Any:
    """Rows of numbers in the form that `decode` accepts.

    Args:
        rows: (B, D) as `packed` gives.
        like: A value of this form, of any number of rows.

    Returns:
        (B, *latent), or a list of them; whole numbers where the codes are discrete.
    """
    if not isinstance(like, list):
        value = rows.unflatten(1, like.shape[1:]) if like.dim() > 2 else rows
        return value if like.is_floating_point() else value.round().long()
    widths = [math.prod(part.shape[1:]) for part in like]
    return [unpacked(part, one) for part, one in zip(rows.split(widths, 1), like, strict=True)]
