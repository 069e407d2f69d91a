"""What the estimators share: a model fitted in memory, and bounds of log p(x) of rows."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted, validate_data

if TYPE_CHECKING:
    from torch import Tensor

    from vaekit import model as models
    from vaekit.data import Batch, Items, Kind

DRAWS = 16  # of z for each row's bound
CHUNK = 1_024  # rows at once
FEW = 50  # with fewer rows none are held out, and a warning is given
FEWEST_STEPS, MOST_STEPS = 300, 20_000  # where no steps are given
LOOKS = 20  # how often training looks at the held-out rows
# with fewer rows all of them train in the end, for as many steps as served the held-out ones best
SCARCE = 2_000
WARM = 10  # a tenth of the steps are enough to see which rows are oddest


class Autoencoder(BaseEstimator):
    """What both estimators do: fit a model in memory, and bound log p(x) of rows."""

    _keeps_held_out = False  # whether something is read off rows that the model has not seen

    def __init__(
        self,
        n_components: int | None = None,
        *,
        preset: str = "vae",
        steps: int | None = None,
        batch_size: int = 128,
        learning_rate: float = 2e-3,
        random_state: Any = 0,
    ) -> None:
        self.n_components, self.preset, self.steps = n_components, preset, steps
        self.batch_size, self.learning_rate, self.random_state = batch_size, learning_rate, random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def score_samples(self, X: Any) -> np.ndarray:
        """A lower bound of log p(x) for each row, the ELBO; larger is more normal.

        Args:
            X: (N, D) rows.

        Returns:
            (N,) nats, a density in X's own units. A row's 16 draws depend on its content only. The preset
            `autoencoder` has no density: it gives the log-likelihood of the row given its code.
        """
        check_is_fitted(self)
        return _bounds(self.model_, self._items(X))

    def _train(self, X: Any, contamination: float = 0.0) -> tuple[Items, Items, Items]:
        """Fit the model to rows.

        Args:
            X: The rows.
            contamination: The share of them that is not to be learned from.

        Returns:
            All rows, those that were trained on, and those that were held out.
        """
        self._check_arguments()
        kind, items = self._kind_and_items(X)
        if len(items) < FEW:
            warnings.warn(f"few rows: {len(items)} say little about a density; {FEW} or more are better",
                          UserWarning, stacklevel=3)  # fmt: skip
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self.n_components_ = self.n_components or min(16, max(1, self.n_features_in_ // 2))
        self.kind_, (seen, heldout) = kind, _split(items, seed)
        steps = self.steps or _steps(len(seen), self.batch_size)
        ordinary, chosen_by = seen, heldout
        if contamination:
            ordinary, chosen_by = self._ordinary(seen, heldout, contamination, seed, max(1, steps // WARM))
        self.model_, self.n_iter_ = self._best(ordinary, chosen_by, seed, steps)
        if len(heldout) and len(items) < SCARCE and not self._keeps_held_out:
            self.model_, _ = self._best(items, _first(items, 0), seed, steps, until=self.n_iter_)
        return items, seen, heldout

    def _ordinary(
        self, seen: Items, heldout: Items, contamination: float, seed: int, steps: int
    ) -> tuple[Items, Items]:
        """Rows without those that are oddest to a model that was trained on all of them, briefly."""
        from torch import from_numpy

        from vaekit.uses.yardstick import Yardstick, ordinary

        model, _ = self._best(seen, _first(heldout, 0), seed, steps)
        held_against = Yardstick.fit(model, seen, _first(heldout, 0), contamination)
        scores = (
            held_against.score(model, part)[1] if len(part) else np.zeros(0) for part in (seen, heldout)
        )
        kept = [from_numpy(ordinary(score, contamination)) for score in scores]
        return seen.subset(kept[0]), heldout.subset(kept[1])

    def _kind_and_items(self, X: Any) -> tuple[Kind, Items]:
        """What X is, and its rows: the one place where training data come in."""
        from vaekit.data import Items, Vectors
        from vaekit.data.vectors import moments

        if _is_table(X):
            return self._table(X)
        values = self._checked(X, reset=True)
        mean, scale = moments(values)
        kind = Vectors(values.shape[1], mean.tolist(), scale.tolist(), missing=bool(np.isnan(values).any()))
        return kind, Items(kind.store(values), kind)

    def _items(self, X: Any) -> Items:
        """Rows of the kind that was fitted: the one place where other data come in."""
        from vaekit.data import Items, Table

        if isinstance(self.kind_, Table):
            validate_data(self, X, reset=False, skip_check_array=True)
            return Items(self.kind_.store(X), self.kind_)
        return Items(self.kind_.store(self._checked(X, reset=False)), self.kind_)

    def _table(self, X: Any) -> tuple[Kind, Items]:
        """A frame with columns that are not numbers: each gets the likelihood that suits it."""
        from vaekit.data import build, detect, read

        validate_data(self, X, reset=True, skip_check_array=True)
        source = read(X)
        kind, _ = detect(source)
        return kind, build(source, kind)

    def _checked(self, X: Any, reset: bool) -> np.ndarray:
        fewest = 2 if reset else 1
        return validate_data(
            self, X, reset=reset, dtype=(np.float64, np.float32), ensure_all_finite="allow-nan",
            ensure_min_samples=fewest,
        )  # fmt: skip

    def _check_arguments(self) -> None:
        for name in ("n_components", "steps", "batch_size"):
            value = getattr(self, name)
            if value is not None or name == "batch_size":
                check_scalar(value, name, Integral, min_val=1)
        check_scalar(self.learning_rate, "learning_rate", Real, min_val=0, include_boundaries="neither")

    def _best(
        self, seen: Items, heldout: Items, seed: int, steps: int, until: int | None = None
    ) -> tuple[models.VAE, int]:
        """The model as it was when it explained the held-out rows best, in float64, and the step of that.

        Args:
            seen, heldout: Rows to train on and rows to choose by.
            seed: Of weights, order and noise.
            steps: How long training is to take.
            until: The step to stop at before.
        """
        from vaekit.config import checked
        from vaekit.prepare import compose
        from vaekit.training import Adam, pca_start, threads, train, warm_cosine

        config = checked(source="rows", preset=self.preset, latent=int(self.n_components_), seed=seed)
        optimizer = Adam(self.learning_rate, clip=20 * math.sqrt(self.n_features_in_))
        with threads(1):  # how sums are split among threads would decide their last bits
            model, objective = compose(self.kind_, config, steps)
            pca_start(model, seen)
            scarce = len(seen) + len(heldout) < SCARCE and len(heldout) > 1
            best = _Best(model, heldout, cautious=scarce and not self._keeps_held_out)
            last = steps if until is None else until
            for now in train(
                model, objective, seen, steps=steps, batch_size=self.batch_size, optimizer=optimizer,
                decay=warm_cosine, seed=seed, clock=lambda: 1.0 if best.now >= last else best.now / steps,
            ):  # fmt: skip
                best.now = now.step
                if now.step % max(1, steps // LOOKS) == 0 or now.step == last:
                    best.look(now.step)
        step, _, tensors = best.kept[0]
        model.load_state_dict(tensors)
        return model.double().eval().requires_grad_(False), step


def _is_table(X: Any) -> bool:
    """Whether these are the columns of a DataFrame and not all of them are numbers."""
    return hasattr(X, "dtypes") and hasattr(X, "columns") and any(
        getattr(dtype, "kind", "O") not in "iuf" for dtype in list(X.dtypes)
    )  # fmt: skip


class _Best:
    """The weights that explained the held-out rows best so far; the newest ones where none are held out.

    Args:
        model: What is trained.
        heldout: Rows to choose by.
        cautious: Prefer the earliest weights that are not worse than the best by more than a standard error, where
            rows are scarce: a few rows cannot tell them apart, and what was trained longer has learned more by heart.

    Source: Breiman, Friedman, Olshen, Stone (1984), Classification and regression trees (the rule of one standard
        error).
    """

    def __init__(self, model: models.VAE, heldout: Items, cautious: bool) -> None:
        self.model, self.heldout, self.cautious, self.now = model, heldout, cautious, 0
        self.kept: list[tuple[int, np.ndarray, dict[str, Tensor]]] = []
        self.look(0)

    def look(self, step: int) -> None:
        """Compare the model as it is after a step."""
        from vaekit.evaluation import scores

        tensors = {name: t.detach().clone() for name, t in self.model.state_dict().items()}
        if not len(self.heldout):
            self.kept = [(step, np.zeros(0), tensors)]
            return
        looks = [*self.kept, (step, -scores(self.model.eval(), self.heldout).numpy(), tensors)]
        best = max(looks, key=lambda look: look[1].mean())[1]
        first = next(place for place, look in enumerate(looks) if self._near(best - look[1]))
        self.kept = looks[first:]

    def _near(self, gaps: np.ndarray) -> bool:
        error = gaps.std(ddof=1) / math.sqrt(len(gaps)) if self.cautious else 0.0
        return bool(gaps.mean() <= error)


def _steps(rows: int, batch_size: int) -> int:
    """Steps for a number of rows: 5 for each row up to 2000, or 100 passes over many rows, within bounds."""
    passes = 100 * rows // min(batch_size, rows)
    return min(MOST_STEPS, max(FEWEST_STEPS, min(5 * rows, 2_000), passes))


def _split(items: Items, seed: int) -> tuple[Items, Items]:
    """Rows to train on and rows held out: a fifth of few rows, a tenth of many, none of very few."""
    from vaekit.distributions import Noise

    rows = len(items)
    count = 0 if rows < FEW else max(min(rows // 5, 100), min(rows // 10, 10_000))
    order = Noise(seed, "split").permutation(rows)
    return items.subset(order[count:].sort().values), items.subset(order[:count].sort().values)


def _first(items: Items, count: int) -> Items:
    import torch

    return items.subset(torch.arange(count))


def batches(items: Items) -> Iterator[Batch]:
    """Every row once, in float64; what float32 could not hold is the largest that it can."""
    import torch

    largest = torch.finfo(torch.float32).max
    for batch in items.batches(CHUNK):
        batch.x = batch.x.clamp(-largest, largest).double()
        yield batch


def _bounds(model: models.VAE, items: Items) -> np.ndarray:
    """The ELBO of each row in the units of the data, (N,)."""
    import torch

    from vaekit.distributions import content_keys
    from vaekit.evaluation.units import log_volume
    from vaekit.operations import bound

    found = []
    for batch in batches(items):
        seen = batch.x if batch.mask is None else torch.where(batch.mask.bool(), batch.x, 0.0)
        keys = content_keys(seen + 0.0)  # −0 and 0 are the same content
        distortion, rate = bound(model, batch.x, mask=batch.mask, samples=DRAWS, rows=keys)
        volume = log_volume(model, items.kind, batch)
        found.append(volume - distortion if rate is None else volume - distortion - rate)
    return torch.cat(found).numpy()
