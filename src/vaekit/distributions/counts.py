"""Counts 0, 1, 2, …: Poisson and negative binomial, as distributions and as families.

log x! and its relatives grow like x log x, and a difference of such numbers keeps no digits. Here they never meet: each
mass is a deviance, which is zero where the mean is the count itself, and a remainder of Stirling's formula.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch import distributions as D
from torch.nn import functional

from vaekit.distributions.noise import Noise
from vaekit.recipes import configurable

LINEAR = 20.0  # a logarithm up to here is taken as it is: e²⁰ is 5 · 10⁸
STIRLING = 16.0  # from here on, four terms of the series have every digit of a float64
# above this mean three terms give the quantile, but for one more or less, once in a thousand times
NORMAL = 1e6


class PoissonDistribution(D.Distribution):
    """p(x) = λˣ e^{−λ} / x!, with as many digits at λ = 10⁸ as at 10⁻¹⁰.

    Args:
        log_rate: log λ, of any shape.

    Source: Loader (2000), Fast and accurate computation of binomial probabilities (the saddle-point form).

    Example:
        >>> PoissonDistribution(torch.zeros(1)).log_prob(torch.tensor([0.0]))
        tensor([-1.])
    """

    arg_constraints: dict = {}
    has_rsample = False

    def __init__(self, log_rate: Tensor) -> None:
        self.log_rate = log_rate
        super().__init__(log_rate.shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(x) of whole numbers x from 0 on, elementwise; what is not a number stays so."""
        x, r = torch.broadcast_tensors(value.to(self.log_rate.dtype), self.log_rate)
        seen, [x, r_seen] = _seen(x, r)
        terms = -x * deviance(x.log() - r_seen) - remainder(x)
        return _replaced(-r.exp(), seen, terms)

    def draw(self, noise: Noise) -> tuple[Tensor, None]:
        """One count for each value, by inversion: a number of the noise for each."""
        u = _uniform(noise, self.log_rate)
        return torch.from_numpy(poisson_quantile(u, _exp(self.log_rate))).to(self.log_rate), None

    @property
    def mean(self) -> Tensor:
        return self.log_rate.exp()

    @property
    def variance(self) -> Tensor:
        return self.log_rate.exp()


class NegativeBinomialDistribution(D.Distribution):
    """A Poisson count whose rate is itself drawn, from a gamma distribution with mean μ and shape θ.

        p(x) = Γ(x + θ) / (x! Γ(θ)) · (μ / (μ + θ))ˣ (θ / (μ + θ))^θ,   variance μ + μ² / θ

    θ → ∞ is the Poisson distribution; θ → 0 is ever wider.

    Args:
        log_mean: log μ, of any shape.
        log_inverse_dispersion: log θ, broadcastable to it.

    Source: Loader (2000), Fast and accurate computation of binomial probabilities (the saddle-point form).

    Example:
        >>> d = NegativeBinomialDistribution(torch.zeros(1), torch.zeros(1))  # geometric: ½, ¼, ⅛, …
        >>> d.log_prob(torch.tensor([2.0])).exp()
        tensor([0.1250])
    """

    arg_constraints: dict = {}
    has_rsample = False

    def __init__(self, log_mean: Tensor, log_inverse_dispersion: Tensor) -> None:
        self.log_mean, self.log_inverse_dispersion = log_mean, log_inverse_dispersion
        super().__init__(log_mean.shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(x) of whole numbers x from 0 on, elementwise; what is not a number stays so."""
        value = value.to(self.log_mean.dtype)
        x, m, t = torch.broadcast_tensors(value, self.log_mean, self.log_inverse_dispersion)
        seen, parts = _seen(x, m, t)
        return _replaced(_log_none(m, self.log_inverse_dispersion), seen, _log_some(*parts))

    def draw(self, noise: Noise) -> tuple[Tensor, None]:
        """One count for each value: a gamma quantile, then a Poisson quantile; two numbers of the noise."""
        from scipy import special

        mean, shape = _exp(self.log_mean), _exp(self.log_inverse_dispersion.expand_as(self.log_mean))
        factor = special.gammaincinv(shape, _uniform(noise, self.log_mean)) / shape  # of mean 1
        rate = mean * factor
        u = _uniform(noise, self.log_mean)
        return torch.from_numpy(poisson_quantile(u, rate)).to(self.log_mean), None

    @property
    def mean(self) -> Tensor:
        return self.log_mean.exp()

    @property
    def variance(self) -> Tensor:
        return self.mean * (1 + (self.log_mean - self.log_inverse_dispersion).exp())


def _seen(x: Tensor, *others: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Places of all x but 0, and what stands there: of sparse counts a few, and only these need logarithms."""
    places = x.reshape(-1).nonzero().squeeze(1)
    return places, [each.reshape(-1).index_select(0, places) for each in (x, *others)]


def _replaced(terms: Tensor, places: Tensor, some: Tensor) -> Tensor:
    return terms.reshape(-1).index_copy(0, places, some).view(terms.shape)


def _log_none(m: Tensor, t: Tensor) -> Tensor:
    """log p(0) = −θ log(1 + μ/θ)."""
    return -t.exp() * _softplus(m - t)


def _log_some(x: Tensor, m: Tensor, t: Tensor) -> Tensor:
    """log p(x) for x > 0: x and θ are the parts of n = x + θ, expected to be nμ/(μ + θ) and nθ/(μ + θ)."""
    log_x, theta = x.log(), t.exp()
    above = _softplus(t - m) - _softplus(t - log_x)  # log of x by what is expected of it
    below = _softplus(m - t) - _softplus(log_x - t)  # log of θ by what is expected of it
    terms = x * deviance(above) + theta * deviance(below) + _softplus(log_x - t)
    return remainder(x + theta) - remainder(theta) - remainder(x) - terms


def deviance(d: Tensor) -> Tensor:
    """e^{−d} − 1 + d, never negative: how far a count is from its mean, in units of the count, if d is log(x / mean).

    Example:
        >>> deviance(torch.tensor([0.0, 1.0]))
        tensor([0.0000, 0.3679])
    """
    series = d.square() * (0.5 - d / 6 + d.square() * (1 / 24 - d / 120 + d.square() / 720))
    return torch.where(d.abs() < 1e-2, series, torch.expm1(-d) + d)


def remainder(y: Tensor) -> Tensor:
    """log Γ(y + 1) − y log y + y for y > 0: what Stirling's first two terms leave over.

    Example:
        >>> remainder(torch.tensor([1.0]))
        tensor([1.])
    """
    large = y >= STIRLING
    some = torch.where(large, torch.ones_like(y), y)  # whose gradient too is selected away
    many = torch.where(large, y, torch.full_like(y, STIRLING))
    inverse = 1 / many.square()
    series = (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse / 1680))) / many
    exact = torch.lgamma(some + 1) - some * some.log() + some
    return torch.where(large, 0.5 * (2 * math.pi * many).log() + series, exact)


def poisson_quantile(u: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """The smallest x with P(X ≤ x) ≥ u, for X a Poisson count.

    Args:
        u: Numbers in (0, 1).
        rate: Means from 0 on, of the same shape.

    Returns:
        Whole numbers as float64.

    Example:
        >>> poisson_quantile(np.array([0.3, 0.5]), np.array([1.0, 1.0]))
        array([0., 1.])
    """
    from scipy import special

    z = special.ndtri(u)
    near = rate + np.sqrt(rate) * z + (z * z - 1) / 6  # Cornish, Fisher (1938)
    found = np.rint(np.maximum(near, 0.0))
    some = rate < NORMAL  # beyond, SciPy's own sums lose the tails
    found[some] = _search(u[some], rate[some], found[some])
    return found


def _search(u: np.ndarray, rate: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The quantile between two bounds that are moved apart until it is between them, then halved together."""
    from scipy import special

    low, high, width = start - 1, start.copy(), np.ones_like(start)
    while (wide := (low >= 0) & (special.pdtr(np.maximum(low, 0), rate) >= u)).any():
        low, width = np.where(wide, low - width, low), width * 2
    width = np.ones_like(start)
    low = np.maximum(low, -1.0)
    while (short := special.pdtr(high, rate) < u).any():
        high, width = np.where(short, high + width, high), width * 2
    while (apart := high - low > 1).any():
        middle = np.floor((low + high) / 2)
        reached = special.pdtr(np.maximum(middle, 0), rate) >= u
        high = np.where(apart & reached, middle, high)
        low = np.where(apart & ~reached, middle, low)
    return high


def _softplus(t: Tensor) -> Tensor:
    """log(1 + eᵗ); torch's own threshold of 20 would cost digits of a float64."""
    return functional.softplus(t, threshold=50)


def _uniform(noise: Noise, like: Tensor) -> np.ndarray:
    """Numbers in (0, 1) in float64 whatever the model computes in: a quantile's tail needs their digits."""
    return noise.uniform(like.shape, torch.zeros((), dtype=torch.float64)).numpy()


def _exp(log_values: Tensor) -> np.ndarray:
    return log_values.detach().cpu().double().exp().numpy()


def bounded(log_value: Tensor) -> Tensor:
    """A network's logarithm as it is up to 20, then growing as its own logarithm: e to it is always finite.

    Example:
        >>> bounded(torch.tensor([-30.0, 3.0, 1e6]))
        tensor([-30.0000,   3.0000,  33.8155])
    """
    return torch.where(log_value > LINEAR, LINEAR + (log_value - LINEAR).clamp(min=0).log1p(), log_value)


@configurable
class Poisson(nn.Module):
    """Counts whose variance is their mean; a parameter is a log-mean.

    Example:
        >>> Poisson()(torch.zeros(1, 3)).mean
        tensor([[1., 1., 1.]])
    """

    discrete = True

    def size(self, dim: int) -> int:
        return dim

    def forward(self, params: Tensor) -> PoissonDistribution:
        return PoissonDistribution(bounded(params))


@configurable
class NegativeBinomial(nn.Module):
    """Counts that vary more than Poisson counts: variance μ + μ² / θ; parameters are log-means, and perhaps log θ.

    Args:
        dim: Number of values with a learned inverse dispersion θ each, the same for all items; None lets the network
            predict one for each item and value.
        initial: θ where learning begins, one for all or one for each of the `dim` values. The default is narrow: what
            varies beyond it is left for the latent to explain first.

    Raises:
        ValueError: There is not one `initial` for each value, or one is not above 0.

    Source: Lopez, Regier, Cole, Jordan, Yosef (2018), Deep generative modeling for single-cell transcriptomics.

    Example:
        >>> NegativeBinomial().size(5), NegativeBinomial(5).size(5)
        (10, 5)
    """

    discrete = True

    def __init__(self, dim: int | None = None, initial: float | Sequence[float] = 10.0) -> None:
        super().__init__()
        starts = [float(initial)] if isinstance(initial, int | float) else [float(each) for each in initial]
        if len(starts) not in (1, dim) or not all(0 < each < math.inf for each in starts):
            raise ValueError("initial is one number above 0, or one for each of the dim values")
        self.dim = dim
        self.initial = starts[0] if isinstance(initial, int | float) else starts
        start = torch.tensor(starts, dtype=torch.float64).log().float()
        self.raw = None if dim is None else nn.Parameter(start.repeat(dim // len(starts)))
        self._start = 0.0 if dim is not None else math.log(starts[0])

    def size(self, dim: int) -> int:
        return 2 * dim if self.raw is None else dim

    def forward(self, params: Tensor) -> NegativeBinomialDistribution:
        if self.raw is None:
            log_mean, log_inverse = params.chunk(2, 1)
            log_inverse = log_inverse + self._start
        else:
            log_mean = params
            log_inverse = self.raw.view(-1, *[1] * (params.dim() - 2)).to(params.dtype)  # (dim, 1, …)
        return NegativeBinomialDistribution(bounded(log_mean), -bounded(-bounded(log_inverse)))
