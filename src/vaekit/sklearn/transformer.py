"""A transformer and density: codes of rows, bounds of log p(x), new rows."""

from __future__ import annotations

from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array, check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted

from vaekit.sklearn.autoencoder import Autoencoder, batches


class VAE(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Autoencoder):
    """A variational autoencoder of rows of numbers: codes, log-density bounds, new rows.

    Columns are standardised, so their units do not matter, and training begins at probabilistic PCA. With 50 rows or
    more, a tenth to a fifth of them is held out, and the weights that explained those best are kept. Of fewer than
    2 000, all then train a new model, for the fewest steps whose weights were not worse by more than a standard error.

    Args:
        n_components: Latent dimensions; None is half of the columns, at most 16.
        preset: Name of the variant, as `vaekit presets` lists them.
        steps: Optimizer steps; None is 5 for each row up to 2 000, or 100 passes if that is more, 300 to 20 000 in all.
        batch_size: Rows of a step.
        learning_rate: Highest learning rate; it warms up and then falls along a cosine.
        random_state: Of weights, order and noise; 0 gives the same model at every fit, None another one.

    Attributes:
        model_: The trained `vaekit.VAE`, in float64.
        kind_: The kind of the data, with the columns' means and scales.
        n_components_: Latent dimensions.
        n_iter_: The optimizer step whose weights were kept; 0 is probabilistic PCA.
        n_features_in_, feature_names_in_: Number of columns, and their names if they had any.

    Source: Kingma, Welling (2014), arXiv:1312.6114.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(200, 1)) * [1.0, 2.0, 3.0]
        >>> vae = VAE(n_components=1, steps=50).fit(X)
        >>> vae.transform(X).shape, vae.inverse_transform(vae.transform(X)).shape, vae.sample(5).shape
        ((200, 1), (200, 3), (5, 3))
    """

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on rows.

        Args:
            X: (N, D) numbers, NaN where a value was not observed; or a DataFrame whose columns may hold words, truth
                values and dates too, which then is a `Table`.
            y: Unused.

        Raises:
            ValueError: X or an argument cannot be used.
        """
        self._train(X)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """The mean of q(z | x) for each row, (N, D) → (N, n_components)."""
        from vaekit.operations import embed

        check_is_fitted(self)
        found = [embed(self.model_, b.x, mask=b.mask)[0].numpy() for b in batches(self._items(X))]
        return np.concatenate(found)

    def inverse_transform(self, Z: Any) -> np.ndarray:
        """The centre of p(x | z) for each code, (N, n_components) → (N, D) in the units of X.

        Raises:
            ValueError: The codes have another width.
        """
        from torch import from_numpy

        from vaekit.operations import decode

        check_is_fitted(self)
        codes = check_array(Z, dtype=np.float64, copy=True)
        if codes.shape[1] != self.n_components_:
            raise ValueError(f"codes of {self.n_components_} numbers are expected, not of {codes.shape[1]}")
        return self.kind_.decode(decode(self.model_, from_numpy(codes)))

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of `score_samples`: larger is better, so that searches over arguments can compare models."""
        return float(self.score_samples(X).mean())

    def sample(self, n: int = 1, random_state: Any = 0) -> np.ndarray:
        """New rows: z ~ p(z), x ~ p(x | z).

        Args:
            n: How many.
            random_state: The same number gives the same rows.

        Returns:
            (n, D) in the units of X.

        Raises:
            ValueError: The preset has no prior to draw from.
        """
        from vaekit.operations import sample

        check_is_fitted(self)
        check_scalar(n, "n", Integral, min_val=1)
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        return self.kind_.decode(sample(self.model_, n, seed=seed))

    @property
    def _n_features_out(self) -> int:
        return self.n_components_
