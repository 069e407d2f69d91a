"""Denoising: posteriors of the signal against closed forms and quadrature, noise models against scipy, tiles, forms."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from commands import call
from PIL import Image
from scipy import stats
from torch import Tensor, nn

import vaekit
from vaekit import VAE, files, operations
from vaekit.bottlenecks import Variational
from vaekit.conditional import Conditional
from vaekit.config import Config
from vaekit.data import Images, Vectors, detect, read
from vaekit.data.likelihoods import known_noise
from vaekit.data.patches import cut, patches
from vaekit.distributions import Fixed, Gaussian, Noise, PhotonDistribution, Photons, SignalDependent
from vaekit.errors import VaekitError
from vaekit.model import Pass
from vaekit.outputs import enlarged
from vaekit.prepare import prepare
from vaekit.priors import StandardNormal
from vaekit.uses import denoising

D, L = 6, 2


@pytest.fixture(scope="module", autouse=True)
def _no_report() -> Iterator[None]:
    """Drawing the report takes seconds, and nothing here looks at it."""
    with pytest.MonkeyPatch.context() as patch:
        for place in ("vaekit.fitting", "vaekit.launch"):
            patch.setattr(f"{place}.write_report", lambda path: files.write(Path(path) / "report.html", ""))
        yield


# ---------------------------------------------------------------------- a linear model, whose posterior is known


class Params(nn.Module):
    """Rows to the parameters of q: linear, and the scale the same for all."""

    def __init__(self, weight: Tensor, raw_scale: Tensor) -> None:
        super().__init__()
        self.weight, self.raw_scale = weight, raw_scale

    def forward(self, y: Tensor) -> Tensor:
        return torch.cat([y @ self.weight.T, self.raw_scale.expand(len(y), -1)], 1)


def linear(sigma: float, exact: bool) -> tuple[VAE, Tensor]:
    """s = W z with orthogonal columns, y = s + σ ε; an encoder that is the posterior, or that says nothing."""
    basis, _ = torch.linalg.qr(Noise(0, "basis").normal((D, L)).double())
    w = (basis * torch.tensor([2.0, 1.0])).double()
    precision = w.square().sum(0) / sigma**2 + 1  # Wᵀ W is diagonal, so that q can be exact
    family = Gaussian()
    if exact:
        from vaekit.distributions.scales import unpositive

        raw = unpositive(precision.rsqrt(), family.scale.initial, family.scale.floor)
        encoder = Params((w / sigma**2 / precision).T, raw)
    else:
        encoder = Params(torch.zeros(L, D).double(), torch.zeros(L).double())
    decoder = nn.Linear(L, D, bias=False).double()
    decoder.weight.data = w
    bottleneck = Variational(Conditional(nn.Identity(), family), StandardNormal(L))
    return VAE(encoder, bottleneck, Conditional(decoder, Gaussian(Fixed(sigma)))).eval(), w


def wiener(w: Tensor, y: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """C (C + σ² I)⁻¹ y and the diagonal of C − C (C + σ² I)⁻¹ C."""
    c = w @ w.T
    gain = c @ torch.linalg.inv(c + sigma**2 * torch.eye(D).double())
    return y @ gain.T, (c - gain @ c).diagonal().sqrt()


def test_the_mean_of_draws_is_the_wiener_filter_and_their_spread_its_error() -> None:
    model, w = linear(0.5, exact=True)
    y = Noise(1, "y").normal((5, D)).double()
    mean, std = operations.denoise(model, y, samples=20_000)
    expected, spread = wiener(w, y, 0.5)
    assert (mean - expected).abs().max() < 0.02  # about four standard errors
    assert torch.allclose(std, spread.expand_as(std), rtol=0.03)
    assert torch.equal(std, operations.denoise(model, y, samples=20_000)[1])


@pytest.mark.parametrize("sigma", [0.5, 1.5])
def test_steps_lead_from_an_encoder_that_knows_nothing_to_the_posterior_under_the_told_noise(
    sigma: float,
) -> None:
    model, w = linear(0.5, exact=False)
    y = Noise(1, "y").normal((5, D)).double()
    told = Gaussian(Fixed(sigma))
    mean, std = operations.denoise(model, y, noise=told, samples=4_000, steps=1_500)
    expected, spread = wiener(w, y, sigma)
    assert (mean - expected).abs().max() < 0.1
    assert torch.allclose(std, spread.expand_as(std), rtol=0.15)


def test_a_datum_is_denoised_as_it_would_be_alone() -> None:
    model, _ = linear(0.5, exact=False)
    y = Noise(1, "y").normal((5, D)).double()
    keys = torch.tensor([3, 1, 4, 1, 5])
    told = {"samples": 10, "steps": 20}
    together = operations.denoise(model, y, rows=keys, **told)
    alone = operations.denoise(model, y[2:3], rows=keys[2:3], **told)
    for side, own in zip(together, alone, strict=True):
        assert torch.allclose(side[2:3], own, rtol=1e-9)


def test_photons_that_are_fitted_to_find_the_posterior_that_quadrature_finds() -> None:
    """A single latent under the Poisson noise of ten pixels: nearly Gaussian, so q can be it."""
    peak, columns = 20.0, 10
    decoder = nn.Linear(1, columns, bias=False).double()
    decoder.weight.data[:] = 0.1

    class Lifted(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return 0.5 + decoder(z)

    bottleneck = Variational(Conditional(nn.Identity(), Gaussian()), StandardNormal(1))
    encoder = Params(torch.zeros(1, columns).double(), torch.zeros(1).double())
    model = VAE(encoder, bottleneck, Conditional(Lifted(), Gaussian(Fixed(0.1)))).eval()
    counts = np.array([9, 12, 14, 8, 11, 13, 15, 10, 12, 9])
    z = np.linspace(-4.5, 6, 4_001)
    log_p = stats.norm.logpdf(z) + stats.poisson.logpmf(counts[:, None], peak * (0.5 + 0.1 * z)).sum(0)
    p = np.exp(log_p - log_p.max())
    mean = (p * (0.5 + 0.1 * z)).sum() / p.sum()
    std = np.sqrt((p * (0.5 + 0.1 * z - mean) ** 2).sum() / p.sum())
    y = torch.from_numpy(counts / peak)[None]
    noise = known_noise(f"poisson:{peak}")
    found, spread = operations.denoise(model, y, noise=noise.given, samples=4_000, steps=600)
    assert found[0, 0].item() == pytest.approx(mean, abs=0.15 * std)
    assert spread[0, 0].item() == pytest.approx(std, rel=0.1)


# ---------------------------------------------------------------------- noise models


def test_photons_are_scipys_poisson_on_the_multiples_of_one_over_the_peak() -> None:
    signal = torch.tensor([0.02, 0.3, 1.0]).double()
    light = PhotonDistribution(signal, 30.0)
    k = torch.arange(200).double()[:, None]
    expected = stats.poisson.logpmf(k.numpy(), 30 * signal.numpy())
    assert np.allclose(light.log_prob(k / 30).numpy(), expected, rtol=1e-9)
    assert torch.allclose(light.log_prob(k / 30).exp().sum(0), torch.ones(3).double())
    draws = torch.stack([light.draw(Noise(0, "draw", i))[0] for i in range(3_000)])
    assert torch.allclose(draws.mean(0), light.mean, rtol=0.05)
    assert torch.allclose(draws.var(0), light.variance, rtol=0.15)
    assert Photons(30.0)(torch.full((1, 1), -200.0)).mean.item() > 0


def test_noise_that_grows_with_the_signal_is_learned_from_the_noise() -> None:
    signal = torch.linspace(0, 1, 10_000)[:, None]
    y = signal + (0.02 * signal + 0.1**2).sqrt() * Noise(0, "noise").normal(signal.shape)
    scale = SignalDependent(gain=0.1, read=0.3)
    family = Gaussian(scale)
    optimizer = torch.optim.Adam(scale.parameters(), lr=0.1)
    for _ in range(150):
        loss = -family(signal).log_prob(y).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    gain, read = scale.values.tolist()
    assert gain == pytest.approx(0.02, rel=0.1) and read == pytest.approx(0.1, rel=0.05)
    assert f"{1 / gain:.3g} photons" in denoising.described(family, Images(1, 8, 8))


@pytest.mark.parametrize(("factor", "white"), [(1.0, 1.0), (255.0, 255.0)])
def test_sigma_is_told_on_the_scale_of_eight_bits_whatever_the_pictures_scale(
    factor: float, white: float
) -> None:
    y = factor * (0.3 + 0.2 * Noise(0, "y").normal((40, 8, 8)).numpy())
    kind, reasons = detect(read(y), likelihood="gaussian:51")
    assert isinstance(kind, Images) and kind.white == white and "51" in " ".join(reasons)
    x = kind.encode(kind.store(y)).x
    px = kind.family(torch.zeros_like(x))
    assert np.allclose(kind.decode(x), y, atol=1e-4 * factor)  # nothing is clamped
    batch = kind.encode(kind.store(y))
    density = px.log_prob(x).sum((1, 2, 3)) + kind.log_volume(batch)
    expected = stats.norm.logpdf(y, 0, factor * 51 / 255).sum((1, 2))
    assert np.allclose(density.numpy(), expected, rtol=1e-4)


def test_sigma_of_rows_is_in_the_units_of_their_columns() -> None:
    y = np.array([1.0, 50.0]) * Noise(0, "rows").normal((60, 2)).double().numpy()
    kind, _ = detect(read(y), likelihood="gaussian:3")
    assert isinstance(kind, Vectors)
    assert np.allclose(np.array(kind.family.scale.value) * kind.scale, 3.0)
    assert denoising.described(kind.family, kind) == "gaussian:3"


def test_a_scale_that_is_learned_takes_pictures_with_values_outside_the_range() -> None:
    y = Noise(0, "y").normal((40, 8, 8)).numpy()
    for word in ("gaussian", "poisson_gaussian"):
        kind, _ = detect(read(y), likelihood=word)
        assert isinstance(kind, Images) and kind.white == 1.0
    with pytest.raises(VaekitError, match="no pixels") as error:
        detect(read(y))
    assert "gaussian" in error.value.hint


# ---------------------------------------------------------------------- tiles


class Seen:
    """Stands for a model: gives back what it sees, and counts."""

    def __init__(self) -> None:
        self.tiles = 0

    def __call__(self, y: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        self.tiles += len(y)
        return y, torch.full_like(y, 0.1)


@pytest.mark.parametrize("shape", [(2, 8, 8), (1, 21, 9), (3, 17, 30, 3), (3, 17, 30)])
def test_tiles_cover_a_picture_and_come_together_where_they_were(shape: tuple[int, ...]) -> None:
    kind = Images(3 if len(shape) == 4 else 1, 8, 8, levels=0, white=255.0, family=Gaussian(Fixed(0.1)))
    y = 300 * Noise(0, "y").uniform(shape).numpy()
    seen = Seen()
    found = denoising._pictures(kind, y, seen, "gaussian:25", False)
    assert np.allclose(found.mean, y, rtol=1e-4) and found.mean.shape == y.shape
    assert np.allclose(found.std, 25.5)
    assert seen.tiles == len(y) * found.tiles
    first = np.moveaxis(y, -1, 1) if len(shape) == 4 else y[:, None]
    assert np.allclose(denoising._pictures(kind, first, Seen(), "", False).mean, y, rtol=1e-4)


def test_each_scale_of_pictures_is_known_by_its_values() -> None:
    kind = Images(1, 8, 8, levels=0, white=255.0, family=Gaussian(Fixed(0.1)))
    unit = 0.1 + 0.8 * Noise(0, "y").uniform((2, 8, 8)).numpy()
    for y, white in ((unit, 1.0), (255 * unit, 255.0), ((255 * unit).astype(np.uint8), 255.0)):
        found = denoising._pictures(kind, y, Seen(), "", False)
        assert found.white == white and np.allclose(found.mean, y, rtol=1e-4)
    bits = unit > 0.5
    for white in (255.0, None):  # a truth value says white, whatever number stands for it in training
        kind = Images(1, 8, 8, levels=0, white=white, family=Gaussian(Fixed(0.1)))
        found = denoising._pictures(kind, bits, Seen(), "", False)
        assert found.white == 1 and np.allclose(found.mean, bits)
    with pytest.raises(VaekitError, match="white is 1"):
        denoising._pictures(Images(1, 8, 8, levels=0), 255 * unit, Seen(), "", False)


def test_a_picture_is_that_of_a_row_of_its_file(tmp_path: Path, trained: Any) -> None:
    np.save(tmp_path / "y.npy", y := noisy(blobs(3)))
    one = trained.denoise(f"{tmp_path / 'y.npy'}#1", samples=3)
    assert np.array_equal(one.noisy, y[1:2].astype(np.float32))
    with pytest.raises(VaekitError, match="there is no row 3") as error:
        trained.denoise(f"{tmp_path / 'y.npy'}#3", samples=3)
    assert error.value.code == "E103"


def test_patches_are_squares_of_the_pictures_with_their_labels() -> None:
    pictures = np.arange(2 * 9 * 6).reshape(2, 9, 6)
    made = patches(pictures, 3)
    assert made.shape == (12, 3, 3)
    assert np.array_equal(made[7], pictures[1, :3, 3:]) and np.array_equal(made[10], pictures[1, 6:, :3])
    source = cut(read(pictures.astype(np.uint8), labels=["a", "b"]), 4)
    assert source.labels.tolist() == [0, 0, 1, 1] and "2 squares" in source.notes[-1]
    with pytest.raises(VaekitError, match="no squares of 7x7"):
        patches(pictures, 7)


# ---------------------------------------------------------------------- from end to end


def blobs(n: int, side: int = 16) -> np.ndarray:
    """Bright discs on a dark ground, (n, side, side), 0..255."""
    noise = Noise(0, f"blobs {n} {side}")
    place, radius = noise.uniform((n, 2, 1, 1)) * side, 2 + 3 * noise.uniform((n, 1, 1))
    rows, columns = torch.meshgrid(torch.arange(side) + 0.5, torch.arange(side) + 0.5, indexing="ij")
    distance = ((rows - place[:, 0]).square() + (columns - place[:, 1]).square()).sqrt()
    return (20 + 180 * torch.sigmoid(2 * (radius - distance))).numpy()


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a - b) ** 2)))


def noisy(clean: np.ndarray, sigma: float = 25.0) -> np.ndarray:
    return clean + sigma * Noise(1, "noise").normal(clean.shape).numpy()


TRAIN = {"latent": 4, "steps": 250, "batch_size": 64, "threads": 1, "quiet": True, "evaluate_every": 250}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Of noisy pictures, the noise known."""
    out = tmp_path_factory.mktemp("denoise") / "noisy"
    return vaekit.fit(noisy(blobs(600)), likelihood="gaussian:25", out=out, **TRAIN)


@pytest.fixture(scope="module")
def of_clean(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Of clean ones, with a likelihood that says nothing of noise."""
    out = tmp_path_factory.mktemp("denoise") / "clean"
    return vaekit.fit(blobs(600).astype(np.uint8), out=out, **TRAIN)


def test_a_model_of_noisy_pictures_alone_takes_noise_away_and_knows_where_it_may_be_wrong(
    trained: Any,
) -> None:
    clean = blobs(40)
    y = noisy(clean)
    found = trained.denoise(y, samples=50)
    assert found.noise == "gaussian:25" and found.tiles == 1
    assert psnr(clean, found.mean) > psnr(clean, y) + 4
    assert np.corrcoef(found.std.ravel(), np.abs(found.mean - clean).ravel())[0, 1] > 0.3
    alone = trained.denoise(y[7], samples=50)
    assert np.allclose(alone.mean[0], found.mean[7], atol=1e-2)


def test_larger_pictures_are_denoised_by_tiles(trained: Any) -> None:
    clean = blobs(2, 40)
    found = trained.denoise(noisy(clean), samples=20)
    assert found.mean.shape == (2, 40, 40) and found.tiles == 9
    assert psnr(clean, found.mean) > psnr(clean, noisy(clean)) + 2


@pytest.mark.parametrize(("noise", "gain"), [("gaussian:25", 3), ("poisson:30", 1)])
def test_a_model_of_clean_pictures_takes_away_a_noise_that_it_never_saw(
    of_clean: Any, noise: str, gain: float
) -> None:
    clean = blobs(40)
    random = np.random.default_rng(0)
    y = noisy(clean) if noise == "gaussian:25" else random.poisson(clean / 255 * 30) * 255 / 30
    found = of_clean.denoise(y, noise=noise, samples=20)
    assert found.noise == noise
    assert psnr(clean, found.mean) > psnr(clean, y) + gain
    untouched = of_clean.denoise(y, noise=noise, samples=20, steps=0)
    assert psnr(clean, found.mean) > psnr(clean, untouched.mean) + 1


def test_the_noise_that_was_trained_with_and_told_again_needs_no_steps(trained: Any) -> None:
    y = noisy(blobs(3))
    same, told = trained.denoise(y, samples=5), trained.denoise(y, noise="gaussian:25", samples=5)
    assert np.array_equal(same.mean, told.mean)
    other = trained.denoise(y, noise="gaussian:50", samples=5)
    assert other.noise == "gaussian:50" and not np.allclose(other.mean, same.mean)


def test_rows_are_denoised_in_their_own_units(tmp_path: Path) -> None:
    z = Noise(0, "z").normal((800, 1)).double().numpy()
    clean = 1_000 + z * np.array([3.0, -40.0, 200.0, 5.0, 80.0, -150.0])
    y = clean + 20 * Noise(1, "noise").normal(clean.shape).double().numpy()
    run = vaekit.fit(y, likelihood="gaussian:20", out=tmp_path / "rows", **{**TRAIN, "latent": 2})
    found = run.denoise(y, samples=50)
    w = np.array([3.0, -40.0, 200.0, 5.0, 80.0, -150.0])
    gain = np.outer(w, w) @ np.linalg.inv(np.outer(w, w) + 400 * np.eye(6))
    best = np.mean((1_000 + (y - 1_000) @ gain.T - clean) ** 2)
    assert np.mean((found.mean - clean) ** 2) < 2 * best < 0.5 * np.mean((y - clean) ** 2)
    assert found.noise == "gaussian:20" and found.std.shape == y.shape


# ---------------------------------------------------------------------- the command line


def test_squares_of_one_picture_are_all_trained_on_or_all_held_out() -> None:
    pictures = np.arange(30, dtype=np.uint8).reshape(30, 1, 1) + np.zeros((1, 8, 12), np.uint8)
    data = prepare(pictures, Config(source="", patch=4, kind="images"))
    parts = [set(part.raw.flatten(1)[:, 0].tolist()) for part in (data.train, data.heldout)]
    assert not parts[0] & parts[1] and [len(part) for part in parts] == [27, 3] and len(data.heldout) == 18
    single = np.arange(96, dtype=np.uint8).reshape(1, 8, 12)
    one = prepare(single, Config(source="", patch=4, kind="images"))
    assert len(one.train) == 5 and len(one.heldout) == 1


def test_the_command_trains_on_patches_and_writes_every_form(tmp_path: Path) -> None:
    clean = blobs(12, 32)
    np.save(tmp_path / "noisy.npy", noisy(clean))
    length = ["--steps", "30", "--latent", "2", "--set", "train.threads=1"]
    words = ["--likelihood", "gaussian:25", "--patch", "16", "--out", tmp_path / "run", *length]
    assert call("train", tmp_path / "noisy.npy", *words, "--quiet").code == 0
    common = ["denoise", tmp_path / "run", tmp_path / "noisy.npy", "--samples", "3"]
    done = call(*common, "--out", tmp_path / "o.npz", "--json")
    told = json.loads(done.out)
    assert told["n"] == 12 and told["noise"] == "gaussian:25" and told["tiles"] == 9
    with np.load(tmp_path / "o.npz") as arrays:
        assert arrays["mean"].shape == arrays["std"].shape == (12, 32, 32) and arrays["std"].min() > 0
        mean = arrays["mean"]
    assert call(*common, "--out", tmp_path / "o.png").code == 0
    with Image.open(tmp_path / "o.png") as sheet:
        assert sheet.width == 3 * (64 + 2) + 2  # noisy, denoised, spread, enlarged twice
        assert (
            sheet.height == 26 + 12 * 66 + 2
            and min(sheet.crop((132, 13, 198, 26)).convert("L").getextrema()) < 128
        )
    assert call(*common, "--out", tmp_path / "folder").code == 0
    with Image.open(tmp_path / "folder" / "00003.png") as file:
        picture = np.asarray(file)
    assert len(list((tmp_path / "folder").glob("*.png"))) == 12
    assert np.abs(picture - mean[3].clip(0, 255)).max() <= 0.51
    one = ["denoise", tmp_path / "run", f"{tmp_path / 'noisy.npy'}#3", "--samples", "3"]
    assert call(*one, "--out", tmp_path / "one.npy").code == 0
    assert np.allclose(np.load(tmp_path / "one.npy")[0], mean[3], atol=1e-2)
    assert call(*one, "--out", tmp_path / "one.csv").code == 0


def test_a_picture_holds_the_first_sixteen_and_says_so(trained: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "many.npy", noisy(blobs(20)))
    done = call("denoise", trained.path, tmp_path / "many.npy", "--samples", 2, "--out", tmp_path / "o.png")
    assert "note: 16 of 20 drawn; a folder or .npz holds all" in done.err
    with Image.open(tmp_path / "o.png") as sheet:
        assert sheet.height == 26 + 16 * 66 + 2
    assert enlarged(np.zeros((2, 28, 28))).shape == (2, 84, 84) and enlarged(np.zeros((1, 64, 9))).shape == (
        1,
        64,
        9,
    )


@pytest.mark.parametrize(
    ("noise", "code", "word"),
    [
        ("salt:3", "E103", "gaussian, poisson"),
        ("gausian:3", "E103", "did you mean gaussian"),
        ("gaussian:-1", "E103", "above 0"),
        ("gaussian:", "E103", "above 0"),
        ("gaussian:nan", "E103", "above 0"),
        ("poisson:0", "E103", "above 0"),
    ],
)
def test_noise_that_does_not_exist_is_named(trained: Any, noise: str, code: str, word: str) -> None:
    with pytest.raises(VaekitError) as error:
        trained.denoise(noisy(blobs(2)), noise=noise)
    assert error.value.code == code and word in str(error.value)
    with pytest.raises(VaekitError) as error:
        vaekit.fit(noisy(blobs(30)), likelihood=noise, steps=1)
    assert error.value.code == code and word in str(error.value)


def test_pictures_that_cannot_be_denoised_are_named_with_what_to_do(trained: Any, of_clean: Any) -> None:
    y = noisy(blobs(2))
    wrong = [
        (trained, y[:, :12, :12], {}, "E212", "--patch 12"),
        (trained, np.repeat(y[..., None], 3, 3), {}, "E212", "grey"),
        (trained, np.full((2, 16, 16), np.nan), {}, "E206", ""),
        (trained, np.zeros((0, 16, 16)), {}, "E202", ""),
        (trained, y, {"noise": "poisson:30"}, "E203", "never negative"),
        (trained, y, {"samples": 1}, "E103", "two draws"),
        (trained, y, {"steps": -1}, "E103", "--steps -1"),
        (of_clean, y, {}, "E103", "--noise gaussian:25"),
    ]
    for run, data, options, code, word in wrong:
        with pytest.raises(VaekitError) as error:
            run.denoise(data, **options)
        assert error.value.code == code and word in str(error.value), str(error.value)


def test_models_that_cannot_denoise_say_so(tmp_path: Path) -> None:
    tiny = {"steps": 2, "threads": 1, "quiet": True}
    table = pd.DataFrame({"a": np.sin(np.arange(40)), "b": ["x", "y"] * 20})
    run = vaekit.fit(table, out=tmp_path / "table", **tiny)
    with pytest.raises(VaekitError, match="pictures and rows") as error:
        run.denoise(table, noise="gaussian:1")
    assert error.value.code == "E108"
    plain = vaekit.fit(
        noisy(blobs(30)), preset="autoencoder", likelihood="gaussian:25", out=tmp_path / "a", **tiny
    )
    with pytest.raises(VaekitError, match="no posterior to draw from") as error:
        plain.denoise(noisy(blobs(2)))
    assert error.value.code == "E106"


def test_options_of_training_that_do_not_go_together_are_refused() -> None:
    y = noisy(blobs(30))
    for options, word in (
        ({"likelihood": "gaussian:25", "binarize": "dynamic"}, "bits"),
        ({"likelihood": "poisson:30"}, "never negative"),
        ({"likelihood": "gaussian:25", "patch": 17}, "no squares"),
    ):
        with pytest.raises(VaekitError) as error:
            vaekit.fit(y, **options, steps=1, quiet=True)
        assert word in str(error.value)
    with pytest.raises(VaekitError) as error:
        vaekit.fit(blobs(30).astype(np.uint8), likelihood="poisson", steps=1, quiet=True)
    assert "poisson:30" in error.value.hint
    with pytest.raises(VaekitError, match="these are none"):
        vaekit.fit(np.zeros((30, 4)), patch=4, steps=1, quiet=True)


def test_the_noise_is_saved_with_the_model(trained: Any) -> None:
    again = vaekit.open(trained.path)
    assert again.kind.white == 255.0 and again.denoise(noisy(blobs(1)), samples=2).noise == "gaussian:25"
    assert isinstance(again.model(torch.zeros(1, 1, 16, 16)), Pass)
