"""Values of items as numbers between which distances mean something, and what a model expects in their place."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution
from torch.nn import functional

from vaekit.data import Counts, Kind, Table, Vectors
from vaekit.distributions import Autoregressive, Flattened, Joint, center, log_prob
from vaekit.model import Pass


def expectations(kind: Kind | None, out: Pass) -> tuple[Tensor, Tensor] | None:
    """What was seen and what p(x | z) expects there, (N, F) each; a value that was not observed is as expected.

    Numbers stay as the model sees them, counts become log(1 + x), and a category is a corner of a simplex: two
    different ones are as far apart as two numbers one standard deviation apart. None for kinds that are no rows of
    numbers.

    Args:
        kind: Of the items; rows without a kind are numbers.
        out: A pass over them.

    Example:
        >>> from vaekit.distributions import MEAN
        >>> from vaekit.presets import vae
        >>> model, _ = vae(Vectors(3), latent=1)
        >>> seen, expected = expectations(Vectors(3), model(torch.ones(2, 3), noise=MEAN))
        >>> seen.shape, expected.shape
        (torch.Size([2, 3]), torch.Size([2, 3]))
    """
    if not isinstance(kind, Vectors | Table | Counts | None) or walks(out.px):
        return None
    px = out.px
    parts, widths = (
        (list(px.parts.values()), px.widths) if isinstance(px, Joint) else ([px], [out.x.shape[1]])
    )
    masks = [None] * len(widths) if out.mask is None else out.mask.split(widths, 1)
    pairs = [_pair(*part) for part in zip(parts, out.x.split(widths, 1), masks, strict=True)]
    seen, expected = (torch.cat(side, 1).double() for side in zip(*pairs, strict=True))
    if isinstance(kind, Counts):
        seen, expected = seen.log1p(), expected.clamp(min=0).log1p()
    return seen, expected


def _pair(px: Distribution, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Seen and expected values of one part, (N, F) each."""
    if isinstance(px, Categorical):
        expected = px.probs  # (N, C, K)
        seen = functional.one_hot(x.long(), expected.shape[-1]).to(expected.dtype)
        mask = None if mask is None else mask.unsqueeze(-1)
        expected, seen = expected / math.sqrt(2), seen / math.sqrt(2)
    else:
        expected, seen = px.mean, x
    seen = seen if mask is None else torch.where(mask.bool(), seen, expected)
    return seen.flatten(1), expected.flatten(1)


def deviance(px: Any, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The centre of p(x | z), and how much less probable than it each value is, with the sign of its side.

        d = sign(x − c) √(2 (log p(c) − log p(x)))

    For a Gaussian that is (x − μ) / σ. Half of its square is the value's surprise in nats.

    Args:
        px: p(x | z), over (N, *shape).
        x: (N, *shape) values.
        mask: (N, *shape) true where observed, or None.

    Returns:
        The centre and the deviances, (N, *shape) each; zero where nothing was observed.

    Source: McCullagh, Nelder (1989), Generalized linear models (deviance residuals).

    Example:
        >>> from torch.distributions import Normal
        >>> deviance(Normal(torch.zeros(1, 2), 2.0), torch.tensor([[3.0, -1.0]]))[1]
        tensor([[ 1.5000, -0.5000]])
    """
    middle = center(px)
    surprise = (log_prob(px, middle, mask) - log_prob(px, x, mask)).clamp(min=0)
    side = torch.where(x < middle, -1.0, 1.0).to(surprise.dtype)
    return middle, side * (2 * surprise).sqrt()


def walks(px: Distribution) -> bool:
    """Whether a distribution, or a part of it, has values that depend on those before them: its centre takes a walk."""
    if isinstance(px, Joint):
        return any(walks(part) for part in px.parts.values())
    return walks(px.base) if isinstance(px, Flattened) else isinstance(px, Autoregressive)
