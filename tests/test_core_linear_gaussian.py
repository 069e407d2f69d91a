"""A linear-Gaussian VAE is probabilistic PCA, whose log p(x) is known exactly.

    z ~ N(0, I),  x | z ~ N(W z + b, σ² I)
    ⇒  x ~ N(b, W Wᵀ + σ² I),  z | x ~ N(M⁻¹ Wᵀ (x − b), σ² M⁻¹),  M = Wᵀ W + σ² I

Source: Tipping, Bishop (1999), Probabilistic principal component analysis.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch import nn

from vaekit.bottlenecks import Variational
from vaekit.conditional import Conditional
from vaekit.distributions import Fixed, FullGaussian, Gaussian, Noise, Optimal, Shared
from vaekit.model import VAE
from vaekit.objectives import Distortion, Rate
from vaekit.priors import StandardNormal
from vaekit.training import Adam, fit

D, LATENT, SIGMA = 6, 2, 0.6


class Cubature(Noise):
    """2K points ±√K eᵢ in place of draws: for K dimensions they integrate every quadratic against N(0, I) exactly."""

    def __init__(self) -> None:
        super().__init__(0)

    def normal(self, shape, like=None):
        k = shape[1]
        points = math.sqrt(k) * torch.cat([torch.eye(k), -torch.eye(k)]).to(like.dtype)
        return points.repeat(shape[0] // (2 * k), 1)


def inverse_positive(scale: np.ndarray, floor: float) -> np.ndarray:
    """What the network must say for this scale, where 0 stands for 1."""
    return np.log(np.expm1((scale - floor) * math.log(2) / (1 - floor)))


def weights(rng, orthogonal: bool) -> tuple[np.ndarray, np.ndarray]:
    w = rng.normal(size=(D, LATENT))
    if orthogonal:
        w = np.linalg.qr(w)[0] * np.array([1.7, 0.8])
    return w, rng.normal(size=D)


def exact(w: np.ndarray, b: np.ndarray, full: bool, widened: float = 1.0, shift: float = 0.0) -> VAE:
    """The model with its own exact posterior; widened and shifted on request."""
    m = np.linalg.inv(w.T @ w + SIGMA**2 * np.eye(LATENT))
    lower = np.linalg.cholesky(SIGMA**2 * m) * widened
    family = FullGaussian() if full else Gaussian()
    head, decoder = nn.Linear(D, family.size(LATENT)), nn.Linear(LATENT, D)
    gain = np.zeros((family.size(LATENT), D))
    gain[:LATENT] = m @ w.T
    offset = np.zeros(family.size(LATENT))
    offset[:LATENT] = -m @ w.T @ b + shift
    if full:
        raw = lower.copy()
        raw[np.diag_indices(LATENT)] = inverse_positive(np.diag(lower), 1e-4)
        offset[LATENT:] = raw[np.tril_indices(LATENT)]
    else:
        offset[LATENT:] = inverse_positive(np.diag(lower), 1e-4)
    model = VAE(
        nn.Identity(),
        Variational(Conditional(head, family), StandardNormal(LATENT)),
        Conditional(decoder, Gaussian(Fixed(SIGMA))),
    ).double()
    with torch.no_grad():
        for layer, matrix, bias in ((head, gain, offset), (decoder, w, b)):
            layer.weight.copy_(torch.tensor(matrix))
            layer.bias.copy_(torch.tensor(bias))
    return model


def marginal(w: np.ndarray, b: np.ndarray, x: np.ndarray, sigma: float = SIGMA) -> np.ndarray:
    return stats.multivariate_normal(b, w @ w.T + sigma**2 * np.eye(len(b))).logpdf(x)


@pytest.mark.parametrize("full", [True, False], ids=["full", "diagonal"])
@torch.no_grad()
def test_with_the_exact_posterior_the_elbo_is_log_p(full, rng) -> None:
    w, b = weights(rng, orthogonal=not full)
    x = rng.normal(size=(20, D)) * 2
    model, truth = exact(w, b, full), marginal(w, b, x)
    out = model(torch.tensor(x), samples=2 * LATENT, noise=Cubature())
    elbo = -(out.distortion + out.rate).view(20, -1).mean(1)  # the distortion is quadratic in z
    np.testing.assert_allclose(elbo, truth, atol=1e-5)
    # and every single draw's weight is p(x) itself
    weight = model(torch.tensor(x), samples=3, noise=Noise(0)).log_weight
    np.testing.assert_allclose(weight.view(20, 3), np.repeat(truth[:, None], 3, 1), atol=1e-5)


@torch.no_grad()
def test_with_another_posterior_the_elbo_is_log_p_less_the_divergence(rng) -> None:
    w, b = weights(rng, orthogonal=False)
    x = rng.normal(size=(20, D)) * 2
    model = exact(w, b, full=True, widened=1.4, shift=0.3)
    out = model(torch.tensor(x), samples=2 * LATENT, noise=Cubature())
    elbo = -(out.distortion + out.rate).view(20, -1).mean(1).numpy()
    precision = (w.T @ w + SIGMA**2 * np.eye(LATENT)) / SIGMA**2
    shift = np.full(LATENT, 0.3)
    divergence = 0.5 * (LATENT * 1.4**2 + shift @ precision @ shift - LATENT) - LATENT * math.log(1.4)
    np.testing.assert_allclose(elbo, marginal(w, b, x) - divergence, atol=1e-5)


@pytest.mark.parametrize("full", [True, False], ids=["full", "diagonal"])
@torch.no_grad()
def test_importance_sampling_estimates_p_without_bias(full, rng) -> None:
    """Of p, not of log p, whose estimate is biased; q is 1.5 times as wide as the posterior."""
    w, b = weights(rng, orthogonal=False)
    x = rng.normal(size=(40, D)) * 1.5
    if full:
        model = exact(w, b, True, widened=1.5)
    else:  # wider than the posterior in every direction, though it cannot follow its tilt
        model = exact(w, b, False, widened=1.5)
        spread = math.sqrt(
            np.linalg.eigvalsh(SIGMA**2 * np.linalg.inv(w.T @ w + SIGMA**2 * np.eye(LATENT)))[-1]
        )
        model.bottleneck.posterior.net.bias[LATENT:] = torch.tensor(
            inverse_positive(np.array(1.5 * spread), 1e-4)
        )
    log_weight = model(torch.tensor(x), samples=3000, noise=Noise(1)).log_weight.view(40, -1).numpy()
    ratio = np.exp(log_weight - marginal(w, b, x)[:, None])
    error = ratio.std(1) / math.sqrt(ratio.shape[1])
    assert (error > 1e-3).all() and (np.abs(ratio.mean(1) - 1) < 4 * error).all()


@torch.no_grad()
def test_more_importance_samples_never_lower_the_bound(rng) -> None:
    """E[IWAE(K)] is the ELBO for K = 1, rises with K, and tends to log p(x) from below; draws of each K are its own."""
    w, b = weights(rng, orthogonal=False)
    x = torch.tensor(rng.normal(size=(10, D)))
    model, truth = exact(w, b, True, widened=2.0, shift=0.4), float(marginal(w, b, x.numpy()).mean())
    found, errors, repeats = [], [], 800
    for k in (1, 2, 8, 64):
        repeats = max(40, 1600 // k)
        weight = model(x, samples=k * repeats, noise=Noise(2, "iwae", k)).log_weight.view(10, repeats, k)
        bound = special.logsumexp(weight.numpy(), axis=2) - math.log(k)
        found.append(bound.mean())
        errors.append(bound.mean(0).std() / math.sqrt(repeats))
    out = model(x, samples=2 * LATENT, noise=Cubature())
    elbo = -float((out.distortion + out.rate).mean())
    assert abs(found[0] - elbo) < 4 * errors[0]
    assert elbo < truth - 0.5
    for i in range(3):
        assert found[i + 1] > found[i] + 2 * math.hypot(errors[i], errors[i + 1])  # here it rises strictly
    assert truth - 0.05 < found[-1] < truth + 4 * errors[-1]


@pytest.mark.parametrize(
    ("scale", "full"),
    [(Shared, False), (Optimal, False), (Optimal, True)],
    ids=["shared", "optimal", "optimal-full"],
)
def test_training_reaches_the_optimum_of_probabilistic_pca(scale, full) -> None:
    """From random weights to within half a per cent of the largest likelihood that any W, b, σ have."""
    rng = np.random.default_rng(5)
    n, d, k = 128, 5, 2
    x = (
        rng.normal(size=(n, k)) @ (rng.normal(size=(k, d)) * 2)
        + 0.5 * rng.normal(size=(n, d))
        + rng.normal(size=d)
    )
    values = np.sort(np.linalg.eigvalsh(np.cov(x.T, bias=True)))[::-1]  # divided by n: the largest likelihood
    variance = values[k:].mean()
    best = -n / 2 * (d * math.log(2 * math.pi) + np.log(values[:k]).sum() + (d - k) * math.log(variance) + d)

    torch.manual_seed(0)
    family = FullGaussian() if full else Gaussian()
    model = VAE(
        nn.Identity(),
        Variational(Conditional(nn.Linear(d, family.size(k)), family), StandardNormal(k)),
        Conditional(nn.Linear(k, d), Gaussian(scale())),
    )
    data = torch.tensor(x, dtype=torch.float32).repeat(4, 1)  # four draws for each row a step
    fit(
        model, Distortion() + Rate(), data, steps=1500, batch_size=len(data), optimizer=Adam(0.03, betas=(0.9, 0.99)),
        decay=lambda fraction: (1 - fraction) ** 2 + 1e-3,
    )  # fmt: skip
    with torch.no_grad():
        net = model.decoder.net
        sigma = float(model.decoder(torch.zeros(1, k)).scale[0, 0])
        reached = marginal(net.weight.double().numpy(), net.bias.double().numpy(), x, sigma).sum()
        out = model(torch.tensor(x, dtype=torch.float32), samples=2 * k, noise=Cubature())
        elbo = -float((out.distortion + out.rate).mean()) * n
    assert best - 0.005 * abs(best) < reached <= best + 1e-3 * abs(best)
    assert best - 0.005 * abs(best) < elbo <= reached + 1e-4 * abs(best)
    assert sigma == pytest.approx(math.sqrt(variance), rel=0.03)
