"""A detector of odd rows."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import OutlierMixin
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from vaekit.sklearn.autoencoder import Autoencoder

if TYPE_CHECKING:
    from vaekit.data import Items

ORDINARY, ENOUGH = 0.01, 99  # share of ordinary rows that "auto" flags; fewest rows that have such a quantile


class VAEOutlierDetector(OutlierMixin, Autoencoder):
    """Rows that a variational autoencoder finds odd: improbable, or far from the rows that it was trained on.

    A row is an outlier where its score is below `offset_`; the score is a density of its statistics
    (`vaekit.uses.yardstick`): −ELBO, the distances of what its code stands for, of what the code leaves over and of
    both to those of the nearest training rows, and how far out its cells lie. With `contamination="auto"` the rows
    given are taken for ordinary ones: `offset_` is the 1 % quantile of the scores of rows that were held out of the
    training, so that about 1 % of ordinary rows are flagged wrongly. Fewer than 99 held-out rows (of about 500 in all)
    have no such quantile; then the one lowest of all rows given is flagged (none of 50 or fewer), and of other ordinary
    rows up to a few in a hundred. A number flags exactly that share of the rows given, ties aside; the share that is
    oddest to a model trained for a tenth of the steps is left out of the training, and neighbours are then that share
    of the rows.

    Args:
        n_components, preset, steps, batch_size, learning_rate, random_state: As in `VAE`.
        contamination: "auto", or the share of outliers among the rows given, in (0, 0.5].

    Attributes:
        offset_: `decision_function` is `score_samples` less this; `predict` says −1 where that is negative.
        yardstick_: What rows are held against: training rows in coded form, the density, scores of held-out rows.
        model_, kind_, n_components_, n_iter_, n_features_in_, feature_names_in_: As in `VAE`.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(200, 3))
        >>> detector = VAEOutlierDetector(contamination=0.1, steps=50)
        >>> int((detector.fit_predict(X) == -1).sum()), detector.predict([[9.0, 9.0, 9.0]])
        (20, array([-1]))
    """

    _keeps_held_out = True  # for the quantile

    def __init__(
        self,
        n_components: int | None = None,
        *,
        contamination: str | float = "auto",
        preset: str = "vae",
        steps: int | None = None,
        batch_size: int = 128,
        learning_rate: float = 2e-3,
        random_state: Any = 0,
    ) -> None:
        super().__init__(
            n_components, preset=preset, steps=steps, batch_size=batch_size, learning_rate=learning_rate,
            random_state=random_state,
        )  # fmt: skip
        self.contamination = contamination

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on rows and choose `offset_`.

        Args:
            X, y: As in `VAE.fit`.

        Raises:
            ValueError: X or an argument cannot be used.
        """
        if self.contamination != "auto":
            check_scalar(self.contamination, "contamination", Real, min_val=0, max_val=0.5,
                         include_boundaries="right")  # fmt: skip
        from vaekit.uses.yardstick import Yardstick

        auto = self.contamination == "auto"
        dirty = 0.0 if auto else float(self.contamination)
        items, seen, heldout = self._train(X, dirty)
        self.yardstick_ = Yardstick.fit(self.model_, seen, heldout, dirty)
        if auto and len(heldout) >= ENOUGH:
            self.offset_ = _low(-self.yardstick_.scores)
        else:
            share = min(ORDINARY, 1 / len(items)) if auto else dirty
            self.offset_ = _between(self._scores(items), share)
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """How ordinary each row is: the one-class score of its statistics, turned round; larger is more normal.

        Args:
            X: (N, D) rows.

        Returns:
            (N,) no unit: only their order and `offset_` mean something.
        """
        check_is_fitted(self)
        return self._scores(self._items(X))

    def p_values(self, X: Any) -> np.ndarray:
        """The share of held-out ordinary rows that are at least as odd, (N,): flag p ≤ α to be wrong α of the time."""
        from vaekit.operations import p_values

        return p_values(-self.score_samples(X), self.yardstick_.scores)

    def _scores(self, items: Items) -> np.ndarray:
        return -self.yardstick_.score(self.model_, items)[1]

    def decision_function(self, X: Any) -> np.ndarray:
        """`score_samples` less `offset_`: negative for outliers, (N,)."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """−1 for outliers and 1 for the rest, (N,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)


def _low(scores: np.ndarray) -> float:
    """The score that a share of new ordinary rows is expected to fall below: the one of rank p (n + 1)."""
    low = float(np.quantile(scores, ORDINARY, method="weibull"))
    return _below(low)


def _between(scores: np.ndarray, share: float) -> float:
    """A value with that share of the scores below it, in the middle between two of them."""
    ordered = np.sort(scores)
    count = round(share * len(ordered))
    return float(ordered[count - 1 : count + 1].mean()) if count else _below(float(ordered[0]))


def _below(value: float) -> float:
    """Just less, so that rounding does not decide about the row that the value comes from."""
    return value - 1e-9 * (1 + abs(value))
