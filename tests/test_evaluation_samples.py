"""Figures of samples against closed forms, loops over all pairs, and sets whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from vaekit.datasets import digits
from vaekit.evaluation import samples as module
from vaekit.evaluation.copies import copy_rate
from vaekit.evaluation.features import classifier_features, fit_classifier, random_features
from vaekit.evaluation.samples import fidelity, frechet_distance
from vaekit.evaluation.sharpness import edge_ratio, spectrum, spectrum_distance
from vaekit.evaluation.two_samples import _measured, two_sample_test


def with_moments(rng, n: int, mean: np.ndarray, root: np.ndarray) -> np.ndarray:
    """A sample whose own mean and covariance are exactly these, divided by n − 1."""
    x = rng.normal(size=(n, len(mean)))
    x -= x.mean(0)
    white = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T
    return mean + white @ root.T


# the Fréchet distance


def test_frechet_is_the_closed_form_of_known_gaussians(rng) -> None:
    means, roots = rng.normal(size=(2, 5)), rng.normal(size=(2, 5, 5))
    a, b = (with_moments(rng, n, m, r) for n, m, r in zip((60, 90), means, roots, strict=True))
    sa, sb = (r @ r.T for r in roots)
    expected = ((means[0] - means[1]) ** 2).sum() + np.trace(sa + sb - 2 * sqrtm(sa @ sb).real)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-9)
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    assert frechet_distance(a @ turn + 3, b @ turn + 3) == pytest.approx(expected, rel=1e-9)


def test_frechet_of_one_dimension_is_means_and_standard_deviations_apart(rng) -> None:
    a, b = rng.normal(2, 3, (50, 1)), rng.normal(-1, 0.5, (40, 1))
    expected = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert frechet_distance(a, b) == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(50, 4), (5, 20)], ids=["many rows", "fewer rows than columns"])
def test_frechet_of_a_set_from_itself_is_nothing_and_from_its_shift_the_shift(shape, rng) -> None:
    a = rng.normal(size=shape)
    assert frechet_distance(a, a) < 1e-12
    assert frechet_distance(a, a + 0.5) == pytest.approx(0.25 * shape[1], rel=1e-9)
    assert frechet_distance(a + 1e5, a + 1e5 + 0.5) == pytest.approx(0.25 * shape[1], rel=1e-6)


# neighbourhoods


def by_hand(real, samples, k: int) -> tuple[float, float, float, float]:
    def d(a, b) -> float:
        return math.dist(a, b)

    def reach(rows):
        return [sorted(d(a, b) for j, b in enumerate(rows) if j != i)[k - 1] for i, a in enumerate(rows)]

    real_reach, sample_reach = reach(real), reach(samples)
    inside = [[d(s, x) <= r for x, r in zip(real, real_reach, strict=True)] for s in samples]
    recalled = [any(d(s, x) <= r for s, r in zip(samples, sample_reach, strict=True)) for x in real]
    covered = [any(row[i] for row in inside) for i in range(len(real))]
    return (
        float(np.mean([any(row) for row in inside])),
        float(np.mean(recalled)),
        float(np.sum(inside) / (k * len(samples))),
        float(np.mean(covered)),
    )


def figures(found) -> tuple[float, float, float, float]:
    return found.precision, found.recall, found.density, found.coverage


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("chunk", [7, 1_024])
def test_neighbourhoods_are_those_of_a_loop_over_all_pairs(k, chunk, rng, monkeypatch) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    real, samples = rng.normal(size=(40, 3)), rng.normal(0.7, 1.3, (25, 3))
    assert figures(fidelity(real, samples, k)) == pytest.approx(by_hand(real, samples, k))


def test_neighbourhoods_of_equal_and_of_far_sets(rng) -> None:
    real = rng.normal(size=(60, 4))
    assert figures(fidelity(real, real, k=5)) == pytest.approx(
        (1, 1, 6 / 5, 1)
    )  # each is its own neighbour too
    assert figures(fidelity(real, real + 100)) == (0, 0, 0, 0)


def test_of_one_distribution_density_is_one_and_coverage_nearly(rng) -> None:
    n, k = 1_500, 3
    found = fidelity(rng.normal(size=(n, 2)), rng.normal(size=(n, 2)), k)
    # Naeem et al. (2020), lemma 2: none of the k nearest of 2n − 1 points is a sample
    missed = np.prod([(n - i) / (2 * n - i) for i in range(1, k + 1)])
    assert found.coverage == pytest.approx(1 - missed, abs=0.03)
    assert found.density == pytest.approx(1, abs=0.06)


def test_a_lost_mode_costs_recall_and_an_invented_one_precision(rng) -> None:
    left, right = rng.normal(-50, 1, (100, 2)), rng.normal(50, 1, (100, 2))
    lost = fidelity(np.r_[left, right], left + 1e-9, k=5)
    assert (lost.precision, lost.recall, lost.coverage) == (1, 0.5, 0.5)
    invented = fidelity(left, np.r_[left, right], k=5)
    assert (invented.precision, invented.recall, invented.coverage) == (0.5, 1, 1)
    assert invented.density == pytest.approx(0.5 * 6 / 5)


@pytest.mark.parametrize("compare", [frechet_distance, fidelity])
def test_features_that_cannot_be_compared_are_refused(compare, rng) -> None:
    a = rng.normal(size=(20, 3))
    with pytest.raises(ValueError, match="features must be"):
        compare(a, a[:, :2])
    with pytest.raises(ValueError, match="rows or more are needed"):
        compare(a, a[:1])
    with pytest.raises(ValueError, match="not finite"):
        compare(a, np.where(a > 1, np.inf, a))


# the classifier's test


def test_a_classifier_cannot_tell_equal_distributions_apart(rng) -> None:
    sets = rng.normal(size=(8, 2, 300, 3))
    found = [two_sample_test(a, b, seed, steps=60) for seed, (a, b) in enumerate(sets)]
    deviation = math.sqrt(301 / (12 * 150 * 150) / 8)
    assert abs(np.mean([one.auc for one in found]) - 0.5) < 4 * deviation
    assert abs(np.mean([one.accuracy for one in found]) - 0.5) < 4 * math.sqrt(0.25 / 300 / 8)
    assert 0.1 < np.mean([one.p_value for one in found]) < 0.9


def test_a_shift_is_told_as_well_as_it_can_be(rng) -> None:
    a, b = rng.normal(size=(2_000, 2)), rng.normal(size=(2_600, 2))
    b[:, 0] += 1.0
    found = two_sample_test(a, b)
    assert found.auc == pytest.approx(norm.cdf(1 / math.sqrt(2)), abs=0.035)  # the best rule's
    assert found.accuracy == pytest.approx(norm.cdf(0.5), abs=0.035)
    assert found.p_value < 1e-6
    assert two_sample_test(a, b) == found and two_sample_test(a, b, seed=1) != found


def test_a_spread_without_a_shift_is_told_too(rng) -> None:
    assert two_sample_test(rng.normal(size=(800, 1)), 3 * rng.normal(size=(800, 1))).auc > 0.65


def test_the_area_is_scikit_learns_with_ties(rng) -> None:
    a, b = rng.integers(0, 5, 40), rng.integers(1, 7, 70)
    labels = np.r_[np.zeros(40), np.ones(70)]
    assert _measured(a, b).auc == pytest.approx(roc_auc_score(labels, np.r_[a, b]))


def test_the_p_value_of_the_area_is_uniform_for_equal_distributions(rng) -> None:
    values = np.sort([_measured(rng.normal(size=50), rng.normal(size=60)).p_value for _ in range(2_000)])
    assert np.abs(values - np.arange(2_000) / 2_000).max() < 1.95 / math.sqrt(2_000)


def test_sets_too_small_or_of_other_shapes_are_refused(rng) -> None:
    for b in (rng.normal(size=(5, 3)), rng.normal(size=(50, 2))):
        with pytest.raises(ValueError, match="eight rows or more of one shape"):
            two_sample_test(rng.normal(size=(50, 3)), b)


# copies


def test_copies_are_found_and_new_draws_are_like_the_control(rng) -> None:
    train, heldout, new = (rng.normal(size=(n, 6)) for n in (500, 2_000, 2_000))
    assert copy_rate(train + 1e-6, train, heldout).rate == 1
    half = np.r_[train[:250], rng.normal(size=(250, 6)) + 30]
    assert copy_rate(half, train, heldout).rate == 0.5
    found = copy_rate(new, train, heldout)
    deviation = math.sqrt(0.05 * 0.95 * (1 / 1_000 + 1 / 1_000))
    assert abs(found.control - 0.05) < 4 * deviation and abs(found.rate - 0.05) < 4 * deviation
    assert abs(copy_rate(new, train, heldout, share=0.5).rate - 0.5) < 0.08


def test_the_control_had_no_part_in_the_threshold(rng) -> None:
    """With four held-out data, of which two set the threshold: the others are within it half the time or so."""
    train = np.zeros((1, 1))
    heldout = np.array([[1.0], [2.0], [3.0], [4.0]])
    found = [copy_rate(np.array([[1.5], [9.0]]), train, heldout, seed=seed) for seed in range(40)]
    assert {one.control for one in found} == {0.0, 0.5, 1.0}
    for one in found:
        expected = {1.0: (0.0, 0.0), 2.0: (0.5, 0.5), 3.0: (0.5, 1.0)}[one.threshold]
        assert (one.rate, one.control) == expected


def test_exact_copies_count_where_held_out_data_are_copies_too(rng) -> None:
    train = rng.integers(0, 2, (100, 6)) * 1.0  # 64 different rows
    found = copy_rate(train, train, rng.integers(0, 2, (100, 6)))
    assert found.threshold == 0 and found.rate == 1 and 0.5 < found.control < 1


def test_copies_of_nothing_are_refused(rng) -> None:
    x = rng.normal(size=(5, 2))
    with pytest.raises(ValueError, match="four held-out data"):
        copy_rate(x, x, x[:3])


# spectra and edges


def waves(periods: int, size: int = 32, angle: float = 0.0) -> np.ndarray:
    y, x = np.mgrid[:size, :size] / size
    return np.cos(2 * np.pi * periods * (x * math.cos(angle) + y * math.sin(angle)))[None]


@pytest.mark.parametrize("periods", [1, 5, 15])
@pytest.mark.parametrize("angle", [0.0, math.pi / 2])
def test_a_wave_has_its_power_at_its_frequency(periods, angle) -> None:
    power = np.exp(spectrum(waves(periods, angle=angle)))
    assert power.argmax() + 1 == periods and power[periods - 1] > 0.99 * power.sum()


def test_white_noise_has_the_same_power_at_every_frequency(rng) -> None:
    logs = spectrum(2.0 * rng.normal(size=(400, 24, 24)) + 5)
    assert logs.shape == (12,)
    np.testing.assert_allclose(logs, math.log(4), atol=0.12)


def test_the_distance_of_spectra_is_that_of_logarithms(rng) -> None:
    real = rng.normal(size=(50, 16, 16))
    assert spectrum_distance(real, real[::-1] + 3) == pytest.approx(
        0, abs=1e-9
    )  # order and brightness do not count
    assert spectrum_distance(real, 3 * real) == pytest.approx(2 * math.log(3))
    blurred = (real + np.roll(real, 1, 1) + np.roll(real, 1, 2) + np.roll(real, (1, 1), (1, 2))) / 4
    assert spectrum_distance(real, blurred) > 1 and spectrum(blurred)[-1] < spectrum(real)[-1] - 2
    assert spectrum(blurred)[0] == pytest.approx(spectrum(real)[0], abs=0.1)


def test_edges_are_lengths_of_differences(rng) -> None:
    ramp = np.add.outer(3.0 * np.arange(6), 4.0 * np.arange(8))[None]  # every gradient is (3, 4)
    assert edge_ratio(ramp, 2 * ramp + 1) == pytest.approx(2)
    step = np.zeros((1, 6, 8))
    step[:, :, 4:] = 5.0  # one edge of height 5 in 7 columns
    assert edge_ratio(ramp, step) == pytest.approx(1 / 7)
    blurred = (ramp % 7 + np.roll(ramp % 7, 1, 2)) / 2
    assert edge_ratio(ramp % 7, blurred) < 1 < edge_ratio(ramp, ramp + 9 * rng.normal(size=ramp.shape))


def test_channels_are_planes_and_tensors_are_images(rng) -> None:
    images = rng.normal(size=(10, 3, 8, 8))
    np.testing.assert_allclose(spectrum(torch.tensor(images)), spectrum(images.reshape(30, 8, 8)))
    assert edge_ratio(images, images.reshape(30, 8, 8)) == pytest.approx(1)


def test_what_is_no_image_is_refused(rng) -> None:
    with pytest.raises(ValueError, match="images must be"):
        spectrum(rng.normal(size=(8, 8)))
    with pytest.raises(ValueError, match="of one size"):
        spectrum_distance(np.ones((2, 8, 8)), np.ones((2, 9, 8)))
    with pytest.raises(ValueError, match="no edge"):
        edge_ratio(np.ones((2, 8, 8)), np.ones((2, 8, 8)))


# features


@pytest.fixture(scope="module")
def digit_features():
    images, labels = digits()
    return classifier_features(images[:1_000], labels[:1_000], seed=0, steps=400)


def test_features_tell_classes_apart_that_the_classifier_has_not_seen(digit_features) -> None:
    images, labels = digits()
    images, labels = images[1_000:], labels[1_000:]
    found = digit_features(images)
    assert found.shape == (797, 64) and found.dtype == np.float64 and (found >= 0).all()
    centres = np.stack([found[:400][labels[:400] == d].mean(0) for d in range(10)])
    nearest = ((found[400:, None] - centres) ** 2).sum(2).argmin(1)
    assert np.mean(nearest == labels[400:]) > 0.9
    same = frechet_distance(found[::2], found[1::2])
    assert frechet_distance(found[labels < 5], found[labels >= 5]) > 3 * same


def test_features_do_not_depend_on_neighbours_or_on_the_form(digit_features) -> None:
    images = digits()[0][:300]
    whole = digit_features(images)
    np.testing.assert_allclose(digit_features(images[7:8])[0], whole[7], rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(digit_features(torch.tensor(images).float()), whole)


def test_the_seed_decides_the_features_and_nothing_else_does() -> None:
    images, labels = digits()
    images, labels = images[:200], labels[:200]
    torch.manual_seed(1)
    first = classifier_features(images, labels, seed=3, steps=20)(images)
    state = torch.get_rng_state()
    torch.manual_seed(2)
    names = np.array([f"digit {label}" for label in labels])
    np.testing.assert_array_equal(classifier_features(images, names, seed=3, steps=20)(images), first)
    assert (classifier_features(images, labels, seed=4, steps=20)(images) != first).any()
    torch.set_rng_state(state)
    before = torch.rand(3)
    torch.set_rng_state(state)
    classifier_features(images, labels, steps=2)
    random_features((8, 8))
    assert (torch.rand(3) == before).all()


def test_a_pixel_that_was_never_lit_does_not_drown_the_others(digit_features) -> None:
    images = digits()[0]
    dark = int((images.reshape(len(images), -1) == 0).mean(0).argmax())
    lit = np.repeat(images[:1].reshape(1, -1), 3, 0)
    lit[:, dark] = [0, 100, 255]
    found = digit_features(lit)
    np.testing.assert_array_equal(found[1], found[2])
    assert np.linalg.norm(found[1] - found[0]) < digit_features(images).std(0).sum()


def test_a_classifier_learns_what_no_line_divides(rng) -> None:
    x = rng.normal(size=(600, 2))
    classes = torch.from_numpy((x[:, 0] * x[:, 1] > 0).astype(int))
    rule = fit_classifier(torch.from_numpy(x).float(), classes, seed=0, steps=300)
    assert np.mean(rule(x).argmax(1) == classes.numpy()) > 0.95


def test_random_features_keep_scale_and_tell_sets_apart(rng) -> None:
    features = random_features((8, 8), seed=1)
    a = rng.normal(size=(400, 8, 8))
    for far in (1, 100):  # pixels too, which reach 255
        np.testing.assert_allclose(features(2 * far * a), 2 * features(far * a), rtol=1e-5, atol=1e-5 * far)
    np.testing.assert_array_equal(random_features((8, 8), seed=1)(a), features(a))
    assert (random_features((8, 8), seed=2)(a) != features(a)).any()
    spread = features(a).std(0).mean()
    assert 0.1 < spread < 10  # neither dies out nor explodes
    same = frechet_distance(features(a[:200]), features(a[200:]))
    assert frechet_distance(features(a[:200]), features(a[200:] + 1)) > 3 * same


@pytest.mark.parametrize("labels", [np.zeros(10), np.arange(9)])
def test_labels_that_teach_nothing_are_refused(labels) -> None:
    with pytest.raises(ValueError, match="two labels or more"):
        classifier_features(np.zeros((10, 4)), labels)
