"""Bounds in their order, and the rate–distortion curve against the closed form of a Gaussian model.

z ~ N(0, 1),  x | z ~ N(w z, s²)  ⇒  p_β(z | x) = N(m, 1 / a),  a = 1 + β w² / s²,  m = β w x / (s² a)
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from vaekit.bottlenecks import Deterministic, Variational
from vaekit.conditional import Conditional
from vaekit.data import Items, Vectors
from vaekit.distributions import Fixed, Gaussian
from vaekit.errors import DataError
from vaekit.evaluation.bounds import bounds, curve, log_weights
from vaekit.model import VAE
from vaekit.objectives import ImportanceWeighted
from vaekit.operations import log_likelihood
from vaekit.priors import StandardNormal

W, S = 1.3, 0.7


@pytest.fixture
def model():
    """q(z | x) = N(0.2 x, 1): wrong, and wide."""
    head, decoder = nn.Linear(1, 2), nn.Linear(1, 1)
    model = VAE(
        nn.Identity(),
        Variational(Conditional(head, Gaussian()), StandardNormal(1)),
        Conditional(decoder, Gaussian(Fixed(S))),
    ).double()
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[0.2], [0.0]]))
        head.bias.zero_()
        decoder.weight.fill_(W)
        decoder.bias.zero_()
    return model.eval()


@pytest.fixture
def x(rng):
    return rng.uniform(-2, 2, size=(16, 1))


def log_p(x: np.ndarray) -> np.ndarray:
    variance = W**2 + S**2
    return -0.5 * (x[:, 0] ** 2 / variance + math.log(2 * math.pi * variance))


def test_the_bounds_rise_to_the_likelihood(model, x) -> None:
    found = bounds(model, Items(torch.tensor(x)), samples=(1, 4, 16, 256), chains=4, temperatures=40)
    assert found["n"] == 16 and found["samples"] == [1, 4, 16, 256] and found["without"] == ""
    assert all(a < b for a, b in zip(found["iwae"], found["iwae"][1:], strict=False))
    q, z = 0.2 * x[:, 0], x[:, 0]  # E_q of the quadratics, q's variance being 1
    distortion = 0.5 * (((z - W * q) ** 2 + W**2) / S**2 + math.log(2 * math.pi * S**2))
    elbo = -(distortion + 0.5 * q**2).mean()
    assert found["elbo"] == pytest.approx(elbo, abs=0.15)
    assert found["iwae"][0] == pytest.approx(elbo, abs=0.15)
    truth = log_p(x).mean()
    assert found["iwae"][-1] == pytest.approx(truth, abs=0.04)
    assert found["ais"] == pytest.approx(truth, abs=0.05)


def test_each_bound_is_the_mean_of_its_groups(model, x) -> None:
    """By the objective's own formula on the same draws; the last one is `log_likelihood` itself."""
    x = torch.tensor(x)
    rows = torch.arange(16)
    found = bounds(model, Items(x), samples=(3, 12), chains=0)
    weights = log_weights(model, x, None, None, 12, 0, rows)
    by_hand = (np.log(np.exp(weights.numpy()).reshape(16, 4, 3).mean(2))).mean(1)
    assert found["iwae"][0] == pytest.approx(by_hand.mean(), rel=1e-9)
    assert found["iwae_se"][0] == pytest.approx(by_hand.std(ddof=1) / 4, rel=1e-9)
    whole = log_likelihood(model, x, samples=12, rows=rows)
    assert found["iwae"][1] == pytest.approx(float(whole.mean()), rel=1e-9)
    out = type("", (), {"log_weight": weights.flatten(), "samples": 12})
    torch.testing.assert_close(-ImportanceWeighted(12)(out, 0), whole, rtol=1e-9, atol=1e-9)
    assert found["ais"] is None and found["without"] == "chains = 0"


def test_the_size_of_batches_changes_nothing(model, x) -> None:
    options = {"samples": (2, 6), "chains": 3, "temperatures": 3}
    items = Items(torch.tensor(x))
    one, other = bounds(model, items, **options), bounds(model, items, **options, size=5)
    for name in ("elbo", "ais", "ais_se", "iwae", "iwae_se"):
        assert one[name] == pytest.approx(other[name], rel=1e-9)
    one, other = (curve(model, items, (0.5,), 2, 4, size=size) for size in (5, 64))
    assert one["rate"] == pytest.approx(other["rate"]) and one["distortion"] == pytest.approx(
        other["distortion"]
    )


def test_bounds_are_in_the_units_of_the_data(x) -> None:
    """Standardised columns: a density of the raw values, as `evaluate` has it."""
    from vaekit import presets
    from vaekit.evaluation import evaluate

    raw = torch.tensor(np.hstack([x * 50, x**2, -x]), dtype=torch.float32)
    kind = Vectors(3, mean=raw.mean(0).tolist(), scale=raw.std(0).tolist())
    torch.manual_seed(0)
    model = presets.vae(kind, latent=2).model.eval()
    items = Items(raw, kind)
    found = bounds(model, items, samples=(1, 20), chains=2, temperatures=20)
    expected = evaluate(model, items, samples=20)
    assert found["iwae"][1] == pytest.approx(-expected["nll"], rel=1e-6)
    assert found["iwae_se"][1] == pytest.approx(expected["nll_se"], rel=1e-6)
    assert found["elbo"] == pytest.approx(expected["elbo"], abs=0.5)
    assert found["ais"] == pytest.approx(-expected["nll"], abs=0.5)
    sides = curve(model, items, betas=(1.0,), chains=8, temperatures=20)
    assert sides["rate"][0] + sides["distortion"][0] == pytest.approx(-found["ais"], abs=0.3)
    assert sides["encoder_distortion"] + sides["encoder_rate"] == pytest.approx(-expected["elbo"], abs=0.5)


def test_the_curve_is_the_closed_form(model, x) -> None:
    betas = (0.05, 0.3, 1.0, 4.0)
    found = curve(model, Items(torch.tensor(x)), betas, chains=64, temperatures=40)
    for i, beta in enumerate(betas):
        a = 1 + beta * W**2 / S**2
        m = beta * W * x[:, 0] / (S**2 * a)
        rate = 0.5 * (1 / a + m**2 - 1 + math.log(a))
        error = (x[:, 0] - W * m) ** 2 + W**2 / a
        distortion = 0.5 * (error / S**2 + math.log(2 * math.pi * S**2))
        assert found["rate"][i] == pytest.approx(rate.mean(), abs=0.06), beta
        assert found["distortion"][i] == pytest.approx(distortion.mean(), abs=0.06), beta
        assert found["rate_se"][i] == pytest.approx(rate.std(ddof=1) / 4, abs=0.05)
    assert found["rate"][2] + found["distortion"][2] == pytest.approx(-log_p(x).mean(), abs=0.05)
    assert found["beta"] == list(betas) and sorted(found["rate"]) == found["rate"]
    # the encoder's own point is above the curve: more nats at its β
    assert found["encoder_rate"] + found["encoder_distortion"] > found["rate"][2] + found["distortion"][2]


def test_one_datum_has_no_standard_error(model) -> None:
    items = Items(torch.zeros(1, 1, dtype=torch.float64))
    found, sides = bounds(model, items, (1, 2), chains=1, temperatures=2), curve(model, items, (1.0,), 2, 2)
    assert found["iwae_se"] == [None, None] and found["elbo_se"] is found["ais_se"] is None
    assert sides["rate_se"] == sides["distortion_se"] == [None] and math.isfinite(sides["rate"][0])


def test_rows_without_a_bound_are_named(model) -> None:
    with pytest.raises(DataError, match="1 of 3 items"):
        bounds(model, Items(torch.tensor([[0.0], [math.inf], [1.0]], dtype=torch.float64)), (1,), chains=0)


def test_what_has_no_bound_says_so(gaussian_vae) -> None:
    items = Items(torch.zeros(3, 5))
    model = VAE(nn.Linear(5, 3), Deterministic(), gaussian_vae().decoder)
    for figure in (bounds, curve):
        with pytest.raises(ValueError, match="codes are deterministic"):
            figure(model, items)


def test_without_annealing_the_other_bounds_remain(gaussian_vae) -> None:
    model = gaussian_vae()
    model.bottleneck.prior.settle = lambda z: z
    found = bounds(model, Items(torch.zeros(3, 5)), samples=(1, 2))
    assert found["ais"] is None and "on a surface" in found["without"] and len(found["iwae"]) == 2


@pytest.mark.parametrize("numbers", [(), (5, 1), (0, 1), (2, 2)])
def test_numbers_must_ascend(numbers, model) -> None:
    items = Items(torch.zeros(2, 1, dtype=torch.float64))
    with pytest.raises(ValueError, match="samples = .*each above the one before"):
        bounds(model, items, samples=numbers)
    with pytest.raises(ValueError, match="betas = .*each above the one before"):
        curve(model, items, betas=numbers)
