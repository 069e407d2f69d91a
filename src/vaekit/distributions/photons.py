"""Light that comes in photons: the noise of a camera where there is little of it, with a signal between 0 and white."""

from __future__ import annotations

from torch import Tensor, nn
from torch import distributions as D

from vaekit.distributions.counts import PoissonDistribution
from vaekit.distributions.noise import Noise
from vaekit.distributions.scales import positive
from vaekit.recipes import configurable

DARKEST = 1e-5  # of white: no signal is so dark that a photon there would be impossible


class PhotonDistribution(D.Distribution):
    """x = k / peak with k ~ Poisson(peak · s): a mass on the multiples of 1 / peak.

    Args:
        signal: s, of any shape, in units of white; what is below 10⁻⁵ counts as that.
        peak: Photons expected at white.

    Source: Foi, Trimeche, Katkovnik, Egiazarian (2008), Practical Poissonian-Gaussian noise modeling and fitting for
        single-image raw-data.

    Example:
        >>> import torch
        >>> light = PhotonDistribution(torch.tensor([0.1]), peak=10)
        >>> light.log_prob(torch.tensor([0.0])), light.mean, light.variance
        (tensor([-1.]), tensor([0.1000]), tensor([0.0100]))
    """

    arg_constraints: dict = {}  # noqa: RUF012
    has_rsample = False

    def __init__(self, signal: Tensor, peak: float) -> None:
        self.signal, self.peak = signal.clamp(min=DARKEST), peak
        self.counts = PoissonDistribution((self.signal * peak).log())
        super().__init__(signal.shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """log P(k = peak · x), elementwise; a value between two multiples of 1 / peak counts as the nearest."""
        return self.counts.log_prob((value * self.peak).round())

    def draw(self, noise: Noise) -> tuple[Tensor, None]:
        """One value each."""
        return self.counts.draw(noise)[0] / self.peak, None

    @property
    def mean(self) -> Tensor:
        return self.signal

    @property
    def variance(self) -> Tensor:
        return self.signal / self.peak


@configurable
class Photons(nn.Module):
    """Poisson noise of a known peak: the network gives the signal.

    Args:
        peak: Photons expected at white.
        initial: Signal where the network's output is zero.

    Example:
        >>> import torch
        >>> Photons(30.0)(torch.zeros(1, 1)).mean
        tensor([[0.2500]])
    """

    discrete = True

    def __init__(self, peak: float, initial: float = 0.25) -> None:
        super().__init__()
        self.peak, self.initial = peak, initial

    def size(self, dim: int) -> int:
        return dim

    def forward(self, params: Tensor) -> D.Distribution:
        return PhotonDistribution(positive(params, self.initial, DARKEST), self.peak)
