"""Disentanglement scores on codes whose scores are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import entropy
from sklearn.metrics import mutual_info_score

from vaekit.evaluation.disentanglement import (
    beta_vae_score,
    dci,
    disentanglement,
    explicitness,
    factor_vae_score,
    infoc,
    infoe,
    infom,
    irs,
    mig,
    modularity,
    sap,
)
from vaekit.evaluation.disentanglement.histograms import entropies, mutual_information

SIZES = (4, 5, 3)
GRID = np.stack(np.meshgrid(*map(range, SIZES), indexing="ij"), -1).reshape(-1, 3)
FACTORS = np.tile(GRID, (12, 1))  # every combination as often: what is independent is exactly so
N = len(FACTORS)


def one_hot(factors: np.ndarray) -> np.ndarray:
    return np.concatenate([np.eye(v.max() + 1)[v] for v in factors.T], 1)


def noise(dims: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(N, dims))


def dead(dims: int) -> np.ndarray:
    return np.full((N, dims), 0.3)


PERFECT = {
    "identity": FACTORS * 1.0,
    "permuted": FACTORS[:, [2, 0, 1]] * 1.0,
    "flipped and scaled": FACTORS * [-3.0, 1e-3, 1e4] + [5.0, -7.0, 0.0],
    "dead dimensions between": np.c_[dead(1), FACTORS[:, :1], dead(2), FACTORS[:, 1:], dead(1)],
    "bent": FACTORS**1.5,
}


@pytest.mark.parametrize("name", PERFECT)
def test_a_dimension_for_each_factor_has_the_highest_scores(name) -> None:
    codes = PERFECT[name]
    assert mig(codes, FACTORS) == pytest.approx(1, abs=1e-9)
    assert modularity(codes, FACTORS) == pytest.approx(1, abs=1e-9)
    assert infoc(codes, FACTORS) == pytest.approx(1, abs=1e-9)
    assert irs(codes, FACTORS) == pytest.approx(1, abs=1e-9)
    found = dci(codes, FACTORS)
    assert (found.disentanglement, found.completeness, found.informativeness) == pytest.approx((1, 1, 1))
    if name != "bent":  # squared correlations are of straight lines
        assert sap(codes, FACTORS) == pytest.approx(1, abs=1e-9)


def test_dimensions_in_use_are_those_of_wide_range() -> None:
    assert infom(FACTORS * 1.0, FACTORS) == pytest.approx(1, abs=1e-9)
    assert infom(np.c_[FACTORS, 0.01 * noise(4)], FACTORS) == pytest.approx(1, abs=1e-9)
    assert infom(np.c_[FACTORS, noise(4)], FACTORS) < 0.8
    assert infoc(np.c_[FACTORS, 0.01 * noise(4)], FACTORS) == pytest.approx(1, abs=1e-9)


def test_a_factor_that_does_not_vary_does_not_count() -> None:
    widened = np.c_[np.full(N, 7), FACTORS[:, :2], np.zeros(N, dtype=int), FACTORS[:, 2]]
    codes = np.c_[FACTORS @ np.array([[1, 1, 0], [1, -1, 0], [0, 0, 1]]), noise(1)]
    assert disentanglement(codes, widened) == pytest.approx(disentanglement(codes, FACTORS))
    assert sap(codes, widened, frozenset({4})) == sap(codes, FACTORS, frozenset({2}))
    assert sap(codes, widened, frozenset({1})) != sap(codes, widened, frozenset({4}))


def test_the_names_of_a_factors_values_do_not_matter() -> None:
    codes = np.c_[FACTORS + 0.3 * noise(3), noise(1)]
    assert mig(codes, FACTORS * 10 - 3) == mig(codes, FACTORS)
    assert infoe(codes, FACTORS * 10 - 3) == infoe(codes, FACTORS)


def test_mutual_information_is_scikit_learns() -> None:
    codes = FACTORS @ np.random.default_rng(0).normal(size=(3, 5)) + noise(5)
    found = mutual_information(codes, FACTORS, bins=7)
    for d, z in enumerate(codes.T):
        binned = np.digitize(z, np.linspace(z.min(), z.max(), 8)[1:-1])
        for f, v in enumerate(FACTORS.T):
            assert found[d, f] == pytest.approx(mutual_info_score(binned, v), abs=1e-9)
    np.testing.assert_allclose(entropies(FACTORS), np.log(SIZES))


def test_mig_is_the_gap_over_the_entropy() -> None:
    v = FACTORS[:, :1]
    codes = np.c_[dead(1), v // 2, dead(1), v]  # log 2 and log 4 nats of log 4
    assert mig(codes, v) == pytest.approx(0.5, abs=1e-9)
    assert mig(v * 1.0, v) == pytest.approx(1, abs=1e-9)
    # five dimensions and three factors: a table read in the wrong order has another answer
    codes = np.c_[FACTORS[:, 0] // 2, FACTORS[:, 0], dead(1), FACTORS[:, 2], FACTORS[:, 2]]
    assert mig(codes, FACTORS) == pytest.approx((0.5 + 0 + 0) / 3, abs=1e-9)


def test_a_dimension_that_is_independent_of_all_factors_does_not_count() -> None:
    codes = np.stack(np.meshgrid(*map(range, (*SIZES, 7)), indexing="ij"), -1).reshape(-1, 4)
    assert (mutual_information(codes * 1.0, codes[:, :3])[3] == 0).all()
    assert modularity(codes, codes[:, :3]) == pytest.approx(1)


def test_a_copied_dimension_is_modular_but_has_no_gap() -> None:
    codes = np.c_[FACTORS, FACTORS] * 1.0
    assert mig(codes, FACTORS) == pytest.approx(0, abs=1e-9)
    assert sap(codes, FACTORS) == pytest.approx(0, abs=1e-9)
    assert modularity(codes, FACTORS) == pytest.approx(1) == infom(codes, FACTORS)
    assert infoc(codes, FACTORS) == pytest.approx((1 / 2 - 1 / 6) / (1 - 1 / 6))
    found = dci(codes, FACTORS)
    assert found.disentanglement == pytest.approx(1) and found.completeness < 0.9


def test_two_factors_turned_by_half_a_right_angle_are_entangled() -> None:
    v = np.stack(np.meshgrid(range(4), range(4), indexing="ij"), -1).reshape(-1, 2).repeat(40, 0)
    codes = np.c_[v[:, 0] + v[:, 1], v[:, 0] - v[:, 1]] * 0.7
    for score in (mig, modularity, sap, infom, infoc):
        assert score(codes, v) == pytest.approx(0, abs=1e-9), score.__name__
    assert dci(codes, v).disentanglement < 0.2 and dci(codes, v).informativeness == 1
    assert irs(codes, v) < 0.6


def test_one_dimension_for_two_factors_is_complete_but_not_modular() -> None:
    codes = np.c_[FACTORS[:, 0] + 4.0 * FACTORS[:, 2], FACTORS[:, 1]]  # 12 values
    table = mutual_information(codes, FACTORS)
    np.testing.assert_allclose(table[0], [np.log(4), 0, np.log(3)], atol=1e-9)
    lost = (np.log(3) / np.log(4)) ** 2 / 2
    assert modularity(codes, FACTORS) == pytest.approx((1 - lost + 1) / 2)
    assert infoc(codes, FACTORS) == pytest.approx(1) == mig(codes, FACTORS)
    assert infom(codes, FACTORS) == pytest.approx((0.5 - 1 / 3 + 1 - 1 / 3) / 2 / (1 - 1 / 3))


def test_noise_knows_nothing() -> None:
    codes = noise(4)
    assert mig(codes, FACTORS) < 0.03 and sap(codes, FACTORS) < 0.02 and infoe(codes, FACTORS) < 0.02
    assert abs(explicitness(codes, FACTORS)) < 0.12
    chance = np.mean(1 / np.array(SIZES))
    assert abs(dci(codes, FACTORS).informativeness - chance) < 4 * np.sqrt(chance / (3 * N / 2))


@pytest.mark.parametrize("codes", [dead(3), dead(1)], ids=["three", "one"])
def test_codes_that_are_all_dead_score_nothing(codes) -> None:
    scores = disentanglement(codes, FACTORS)
    informed = scores.pop("dci_informativeness")
    assert informed < 0.4 and scores == pytest.approx(dict.fromkeys(scores, 0.0), abs=1e-4)


def test_linear_rules_do_not_see_a_rotation() -> None:
    codes = np.c_[one_hot(FACTORS[:, :2]), FACTORS[:, 2] == 0] + 0.1 * noise(10)
    turned = codes @ np.linalg.qr(np.random.default_rng(0).normal(size=(10, 10)))[0]
    for score in (explicitness, infoe):
        assert score(turned, FACTORS) == pytest.approx(score(codes, FACTORS), abs=0.02)
    for score in (mig, irs):
        assert score(turned, FACTORS) < 0.6 * score(codes, FACTORS)
    # the last factor is known to be 0 or not: log 3 − 2/3 log 2 of log 3 nats
    expected = (1 + 1 + 1 - 2 / 3 * np.log(2) / np.log(3)) / 3
    assert infoe(codes, FACTORS) == pytest.approx(expected, abs=0.02)


def test_one_hot_codes_are_explicit() -> None:
    assert explicitness(one_hot(FACTORS), FACTORS) == pytest.approx(1, abs=1e-6)
    assert infoe(one_hot(FACTORS), FACTORS) > 0.98
    assert explicitness(FACTORS * 1.0, FACTORS) < 0.8  # a straight line does not find the middle values


def test_infoe_is_the_share_of_the_entropy_that_is_explained() -> None:
    v = FACTORS[:, :1]
    assert infoe(v // 2, v) == pytest.approx(0.5, abs=0.02)  # log 2 of log 4 nats


def test_dci_is_what_its_importances_say() -> None:
    codes = FACTORS @ np.random.default_rng(3).normal(size=(3, 4)) + 0.3 * noise(4)
    found = dci(codes, FACTORS)
    r = found.importance
    np.testing.assert_allclose(r.sum(0), 1)
    focus = 1 - entropy(r, axis=1, base=3)
    assert found.disentanglement == pytest.approx((r.sum(1) / r.sum()) @ focus)
    assert found.completeness == pytest.approx((1 - entropy(r, axis=0, base=4)).mean())


def test_dci_measures_on_data_that_did_not_train() -> None:
    rng = np.random.default_rng(0)
    codes, v = rng.normal(size=(2_000, 5)), rng.integers(0, 2, (2_000, 1))
    assert dci(codes, v).informativeness < 0.56


def test_sap_finds_values_without_order() -> None:
    shape = np.array([1, 3, 0, 2])[FACTORS[:, 0]]  # another order, and a line does not fit
    codes = np.c_[shape, FACTORS[:, 1:]] * 1.0
    line = np.corrcoef(shape, FACTORS[:, 0])[0, 1] ** 2
    assert sap(codes, FACTORS) == pytest.approx((line + 1 + 1) / 3)
    assert sap(codes, FACTORS, frozenset({0})) == pytest.approx((1 - 1 / 4 + 1 + 1) / 3, abs=1e-6)


def test_thresholds_are_nearly_the_best() -> None:
    rng = np.random.default_rng(0)
    v = (rng.random(2_000) < 0.05).astype(int)  # one value is rare
    z = rng.normal(size=2_000) + 1.2 * v
    best = max((np.mean(z[v == 1] > t) + np.mean(z[v == 0] <= t)) / 2 for t in z)
    assert best - 0.03 < sap(z[:, None], v[:, None], frozenset({0})) <= best


def test_irs_is_how_far_a_dimension_moves_once_its_factor_is_held() -> None:
    v = np.tile([[0, 0], [0, 1], [1, 0], [1, 1]], (50, 1))
    both = v.sum(1) * 2.0  # moves by 2 about its mean; by 1 once either factor is held
    assert irs(both[:, None], v) == pytest.approx(0.5)
    assert irs(np.c_[both, dead(1)[:200]], v) == pytest.approx(0.5)
    # weighted by how far each moves: 2 and 5
    assert irs(np.c_[both, 10.0 * v[:, 0]], v) == pytest.approx((2 * 0.5 + 5 * 1) / 7)


def test_the_seed_decides() -> None:
    codes = np.c_[FACTORS + 0.5 * noise(3), noise(2)]
    first = disentanglement(codes, FACTORS, seed=3)
    assert disentanglement(codes, FACTORS, seed=3) == first
    assert set(first) == {
        *("mig", "sap", "modularity", "explicitness", "irs", "infom", "infoc", "infoe"),
        *("dci_disentanglement", "dci_completeness", "dci_informativeness"),
    }
    assert disentanglement(codes, FACTORS, seed=4)["dci_informativeness"] != first["dci_informativeness"]


@pytest.mark.parametrize(
    ("codes", "factors", "words"),
    [
        ((FACTORS * 1.0).T, FACTORS, "codes must be"),
        (FACTORS[:, 0] * 1.0, FACTORS, "codes must be"),
        (np.where(FACTORS == 2, np.nan, FACTORS), FACTORS, "not finite"),
        (FACTORS * 1.0, FACTORS * 0, "every factor is constant"),
    ],
)
@pytest.mark.parametrize("score", [mig, sap, irs, dci, explicitness, infom])
def test_what_cannot_be_scored_is_refused(score, codes, factors, words) -> None:
    with pytest.raises(ValueError, match=words):
        score(codes, factors)


# scores that draw from a generator


def wobble(shape: tuple[int, ...]) -> np.ndarray:
    """A little noise, so that a factor that is held does not make a dimension exactly constant."""
    return 0.1 * np.random.default_rng(0).normal(size=shape)


GENERATED = {"beta": beta_vae_score, "factor": factor_vae_score}
FAST = {"points": 200}


@pytest.mark.parametrize("score", GENERATED.values(), ids=GENERATED)
@pytest.mark.parametrize(
    "codes_of",
    [
        lambda v: v * 1.0,
        lambda v: (v + wobble(v.shape))[:, [2, 0, 1]] * [-3.0, 1e-3, 1e4] + 5,
        lambda v: np.c_[np.zeros((len(v), 2)), v, np.ones(len(v))],
    ],
    ids=["identity", "permuted and scaled", "dead"],
)
def test_a_generator_with_a_dimension_for_each_factor_scores_one(score, codes_of) -> None:
    assert score(codes_of, SIZES, **FAST) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("score", GENERATED.values(), ids=GENERATED)
@pytest.mark.parametrize("scale", [1.0, 0.0], ids=["noise", "dead"])
def test_codes_without_information_score_chance(score, scale) -> None:
    rng = np.random.default_rng(0)  # so many dimensions that a hundred points can be learned by heart
    found = score(lambda v: scale * rng.normal(size=(len(v), 40)), SIZES, points=100)
    assert abs(found - 1 / 3) < 4 * np.sqrt(2 / 9 / 100)


def test_a_rotation_costs_the_vote_its_certainty() -> None:
    sizes, turn = (6, 6), np.array([[1.0, 1.0], [1.0, -1.0]])
    assert factor_vae_score(lambda v: v @ turn, sizes, **FAST) < 0.7
    assert factor_vae_score(lambda v: v * 1.0, sizes, **FAST) > 0.99


def test_a_factor_left_out_is_seen_by_the_vote_and_not_by_the_linear_rule() -> None:
    """The weakness for which Kim and Mnih (2018) made their score."""

    def without_the_last(v: np.ndarray) -> np.ndarray:
        return v[:, :2] * 1.0

    assert beta_vae_score(without_the_last, SIZES, **FAST) > 0.98
    assert factor_vae_score(without_the_last, SIZES, **FAST) < 0.8


@pytest.mark.parametrize("score", GENERATED.values(), ids=GENERATED)
def test_exactly_one_factor_is_held(score) -> None:
    seen: list[np.ndarray] = []

    def codes_of(v: np.ndarray) -> np.ndarray:
        seen.append(v)
        return v * 1.0

    score(codes_of, (9, 1, 9), points=30, **({"pairs": 40} if score is beta_vae_score else {"rows": 40}))
    if score is beta_vae_score:
        assert len(seen) == 2 * 2 * 30
        common = [(a == b).mean(0) for a, b in zip(seen[::2], seen[1::2], strict=True)]
        assert all(len(np.unique(v[:, 0])) > 3 for v in seen)  # pairs share a value, a point does not
    else:
        assert len(seen.pop(0)) == 5_000 and len(seen) == 2 * 30
        common = [(v == v[0]).mean(0) for v in seen]
    held = {int(np.argmax(share[[0, 2]])) for share in common}
    assert held == {0, 1}
    assert all(share[1] == 1 and max(share[[0, 2]]) == 1 and min(share[[0, 2]]) < 0.5 for share in common)


@pytest.mark.parametrize("score", GENERATED.values(), ids=GENERATED)
def test_scores_of_a_generator_repeat_and_refuse(score) -> None:
    def codes_of(v: np.ndarray) -> np.ndarray:
        return v @ np.random.default_rng(0).normal(size=(3, 4))

    assert score(codes_of, SIZES, seed=1, **FAST) == score(codes_of, SIZES, seed=1, **FAST)
    with pytest.raises(ValueError, match="two factors or more"):
        score(codes_of, (3, 1, 1))
    with pytest.raises(ValueError, match="codes_of must give"):
        score(lambda v: v[0], SIZES)
