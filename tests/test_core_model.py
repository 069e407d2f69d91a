"""What every model keeps: order, count, sizes, sharing, and itself through a file."""

from __future__ import annotations

import copy
import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from vaekit import files, persistence, presets
from vaekit.bottlenecks import Deterministic, Variational
from vaekit.conditional import Conditional
from vaekit.data import Images, Items, Vectors
from vaekit.distributions import (
    MEAN,
    Bernoulli,
    DiscretizedLogistic,
    Fixed,
    FullGaussian,
    Gaussian,
    Laplace,
    Noise,
    Optimal,
    PerDimension,
    RowNoise,
    Shared,
    StudentT,
    center,
    right,
)
from vaekit.errors import FileError
from vaekit.model import VAE
from vaekit.networks import MLP, ConvDecoder, ConvEncoder, FiLM
from vaekit.objectives import Distortion, Rate
from vaekit.priors import StandardNormal
from vaekit.recipes import KNOWN, build, configurable, recipe
from vaekit.training import train

FORMS = ["vectors", "images"]


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(((a - b).flatten(1).norm(dim=1) / b.flatten(1).norm(dim=1)).max().detach())


# --- encode, decode, sample


@pytest.mark.parametrize("form", FORMS)
@torch.no_grad()
def test_encode_is_a_function_of_the_row(form, preset, preset_for) -> None:
    """The same at every call, in training mode too; in order; one for each row; whatever stands beside it."""
    case = preset_for(preset, form)
    x = torch.cat([case.x, case.x.flip(-1).roll(1, 0)] * 4)[:61]
    c = None if case.c is None else case.c.repeat(8, 1)[:61]
    case.model.eval()
    codes = case.model.encode(x, c)
    assert codes.shape == (61, 3)
    for seed in range(10):
        torch.manual_seed(seed)
        assert torch.equal(case.model.encode(x, c), codes)
    assert torch.equal(case.model.train().encode(x, c), codes)
    at = lambda part: None if c is None else c[part]  # noqa: E731
    for size in (1, 7, 60):
        parts = [case.model.encode(x[i : i + size], at(slice(i, i + size))) for i in range(0, 61, size)]
        assert relative(torch.cat(parts), codes) < 1e-5
    order = torch.randperm(61)
    assert relative(case.model.encode(x[order], at(order)), codes[order]) < 1e-5
    if preset != "autoencoder":
        q = case.model.posterior(x, c)[0].q
        assert torch.equal(codes, center(q))  # the centre, not a draw


@pytest.mark.parametrize("form", FORMS)
@torch.no_grad()
def test_the_elbo_of_a_row_does_not_depend_on_the_batch(form, preset, preset_for) -> None:
    case = preset_for(preset, form)
    case.model.eval()

    def terms(index: torch.Tensor) -> torch.Tensor:
        c = None if case.c is None else case.c[index]
        out = case.model(case.x[index], c, samples=3, noise=RowNoise(0, "e", index))
        rate = 0 if preset == "autoencoder" else out.rate
        return (out.distortion + rate).view(-1, 3)

    whole = terms(torch.arange(8))
    for size in (1, 3):
        parts = torch.cat([terms(torch.arange(i, min(i + size, 8))) for i in range(0, 8, size)])
        torch.testing.assert_close(parts, whole, rtol=1e-6, atol=1e-4)
    torch.testing.assert_close(terms(torch.tensor([5, 0])), whole[[5, 0]], rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("form", FORMS)
@torch.no_grad()
def test_decode_and_sample(form, preset, preset_for) -> None:
    case = preset_for(preset, form)
    model = case.model.eval()
    px = model.decode(model.encode(case.x, case.c), case.c)
    assert center(px).shape == case.x.shape
    assert torch.equal(
        center(px), center(model(case.x, case.c, noise=MEAN).px)
    )  # what a pass without noise gives
    if preset == "autoencoder":
        return
    c = case.c
    x = model.sample(8, c, noise=Noise(0, "s"))
    assert x.shape == case.x.shape and x.isfinite().all()
    assert torch.equal(model.sample(8, c, noise=Noise(0, "s")), x)
    assert not torch.equal(model.sample(8, c, noise=Noise(1, "s")), x)
    torch.manual_seed(3)
    ambient = model.sample(8, c)
    torch.manual_seed(3)
    assert torch.equal(model.sample(8, c), ambient)
    # without temperature every z is the prior's centre
    prior = model.bottleneck.prior(c)
    cold = model.sample(8, c, temperature=0.0, noise=Noise(0), mean=True)
    z = center(prior) if c is not None else center(prior).expand(8, -1)
    assert torch.equal(cold, center(model.decode(z, c)))
    warm = [model.bottleneck(n=4000, c=None if c is None else c[:1].repeat(4000, 1), noise=Noise(0), temperature=t)[0]
            for t in (1.0, 0.5)]  # fmt: skip
    torch.testing.assert_close(warm[1].std(0), 0.5 * warm[0].std(0), rtol=0.01, atol=0)


@torch.no_grad()
def test_samples_have_the_prior_and_the_likelihood(gaussian_vae) -> None:
    from scipy import stats

    model = gaussian_vae(Gaussian(Fixed(0.5)))
    z, [latent] = model.bottleneck(n=5000, noise=Noise(0))
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-3
    assert latent.q.batch_shape == latent.p.batch_shape  # a prior pass charges nothing
    residual = (model.sample(5000, noise=Noise(0)) - model.sample(5000, noise=Noise(0), mean=True)) / 0.5
    assert stats.kstest(residual.ravel(), "norm").pvalue > 1e-3


@torch.no_grad()
def test_the_draws_of_a_datum_stand_side_by_side(gaussian_vae) -> None:
    model = gaussian_vae(condition=2, masked=True)
    x, c = torch.randn(4, 5), torch.randn(4, 2)
    mask, weight = torch.rand(4, 5) < 0.8, torch.arange(4.0)
    out = model(x, c, mask, samples=3, noise=Noise(0), weight=weight)
    for name, value in {"x": x, "c": c, "mask": mask, "weight": weight}.items():
        assert torch.equal(getattr(out, name), torch.stack([value] * 3, 1).flatten(0, 1)), name
    q = model.posterior(x, c, mask)[0].q
    assert torch.allclose(out.latents[0].q.mean.view(4, 3, -1), q.mean.unsqueeze(1).expand(4, 3, -1))
    assert len(out.z.unique(dim=0)) == 12 and out.samples == 3
    assert torch.equal(center(out.px), center(model.decode(out.z, out.c)))


class Counting(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.rows = net, []

    def forward(self, x):
        self.rows.append(len(x))
        return self.net(x)


def test_the_encoder_sees_each_datum_once(gaussian_vae) -> None:
    model = gaussian_vae()
    model.encoder = Counting(model.encoder)
    model(torch.zeros(6, 5), samples=7)
    assert model.encoder.rows == [6]
    for _ in train(model, Distortion() + Rate(), torch.randn(12, 5), steps=2, batch_size=4):
        pass
    assert model.encoder.rows == [6, 4, 4]


def test_a_prior_pass_says_what_it_needs(gaussian_vae) -> None:
    with pytest.raises(ValueError, match="number of rows n"):
        gaussian_vae().bottleneck()
    with pytest.raises(ValueError, match="number of rows n"):
        Deterministic(StandardNormal(3))()


@pytest.mark.parametrize("n", [2, 5])
def test_a_condition_of_another_length_is_refused(n, preset_for) -> None:
    """sample(n, c) with c of other than n rows: not silently another number of items."""
    case = preset_for("conditional_vae")
    try:
        found = case.model.sample(n, case.c[:3])
    except ValueError:
        return
    assert len(found) == n


def test_an_autoencoder_says_what_it_cannot_do(preset_for) -> None:
    case = preset_for("autoencoder")
    out = case.model(case.x)
    assert not case.model.bottleneck.stochastic
    assert out.distortion.shape == (8,)
    for ask in (
        lambda: out.rate,
        lambda: out.log_weight,
        lambda: case.model.sample(3),
        lambda: Rate()(out, 0),
    ):
        with pytest.raises(ValueError, match="no prior"):
            ask()
    with pytest.raises(ValueError, match="no prior"):
        next(train(case.model, Distortion() + Rate(), case.x, steps=1))


def test_with_a_prior_an_autoencoder_samples_but_still_has_no_rate(preset_for) -> None:
    model = preset_for("autoencoder").model
    model.bottleneck = model.bottleneck.with_prior(StandardNormal(3))
    assert model.sample(4).shape == (4, 5)
    out = model(torch.zeros(2, 5))
    for ask in (lambda: out.rate, lambda: out.log_weight):
        with pytest.raises(ValueError, match="deterministic code"):
            ask()


def test_with_another_prior_the_rest_stays(gaussian_vae) -> None:
    model = gaussian_vae()
    other = model.bottleneck.with_prior(StandardNormal(3))
    assert other.posterior is model.bottleneck.posterior and other.prior is not model.bottleneck.prior


# --- building


@pytest.mark.parametrize("form", FORMS)
def test_building_and_asking_moves_no_buffer(form, preset, preset_for) -> None:
    case = preset_for(preset, form)
    fresh = {name: t.clone() for name, t in case.model.state_dict().items()}
    again = preset_for(preset, form).model.state_dict()
    assert all(torch.equal(t, again[name]) for name, t in fresh.items())
    for name, t in case.model.named_buffers():
        assert not t.any() or "prior.scale" in name, name  # a moving mean has seen nothing
    for mode in (True, False):
        case.model.train(mode)
        case.model(case.x, case.c)
        case.model.encode(case.x, case.c)
        if preset != "autoencoder":
            case.model.sample(8, case.c)
    list(train(case.model, case.objective, case.x, steps=0))
    assert all(torch.equal(t, fresh[name]) for name, t in case.model.state_dict().items())


def compressed(preset: str) -> dict[str, int]:
    return {"annealed_vae": {"warmup": 3}, "cyclical_vae": {"period": 2, "periods": 2}}.get(preset, {})


@pytest.mark.parametrize("form", FORMS)
def test_everything_trainable_is_trained_and_nothing_else(form, preset, preset_for) -> None:
    case = preset_for(preset, form, **compressed(preset))
    frozen = {"encoder.last.bias", "decoder.net.last.weight"}
    for name, p in case.model.named_parameters():
        p.requires_grad_(name not in frozen)
    before = {name: p.detach().clone() for name, p in case.model.named_parameters()}
    assert frozen <= set(before)
    labels = None if case.c is None else case.c.argmax(1)
    if labels is not None:
        case.kind.conditional = True
    items = Items(case.x if form == "vectors" else (case.x * 15).round().to(torch.uint8), case.kind, labels)
    for progress in train(case.model, case.objective, items, steps=8, batch_size=8, lr=1e-2):
        assert progress.loss.isfinite()
    assert (progress.out.c is None) == (preset != "conditional_vae")
    for name, p in case.model.named_parameters():
        moved = not torch.equal(p, before[name])
        assert moved == (name not in frozen), name


def test_models_of_one_kind_share_nothing(preset_for) -> None:
    kind = Vectors(5, family=Gaussian(Shared()))
    a, b = presets.vae(kind, latent=2).model, presets.vae(kind, latent=2).model
    own = {p.data_ptr() for p in a.parameters()}
    assert not own & {p.data_ptr() for p in b.parameters()}
    assert not own & {p.data_ptr() for p in kind.family.parameters()}


# --- masks


@pytest.mark.parametrize("likelihood_scale", [Fixed, Shared, Optimal])
@pytest.mark.parametrize("masked", [False, True])
def test_what_was_not_observed_cannot_matter(likelihood_scale, masked, gaussian_vae) -> None:
    model = gaussian_vae(Gaussian(likelihood_scale()), masked=masked).train()
    mask = torch.rand(6, 5) < 0.6
    mask[0], mask[1] = True, False
    objective = Distortion() + Rate()
    x = torch.randn(6, 5)
    found = []
    for hidden in (0.0, 7.0, -1e30, math.nan, math.inf):
        seen = torch.where(mask, x, torch.full_like(x, hidden)).requires_grad_()
        loss = objective(model(seen, mask=mask, samples=2, noise=Noise(0)), 0)
        gradient, *own = torch.autograd.grad(loss, [seen, *model.parameters()])
        assert torch.equal(gradient[~mask], torch.zeros(int((~mask).sum())))
        assert (gradient[mask] != 0).all()
        found.append([loss.detach(), gradient[mask], *own, model.encode(seen.detach(), mask=mask).detach()])
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_a_mask_of_ones_is_no_mask(gaussian_vae) -> None:
    model, x = gaussian_vae(), torch.randn(6, 5)
    a, b = model(x, mask=torch.ones(6, 5), noise=Noise(0)), model(x, noise=Noise(0))
    torch.testing.assert_close(a.distortion, b.distortion)
    torch.testing.assert_close(a.rate, b.rate)
    with_mask = gaussian_vae(masked=True)
    assert torch.equal(with_mask.encode(x, mask=torch.ones(6, 5)), with_mask.encode(x))  # all seen by default


def test_a_masked_encoder_knows_zero_from_missing(gaussian_vae) -> None:
    model, x = gaussian_vae(masked=True), torch.zeros(1, 5)
    mask = torch.tensor([[1, 0, 1, 1, 1]])
    assert not torch.equal(model.encode(x, mask=mask), model.encode(x))


# --- networks

SIDES = [4, 5, 7, 13, 28, 33, 64]


@pytest.mark.parametrize("height", SIDES)
@pytest.mark.parametrize("width", SIDES)
@torch.no_grad()
def test_convolutions_keep_every_size(height, width) -> None:
    """Narrow levels, as many as the default has; the numbers of channels take turns."""
    channels = 1 + (SIDES.index(height) + SIDES.index(width)) % 4
    shape, out = (channels, height, width), (5 - channels, height, width)
    levels = max(1, math.ceil(math.log2(max(height, width) / 4)))
    widths = tuple(2 + i for i in range(levels))
    h = ConvEncoder(shape, 6, widths)(torch.randn(2, *shape))
    assert h.shape == (2, 6) and h.isfinite().all()
    x = ConvDecoder(6, out, widths)(h)
    assert x.shape == (2, *out) and x.isfinite().all()
    # every pixel counts on the way in, and is written on the way out
    with torch.enable_grad():
        seen = torch.randn(1, *shape, requires_grad=True)
        (gradient,) = torch.autograd.grad(ConvEncoder(shape, 6, widths)(seen).square().sum(), seen)
    assert (gradient != 0).all()
    assert (ConvDecoder(6, out, widths)(9 * torch.randn(6, 6)).std(0) > 0).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("sides", [(4, 13), (7, 5), (4, 4), (3, 2), (1, 1), (1, 40)])
@torch.no_grad()
def test_default_convolutions_keep_the_size(channels, sides) -> None:
    shape = (channels, *sides)
    assert ConvDecoder(6, shape)(ConvEncoder(shape, 6)(torch.zeros(1, *shape))).shape == (1, *shape)


@torch.no_grad()
def test_large_images_too() -> None:
    shape = (3, 256, 256)
    encoder = ConvEncoder(shape, 8)
    assert encoder.widths == (32, 64, 128, 256, 256, 256)
    assert ConvDecoder(8, shape)(encoder(torch.zeros(1, *shape))).shape == (1, *shape)


@pytest.mark.parametrize("inputs", [5, (2, 3), (1, 4, 4)])
@pytest.mark.parametrize("outputs", [4, (3, 2, 2)])
def test_the_mlp_takes_items_of_any_shape(inputs, outputs) -> None:
    shape = lambda s: (s,) if isinstance(s, int) else s  # noqa: E731
    assert MLP(inputs, outputs, hidden=(7,))(torch.zeros(3, *shape(inputs))).shape == (3, *shape(outputs))


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3, 2)])
def test_film_is_the_identity_at_first_and_an_affine_map_later(shape) -> None:
    film, h, c = FiLM(6, 3), torch.randn(shape), torch.randn(4, 3)
    assert torch.equal(film(h, c), h)
    nn.init.normal_(film.net.weight)
    nn.init.normal_(film.net.bias)
    gain, shift = (c @ film.net.weight.T + film.net.bias).split(6, 1)
    expected = torch.einsum("nf...,nf->nf...", h, 1 + gain) + shift[(...,) + (None,) * (len(shape) - 2)]
    torch.testing.assert_close(film(h, c), expected)
    with pytest.raises(ValueError, match="condition of width 3"):
        film(h)
    assert torch.equal(FiLM(6, 0)(h, c), h)


def perturbed(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        for p in module.parameters():
            p += 0.2 * torch.randn_like(p)
    return module


@pytest.mark.parametrize(
    "make",
    [
        lambda: (MLP(5, 4, hidden=(6,), condition=3), (5,)),
        lambda: (MLP(5, 4, hidden=(), condition=3), (5,)),
        lambda: (ConvEncoder((1, 9, 7), 4, (2, 3), condition=3), (1, 9, 7)),
        lambda: (ConvEncoder((1, 4, 4), 4, condition=3), (1, 4, 4)),
        lambda: (ConvDecoder(5, (2, 9, 7), (2, 3), condition=3), (5,)),
        lambda: (ConvDecoder(5, (2, 4, 3), condition=3), (5,)),
    ],
    ids=["mlp", "mlp without hidden layers", "conv", "conv of 4x4", "deconv", "deconv of 4x3"],
)
def test_a_conditional_network_listens_to_its_condition_or_refuses_it(make) -> None:
    try:
        net, shape = make()
    except ValueError as error:
        assert "condition" in str(error)
        return
    perturbed(net)
    x, c = torch.randn(4, *shape), torch.randn(4, 3)
    found = net(x, c)
    assert torch.equal(found, net(x, c))
    changed = c.clone()
    changed[2] += 1
    different = (net(x, changed) != found).flatten(1).any(1)
    assert different.tolist() == [False, False, True, False]
    with pytest.raises(ValueError, match="condition"):
        net(x)


def test_a_conditional_model_is_conditional_in_all_its_parts(preset_for) -> None:
    case = preset_for("conditional_vae")
    perturbed(case.model)
    other = case.c.roll(1, 1)
    assert (case.model.encode(case.x, case.c) != case.model.encode(case.x, other)).any(1).all()
    z = torch.zeros(8, 3)
    assert (center(case.model.decode(z, case.c)) != center(case.model.decode(z, other))).any(1).all()
    assert (case.model.bottleneck.prior(case.c).mean != case.model.bottleneck.prior(other).mean).any(1).all()


# --- recipes and files


def kinds() -> dict[str, object]:
    return {
        "vectors": Vectors(4, labels=("a", "b")),
        "scaled vectors": Vectors(2, mean=[1.0, -3.5], scale=[0.1, 7.0], family=Laplace(), labels=("x", "y")),
        "images": Images(1, 5, 6, labels=("a", "b")),
        "bits": Images(1, 4, 4, binarize="dynamic", labels=("a", "b"), frequencies=(0.25, 0.75), seed=4),
        "large images": Images(2, 25, 26, levels=0, labels=("a", "b")),
    }


def opened(path):
    return persistence.load(path)


@pytest.mark.parametrize("kind", list(kinds()))
def test_a_model_comes_back_from_its_recipe_and_its_file(kind, preset, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(files.os, "fsync", lambda _: None)
    kind = kinds()[kind]
    model = perturbed(presets.PRESETS[preset](kind, latent=2).model).eval()
    written = json.loads(json.dumps(recipe(model)))
    again = build(written)
    assert recipe(again) == written and repr(again) == repr(model)
    assert {n: t.shape for n, t in again.state_dict().items()} == {
        n: t.shape for n, t in model.state_dict().items()
    }
    about = {"preset": preset, "elbo": -1.5}
    path = persistence.save(tmp_path / "model", model, kind, {"scores": [1.0, 2.0]}, about, card="# Card\n")
    found, found_kind, facts = persistence.load(path)
    assert not found.training
    assert facts == {**about, "calibration": {"scores": [1.0, 2.0]}}
    state = found.state_dict()
    assert all(torch.equal(t, state[name]) for name, t in model.state_dict().items())
    assert recipe(found_kind) == recipe(kind)
    assert (found_kind.shape, found_kind.labels, found_kind.frequencies) == (
        kind.shape, kind.labels, kind.frequencies,
    )  # fmt: skip
    x, c = torch.rand(3, *kind.shape), torch.eye(2)[[0, 1, 1]] if preset == "conditional_vae" else None
    assert torch.equal(found.encode(x, c), model.encode(x, c))
    torch.testing.assert_close(
        found(x, c, noise=Noise(0)).distortion, model(x, c, noise=Noise(0)).distortion, rtol=0, atol=0
    )


@pytest.mark.parametrize(
    "part",
    [
        Gaussian(Fixed(0.3)), Gaussian(Shared(0.2, 1e-2)), Gaussian(PerDimension((3,), 0.2)), Gaussian(Optimal(0.9)),
        Laplace(), StudentT(df=3.0, scale=Shared()), Bernoulli(), DiscretizedLogistic(16, initial=0.2), FullGaussian(),
        MLP((1, 2, 3), (4, 5), hidden=(7, 8), condition=2, masked=True), ConvEncoder((1, 9, 8), 4, (2, 3), condition=1),
        ConvDecoder(4, (2, 9, 8), (2, 3)), FiLM(3, 0), FiLM(3, 2), StandardNormal(3), Deterministic(),
        Deterministic(StandardNormal(2)),
    ],
    ids=repr,
)  # fmt: skip
def test_every_part_comes_back_from_its_recipe(part) -> None:
    again = build(json.loads(json.dumps(recipe(part))))
    assert type(again) is type(part) and recipe(again) == recipe(part)
    assert repr(again) == repr(part)
    assert {n: t.shape for n, t in again.state_dict().items()} == {
        n: t.shape for n, t in part.state_dict().items()
    }


@pytest.mark.parametrize(
    "layer",
    [
        nn.Sequential(nn.Linear(3, 4, bias=False), nn.LeakyReLU(0.3), nn.Sequential(nn.Tanh())), nn.Flatten(2),
        nn.Unflatten(1, (2, 3)), nn.Conv2d(2, 4, (3, 5), stride=2, padding=(1, 2), groups=2, padding_mode="reflect"),
        nn.Conv1d(2, 2, 3, dilation=2, bias=False), nn.ConvTranspose2d(2, 3, 4, stride=2, padding=1, output_padding=1),
        nn.Embedding(5, 3, padding_idx=1), nn.LayerNorm((3, 4), eps=1e-3), nn.LayerNorm(3, elementwise_affine=False),
        nn.LayerNorm(3, bias=False), nn.GroupNorm(2, 4, affine=False), nn.Dropout(0.3), nn.ELU(0.5), nn.Softplus(2.0),
        nn.GELU("tanh"), nn.AvgPool2d(3, 2, 1), nn.MaxPool2d(3, 2, 1), nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Upsample(size=(3, 4)), nn.PixelShuffle(2), nn.Identity(), nn.Conv2d(1, 1, 3, padding="same"),
    ],
    ids=repr,
)  # fmt: skip
def test_torchs_plain_layers_come_back_from_their_recipe(layer) -> None:
    again = build(json.loads(json.dumps(recipe(layer))))
    assert type(again) is type(layer)
    assert repr(again).replace("[", "(").replace("]", ")") == repr(layer).replace("[", "(").replace("]", ")")
    assert {n: t.shape for n, t in again.state_dict().items()} == {
        n: t.shape for n, t in layer.state_dict().items()
    }


def test_names_in_a_sequential_are_kept_or_refused() -> None:
    layer = nn.Sequential()
    layer.add_module("first", nn.Linear(2, 2))
    try:
        written = recipe(layer)
    except TypeError:
        return
    assert set(build(written).state_dict()) == set(layer.state_dict())


class Twice(nn.Module):
    """One part in two places."""

    def __init__(self, a: nn.Module, b: nn.Module) -> None:
        super().__init__()
        self.a, self.b = a, b

    def forward(self, x):
        return self.b(self.a(x))


@pytest.fixture
def own_classes():
    """Names registered by a test are forgotten after it."""
    before = dict(KNOWN)
    yield
    KNOWN.clear()
    KNOWN.update(before)


@pytest.fixture
def shared_model(own_classes) -> VAE:
    configurable(Twice)
    same = nn.Linear(5, 5)
    head = Conditional(nn.Linear(5, 4), Gaussian())
    return VAE(
        Twice(same, nn.Sequential(nn.Tanh(), same)),
        Variational(head, StandardNormal(2)),
        Conditional(Twice(nn.Linear(2, 5), same), Gaussian(Fixed())),
    )


def test_shared_parts_stay_shared_and_are_saved_once(shared_model, tmp_path) -> None:
    written = recipe(shared_model)
    assert json.dumps(written).count('"$ref"') == 2
    again = build(written)
    assert again.encoder.a is again.encoder.b[1] is again.decoder.net.b
    assert again.decoder.net.a is not again.encoder.a
    path = persistence.save(tmp_path / "m", shared_model)
    tensors = persistence.read_tensors(path / "weights.safetensors")
    assert sum(t.numel() for t in tensors.values()) == sum(p.numel() for p in shared_model.parameters())
    found, _, _ = persistence.load(path)
    assert found.encoder.a is found.decoder.net.b
    x = torch.randn(3, 5)
    assert torch.equal(found.encode(x), shared_model.encode(x))


def test_two_shared_parts_are_told_apart(own_classes) -> None:
    configurable(Twice)
    a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    again = build(json.loads(json.dumps(recipe(nn.Sequential(Twice(a, b), Twice(b, a))))))
    assert again[0].a is again[1].b and again[0].b is again[1].a and again[0].a is not again[0].b


class Mine(nn.Module):
    """A user's own part."""

    def __init__(self, width: int, inner: list[nn.Module]) -> None:
        super().__init__()
        self.width, self.inner = width, nn.ModuleList(inner)

    def forward(self, x):
        for layer in self.inner:
            x = layer(x)
        return x


def own_model() -> VAE:
    return VAE(
        Mine(5, [nn.Linear(5, 6), nn.Tanh()]),
        Variational(Conditional(nn.Linear(6, 4), Gaussian()), StandardNormal(2)),
        Conditional(nn.Linear(2, 5), Gaussian(Fixed())),
    )


def test_a_users_own_part_saves_and_opens(own_classes, tmp_path) -> None:
    model = own_model()
    with pytest.raises(TypeError, match=r"Mine.*@vaekit\.configurable"):
        persistence.save(tmp_path / "m", model)
    assert not (tmp_path / "m").exists()
    configurable(Mine)
    path = persistence.save(tmp_path / "m", model)
    x = torch.randn(3, 5)
    assert torch.equal(persistence.load(path)[0].encode(x), model.encode(x))
    del KNOWN["Mine"]  # another process, which has not imported it
    with pytest.raises(FileError, match="'Mine' that is not known") as caught:
        persistence.load(path)
    assert caught.value.code == "E304"
    assert (
        "classes=[" in caught.value.hint and "import" in caught.value.hint and str(path) in caught.value.where
    )
    assert torch.equal(persistence.load(path, classes=[Mine])[0].encode(x), model.encode(x))


def test_an_argument_that_is_not_stored_is_named(own_classes) -> None:
    @configurable
    class Forgetful(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()

    with pytest.raises(TypeError, match=r"Forgetful takes 'width' but does not store it as self\.width"):
        recipe(Forgetful(3))


def test_an_argument_that_is_not_taken_is_named() -> None:
    with pytest.raises(FileError, match=r"MLP takes no argument 'hiden'; did you mean hidden") as caught:
        build({"class": "MLP", "inputs": 2, "outputs": 3, "hiden": [4]})
    assert caught.value.code == "E304"


@pytest.mark.parametrize("name", ["MLP", "Gaussian", "Linear"])
def test_a_name_that_is_taken_cannot_be_taken_again(name, own_classes) -> None:
    """A user's class of that name would stand in for the known one in every model opened later."""
    with pytest.raises(ValueError, match="name"):
        configurable(type(name, (nn.Module,), {"__module__": "users"}))


def saved(tmp_path, **parts):
    model = VAE(
        nn.Linear(3, 4),
        Variational(Conditional(nn.Linear(4, 2), Gaussian()), StandardNormal(1)),
        Conditional(nn.Linear(1, 3), Gaussian(Shared())),
    )
    return persistence.save(tmp_path / "m", model, Vectors(3), {"a": 1.0}, **parts), model


def test_a_changed_byte_in_any_file_is_noticed(tmp_path) -> None:
    path, _ = saved(tmp_path)
    names = {p.name for p in path.iterdir()}
    assert names == {
        "recipe.json", "weights.safetensors", "kind.json", "calibration.json", "README.md", "MANIFEST.json",
    }  # fmt: skip
    persistence.load(path)
    rng = np.random.default_rng(0)
    for file in sorted(path.iterdir()):
        original = file.read_bytes()
        for place in {
            0,
            len(original) // 2,
            len(original) - 2,
            *rng.integers(0, len(original) - 1, 12).tolist(),
        }:
            changed = bytearray(original)
            changed[place] ^= 1 << int(rng.integers(0, 8))
            file.write_bytes(changed)
            with pytest.raises(FileError) as caught:
                persistence.load(path)
            assert caught.value.code == "E303", (file.name, place)
        file.write_bytes(original[:-3])
        with pytest.raises(FileError, match=r"changed|JSON"):
            persistence.load(path)
        file.write_bytes(original)
    persistence.load(path)


@pytest.mark.parametrize(
    "name",
    ["recipe.json", "weights.safetensors", "kind.json", "calibration.json", "README.md", "MANIFEST.json"],
)
def test_a_missing_file_is_noticed(name, tmp_path) -> None:
    path, _ = saved(tmp_path)
    (path / name).unlink()
    with pytest.raises(FileError) as caught:
        persistence.load(path)
    assert caught.value.code == ("E301" if name == "MANIFEST.json" else "E303")
    with pytest.raises(FileError) as caught:
        persistence.load(tmp_path / "nowhere")
    assert caught.value.code == "E301"


def rewritten(path, **changes):
    """The folder with other content and a manifest that fits it, as one who means harm would make it."""
    for name, text in changes.items():
        (path / name.replace("_", ".")).write_bytes(text if isinstance(text, bytes) else text.encode())
    files.write_json(path / files.MANIFEST, {"files": files.hashes(path)})


@pytest.mark.parametrize("change", [{"format": 2}, {"format": None}, {"format": "1"}])
def test_another_format_is_refused(change, tmp_path) -> None:
    path, _ = saved(tmp_path)
    rewritten(path, recipe_json=json.dumps(files.read_json(path / "recipe.json") | change))
    with pytest.raises(FileError) as caught:
        persistence.load(path)
    assert caught.value.code == "E302" and "upgrade" in caught.value.hint


HOSTILE = {
    "a list": {"recipe_json": "[]"},
    "no model": {"recipe_json": '{"format": 1}'},
    "not a model": {
        "recipe_json": '{"format": 1, "model": {"class": "Linear", "in_features": 1, "out_features": 1}}'
    },
    "a number": {"recipe_json": '{"format": 1, "model": 3}'},
    "a loop": {
        "recipe_json": '{"format": 1, "model": {"class": "Sequential", "$id": 0, "layers": [{"$ref": 0}]}}'
    },
    "no layers": {"recipe_json": '{"format": 1, "model": {"class": "Sequential"}}'},
    "a builtin": {"recipe_json": '{"format": 1, "model": {"class": "eval", "source": "1"}}'},
    "a class that is a list": {"recipe_json": '{"format": 1, "model": {"class": ["MLP"]}}'},
    "a kind that is a list": {"kind_json": "[]"},
    "no kind": {"kind_json": "{}"},
    "a kind that is a model": {"kind_json": '{"kind": {"class": "Identity"}}'},
    "no weights": {"weights_safetensors": b""},
    "bad weights": {"weights_safetensors": b"\xff" * 99},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_folder_made_to_harm_is_an_error_of_ours(name, tmp_path) -> None:
    path, _ = saved(tmp_path)
    rewritten(path, **HOSTILE[name])
    with pytest.raises(FileError) as caught:
        persistence.load(path)
    assert caught.value.code in {"E302", "E303", "E304"}


def test_weights_of_another_model_are_refused(tmp_path) -> None:
    path, model = saved(tmp_path)
    state = dict(persistence.unique(model.state_dict()))
    from safetensors.torch import save

    for change in ({"encoder.bias": torch.zeros(5)}, {"extra": torch.zeros(1)}):
        rewritten(path, weights_safetensors=save({**state, **change}))
        with pytest.raises(FileError, match=r"shape|too many") as caught:
            persistence.load(path)
        assert caught.value.code == "E303"


def test_what_is_not_finite_is_not_saved(tmp_path) -> None:
    path, model = saved(tmp_path)
    before = model.encode(torch.ones(1, 3))
    with torch.no_grad():
        model.encoder.bias[1] = math.nan
    with pytest.raises(ValueError, match=r"encoder\.bias.*not finite"):
        persistence.save(path, model)
    assert torch.equal(
        persistence.load(path)[0].encode(torch.ones(1, 3)), before
    )  # the old one is still there


def test_double_precision_comes_back_as_it_was(tmp_path) -> None:
    model = VAE(
        nn.Linear(3, 4),
        Variational(Conditional(nn.Linear(4, 2), Gaussian()), StandardNormal(1)),
        Conditional(nn.Linear(1, 3), Gaussian()),
    ).double()
    x = torch.randn(2, 3, dtype=torch.float64)
    try:
        path = persistence.save(tmp_path / "m", model)
    except (TypeError, ValueError):
        return
    assert torch.equal(persistence.load(path)[0].encode(x), model.encode(x))


def test_a_deep_copy_is_a_model_of_its_own(preset, preset_for) -> None:
    case = preset_for(preset)
    twin = copy.deepcopy(case.model)
    before = case.model.encode(case.x, case.c)
    perturbed(twin)
    assert torch.equal(case.model.encode(case.x, case.c), before)
    assert not torch.equal(twin.encode(case.x, case.c), before)


@pytest.mark.parametrize("full", [False, True])
def test_log_weight_is_log_p_of_all_less_log_q(full, gaussian_vae) -> None:
    model = gaussian_vae(posterior=FullGaussian() if full else Gaussian())
    x = torch.randn(4, 5)
    out = model(x, samples=2, noise=Noise(0))
    q = model.posterior(x)[0].q
    twice = lambda t: t.repeat_interleave(2, 0)  # noqa: E731
    if full:
        log_q = torch.distributions.MultivariateNormal(twice(q.loc), scale_tril=twice(q.scale_tril)).log_prob(
            out.z
        )
    else:
        log_q = torch.distributions.Normal(twice(q.loc), twice(q.scale)).log_prob(out.z).sum(1)
    log_p = torch.distributions.Normal(0.0, 1.0).log_prob(out.z).sum(1)
    px = model.decode(out.z).log_prob(out.x).sum(1)
    torch.testing.assert_close(out.log_weight, px + log_p - log_q)
    torch.testing.assert_close(right(out.px.log_prob(out.x)), px)
