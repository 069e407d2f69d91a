"""Synthetic tables: rows of Adult from a model of one half, held against the other half, which no model has seen."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from use_rows.shared import DATA, Figures, Row

TARGET = "income"
EPOCHS = 300  # ctgan's own default, of both of its models
OPTIONS: dict[str, Any] = {"steps": 24_000, "average": 0.999}  # of ours: four minutes of one core


@cache
def halves(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows to learn from and as many unseen ones. Unknown cells ("?") are a category, as in the papers."""
    rows = pd.read_csv(DATA / "adult" / "adult.csv.gz", skipinitialspace=True, keep_default_na=False)
    rows = rows.sample(frac=1, random_state=seed).reset_index(drop=True)
    half = len(rows) // 2
    return rows[:half].copy(), rows[half : 2 * half].reset_index(drop=True)


def measured(sampled: pd.DataFrame, seed: int) -> Figures:
    """Quality beside the unseen half, and what the rows give away of the other; errors in percent."""
    from vaekit.evaluation.privacy import privacy
    from vaekit.evaluation.synthetic import quality

    train, unseen = halves(seed)
    sampled = sampled[list(train)].reset_index(drop=True)
    found, given = quality(unseen, sampled, TARGET, seed), privacy(train, unseen, sampled, seed)
    return {
        "trend_error": 100 * (found.trend_error or 0.0), "shape_error": 100 * found.shape_error,
        "auc": found.learnt or 0.0, "c2st": found.told_apart,
        "copies": given.copies, "dcr_share": given.nearer, "membership": given.membership,
    }  # fmt: skip


def _ours(seed: int, **options: Any) -> Figures:
    """What `vaekit.fit(table)` gives, its length in steps so that it does not depend on the machine."""
    import vaekit

    train, _ = halves(seed)
    with tempfile.TemporaryDirectory() as folder:
        run = vaekit.fit(train, seed=seed, out=Path(folder, "run"), quiet=True, **OPTIONS, **options)
        return measured(run.sample(len(train), seed=seed), seed)


def ours(seed: int) -> Figures:
    return _ours(seed)


def ours_sharp(seed: int) -> Figures:
    """With β = 0.3: codes tell more of a row, and densities are no longer those of the best bound."""
    return _ours(seed, preset="beta_vae", beta=0.3)


def ours_plain(seed: int) -> Figures:
    """Without the second stage: z from N(0, I)."""
    return _ours(seed, second_stage="none")


def real(seed: int) -> Figures:
    """The first half itself: the best that sampling can come to without copying (which it does)."""
    return measured(halves(seed)[0], seed)


def independent(seed: int) -> Figures:
    """Every column drawn on its own from its training values."""
    train, _ = halves(seed)
    rng = np.random.default_rng(seed)
    return measured(
        pd.DataFrame({name: rng.choice(column, len(train)) for name, column in train.items()}), seed
    )


def copula(seed: int) -> Figures:
    """A Gaussian copula over normal scores, ties in random order and categories ordered by their frequency."""
    from scipy.special import ndtr, ndtri

    train, _ = halves(seed)
    rng = np.random.default_rng(seed)
    ordered = train.apply(_ordered)
    scores = np.column_stack([ndtri(_ranks(ordered[name].to_numpy(), rng)) for name in train])
    drawn = rng.standard_normal(scores.shape) @ np.linalg.cholesky(np.corrcoef(scores.T)).T
    places = (ndtr(drawn) * len(train)).astype(int)
    found = {}
    for index, name in enumerate(train):
        by_order = train[name].to_numpy()[np.argsort(ordered[name].to_numpy(), kind="stable")]
        found[name] = by_order[places[:, index]]
    return measured(pd.DataFrame(found), seed)


def _ordered(column: pd.Series) -> pd.Series:
    """Numbers as they are; a category as its place among the categories, the most frequent first."""
    if pd.api.types.is_numeric_dtype(column):
        return column
    return column.map({value: place for place, value in enumerate(column.value_counts().index)})


def _ranks(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The quantile of each value, in (0, 1); random ranks within ties give each category an interval of its own."""
    order = np.lexsort((rng.random(len(values)), values))
    ranks = np.empty(len(values))
    ranks[order] = (np.arange(len(values)) + 0.5) / len(values)
    return ranks


def tvae(seed: int) -> Figures:
    """ctgan's TVAE as it comes."""
    from ctgan import TVAE

    return _peer(TVAE, seed)


def ctgan(seed: int) -> Figures:
    """CTGAN as it comes."""
    from ctgan import CTGAN

    return _peer(CTGAN, seed)


def _peer(model: Any, seed: int) -> Figures:
    import torch

    train, _ = halves(seed)
    np.random.seed(seed)  # noqa: NPY002 (it draws from there)
    torch.manual_seed(seed)
    fitted = model(epochs=EPOCHS, **_on_the_cpu(model))
    fitted.fit(train, [name for name in train if not pd.api.types.is_numeric_dtype(train[name])])
    return measured(fitted.sample(len(train)), seed)


def _on_the_cpu(model: Any) -> dict[str, bool]:
    """The option that keeps a model off the GPU: `enable_gpu`, which older versions call `cuda`."""
    import inspect

    known = inspect.signature(model.__init__).parameters
    return {"enable_gpu" if "enable_gpu" in known else "cuda": False}


def ahead(ours_: Figures, other: Figures) -> bool:
    """On all three measures."""
    return (
        ours_["trend_error"] < other["trend_error"]
        and ours_["auc"] > other["auc"]
        and ours_["c2st"] < other["c2st"]
    )


PEERS = ("TVAE", "CTGAN", "Gaussian copula", "columns alone")
ROWS = [
    Row(
        "Synthetic tables: Adult",
        "Half of the census table to learn from (16 280 rows), as many rows sampled, held against the other half. "
        "Errors of pairs and single columns in percent; AUC of predicting the income of unseen people after learning "
        "from sampled rows; AUC of a classifier that tells sampled from unseen rows (0.5: it cannot); share of rows "
        "that are a training row; share nearer to a training row than to an unseen one; AUC of a membership attack. "
        "The real half itself is what can be reached.",
        {
            "vaekit": ours, "vaekit, beta 0.3": ours_sharp, "vaekit, N(0, I)": ours_plain, "real rows": real,
            "TVAE": tvae, "CTGAN": ctgan, "Gaussian copula": copula, "columns alone": independent,
        },
        ("trend_error", "shape_error", "auc", "c2st", "copies", "dcr_share", "membership"),
        {
            "pairs within 2.5 % (aim 1.5)": lambda a: a["vaekit"]["trend_error"] <= 2.5,
            "income predicted with AUC 0.905 (aim 0.915)": lambda a: a["vaekit"]["auc"] >= 0.905,
            "told apart with AUC 0.75 at most (aim 0.65)": lambda a: a["vaekit"]["c2st"] <= 0.75,
            "ahead of TVAE on all three": lambda a: ahead(a["vaekit"], a["TVAE"]),
            "ahead of every peer on all three": lambda a: all(ahead(a["vaekit"], a[name]) for name in PEERS),
        },
    )
]  # fmt: skip
