"""Noise carried to data along a velocity field: du/dt = v(u, t), from N(0, I) at t = 0 to p at t = 1."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch import distributions as D

from vaekit.distributions.noise import Noise, RowNoise, content_keys
from vaekit.distributions.reduce import center, tempered

EXACT = 8  # dimensions up to which the divergence is exact

Velocity = Callable[[Tensor, float], Tensor]
Probes = Callable[[], Tensor]


class Transported(D.Distribution):
    """p(u_1) where u_0 ~ N(0, τ² I) and du/dt = v(u, t).

        log p(u_1) = log N(u_0) − ∫ div v(u_t, t) dt

    The divergence is exact up to 8 dimensions. Beyond them it is measured along a random direction (Hutchinson),
    another one for every value and every time, so that log p is then an unbiased estimate of what the exact divergence
    gives. Its exponential is therefore too large in the mean, by half the variance of log p: an importance-sampled
    likelihood under it is no bound from below, but some tenths of a nat too high in 16 dimensions. The directions are
    made from the value itself, so that it is the same at every call, whatever stands beside it. Each value costs an
    integration, of half the steps.

    Args:
        velocity: (u (N, D), t) → (N, D).
        dim: D.
        steps: Steps of the classical Runge-Kutta method.
        rows: N, or None for one distribution whose rows are counted later.
        scale: τ.
        like: A tensor with the type and device of draws.

    Source: Chen, Rubanova, Bettencourt, Duvenaud (2018), arXiv:1806.07366; Grathwohl, Chen, Bettencourt, Sutskever,
        Duvenaud (2019), arXiv:1810.01367 (the stochastic divergence).
    """

    arg_constraints: dict = {}
    has_rsample = False

    def __init__(
        self,
        velocity: Velocity,
        dim: int,
        steps: int,
        rows: int | None = None,
        scale: float = 1.0,
        like: Tensor | None = None,
    ) -> None:
        self.velocity, self.dim, self.steps, self.rows, self.scale = velocity, dim, steps, rows, scale
        self.like = torch.zeros(()) if like is None else like
        batch = torch.Size(() if rows is None else (rows,))
        super().__init__(batch, torch.Size((dim,)), validate_args=False)

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> Transported:
        """The same distribution for so many rows."""
        return Transported(self.velocity, self.dim, self.steps, int(batch_shape[0]), self.scale, self.like)

    @torch.no_grad()
    def draw(self, noise: Noise) -> tuple[Tensor, None]:
        """One value for each row; no gradient follows it."""
        return self._carried(self.scale * noise.normal((self.rows or 1, self.dim), self.like)), None

    def _carried(self, u: Tensor) -> Tensor:
        for i in range(self.steps):
            u = u + _increment(self.velocity, u, i / self.steps, 1 / self.steps)
        return u

    def log_prob(self, value: Tensor) -> Tensor:
        """log p, (N, D) → (N,); no gradient follows it."""
        value = value.detach()
        probes = _probes(value)
        state = torch.cat([value, value.new_zeros(value.shape[0], 1)], 1)  # (N, D + 1): u and −∫ div
        steps = -(-self.steps // 2)
        for i in range(steps, 0, -1):
            state = state + _increment(self._with_divergence(probes), state, i / steps, -1 / steps)
        u, minus_integral = state[:, :-1], state[:, -1]
        log_scale = 0.5 * math.log(2 * math.pi) + math.log(self.scale)
        return minus_integral - 0.5 * (u / self.scale).square().sum(1) - self.dim * log_scale

    def _with_divergence(self, probes: Probes) -> Velocity:
        """The field of u and of its volume: v and div v, (N, D + 1)."""
        return lambda state, t: _velocity_and_divergence(self.velocity, state[:, :-1], t, probes())

    @property
    def mean(self) -> Tensor:
        """The centre of the noise, carried along."""
        with torch.no_grad():
            return self._carried(self.like.new_zeros(self.rows or 1, self.dim)).view(
                *self.batch_shape, self.dim
            )


@center.register
def _(d: Transported) -> Tensor:
    return d.mean


@tempered.register
def _(p: Transported, temperature: float) -> D.Distribution:
    """The same field from narrower or wider noise."""
    return (
        p
        if temperature == 1
        else Transported(p.velocity, p.dim, p.steps, p.rows, p.scale * temperature, p.like)
    )


def _increment(field: Velocity, u: Tensor, t: float, step: float) -> Tensor:
    """One step of the classical Runge-Kutta method."""
    a = field(u, t)
    b = field(u + step / 2 * a, t + step / 2)
    c = field(u + step / 2 * b, t + step / 2)
    d = field(u + step * c, t + step)
    return step / 6 * (a + 2 * b + 2 * c + d)


def _probes(value: Tensor) -> Probes:
    """Directions e with E[e eᵀ] = I, (P, N, D): the axes √D e_d up to 8 dimensions, else one of random signs."""
    dim = value.shape[1]
    if dim <= EXACT:
        axes = math.sqrt(dim) * torch.eye(dim, device=value.device, dtype=value.dtype).unsqueeze(1)
        return lambda: axes.expand(dim, value.shape[0], dim)
    noise = RowNoise(0, "probes", content_keys(value))
    return lambda: (noise.uniform(value.shape, value) - 0.5).sign().unsqueeze(0)


def _velocity_and_divergence(field: Velocity, u: Tensor, t: float, probes: Tensor) -> Tensor:
    """v and the mean of eᵀ (∂v/∂u) e over probes e (P, N, D): (N, D + 1)."""
    with torch.enable_grad():
        u = u.detach().requires_grad_()
        v = field(u, t)
        along = [torch.autograd.grad((v * e).sum(), u, retain_graph=True)[0] * e for e in probes]
    divergence = torch.stack(along).sum(2).mean(0)  # (N,)
    return torch.cat([v, divergence.unsqueeze(1)], 1).detach()
