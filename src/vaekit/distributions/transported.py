"""Noise carried to data along a velocity field: du/dt = v(u, t), from N(0, I) at t = 0 to p at t = 1."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch import distributions as D

from vaekit.distributions.noise import Noise
from vaekit.distributions.reduce import center, tempered

EXACT, PROBES = 8, 4  # dimensions up to which the divergence is exact; directions in which it is measured beyond

Velocity = Callable[[Tensor, float], Tensor]


class Transported(D.Distribution):
    """p(u_1) where u_0 ~ N(0, τ² I) and du/dt = v(u, t).

        log p(u_1) = log N(u_0) − ∫ div v(u_t, t) dt

    The divergence is exact up to 8 dimensions and beyond them the mean over 4 fixed random directions (Hutchinson), so
    that log p is then an estimate, the same at every call. Each value costs an integration, of half the steps.

    Args:
        velocity: (u (N, D), t) → (N, D).
        dim: D.
        steps: Steps of the classical Runge-Kutta method.
        rows: N, or None for one distribution whose rows are counted later.
        scale: τ.

    Source: Chen, Rubanova, Bettencourt, Duvenaud (2018), arXiv:1806.07366; Grathwohl, Chen, Bettencourt, Sutskever,
        Duvenaud (2019), arXiv:1810.01367 (the stochastic divergence).
    """

    arg_constraints: dict = {}
    has_rsample = False

    def __init__(
        self, velocity: Velocity, dim: int, steps: int, rows: int | None = None, scale: float = 1.0
    ) -> None:
        self.velocity, self.dim, self.steps, self.rows, self.scale = velocity, dim, steps, rows, scale
        batch = torch.Size(() if rows is None else (rows,))
        super().__init__(batch, torch.Size((dim,)), validate_args=False)

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> Transported:
        """The same distribution for so many rows."""
        return Transported(self.velocity, self.dim, self.steps, int(batch_shape[0]), self.scale)

    @torch.no_grad()
    def draw(self, noise: Noise) -> tuple[Tensor, None]:
        """One value for each row; no gradient follows it."""
        return self._carried(self.scale * noise.normal((self.rows or 1, self.dim))), None

    def _carried(self, u: Tensor) -> Tensor:
        for i in range(self.steps):
            u = u + _increment(self.velocity, u, i / self.steps, 1 / self.steps)
        return u

    def log_prob(self, value: Tensor) -> Tensor:
        """log p, (N, D) → (N,); no gradient follows it."""
        probes = _probes(self.dim).to(value)
        state = torch.cat([value.detach(), value.new_zeros(len(value), 1)], 1)  # (N, D + 1): u and ∫ div
        steps = -(-self.steps // 2)
        for i in range(steps, 0, -1):
            back = lambda s, t: _with_divergence(self.velocity, s[:, :-1], t, probes)  # noqa: E731
            state = state + _increment(back, state, i / steps, -1 / steps)
        u, integral = state[:, :-1], -state[:, -1]  # integrated from 1 back to 0
        log_base = -0.5 * (u / self.scale).square().sum(1) - self.dim * (
            0.5 * math.log(2 * math.pi) + math.log(self.scale)
        )
        return log_base - integral

    @property
    def mean(self) -> Tensor:
        """The centre of the noise, carried along."""
        with torch.no_grad():
            return self._carried(torch.zeros(self.rows or 1, self.dim)).view(*self.batch_shape, self.dim)


@center.register
def _(d: Transported) -> Tensor:
    return d.mean


@tempered.register
def _(p: Transported, temperature: float) -> D.Distribution:
    """The same field from narrower or wider noise."""
    return p if temperature == 1 else Transported(p.velocity, p.dim, p.steps, p.rows, p.scale * temperature)


def _increment(field: Velocity, u: Tensor, t: float, step: float) -> Tensor:
    """One step of the classical Runge-Kutta method."""
    a = field(u, t)
    b = field(u + step / 2 * a, t + step / 2)
    c = field(u + step / 2 * b, t + step / 2)
    d = field(u + step * c, t + step)
    return step / 6 * (a + 2 * b + 2 * c + d)


def _probes(dim: int) -> Tensor:
    """Directions e with the mean of e eᵀ near I, (P, D): the axes √D e_d, or fixed random signs."""
    if dim <= EXACT:
        return math.sqrt(dim) * torch.eye(dim)
    return Noise(0, "probes").normal((PROBES, dim)).sign()


def _with_divergence(field: Velocity, u: Tensor, t: float, probes: Tensor) -> Tensor:
    """v and its divergence, (N, D + 1)."""
    with torch.enable_grad():
        u = u.detach().requires_grad_()
        v = field(u, t)
        inner = torch.zeros(len(u), device=u.device, dtype=u.dtype)
        for probe in probes:
            (along,) = torch.autograd.grad((v * probe).sum(), u, retain_graph=True)
            inner = inner + (along * probe).sum(1)
    return torch.cat([v, (inner / len(probes)).unsqueeze(1)], 1).detach()
