"""Data by seed: of scikit-learn, made here, and the names of VAEKIT_DATA; what `vaekit.fit` takes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np


def digits(seed: int) -> str:
    """The digits that come with vaekit."""
    return "digits"


def breast_cancer(seed: int) -> np.ndarray:
    """569 rows of thirty measurements."""
    from sklearn.datasets import load_breast_cancer

    return load_breast_cancer().data.astype(np.float32)


def diabetes(seed: int) -> np.ndarray:
    """442 rows of ten measurements, a hundred times as large as scikit-learn gives them."""
    from sklearn.datasets import load_diabetes

    return (100 * load_diabetes().data).astype(np.float32)


def wine_table(seed: int) -> Any:
    """178 rows with names of columns, and the class."""
    from sklearn.datasets import load_wine

    return load_wine(as_frame=True).frame


def cancer_table(seed: int) -> Any:
    """569 rows with names of columns, and the class."""
    from sklearn.datasets import load_breast_cancer

    return load_breast_cancer(as_frame=True).frame


def standard_cancer(seed: int) -> np.ndarray:
    """`breast_cancer` with columns of mean 0 and standard deviation 1."""
    values = breast_cancer(seed)
    return (values - values.mean(0)) / values.std(0)


def names(seed: int) -> str:
    """First names, the one source that does not ship with scikit-learn: $VAEKIT_DATA/names/names.txt."""
    return str(Path(os.environ["VAEKIT_DATA"]) / "names" / "names.txt")


def clusters(seed: int) -> np.ndarray:
    """2 000 rows of ten columns around five centres."""
    rng = np.random.default_rng(seed)
    centres = 3 * rng.normal(size=(5, 10))
    return (centres[rng.integers(5, size=2_000)] + rng.normal(size=(2_000, 10))).astype(np.float32)


def sheet(seed: int) -> np.ndarray:
    """2 000 points of a bent sheet in eight dimensions, with noise."""
    rng = np.random.default_rng(seed)
    u, v = rng.uniform(-2, 2, size=(2, 2_000))
    flat = np.stack([u, v, u * v, u**2, np.sin(2 * u), np.cos(2 * v), u + v, v**2], 1)
    return (flat + 0.1 * rng.normal(size=flat.shape)).astype(np.float32)
