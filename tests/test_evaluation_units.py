"""Figures are of the user's values: densities of levels, whatever the model sees and whichever likelihood it has."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from vaekit import presets
from vaekit.data import Batch, Images, Items, Vectors
from vaekit.data.parts import Parts
from vaekit.distributions import Bernoulli, Categorical, Columns, Fixed, Gaussian
from vaekit.distributions.flattened import FlatFamily
from vaekit.evaluation import bounds, evaluate, log_likelihoods, scores
from vaekit.evaluation.units import log_volume
from vaekit.fitting import _volume
from vaekit.model import VAE
from vaekit.operations import log_likelihood, score
from vaekit.uses.coded import coded

SWAPPED = (
    "sigma_vae",
    "geco_vae",
    "vae_gan",
    "adversarial_vae",
)  # the likelihood that they put in the kind's place


@pytest.fixture
def pictures() -> Items:
    kind = Images(1, 6, 6, levels=256)
    raw = np.random.default_rng(3).integers(0, 256, (5, 6, 6)).astype(np.uint8)
    return Items(kind.store(raw), kind)


def made(preset: str, kind: Images) -> VAE:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return presets.PRESETS[preset](kind, latent=2).model.eval()


@pytest.mark.parametrize("preset", SWAPPED)
def test_the_distortion_of_a_gaussian_preset_is_scipys_on_levels(preset, pictures):
    model = made(preset, pictures.kind)
    for (
        parameter
    ) in model.bottleneck.parameters():  # the code is then N(0, 1) and the decoder does not hear it
        parameter.data.zero_()
    for name, parameter in model.decoder.net.named_parameters():
        if "weight" in name:
            parameter.data.zero_()
    px = model.decode(torch.zeros(1, 2))
    mean, spread = (t.detach().double().numpy().reshape(-1)[:1] for t in (px.mean, px.stddev))
    mean = px.mean.detach().double().numpy().reshape(36)
    raw = pictures.raw.numpy().reshape(5, 36)
    expected = -stats.norm.logpdf(raw, 255 * mean, 255 * spread).sum(1)
    found = evaluate(model, pictures)
    assert found["distortion"] == pytest.approx(expected.mean(), rel=1e-5)
    assert found["bits_per_dim"] == pytest.approx(-found["elbo"] / 36 / math.log(2))
    assert scores(model, pictures).numpy() == pytest.approx(expected + found["rate"], rel=1e-4)


@pytest.mark.parametrize("preset", [*SWAPPED, "vae"])
def test_every_figure_is_in_the_same_units(preset, pictures):
    model, batch = made(preset, pictures.kind), pictures.batch(torch.arange(5))
    shift = 0.0 if preset == "vae" else -36 * math.log(255)
    with torch.no_grad():
        assert log_volume(model, pictures.kind, batch) == pytest.approx(shift)
        inside = log_likelihood(model, batch.x, samples=3, seed=0, rows=batch.index)
        assert torch.allclose(log_likelihoods(model, pictures, 3, 0), inside + shift, rtol=1e-4)
        assert torch.allclose(scores(model, pictures), score(model, batch.x) - shift, rtol=1e-4)
    assert _volume(model, pictures) == pytest.approx(shift)
    assert evaluate(model, pictures, 3)["nll"] == pytest.approx(-float(inside.mean()) - shift, rel=1e-4)
    assert bounds(model, pictures, [3], chains=0)["iwae"][-1] == pytest.approx(
        float(inside.mean()) + shift, rel=1e-3
    )


def test_a_wide_density_is_about_the_mass_of_levels(pictures):
    """−log p of one picture under a Gaussian over levels and under its mass on each level's bin."""
    model = made("geco_vae", pictures.kind)
    model.decoder.family = Gaussian(Fixed(0.2))
    batch = pictures.batch(torch.arange(5))
    with torch.no_grad():
        px = model.decode(torch.zeros(5, 2))
        density = px.log_prob(batch.x).flatten(1).sum(1) + log_volume(model, pictures.kind, batch)
    levels, mean = (t.double().numpy() for t in (pictures.raw, 255 * px.mean))
    low, high = (stats.norm.logcdf(-abs(levels - mean) + end, scale=0.2 * 255) for end in (-0.5, 0.5))
    mass = (high + np.log1p(-np.exp(low - high))).reshape(5, -1).sum(1)
    assert density.numpy() == pytest.approx(mass, abs=0.01)


def test_a_mask_counts_what_was_observed(pictures):
    model, batch = made("sigma_vae", pictures.kind), pictures.batch(torch.arange(5))
    mask = torch.zeros_like(batch.x)
    mask[:, :, :2] = 1
    found = log_volume(model, pictures.kind, Batch(batch.x, mask=mask))
    assert torch.allclose(found, torch.full((5,), -12 * math.log(255)))


def test_bits_and_floats_are_in_their_own_units():
    batch = Batch(torch.zeros(2, 1, 3, 3))
    for kind in (Images(1, 3, 3, binarize="dynamic"), Images(1, 3, 3, levels=0), Images(1, 3, 3, levels=2)):
        assert log_volume(made("sigma_vae", kind), kind, batch) == 0


def test_vectors_and_parts_ask_the_models_likelihood_too():
    scaled = Vectors(2, [0.0, 0.0], [2.0, 5.0])
    rows = Batch(torch.zeros(3, 2))
    assert scaled.log_volume(rows) == pytest.approx(-math.log(10), rel=1e-6)
    assert scaled.log_volume(rows, Categorical(4)) == 0
    kind = Parts({"p": Images(1, 2, 2, levels=256), "v": Vectors(2, [0.0, 0.0], [2.0, 5.0])})
    whole = Batch(torch.zeros(3, 6))
    families = [FlatFamily(Gaussian(), (1, 2, 2)), FlatFamily(Bernoulli(), (2,))]
    other = Columns(["p", "v"], families, [4, 2])
    assert float(kind.log_volume(whole)) == pytest.approx(-math.log(10), rel=1e-6)
    assert float(kind.log_volume(whole, other)) == pytest.approx(-4 * math.log(255))


def test_coded_items_are_in_the_same_units(pictures):
    model = made("sigma_vae", pictures.kind)
    found = coded(model, pictures, 1)
    assert np.isfinite(found.distortion).all()
    inside = evaluate(model, pictures)["distortion"]
    assert found.distortion.mean() == pytest.approx(inside, abs=20)  # other draws; without the units 199 less


def test_units_are_asked_for_in_one_place():
    package = Path(presets.__file__).parents[1]
    for file in package.rglob("*.py"):
        if file.parent.name != "data" and file.name != "units.py":
            assert not re.search(r"kind\.log_volume\(", file.read_text()), (
                f"{file}: vaekit.evaluation.units.log_volume"
            )
