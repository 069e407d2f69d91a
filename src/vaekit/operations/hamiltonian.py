"""Hamiltonian moves of many chains at once, each with a step size of its own.

H(z, v) = −log π(z) + ½ |v|²: a chain rolls along the level of H, and arrives where π is as it should be.

Source: Duane, Kennedy, Pendleton, Roweth (1987), Hybrid Monte Carlo; Neal (2011), arXiv:1206.1901.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vaekit.distributions import Noise, right

WANTED = 0.65  # share of moves accepted at which a unit of computing moves farthest (Neal 2011, §4.4)
GAIN = 0.3  # by how much log ε follows one temperature's acceptance
SHORTEST = 0.1  # share of its step size that a chain takes at the least
FIRST = 0.5  # ε before anything is known, in standard deviations of z


@dataclass(frozen=True)
class Place:
    """Where chains are.

    Attributes:
        z: (N, *latent)
        start: (N,) log q₀(z).
        joint: (N,) log p(x, z).
    """

    z: Tensor
    start: Tensor
    joint: Tensor

    def log_density(self, beta: float) -> Tensor:
        """log π_β(z), (N,), up to a constant."""
        return (1 - beta) * self.start + beta * self.joint


class Target(ABC):
    """What chains move in: log π_β(z) = (1 − β) log q₀(z) + β log p(x, z)."""

    @abstractmethod
    def densities(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """log q₀(z) and log p(x, z): (N, *latent) → (N,), (N,)."""

    @abstractmethod
    def scale(self, beta: float) -> Tensor:
        """About how far z goes in each dimension, (N, *latent); steps are measured in it."""

    def place(self, z: Tensor) -> Place:
        """The place of z."""
        return Place(z, *self.densities(z))

    def slope(self, z: Tensor, beta: float) -> tuple[Place, Tensor]:
        """The place of z, and ∂ log π_β / ∂z there."""
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            place = self.place(z)
            (slope,) = torch.autograd.grad(place.log_density(beta).sum(), z)
        return Place(z.detach(), place.start.detach(), place.joint.detach()), slope


def leapfrog(
    target: Target, z: Tensor, velocity: Tensor, beta: float, size: Tensor, steps: int
) -> tuple[Place, Tensor]:
    """Roll for some steps: half a kick, a drift, half a kick. It can be reversed, and keeps volumes.

    Args:
        target: What the chains move in.
        z, velocity: (N, *latent); velocities in units of the target's scale.
        beta: Temperature.
        size: (N,) step size ε, in units of the scale.
        steps: How many.

    Returns:
        The place reached, and the velocity there.
    """
    scale = target.scale(beta)
    stride = size.view(-1, *(1,) * (z.dim() - 1)).to(z.dtype)
    place, slope = target.slope(z, beta)
    for _ in range(steps):
        velocity = velocity + 0.5 * stride * scale * slope
        place, slope = target.slope(place.z + stride * scale * velocity, beta)
        velocity = velocity + 0.5 * stride * scale * slope
    return place, velocity


def move(
    target: Target, place: Place, beta: float, size: Tensor, steps: int, noise: Noise
) -> tuple[Place, Tensor]:
    """One Hamiltonian move, accepted with probability min(1, e^{−ΔH}): π_β stays as it is.

    Each chain takes its step size, or at random one up to ten times shorter, so that chains are not caught where π is
    steep, nor return to where they began.

    Returns:
        The place after it, and the probability with which each chain's move was accepted, (N,).
    """
    velocity = noise.normal(place.z.shape, place.z)
    shorter = SHORTEST ** noise.uniform((len(place.z), 1), size).squeeze(1).pow(3)
    reached, last = leapfrog(target, place.z, velocity, beta, size * shorter, steps)
    gained = reached.log_density(beta) - place.log_density(beta)
    gained = gained - 0.5 * (right(last.square()) - right(velocity.square()))
    gained = torch.nan_to_num(gained, nan=-torch.inf, posinf=torch.inf)  # what has no density is not entered
    accepted = noise.uniform((len(gained), 1), gained).squeeze(1).log() < gained
    return _chosen(accepted, reached, place), gained.clamp(max=0).exp()


def tuned(
    target: Target, z: Tensor, betas: Sequence[float], steps: int, noise: Noise, chains: int
) -> list[Tensor]:
    """Step sizes for each temperature, found by chains that serve for nothing else.

    Args:
        target: What they move in.
        z: (N, *latent) where they begin, N = B × chains.
        betas: Temperatures.
        steps: Leapfrog steps of a move.
        noise: Of these chains.
        chains: For each datum; those of a datum share a step size.

    Returns:
        (B,) for each temperature.
    """
    place, sizes = target.place(z), []
    size = torch.full((len(z) // chains,), FIRST, device=z.device, dtype=torch.float64)
    for beta in betas:
        sizes.append(size)
        place, accepted = move(target, place, beta, size.repeat_interleave(chains), steps, noise)
        size = size * (GAIN * (accepted.view(-1, chains).double().mean(1) - WANTED)).exp()
    return sizes


def _chosen(accepted: Tensor, new: Place, old: Place) -> Place:
    column = accepted.view(-1, *(1,) * (old.z.dim() - 1))
    return Place(
        torch.where(column, new.z, old.z),
        torch.where(accepted, new.start, old.start),
        torch.where(accepted, new.joint, old.joint),
    )
