"""Made data, oracles for every likelihood, and tiny kinds, shared by the tests."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import special, stats


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Sums in one order, so that what is compared bit for bit can be."""
    torch = sys.modules.get("torch")
    if torch is None or torch.get_num_threads() == 1:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# files that are about pictures or look at them, or that make no run
PICTURES = (
    "test_report",
    "test_verdict",
    "test_use_",
    "test_evaluation_privacy",
    "test_comparison",
    "test_core_",
)
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c6360000000020001"
    "48afa4710000000049454e44ae426082"
)


class OnePixel:
    """Charts and grids that draw one grey pixel."""

    def __getattr__(self, name: str) -> Callable[..., bytes]:
        return lambda *evidence: PIXEL


@pytest.fixture(scope="module", autouse=True)
def _plain_pictures(request: pytest.FixtureRequest) -> Iterator[None]:
    """Reports of tests about other things: drawing them takes longer than such a training."""
    if request.path.name.startswith(PICTURES) or request.path.parent.name == "report":
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        for module in ("charts", "grids", "rows", "tables"):
            patch.setattr(f"vaekit.report.plots.{module}", OnePixel())
        yield


def softplus_scale(raw: np.ndarray, initial: float, floor: float) -> np.ndarray:
    """What the docstring of `positive` promises, in NumPy."""
    return floor + (initial - floor) / np.log(2) * np.logaddexp(0, raw)


def logistic_bins(x: np.ndarray, loc: np.ndarray, scale: np.ndarray, levels: int) -> np.ndarray:
    """log of the mass that a logistic puts on the bin of each level, the end bins open."""
    half = 0.5 / (levels - 1)
    lower = np.where(x <= half, -np.inf, (x - half - loc) / scale)
    upper = np.where(x >= 1 - half, np.inf, (x + half - loc) / scale)
    # the difference on the side where both cdfs are small
    flip = lower > 0
    low, high = np.where(flip, -upper, lower), np.where(flip, -lower, upper)
    a, b = special.log_expit(high), special.log_expit(low)
    return a + np.log(-np.expm1(b - a))


def _halves(params: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.split(params, 2, axis=1)[0], np.split(params, 2, axis=1)[1]


def _bernoulli(params: np.ndarray, x: np.ndarray) -> np.ndarray:
    return x * special.log_expit(params) + (1 - x) * special.log_expit(-params)


def _continuous_bernoulli(params: np.ndarray, x: np.ndarray) -> np.ndarray:
    # the constant 2 artanh(1 − 2λ) / (1 − 2λ), written in the logits
    return _bernoulli(params, x) + np.log(params / np.tanh(params / 2))


def _categorical(params: np.ndarray, x: np.ndarray) -> np.ndarray:
    groups = params.reshape(len(params), x.shape[1], -1)  # (N, D, K)
    return np.take_along_axis(special.log_softmax(groups, 2), x[..., None].astype(int), 2)[..., 0]


def _mixture(params: np.ndarray, x: np.ndarray) -> np.ndarray:
    logits, loc, raw = params.reshape(len(params), 3, x.shape[1], 3).swapaxes(0, 1)
    loc = loc + np.linspace(0.1, 0.9, 3)
    parts = logistic_bins(x[..., None], loc, softplus_scale(raw, 0.1, 1e-4), 16)
    return special.logsumexp(special.log_softmax(logits, -1) + parts, axis=-1)


class Likelihood(SimpleNamespace):
    """A family, how data for it are made, and log p(x) elementwise by SciPy.

    Attributes:
        make: () → family.
        data: (generator, shape) → values.
        oracle: (params (N, size), x (N, D)) → log p.
        support: "real", "unit" or the list of all values.
    """

    make: Callable[[], Any]
    data: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
    oracle: Callable[[np.ndarray, np.ndarray], np.ndarray]
    support: Any


def _likelihoods() -> dict[str, Likelihood]:
    from vaekit import distributions as d

    normal = lambda rng, shape: rng.normal(size=shape)  # noqa: E731
    bits = lambda rng, shape: rng.integers(0, 2, shape).astype(float)  # noqa: E731
    levels = lambda n: lambda rng, shape: rng.integers(0, n, shape) / (n - 1)  # noqa: E731
    predicted = lambda p, x, pdf: pdf(x, _halves(p)[0], softplus_scale(_halves(p)[1], 1.0, 1e-4))  # noqa: E731
    rows = {
        "bernoulli": (d.Bernoulli, bits, _bernoulli, [0.0, 1.0]),
        "continuous-bernoulli": (
            d.ContinuousBernoulli, lambda rng, shape: rng.random(shape), _continuous_bernoulli, "unit",
        ),
        "gaussian": (d.Gaussian, normal, lambda p, x: predicted(p, x, stats.norm.logpdf), "real"),
        "gaussian-fixed": (
            lambda: d.Gaussian(d.Fixed(0.3)), normal, lambda p, x: stats.norm.logpdf(x, p, 0.3), "real",
        ),
        "gaussian-shared": (
            lambda: d.Gaussian(d.Shared(initial=0.7)), normal, lambda p, x: stats.norm.logpdf(x, p, 0.7), "real",
        ),
        "gaussian-per-dimension": (
            lambda: d.Gaussian(d.PerDimension((1,), initial=2.0)),
            normal, lambda p, x: stats.norm.logpdf(x, p, 2.0), "real",
        ),
        "laplace": (d.Laplace, normal, lambda p, x: predicted(p, x, stats.laplace.logpdf), "real"),
        "student-t": (
            lambda: d.StudentT(df=3.5),
            normal, lambda p, x: predicted(p, x, lambda *a: stats.t.logpdf(a[0], 3.5, *a[1:])), "real",
        ),
        "categorical": (
            lambda: d.Categorical(5),
            lambda rng, shape: rng.integers(0, 5, shape).astype(float), _categorical, [0.0, 1.0, 2.0, 3.0, 4.0],
        ),
        "discretized-logistic": (
            lambda: d.DiscretizedLogistic(16), levels(16),
            lambda p, x: logistic_bins(x, _halves(p)[0] + 0.5, softplus_scale(_halves(p)[1], 0.1, 1e-4), 16),
            list(np.arange(16) / 15),
        ),
        "logistic-mixture": (
            lambda: d.DiscretizedLogisticMixture(16, components=3), levels(16), _mixture, list(np.arange(16) / 15),
        ),
    }  # fmt: skip
    keys = ("make", "data", "oracle", "support")
    return {name: Likelihood(name=name, **dict(zip(keys, row, strict=True))) for name, row in rows.items()}


# Test modules cannot import from here; they ask for `likelihood`, or for a `preset`'s name, and get each in turn.
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if not metafunc.module.__name__.rpartition(".")[2].startswith("test_core_"):
        return  # elsewhere the names are free
    if "likelihood" in metafunc.fixturenames:
        cases = _likelihoods()
        metafunc.parametrize("likelihood", list(cases.values()), ids=list(cases))
    if "preset" in metafunc.fixturenames:
        from vaekit import presets

        # the plain ones; tests/test_presets.py holds all of them to the contract
        plain = [
            name for name in presets.PRESETS if presets.ABOUT[name].chapter == "elbo" and name != "geco_vae"
        ]
        metafunc.parametrize("preset", sorted([*plain, "iwae", "conditional_vae"]))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240607)


@pytest.fixture
def gaussian_vae() -> Callable[..., Any]:
    """(likelihood family, width of x, options) → a small VAE over vectors, its weights a function of the seed."""
    import torch
    from torch import nn

    from vaekit.bottlenecks import Variational
    from vaekit.conditional import Conditional
    from vaekit.distributions import Gaussian
    from vaekit.model import VAE
    from vaekit.networks import MLP
    from vaekit.priors import StandardNormal

    def make(
        family: Any = None,
        width: int = 5,
        latent: int = 3,
        posterior: Any = None,
        seed: int = 0,
        condition: int = 0,
        masked: bool = False,
        spread: float = 1.0,
    ) -> VAE:
        family = Gaussian() if family is None else family
        posterior = Gaussian() if posterior is None else posterior
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            head = nn.Linear(8, posterior.size(latent))
            with torch.no_grad():
                head.weight *= spread
            return VAE(
                MLP(width, 8, hidden=(12,), condition=condition, masked=masked),
                Variational(Conditional(head, posterior), StandardNormal(latent)),
                Conditional(MLP(latent, family.size(width), hidden=(12,), condition=condition), family),
            )

    return make


@pytest.fixture
def kind_for() -> Callable[..., Any]:
    """A preset's name → a tiny kind that suits it; ("vectors" or "images")."""
    from vaekit.data import Images, Vectors

    def make(preset: str = "vae", form: str = "vectors") -> Any:
        labels = {"labels": ("a", "b", "c")} if preset == "conditional_vae" else {}
        return Vectors(5, **labels) if form == "vectors" else Images(1, 5, 6, levels=16, **labels)

    return make


@pytest.fixture
def preset_for(kind_for: Callable[..., Any]) -> Callable[..., Any]:
    """(preset, form, options) → model, objective and a batch of eight; the weights are a function of the seed."""
    import torch

    from vaekit import presets

    def make(preset: str, form: str = "vectors", seed: int = 0, **options: Any) -> SimpleNamespace:
        kind = kind_for(preset, form)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model, objective = presets.PRESETS[preset](kind, latent=3, **options)
        source = torch.Generator().manual_seed(1)
        x = torch.randn(8, 5, generator=source)
        if form == "images":
            x = torch.randint(0, 16, (8, *kind.shape), generator=source) / 15
        c = torch.eye(3)[torch.arange(8) % 3] if preset == "conditional_vae" else None
        return SimpleNamespace(model=model, objective=objective, kind=kind, x=x, c=c)

    return make
