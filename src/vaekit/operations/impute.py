"""What was not observed, given what was: p(x_mis | x_obs) as a weighted mixture of p(x_mis | z_k).

    w_k ∝ p(x_obs, z_k) / q(z_k),  Σ_k w_k = 1,  z_k ~ q
    p(x_mis | x_obs) ≈ Σ_k w_k p(x_mis | z_k),  E[x_mis | x_obs] ≈ Σ_k w_k E[x_mis | z_k],  ESS = 1 / Σ_k w_k²

q is the encoder's q(z | x_obs). Where few of its draws carry all the weight, because the encoder never saw such holes
or is told of none, q is the Gaussian at the mode of p(z | x_obs) (`laplace`), which asks the decoder alone; and
where few of these carry the weight too, there are ten times as many.

Source: Mattei, Frellsen (2019), MIWAE: deep generative modelling and imputation of incomplete data sets,
arXiv:1812.02633.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal

from vaekit.distributions import Noise, RowNoise, draw, right
from vaekit.model import VAE, Pass, repeat
from vaekit.operations.laplace import laplace, movable
from vaekit.operations.score import log_weights

CHUNK = 4_000  # rows decoded at once
PILOT, ENOUGH = 100, 0.5  # draws that try the encoder's q; the share of them that is to count
FEW, MORE = 0.05, 10  # of which less counts even then, has so many times as many draws


@dataclass(frozen=True)
class Conditional:
    """p(x | x_obs) of b data as mixtures of K members p(x | z_k), those of a datum side by side.

    Attributes:
        rows: (b,) which data.
        weight: (b, K) w_k, each row with the sum 1; float64.
        px: p(x | z), over (b·K, *shape).
        own: (b,) whether q was the encoder's own.
    """

    rows: Tensor
    weight: Tensor
    px: Distribution
    own: Tensor

    @property
    def effective(self) -> Tensor:
        """ESS = 1 / Σ w², (b,): as many equal draws would say as much."""
        return 1 / self.weight.square().sum(1)

    def expectation(self, values: Tensor) -> Tensor:
        """Σ_k w_k v_k of values of the members, (b·K, …) → (b, …)."""
        each = values.unflatten(0, self.weight.shape)  # (b, K, …)
        return torch.einsum("bk,bk...->b...", self.weight.to(each.dtype), each)

    @property
    def mean(self) -> Tensor:
        """E[x | x_obs] ≈ Σ w_k E[x | z_k], (b, *shape)."""
        return self.expectation(self.px.mean)

    def members(self, n: int, noise: Noise) -> Tensor:
        """n members of each datum drawn with probability w_k, (b, n) places among the K.

        One uniform number serves all n (systematic resampling): each member comes ⌊n w_k⌋ or ⌈n w_k⌉ times.

        Source: Kitagawa (1996), Monte Carlo filter and smoother for non-Gaussian nonlinear state space models.
        """
        edges = self.weight.cumsum(1)
        edges = edges / edges[:, -1:]
        start = noise.uniform((len(edges), 1), edges)
        marks = (torch.arange(n, dtype=edges.dtype) + start) / n  # (b, n)
        return torch.searchsorted(edges, marks).clamp(max=edges.shape[1] - 1)


@torch.no_grad()
def conditionals(
    model: VAE,
    x: Tensor,
    c: Tensor | None = None,
    mask: Tensor | None = None,
    samples: int = 1_000,
    seed: int = 0,
    keys: Tensor | None = None,
) -> Iterator[Conditional]:
    """p(x | x_obs) of every datum, some data at a time.

    Args:
        model: With a prior, and a likelihood that takes values one by one; in evaluation mode.
        x: (B, *shape) data in the model's space.
        c: (B, A) condition.
        mask: (B, *shape) true where observed; None where all is.
        samples: K.
        seed: Of the draws.
        keys: (B,) a key for each datum, so that its draws do not depend on its neighbours; its place by default.

    Yields:
        Mixtures of data that together are all, each once; in which order is not said.

    Raises:
        ValueError: The codes are deterministic, or the likelihood couples its values, so that none can be left out.

    Example:
        >>> from vaekit import presets
        >>> from vaekit.data import Vectors
        >>> model, _ = presets.vae(Vectors(3), latent=2)
        >>> seen = torch.tensor([[True, False, True]])
        >>> [found] = conditionals(model.eval(), torch.zeros(1, 3), mask=seen, samples=50)
        >>> found.mean.shape, 1 <= float(found.effective) <= 50
        (torch.Size([1, 3]), True)
    """
    keys = torch.arange(len(x)) if keys is None else keys
    seen = torch.ones_like(x, dtype=torch.bool) if mask is None else mask.bool()
    data = _Data(model, x, c, seen, seed, keys)
    pilot = log_weights(model, x, c, seen, PILOT, seed, keys)
    share = effective(pilot) / PILOT
    own = torch.ones(len(x), dtype=torch.bool)
    tried = (share < (ENOUGH if movable(model, *data.at(slice(0, 1))[:3]) else 0.0)).nonzero().flatten()
    for rows in tried.split(CHUNK):
        q = laplace(model, *data.at(rows)[:3])
        found = effective(data.log_weight(rows, q, PILOT)) / PILOT
        better = found > share[rows]
        share[rows] = torch.maximum(found, share[rows])
        own[rows[better]] = False
        for few in (False, True):
            of = better & ((share[rows] < FEW) == few)
            yield from data.mixtures(rows[of], _rows(q, of), samples * (MORE if few else 1))
    for few in (False, True):
        rows = (own & ((share < FEW) == few)).nonzero().flatten()
        yield from data.mixtures(rows, None, samples * (MORE if few else 1))


def effective(log_weight: Tensor) -> Tensor:
    """ESS of the weights whose logarithms, up to a constant, are (B, K): (B,).

    Example:
        >>> effective(torch.zeros(1, 8)), effective(torch.tensor([[0.0, -torch.inf]]))
        (tensor([8.]), tensor([1.]))
    """
    return 1 / log_weight.softmax(1).square().sum(1)


@dataclass(frozen=True)
class _Data:
    """A model and the data whose holes it is asked about."""

    model: VAE
    x: Tensor
    c: Tensor | None
    mask: Tensor
    seed: int
    keys: Tensor

    def at(self, rows: Tensor | slice) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
        """x, c, mask and keys of some rows."""
        c = None if self.c is None else self.c[rows]
        return self.x[rows], c, self.mask[rows], self.keys[rows]

    def passed(self, rows: Tensor, q: MultivariateNormal | None, samples: int) -> tuple[Pass, Tensor]:
        """K draws for each row from q, or from the encoder's: the pass, and log p(x_obs, z_k) − log q(z_k), (b, K)."""
        x, c, mask, keys = self.at(rows)
        noise = RowNoise(self.seed, "impute", keys)
        if q is None:
            out = self.model(x, c, mask, samples, noise)
            return out, out.log_weight.double().view(-1, samples)
        q = MultivariateNormal(
            repeat(q.loc, samples), scale_tril=repeat(q.scale_tril, samples), validate_args=False
        )
        z = draw(q, noise)[0]
        x, c, mask = (repeat(t, samples) for t in (x, c, mask))
        state, latents = self.model.bottleneck(z=z.view(-1, *self.latent), c=c)
        out = Pass(x, self.model.likelihood(state, c), latents, state, mask, c, samples=samples)
        surprise = -out.distortion + right(latents[0].log_p) - q.log_prob(z)
        return out, surprise.double().view(-1, samples)

    @property
    def latent(self) -> tuple[int, ...]:
        """Shape of one code."""
        code = self.model.encode(self.x[:1], None if self.c is None else self.c[:1], self.mask[:1])
        return tuple(code.shape[1:])

    def log_weight(self, rows: Tensor, q: MultivariateNormal, samples: int) -> Tensor:
        size = max(1, CHUNK // samples)
        parts = [slice(start, start + size) for start in range(0, len(rows), size)]
        return torch.cat([self.passed(rows[part], _rows(q, part), samples)[1] for part in parts])

    def mixtures(self, rows: Tensor, q: MultivariateNormal | None, samples: int) -> Iterator[Conditional]:
        size = max(1, CHUNK // samples)
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            out, log_weight = self.passed(rows[part], None if q is None else _rows(q, part), samples)
            own = torch.full((len(rows[part]),), q is None)
            yield Conditional(rows[part], log_weight.softmax(1), out.px, own)


def _rows(q: Any, part: slice | Tensor) -> MultivariateNormal:
    return MultivariateNormal(q.loc[part], scale_tril=q.scale_tril[part], validate_args=False)
