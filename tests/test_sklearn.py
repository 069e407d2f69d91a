"""The scikit-learn estimators: every generated check, and numbers against exact answers."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from vaekit.sklearn import VAE, VAEOutlierDetector
from vaekit.sklearn.detector import _low

BOTH = pytest.mark.parametrize("estimator", [VAE, VAEOutlierDetector])


@pytest.mark.filterwarnings("ignore:few rows:UserWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks([VAE(steps=15), VAEOutlierDetector(steps=15)])
def test_every_generated_check(estimator, check) -> None:
    check(estimator)


# ---------------------------------------------------------------------- a linear-Gaussian world

WEIGHTS = np.random.default_rng(1).normal(size=(2, 5)) * np.array([[2.0], [1.0]])
MEAN, NOISE = np.array([10.0, -3.0, 0.0, 100.0, 5.0]), 0.5


def linear_rows(count: int, seed: int, noise: float = NOISE) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return MEAN + rng.normal(size=(count, 2)) @ WEIGHTS + noise * rng.normal(size=(count, 5))


def exact(x: np.ndarray) -> np.ndarray:
    return stats.multivariate_normal(MEAN, WEIGHTS.T @ WEIGHTS + NOISE**2 * np.eye(5)).logpdf(x)


@pytest.fixture(scope="module")
def fitted() -> VAE:
    return VAE(n_components=2, steps=600, learning_rate=1e-2).fit(linear_rows(2_000, seed=0))


@pytest.fixture(scope="module")
def detector() -> VAEOutlierDetector:
    return VAEOutlierDetector(n_components=2, steps=300).fit(linear_rows(1_000, seed=0))


def test_the_bound_is_below_and_near_the_exact_log_density(fitted) -> None:
    x = linear_rows(4_000, seed=5)
    gap = exact(x) - fitted.score_samples(x)
    assert 0 < gap.mean() < 0.4  # in X's own units: the columns' scales would be off by several nats
    assert fitted.score(x) == pytest.approx(fitted.score_samples(x).mean(), abs=1e-12)


def test_the_score_is_the_elbo_of_the_model(fitted) -> None:
    """Against distortion and rate with thousands of torch's own draws."""
    x = linear_rows(3, seed=6)
    batch = fitted.kind_.encode(fitted.kind_.store(x))
    with torch.no_grad():
        torch.manual_seed(0)
        out = fitted.model_(batch.x.double(), samples=20_000)
        expected = -(out.distortion + out.rate).view(3, -1).mean(1).numpy() - np.log(fitted.kind_.scale).sum()
    np.testing.assert_allclose(fitted.score_samples(x), expected, atol=1.5)
    many = np.concatenate([x + 1e-5 * k for k in range(400)])  # as many keys: their errors average out
    np.testing.assert_allclose(fitted.score_samples(many).reshape(400, 3).mean(0), expected, atol=0.1)


def test_a_row_is_scored_alike_in_any_company(fitted) -> None:
    x = linear_rows(50, seed=7)
    whole, codes = fitted.score_samples(x), fitted.transform(x)
    alone = np.concatenate([fitted.score_samples(row[None]) for row in x])
    np.testing.assert_allclose(alone, whole, rtol=1e-10)
    np.testing.assert_allclose(np.concatenate([fitted.transform(r[None]) for r in x]), codes, atol=1e-10)
    np.testing.assert_allclose(fitted.score_samples(x[::-1]), whole[::-1], rtol=1e-10)
    long = np.tile(x, (30, 1))  # more than are looked at together
    np.testing.assert_allclose(fitted.score_samples(long), np.tile(whole, 30), rtol=1e-10)
    assert len(set(fitted.score_samples(np.tile(x[:1], (9, 1))).round(9))) == 1


def test_rows_have_draws_of_their_own(fitted) -> None:
    """Not the same ones, whose error all rows would share; 0 and −0 are the same content."""
    center = fitted.kind_.decode(torch.zeros(1, 5))
    near = center + np.linspace(0, 1e-3, 100)[:, None]
    assert fitted.score_samples(near).std() > 0.05
    zero = np.array([[10.0, -3.0, 0.0, 100.0, 5.0]])
    assert fitted.score_samples(zero) == fitted.score_samples(np.where(zero == 0, -0.0, zero))


def test_transform_is_the_posterior_mean_of_the_model(fitted) -> None:
    x = linear_rows(20, seed=8)
    standard = (x - fitted.kind_.mean) / np.array(fitted.kind_.scale)
    with torch.no_grad():
        q = fitted.model_.posterior(torch.tensor(standard, dtype=torch.float32).double())[-1].q
    np.testing.assert_allclose(fitted.transform(x), q.mean, atol=1e-10)


def test_the_codes_hold_what_the_rows_are_made_of(fitted) -> None:
    x = linear_rows(500, seed=9, noise=0.0)
    back = fitted.inverse_transform(fitted.transform(x))
    assert ((back - x) ** 2).sum() < 0.03 * ((x - x.mean(0)) ** 2).sum()
    with pytest.raises(ValueError, match="codes of 2 numbers are expected, not of 3"):
        fitted.inverse_transform(np.zeros((4, 3)))


def test_samples_are_like_the_rows_and_repeat(fitted) -> None:
    rows = fitted.sample(4_000)
    assert rows.shape == (4_000, 5) and rows.dtype == np.float64
    np.testing.assert_allclose(rows.mean(0), MEAN, atol=0.4)
    truth = WEIGHTS.T @ WEIGHTS + NOISE**2 * np.eye(5)
    np.testing.assert_allclose(np.cov(rows.T), truth, atol=0.15 * truth.diagonal().max())
    np.testing.assert_array_equal(fitted.sample(7), fitted.sample(7))
    assert not np.array_equal(fitted.sample(7), fitted.sample(7, random_state=1))
    assert fitted.sample().shape == (1, 5)


def test_what_was_not_observed_is_left_out() -> None:
    """Rows with holes are scored by the marginal density of the rest."""
    x, new = linear_rows(2_000, seed=0), linear_rows(1_000, seed=5)
    x[np.random.default_rng(0).random(x.shape) < 0.2] = np.nan
    new[:, 1] = np.nan
    model, rest = VAE(n_components=2, steps=600, learning_rate=1e-2).fit(x), [0, 2, 3, 4]
    covariance = (WEIGHTS.T @ WEIGHTS + NOISE**2 * np.eye(5))[np.ix_(rest, rest)]
    truth = stats.multivariate_normal(MEAN[rest], covariance).logpdf(new[:, rest])
    assert 0 < (truth - model.score_samples(new)).mean() < 0.5
    assert np.isfinite(model.transform(np.full((1, 5), np.nan))).all()


def test_few_rows_all_train_in_the_end() -> None:
    """Where training gains nothing the fitted model is probabilistic PCA of all rows, those held out too."""
    x, new = linear_rows(120, seed=0), linear_rows(400, seed=5)
    vae, detector = (
        kind(n_components=2, steps=100, learning_rate=1e-7) for kind in (VAE, VAEOutlierDetector)
    )
    mean, scale = x.mean(0), x.std(0)
    values, vectors = np.linalg.eigh(np.cov(((x - mean) / scale).T, bias=True))
    values[:3] = values[:3].mean()
    covariance = (vectors * values) @ vectors.T * np.outer(scale, scale)
    exact = stats.multivariate_normal(mean, covariance).logpdf(new).mean()
    assert vae.fit(x).score(new) == pytest.approx(exact, abs=0.1)
    begun = vae.model_.decoder.net.across.weight, detector.fit(x).model_.decoder.net.across.weight
    assert not np.allclose(*(w.numpy() for w in begun), atol=1e-3), "the detector's held-out rows stay so"


# ---------------------------------------------------------------------- the same at every fit


def test_the_same_data_give_the_same_model_whatever_the_threads() -> None:
    estimator, x = VAEOutlierDetector, linear_rows(300, seed=2)
    first = estimator(steps=30).fit(x).score_samples(x)
    torch.set_num_threads(2)
    np.testing.assert_allclose(estimator(steps=30).fit(x).score_samples(x), first, rtol=1e-12)
    assert torch.get_num_threads() == 2
    other = estimator(steps=30, random_state=1).fit(x).score_samples(x)
    assert np.abs(other - first).max() > 1e-3
    state = np.random.RandomState
    np.testing.assert_array_equal(
        estimator(steps=5, random_state=state(3)).fit(x).score_samples(x),
        estimator(steps=5, random_state=3).fit(x).score_samples(x),
    )


def test_fitting_leaves_the_random_numbers_of_others_alone() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    expected = torch.rand(3), np.random.rand(3)
    torch.manual_seed(0)
    np.random.seed(0)
    VAE(steps=3).fit(linear_rows(60, seed=2)).sample(2)
    assert torch.equal(torch.rand(3), expected[0]) and np.array_equal(np.random.rand(3), expected[1])


@pytest.mark.parametrize("name", ["fitted", "detector"])
def test_a_pickled_estimator_says_the_same(name, request) -> None:
    estimator, x = request.getfixturevalue(name), linear_rows(30, seed=3)
    again = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(again.score_samples(x), estimator.score_samples(x))
    assert clone(estimator).get_params() == estimator.get_params()
    with pytest.raises(NotFittedError):
        clone(estimator).score_samples(x)


def test_the_weights_that_explained_the_held_out_rows_best_are_kept() -> None:
    """60 rows, and steps enough to learn them by heart."""
    x, new = linear_rows(60, seed=4), linear_rows(1_000, seed=5)
    model = VAE(n_components=2, steps=600, learning_rate=1e-2).fit(x)
    assert model.n_iter_ < 600 and model.n_iter_ % 30 == 0
    assert model.score(new) > exact(new).mean() - 6


# ---------------------------------------------------------------------- outliers


def test_auto_flags_about_one_ordinary_row_in_a_hundred(detector) -> None:
    new = linear_rows(5_000, seed=10)
    assert 0.002 < (detector.predict(new) == -1).mean() < 0.03
    assert (detector.predict(new + [9, 0, 0, 0, 0]) == -1).mean() > 0.95


@pytest.mark.parametrize(("rows", "flagged"), [(494, 1), (60, 1), (50, 0), (20, 0)])
@pytest.mark.filterwarnings("ignore:few rows:UserWarning")
def test_auto_flags_one_row_where_few_are_held_out(rows, flagged) -> None:
    x = linear_rows(rows, seed=2)
    assert (VAEOutlierDetector(steps=5).fit_predict(x) == -1).sum() == flagged


def test_the_low_quantile_is_the_one_new_rows_fall_below_with_that_share() -> None:
    assert _low(np.arange(199.0)) == pytest.approx(1.0, abs=1e-6)  # rank 1 % · 200, counted from 1
    scores = np.arange(99.0) - 1e6
    assert -1e6 - 1 < _low(scores) < -1e6  # the row that it comes from is not flagged


@pytest.mark.parametrize(("share", "count"), [(0.1, 30), (0.5, 150), (0.004, 1), (1 / 300, 1), (0.001, 0)])
def test_a_share_flags_exactly_that_many(share, count) -> None:
    x = linear_rows(300, seed=2)
    found = VAEOutlierDetector(contamination=share, steps=5).fit(x)
    assert (found.predict(x) == -1).sum() == count
    flagged = found.score_samples(x)[found.predict(x) == -1]
    assert not count or flagged.max() < found.score_samples(x)[found.predict(x) == 1].min()


def test_the_decision_is_the_score_less_the_offset(detector) -> None:
    x = linear_rows(100, seed=11)
    x[:50, 0] += 8
    decision = detector.decision_function(x)
    np.testing.assert_allclose(decision, detector.score_samples(x) - detector.offset_, rtol=1e-12)
    np.testing.assert_array_equal(detector.predict(x), np.where(decision < 0, -1, 1))
    assert {-1, 1} == set(detector.predict(x).tolist())


def test_outliers_that_no_single_column_shows_are_found() -> None:
    """Each outlier takes its columns from different ordinary rows."""
    rng, x = np.random.default_rng(0), linear_rows(1_000, seed=2, noise=0.1)
    odd = np.stack([rng.permutation(column) for column in linear_rows(50, seed=3, noise=0.1).T], 1)
    found = VAEOutlierDetector(n_components=2, contamination=50 / 1_050, steps=400, learning_rate=1e-2)
    found.fit(np.concatenate([x, odd]))
    new = np.concatenate([linear_rows(1_000, seed=4, noise=0.1), odd])
    assert roc_auc_score(np.repeat([0, 1], [1_000, 50]), -found.score_samples(new)) > 0.95


def test_values_beyond_float32_are_outliers_too(detector) -> None:
    x = linear_rows(3, seed=1)
    x[1, 2], x[2, 0] = 1e200, -1e300
    assert detector.predict(x).tolist() == [1, -1, -1]
    assert np.isfinite(detector.score_samples(x)).all()


# ---------------------------------------------------------------------- with the rest of scikit-learn


def test_in_a_pipeline() -> None:
    x = linear_rows(200, seed=2)
    pipeline = make_pipeline(StandardScaler(), VAE(n_components=2, steps=100))
    codes = pipeline.fit_transform(x)
    assert codes.shape == (200, 2)
    assert pipeline.inverse_transform(codes).mean(0) == pytest.approx(x.mean(0), abs=1.0)
    assert pipeline.score(x) == pytest.approx(pipeline[1].score(StandardScaler().fit_transform(x)))


def test_a_search_prefers_the_latent_dimensions_that_the_data_have() -> None:
    search = GridSearchCV(VAE(steps=200, learning_rate=1e-2), {"n_components": [1, 2]}, cv=2)
    assert search.fit(linear_rows(600, seed=2)).best_params_ == {"n_components": 2}


def test_frames_keep_their_names(fitted) -> None:
    frame = pd.DataFrame(linear_rows(60, seed=2), columns=list("abcde"), index=range(100, 160))
    model = VAE(n_components=3, steps=5).set_output(transform="pandas").fit(frame)
    codes = model.transform(frame)
    assert list(codes.columns) == ["vae0", "vae1", "vae2"] and list(codes.index) == list(frame.index)
    assert list(model.feature_names_in_) == list("abcde")
    with pytest.raises(ValueError, match="feature names should match"):
        model.transform(frame[list("edcba")])


@pytest.mark.parametrize("preset", ["sigma_vae", "annealed_vae"])
def test_another_variant(preset) -> None:
    x = linear_rows(200, seed=2)
    model = VAE(n_components=2, preset=preset, steps=40).fit(x)
    assert model.score_samples(x).dtype == np.float64
    assert model.sample(3).shape == (3, 5)


def test_a_code_without_a_prior_ranks_but_does_not_sample() -> None:
    x = linear_rows(200, seed=2)
    model = VAE(n_components=2, preset="autoencoder", steps=40).fit(x)
    assert model.score_samples(x).shape == (200,)
    with pytest.raises(ValueError, match="prior"):
        model.sample(3)


@pytest.mark.parametrize(("columns", "latent"), [(1, 1), (5, 2), (40, 16)])
def test_latent_dimensions_follow_the_columns(columns, latent) -> None:
    model = VAE(steps=1).fit(np.random.default_rng(0).normal(size=(60, columns)))
    assert model.transform(np.zeros((2, columns))).shape == (2, latent)


# ---------------------------------------------------------------------- what cannot be


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_components": 0}, "n_components == 0"),
        ({"steps": 0}, "steps == 0"),
        ({"batch_size": 0}, "batch_size == 0"),
        ({"learning_rate": 0.0}, "learning_rate == 0"),
        ({"preset": "beta-vea"}, "did you mean beta_vae"),
        ({"preset": "conditional_vae"}, "labels"),
        ({"random_state": "seven"}, "seed"),
    ],
)
@BOTH
def test_arguments_that_cannot_be(estimator, arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        estimator(**arguments).fit(linear_rows(60, seed=2))


@pytest.mark.parametrize("share", [0, 0.6, -0.1])
def test_a_share_that_cannot_be(share) -> None:
    with pytest.raises(ValueError, match="contamination"):
        VAEOutlierDetector(contamination=share).fit(linear_rows(60, seed=2))
    with pytest.raises(TypeError, match="contamination"):
        VAEOutlierDetector(contamination="some").fit(linear_rows(60, seed=2))


@BOTH
def test_rows_that_cannot_be(estimator) -> None:
    x = linear_rows(60, seed=2)
    model = estimator(steps=1).fit(x)
    with pytest.raises(ValueError, match="X has 4 features, but .* is expecting 5 features"):
        model.score_samples(x[:, :4])
    x[3, 1] = np.inf
    for call in (model.score_samples, estimator(steps=1).fit):
        with pytest.raises(ValueError, match="infinity"):
            call(x)


@BOTH
def test_few_rows_are_said(estimator) -> None:
    with pytest.warns(UserWarning, match="few rows: 49"):
        estimator(steps=1).fit(linear_rows(49, seed=2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator(steps=1).fit(linear_rows(50, seed=2))


def test_importing_the_estimators_does_not_import_torch() -> None:
    program = "import sys, vaekit.sklearn; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=120).returncode == 0


# ---------------------------------------------------------------------- frames of mixed columns


def mixed(rows: int, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    size = random.normal(170, 10, rows).round(1)
    sex = np.where(random.random(rows) < 0.5, "f", "m")
    frame = pd.DataFrame({"size": size, "sex": sex, "smokes": random.random(rows) < 0.3})
    frame.loc[random.random(rows) < 0.1, "sex"] = None
    return frame


def test_a_frame_of_mixed_columns_is_a_table() -> None:
    frame = mixed(300)
    model = VAE(n_components=2, steps=100).fit(frame)
    codes = model.transform(frame)
    # seven rows are multiplied by another kernel than 300: the last digits of float32 differ with the processor
    assert codes.shape == (300, 2) and np.allclose(codes[:7], model.transform(frame[:7]), atol=1e-5)
    for made in (model.inverse_transform(codes), model.sample(50)):
        assert made.dtypes.equals(frame.dtypes) and set(made["sex"].dropna()) <= {"f", "m"}
    odd = frame[:1].assign(size=400.0)
    assert model.score_samples(odd)[0] < model.score_samples(frame).min() - 10
    with pytest.raises(ValueError, match="none of its categories"):
        model.transform(frame[:5].assign(sex="x"))
    with pytest.raises(ValueError, match="feature names"):
        model.transform(frame[["size", "sex"]])
