"""Scores from how well codes predict factors: DCI, SAP, explicitness, InfoE."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from vaekit.evaluation.disentanglement.histograms import checked

TREES = 10  # of a forest
LEAF = 5  # data in a leaf, at least: a leaf for each datum would learn the noise


@dataclass(frozen=True)
class DCI:
    """Three figures in [0, 1].

    Attributes:
        disentanglement: 1 where each code dimension matters to one factor only.
        completeness: 1 where one code dimension alone matters to each factor.
        informativeness: Share of held-out data whose factor is predicted, mean over factors.
        importance: (D, F), each column summing to 1 (or 0, where nothing matters).
    """

    disentanglement: float
    completeness: float
    informativeness: float
    importance: np.ndarray


def dci(codes: np.ndarray, factors: np.ndarray, seed: int = 0) -> DCI:
    """Disentanglement, completeness and informativeness, from a random forest for each factor.

        disentanglement = Σ_d ρ_d (1 − H_F(R_d·)),  ρ_d = Σ_f R_df / Σ R;  completeness = mean over f of 1 − H_D(R_·f)

    R_df is the importance of dimension d in predicting factor f and H_K an entropy to base K. Half of the data train
    the forests, half measure them.

    Args:
        codes: (N, D) real codes.
        factors: (N, F) integers; a factor that does not vary does not count.
        seed: Of the split and the forests.

    Source: Eastwood, Williams (2018), A framework for the quantitative evaluation of disentangled representations.
    """
    from sklearn.ensemble import RandomForestClassifier

    codes, factors = checked(codes, factors)
    train, test = _halves(len(codes), seed)
    importance, right = [], []
    for v in factors.T:
        # every dimension is looked at in every split, so that a dimension of noise gets no share by luck
        forest = RandomForestClassifier(TREES, min_samples_leaf=LEAF, max_features=None, random_state=seed)
        forest.fit(codes[train], v[train])
        importance.append(forest.feature_importances_)
        right.append(float(np.mean(forest.predict(codes[test]) == v[test])))
    table = np.stack(importance, 1)  # (D, F)
    weight = table.sum(1) / max(table.sum(), 1e-300)
    return DCI(float(weight @ _focus(table)), float(np.mean(_focus(table.T))), float(np.mean(right)), table)


def _focus(table: np.ndarray) -> np.ndarray:
    """1 − the entropy of each row, to the base of its length; 0 for a row of zeros."""
    total = table.sum(1)
    shares = table / np.where(total > 0, total, 1.0)[:, None]
    logs = np.log(np.where(shares > 0, shares, 1.0))
    entropy = -(shares * logs).sum(1) / max(np.log(table.shape[1]), 1e-300)
    return np.where(total > 0, 1 - entropy, 0.0)


def sap(codes: np.ndarray, factors: np.ndarray, categories: frozenset[int] = frozenset()) -> float:
    """Separated attribute predictability: how much better the best single dimension predicts a factor than the second.

        mean over f of S_1f − S_2f,  S_df the squared correlation of z_d and v_f

    For a factor without an order, S_df is the balanced accuracy of cutting z_d into as many intervals as it has values,
    placed by a decision tree.

    Args:
        codes, factors: As in `dci`.
        categories: Columns of `factors` whose values have no order.

    Returns:
        In [0, 1].

    Source: Kumar, Sattigeri, Balakrishnan (2018), arXiv:1711.00848.

    Example:
        >>> v = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
        >>> round(sap(3.0 - v, v), 3)
        1.0
    """
    # before `checked` drops columns, so that places still count from the given ones
    varies = [f for f, column in enumerate(np.asarray(factors).T) if (column != column[0]).any()]
    codes, columns = checked(codes, factors)
    gaps = []
    for place, v in zip(varies, columns.T, strict=True):
        scores = [_thresholds(z, v) if place in categories else _squared_correlation(z, v) for z in codes.T]
        best, second = sorted([0.0, 0.0, *scores])[:-3:-1]
        gaps.append(best - second)
    return float(np.mean(gaps))


def _squared_correlation(z: np.ndarray, v: np.ndarray) -> float:
    if np.ptp(z) == 0:
        return 0.0
    unit = (z - z.mean()) / np.abs(z - z.mean()).max()  # no square is beyond float64
    centred = v - v.mean()
    return float((unit @ centred) ** 2 / ((unit @ unit) * (centred @ centred)))


def _thresholds(z: np.ndarray, v: np.ndarray) -> float:
    """Balanced accuracy of cutting one dimension into as many intervals as the factor has values."""
    from sklearn.tree import DecisionTreeClassifier

    if np.ptp(z) == 0:
        return 0.0
    unit = (z[:, None] - z.min()) / np.ptp(z)  # trees compute in float32
    tree = DecisionTreeClassifier(max_leaf_nodes=int(v.max()) + 1, class_weight="balanced", random_state=0)
    right = tree.fit(unit, v).predict(unit) == v
    return float(np.mean([right[v == value].mean() for value in np.unique(v)]))


def explicitness(codes: np.ndarray, factors: np.ndarray, seed: int = 0) -> float:
    """How well all code dimensions together tell each value of a factor from the others, by logistic regression.

        mean over the values of all factors of 2 AUC − 1, on the half of the data that did not train

    A linear rule on one dimension finds the ends of an ordered factor, not its middle.

    Args:
        codes, factors, seed: As in `dci`.

    Returns:
        1 where every value is told apart, 0 by chance.

    Source: Ridgeway, Mozer (2018), arXiv:1802.05312.
    """
    from sklearn.metrics import roc_auc_score

    codes, factors = checked(codes, factors)
    train, test = _halves(len(codes), seed)
    unit = _standardised(codes, train)
    areas = []
    for v in factors.T:
        for one in (v == value for value in range(int(v.max()) + 1)):
            if _both(one[train]) and _both(one[test]):
                model = _logistic(unit[train], one[train])
                areas.append(roc_auc_score(one[test], model.decision_function(unit[test])))
    return float(2 * np.mean(areas) - 1) if areas else 0.0


def _both(one: np.ndarray) -> bool:
    """Whether some are true and some are not: an area needs both."""
    return bool(one.any() and not one.all())


def infoe(codes: np.ndarray, factors: np.ndarray, seed: int = 0) -> float:
    """InfoE: which share of a factor's entropy a linear rule on all code dimensions explains.

        mean over f of max(0, 1 − H_lin(v_f | z) / H(v_f))

    H_lin is the log loss of a multinomial logistic regression, H that of the values' frequencies, both in nats on the
    half of the data that did not train (the authors measure on the data that train). Codes that are themselves
    categories should come one-hot.

    Args:
        codes, factors, seed: As in `dci`.

    Returns:
        In [0, 1].

    Source: Hsu, Dorrell, Whittington, Wu, Finn (2023), arXiv:2305.18378; Xu et al. (2020), arXiv:2002.10689.
    """
    codes, factors = checked(codes, factors)
    train, test = _halves(len(codes), seed)
    unit = _standardised(codes, train)
    shares = [_explained(unit, v, train, test) for v in factors.T]
    return float(np.mean(shares))


def _explained(unit: np.ndarray, v: np.ndarray, train: np.ndarray, test: np.ndarray) -> float:
    known, places = np.unique(v[train], return_inverse=True)
    test = test[np.isin(v[test], known)]  # a value never seen has no probability to score
    if len(known) < 2 or not len(test):
        return 0.0
    target, rows = np.searchsorted(known, v[test]), np.arange(len(test))
    log_p = _logistic(unit[train], places).predict_log_proba(unit[test])[rows, target]
    log_share = np.log(np.bincount(places) / len(places))[target]
    return max(0.0, float(1 - log_p.sum() / log_share.sum()))


def _halves(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of the data that train and of those that measure."""
    order = np.random.default_rng(seed).permutation(n)
    return order[: n // 2], order[n // 2 :]


def _standardised(codes: np.ndarray, train: np.ndarray) -> np.ndarray:
    varies = np.ptp(codes[train], axis=0) > 0  # a constant's standard deviation need not be exactly 0
    return (codes - codes[train].mean(0)) / np.where(varies, codes[train].std(0), 1.0)


def _logistic(x: np.ndarray, y: np.ndarray) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():  # separable data have no optimum to converge to
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=100.0, max_iter=100).fit(x, y)
