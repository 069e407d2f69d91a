"""Several named parts of one row, independent given z: the likelihood of tables.

log p(x | z) = Σ_part log p(x_part | z)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributions as D

from vaekit.distributions import discrete
from vaekit.distributions.families import Family
from vaekit.distributions.noise import Noise
from vaekit.distributions.reduce import center, draw
from vaekit.recipes import configurable


class Joint(D.Distribution):
    """A product of named distributions that stand side by side in a row.

    Args:
        parts: Name → distribution over (N, width); in the order of their columns.

    Example:
        >>> both = Joint({"a": D.Normal(torch.zeros(2, 3), 1.0), "b": D.Bernoulli(logits=torch.zeros(2, 1))})
        >>> both.log_prob(torch.zeros(2, 4)).shape
        torch.Size([2, 4])
    """

    arg_constraints: dict = {}
    has_rsample = False

    def __init__(self, parts: Mapping[str, D.Distribution]) -> None:
        self.parts = dict(parts)
        self.widths = [int(part.batch_shape[1]) for part in self.parts.values()]
        rows = next(iter(self.parts.values())).batch_shape[0]
        super().__init__(torch.Size((rows, sum(self.widths))), validate_args=False)

    def split(self, x: Tensor) -> dict[str, Tensor]:
        """A row's values (N, P) by the name of the part they belong to."""
        return dict(zip(self.parts, x.split(self.widths, 1), strict=True))

    def log_prob(self, value: Tensor) -> Tensor:
        values = self.split(value)
        return torch.cat([part.log_prob(values[name]) for name, part in self.parts.items()], 1)

    def draw(self, noise: Noise) -> tuple[Tensor, None]:
        return self._each(lambda part: draw(part, noise)[0]), None

    @property
    def mean(self) -> Tensor:
        return self._each(lambda part: part.mean)

    @property
    def variance(self) -> Tensor:
        return self._each(lambda part: part.variance)

    def _each(self, values: Callable[[D.Distribution], Tensor]) -> Tensor:
        found = [values(part) for part in self.parts.values()]
        common = next((t.dtype for t in found if t.is_floating_point()), torch.get_default_dtype())
        return torch.cat([t.to(common) for t in found], 1)


@center.register
def _(d: Joint) -> Tensor:
    return d._each(center)


@configurable
class Columns(nn.Module):
    """The columns of a row in groups, each group with a family of its own: parameters to a `Joint`.

    Args:
        names: What the groups are called.
        families: The family of each.
        widths: How many columns each has.

    Example:
        >>> from vaekit.distributions import Bernoulli, Gaussian
        >>> row = Columns(["numbers", "bits"], [Gaussian(), Bernoulli()], [3, 2])
        >>> row.size(5), row(torch.zeros(4, 8)).log_prob(torch.zeros(4, 5)).shape
        (8, torch.Size([4, 5]))
    """

    def __init__(self, names: Sequence[str], families: Sequence[Family], widths: Sequence[int]) -> None:
        super().__init__()
        if not len(names) == len(families) == len(widths) > 0:
            raise ValueError("there must be one name, one family and one width for each group of columns")
        self.names, self.widths = list(names), [int(width) for width in widths]
        self.families = nn.ModuleList(families)  # type: ignore[arg-type]
        self.discrete = all(family.discrete for family in families)
        self._sizes = [family.size(width) for family, width in self._pairs()]

    def _pairs(self) -> list[tuple[Any, int]]:
        return list(zip(self.families, self.widths, strict=True))

    def size(self, dim: int) -> int:
        if dim != sum(self.widths):
            raise ValueError(f"these groups have {sum(self.widths)} columns, not {dim}")
        return sum(self._sizes)

    def forward(self, params: Tensor) -> Joint:
        parts = params.split(self._sizes, 1)
        return Joint(
            {name: family(part) for name, family, part in zip(self.names, self.families, parts, strict=True)}
        )

    def adapt(self, px: Joint, x: Tensor, mask: Tensor | None) -> Joint:
        """Each part as it should score its values: those whose scale depends on the batch change it."""
        if not any(hasattr(family, "adapt") for family in self.families):
            return px
        values = px.split(x)
        masks = {} if mask is None else px.split(mask)
        adapted = {}
        for name, family in zip(self.names, self.families, strict=True):
            own = getattr(family, "adapt", None)
            part = px.parts[name]
            adapted[name] = part if own is None else own(part, values[name], masks.get(name))
        return Joint(adapted)

    def commit(self, px: Joint) -> None:
        """After the finite check, each group's family learns from the batch."""
        for name, family in zip(self.names, self.families, strict=True):
            own = getattr(family, "commit", None)
            if own is not None:
                own(px.parts[name])

    def begin(self, mean: Tensor, weights: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """As in `Family.begin`, group by group; `mean` and `weights` have a row for each feature."""
        counts = [family.features(width) for family, width in self._pairs()]
        parts = zip(
            [family.begin for family, _ in self._pairs()],
            mean.split(counts),
            weights.split(counts),
            scale.split(counts),
            strict=True,
        )
        begun = [begin(m, w, s) for begin, m, w, s in parts]
        biases, maps = zip(*begun, strict=True)
        return torch.cat(biases), torch.cat(maps)


@configurable
class Categories(nn.Module):
    """One of several unordered categories for each column, each column with its own number of them.

    The logits of a column with fewer categories than the widest are filled up with −∞, so that one operation serves
    all columns.

    Args:
        levels: Number of categories of each column; params (N, C·K) hold C groups of K = max(levels) logits.

    Example:
        >>> Categories([2, 3])(torch.zeros(1, 6)).log_prob(torch.zeros(1, 2)).exp()
        tensor([[0.5000, 0.3333]])
    """

    discrete = True
    pad: Tensor

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        self.levels = [int(count) for count in levels]
        if not self.levels or min(self.levels) < 1:
            raise ValueError("each column has one category or more")
        counts = torch.tensor(self.levels).unsqueeze(1)  # (C, 1)
        beyond = torch.arange(max(self.levels)) >= counts  # (C, K)
        self.register_buffer(
            "pad", torch.zeros(beyond.shape).masked_fill(beyond, -torch.inf), persistent=False
        )

    def size(self, dim: int) -> int:
        return self.pad.numel()

    def features(self, dim: int) -> int:
        """How many numbers the columns are as one-hot vectors."""
        return sum(self.levels)

    def forward(self, params: Tensor) -> D.Distribution:
        return discrete.Categorical(params.unflatten(1, self.pad.shape) + self.pad)  # logits (N, C, K)

    def begin(self, mean: Tensor, weights: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """log p_k = log π_k + w_k z / π_k, the first order of log(π_k + w_k z)."""
        width = self.pad.shape[1]
        biases, maps = [], []
        for share, slope in zip(mean.split(self.levels), weights.split(self.levels), strict=True):
            share = share.clamp(min=1e-5)
            steep = (slope / share.unsqueeze(1)).clamp(-STEEPEST, STEEPEST)
            biases.append(torch.nn.functional.pad(share.log(), (0, width - len(share))))
            maps.append(torch.nn.functional.pad(steep, (0, 0, 0, width - len(share))))
        return torch.cat(biases), torch.cat(maps)


# a logit's change for one standard deviation of z: the expansion is no good far from its centre
STEEPEST = 2.0
