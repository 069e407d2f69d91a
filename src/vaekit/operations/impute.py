"""What was not observed, given what was: p(x_mis | x_obs) as a weighted mixture of p(x_mis | z_k).

    w_k ∝ p(x_obs, z_k) / q(z_k),  Σ_k w_k = 1,  z_k ~ q
    p(x_mis | x_obs) ≈ Σ_k w_k p(x_mis | z_k),  E[x_mis | x_obs] ≈ Σ_k w_k E[x_mis | z_k],  ESS = 1 / Σ_k w_k²

A third of the draws come from the encoder's q(z | x_obs), which may never have seen such holes or be told of none. The
others come from the Gaussian at the mode of p(z | x_obs), as it is and half as wide again (`laplace`), which asks the
decoder alone. q is the mixture of the three, so that each of them may be bad. Latents that have no such mode are drawn
from the encoder's q; where few draws carry all the weight, there are ten times as many.

Source: Mattei, Frellsen (2019), MIWAE: deep generative modelling and imputation of incomplete data sets,
arXiv:1812.02633; Veach, Guibas (1995), Optimally combining sampling techniques (the balance heuristic).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal, Normal

from vaekit.distributions import Noise, RowNoise, right
from vaekit.model import VAE, Pass, repeat
from vaekit.operations.laplace import laplace, movable

CHUNK, ROOM = 4_000, 1 << 24  # rows decoded at once, and values of them
PILOT = 100  # draws that say how many are needed
WIDE = 1.5  # posteriors of a nonlinear decoder have heavier tails than a Gaussian
LEAST, MORE = 50, 10  # where fewer draws would count, or a quarter of all, there are so many times as many


@dataclass(frozen=True)
class Conditional:
    """p(x | x_obs) of b data as mixtures of K members p(x | z_k), those of a datum side by side.

    Attributes:
        rows: (b,) which data.
        weight: (b, K) w_k, each row with the sum 1; float64.
        px: p(x | z), over (b·K, *shape).
    """

    rows: Tensor
    weight: Tensor
    px: Distribution

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
        """n members of each datum drawn with probability w_k, (b, n) places among the K, in an order drawn for each.

        One uniform number serves all n (systematic resampling): each member comes ⌊n w_k⌋ or ⌈n w_k⌉ times. It walks
        along the members, which lie by what proposed them: unshuffled, the first draws would all be of one proposal.

        Source: Kitagawa (1996), Monte Carlo filter and smoother for non-Gaussian nonlinear state space models.
        """
        edges = self.weight.cumsum(1)
        edges = edges / edges[:, -1:]
        start = noise.uniform((len(edges), 1), edges)
        marks = (torch.arange(n, dtype=edges.dtype) + start) / n  # (b, n)
        places = torch.searchsorted(edges, marks).clamp(max=edges.shape[1] - 1)
        return places.gather(1, noise.uniform(places.shape, edges).argsort(1))


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
        samples: K, at least 1.
        seed: Of the draws.
        keys: (B,) a key for each datum, so that its draws do not depend on its neighbours; its place by default.

    Yields:
        Mixtures of data that together are all, each once, in no fixed order. Where what was observed is so far off
        that it has no finite density, weights are NaN.

    Raises:
        ValueError: There are no draws, the codes are deterministic, or the likelihood couples its values, so that none
            can be left out.

    Example:
        >>> from vaekit import presets
        >>> from vaekit.data import Vectors
        >>> model, _ = presets.vae(Vectors(3), latent=2)
        >>> seen = torch.tensor([[True, False, True]])
        >>> [found] = conditionals(model.eval(), torch.zeros(1, 3), mask=seen, samples=50)
        >>> found.mean.shape, 1 <= float(found.effective) <= 50
        (torch.Size([1, 3]), True)
    """
    if samples < 1:
        raise ValueError(f"a mixture needs one draw or more, not {samples}")
    keys = torch.arange(len(x)) if keys is None else keys
    seen = torch.ones_like(x, dtype=torch.bool) if mask is None else mask.bool()
    has_mode = len(x) > 0 and movable(model, x[:1], None if c is None else c[:1], seen[:1])
    for rows in torch.arange(len(x)).split(CHUNK):
        own = None if c is None else c[rows]
        q = _proposal(model, x[rows], own, seen[rows]) if has_mode else None
        data = _Data(model, rows, x[rows], own, seen[rows], keys[rows], q, seed)
        pilot = torch.cat(
            [effective(log_weight) for _, _, log_weight in data.drawn(torch.arange(len(rows)), PILOT)]
        )
        few = pilot * samples / PILOT < min(LEAST, samples / 4)
        more = max(samples, min(MORE * samples, ROOM // x[0].numel()))
        for chosen, count in ((~few, samples), (few, more)):
            for part, px, log_weight in data.drawn(chosen.nonzero().flatten(), count):
                yield Conditional(rows[part], log_weight.softmax(1), px)


def effective(log_weight: Tensor) -> Tensor:
    """ESS of the weights whose logarithms, up to a constant, are (B, K): (B,).

    Example:
        >>> effective(torch.zeros(1, 8)), effective(torch.tensor([[0.0, -torch.inf]]))
        (tensor([8.]), tensor([1.]))
    """
    return 1 / log_weight.softmax(1).square().sum(1)


def _proposal(model: VAE, x: Tensor, c: Tensor | None, mask: Tensor) -> list[MultivariateNormal]:
    """What draws come from, in equal shares: about the mode, wider about it, and the encoder's q if it is Gaussian."""
    [latent] = model.posterior(x, c, mask)
    near, q = laplace(model, x, c, mask), latent.q
    about = [near, MultivariateNormal(near.loc, scale_tril=WIDE * near.scale_tril, validate_args=False)]
    if isinstance(q, Normal):
        loc, scale = q.loc.flatten(1), q.scale.expand_as(q.loc).flatten(1)
        return [*about, MultivariateNormal(loc, scale_tril=torch.diag_embed(scale), validate_args=False)]
    return [*about, q] if isinstance(q, MultivariateNormal) else about


@dataclass(frozen=True)
class _Data:
    """Some data, and what their draws come from: Gaussians in equal shares, or the encoder's q (None)."""

    model: VAE
    rows: Tensor
    x: Tensor
    c: Tensor | None
    mask: Tensor
    keys: Tensor
    q: list[MultivariateNormal] | None
    seed: int

    def drawn(self, rows: Tensor, samples: int) -> Iterator[tuple[Tensor, Distribution, Tensor]]:
        """Some data at a time: which, p(x | z_k) over (b·K, *shape), and log p(x_obs, z_k) − log q(z_k), (b, K)."""
        size = min(CHUNK, ROOM // self.x[0].numel()) // samples
        for part in rows.split(max(1, size)) if len(rows) else ():
            x, c, mask = self.x[part], None if self.c is None else self.c[part], self.mask[part]
            noise = RowNoise(self.seed, "impute", self.keys[part])
            if self.q is None:
                out = self.model(x, c, mask, samples, noise)
                yield part, out.px, out.log_weight.double().view(-1, samples)
                continue
            z, log_q = _from(self.q, part, samples, noise)
            x, c, mask = (repeat(t, samples) for t in (x, c, mask))
            state, [latent] = self.model.bottleneck(z=z.flatten(0, 1).unflatten(1, self.shape), c=c)
            out = Pass(x, self.model.likelihood(state, c), [latent], state, mask, c, samples=samples)
            joint = right(latent.log_p) - out.distortion
            yield part, out.px, joint.double().view(-1, samples) - log_q

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one code."""
        return tuple(
            self.model.encode(self.x[:1], None if self.c is None else self.c[:1], self.mask[:1]).shape[1:]
        )


def _from(every: list[MultivariateNormal], part: Tensor, samples: int, noise: Noise) -> tuple[Tensor, Tensor]:
    """Draws of some rows from each of the Gaussians, (b, K, L), and log of the density of their mixture, (b, K).

    Of fewer draws than there are Gaussians, the first ones give one each.
    """
    every = every[:samples]
    counts = [samples // len(every) + (i < samples % len(every)) for i in range(len(every))]
    loc = [q.loc[part].unsqueeze(1) for q in every]  # (b, 1, L)
    tril = [q.scale_tril[part].unsqueeze(1) for q in every]
    drawn = []
    for center, lower, count in zip(loc, tril, counts, strict=True):
        normal = noise.normal((len(part) * count, center.shape[2]), center).view(len(part), count, -1, 1)
        drawn.append(center + (lower @ normal).squeeze(3))
    z = torch.cat(drawn, 1)
    each = [
        MultivariateNormal(center, scale_tril=lower, validate_args=False).log_prob(z).double()
        + math.log(count / samples)
        for center, lower, count in zip(loc, tril, counts, strict=True)
    ]
    return z, torch.stack(each).logsumexp(0)
