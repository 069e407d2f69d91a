"""How like real rows sampled rows are, on the census table Adult: a naive model, a copula, TVAE and vaekit.

    python benchmarks/adult.py adult.csv.gz [--time 10m] [--seed 0] [--ctgan-python PYTHON] [--save-tvae CSV]
        [--tvae-csv CSV] [--only NAME ...]

The rows are split into two halves by the seed. Each model is fitted on the first half and gives as many rows; these are
compared with the second half, which no model has seen, and with the first. Unknown cells ("?") are a category of their
own, as in the papers. `--ctgan-python` names the Python of an environment with ctgan installed; `--save-tvae` keeps the
rows that its TVAE gave, and `--tvae-csv` reads them again instead of training.

Columns of the printed table: mean shape and trend errors in percent; C2ST, the AUC of a classifier that tells sampled
rows from those of the second half (0.5: it cannot); income, the AUC of predicting a person's income in the second half
by a classifier trained on the sampled rows; the seconds of fitting and sampling.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

import vaekit
from vaekit.evaluation.tables import compare

TARGET, POSITIVE = "income", ">50K"
EPOCHS = 300  # ctgan's own default

# run by the Python of --ctgan-python; its arguments are the training rows, the rows to write, the epochs and the seed
TVAE = """
import sys
import numpy, pandas, torch
from ctgan import TVAE
source, target, epochs, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
numpy.random.seed(seed)
torch.manual_seed(seed)
rows = pandas.read_csv(source)
names = [name for name in rows if not pandas.api.types.is_numeric_dtype(rows[name])]
model = TVAE(epochs=epochs, enable_gpu=False)
model.fit(rows, names)
model.sample(len(rows)).to_csv(target, index=False)
"""


@dataclass
class Halves:
    """What models may see and what they may not."""

    seen: pd.DataFrame
    unseen: pd.DataFrame


@dataclass
class Options:
    """What was asked for."""

    seed: int
    time: str
    ctgan: str | None
    tvae: Path | None
    save: Path | None


def read(path: Path, seed: int) -> Halves:
    rows = pd.read_csv(path, skipinitialspace=True, keep_default_na=False)  # each value has a blank before it
    rows = rows.sample(frac=1, random_state=seed).reset_index(drop=True)
    half = len(rows) // 2
    return Halves(rows[:half].copy(), rows[half : 2 * half].reset_index(drop=True))


# the models: training rows -> as many sampled rows


def independent(rows: pd.DataFrame, options: Options) -> pd.DataFrame:
    """Every column drawn on its own from its training values."""
    rng = np.random.default_rng(options.seed)
    return pd.DataFrame({name: rng.choice(column.to_numpy(), len(rows)) for name, column in rows.items()})


def copula(rows: pd.DataFrame, options: Options) -> pd.DataFrame:
    """A Gaussian copula over normal scores, ties in random order and categories ordered by their frequency.

    Random ranks within ties give a category the interval of its cumulative frequencies, so that one rule serves both.
    """
    from scipy.special import ndtr, ndtri

    rng = np.random.default_rng(options.seed)
    ordered = rows.apply(_ordered)
    scores = np.column_stack([ndtri(_ranks(ordered[name].to_numpy(), rng)) for name in rows])
    drawn = rng.standard_normal(scores.shape) @ np.linalg.cholesky(np.corrcoef(scores.T)).T
    places = (ndtr(drawn) * len(rows)).astype(int)
    found = {}
    for index, name in enumerate(rows):
        by_order = rows[name].to_numpy()[np.argsort(ordered[name].to_numpy(), kind="stable")]
        found[name] = by_order[places[:, index]]
    return pd.DataFrame(found)


def _ordered(column: pd.Series) -> pd.Series:
    """Numbers as they are; a category as its place among the categories, the most frequent first."""
    if is_numeric_dtype(column):
        return column
    return column.map({value: place for place, value in enumerate(column.value_counts().index)})


def _ranks(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The quantile of each value, in (0, 1), ties in random order."""
    order = np.lexsort((rng.random(len(values)), values))
    ranks = np.empty(len(values))
    ranks[order] = (np.arange(len(values)) + 0.5) / len(values)
    return ranks


def tvae(rows: pd.DataFrame, options: Options) -> pd.DataFrame | None:
    """ctgan's TVAE as it comes, in its own environment; None where there is none."""
    if options.tvae is not None:
        return pd.read_csv(options.tvae, keep_default_na=False)
    if options.ctgan is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "rows.csv"), options.save or Path(folder, "sampled.csv")
        rows.to_csv(source, index=False)
        words: list[str | Path] = [options.ctgan, "-c", TVAE, source, target, str(EPOCHS), str(options.seed)]
        subprocess.run(words, check=True)
        return pd.read_csv(target, keep_default_na=False)


def ours(rows: pd.DataFrame, options: Options) -> pd.DataFrame:
    with tempfile.TemporaryDirectory() as folder:
        run = vaekit.fit(
            rows, time=options.time, seed=options.seed, out=Path(folder, "run"), fresh=True, quiet=True
        )
        return run.sample(len(rows), seed=options.seed)


def real(rows: pd.DataFrame, options: Options) -> pd.DataFrame:
    """The first half itself: the best that sampling can come to without copying."""
    return rows


MODELS: dict[str, Callable[[pd.DataFrame, Options], pd.DataFrame | None]] = {
    "real": real, "independent": independent, "copula": copula, "tvae": tvae, "vaekit": ours,
}  # fmt: skip


# the classifiers


def categories(frames: list[pd.DataFrame]) -> list[pd.DataFrame]:
    """The frames as the classifier needs them: numbers as floats, each text column with one set of categories."""
    found = [frame.copy() for frame in frames]
    for name in frames[0]:
        numeric = is_numeric_dtype(frames[0][name])
        known = None if numeric else pd.concat([frame[name] for frame in frames]).dropna().unique()
        for frame in found:
            frame[name] = frame[name].astype(float) if numeric else pd.Categorical(frame[name], known)
    return found


def classify(x: pd.DataFrame, y: np.ndarray, test_x: pd.DataFrame, test_y: np.ndarray) -> float:
    """AUC on the test rows; NaN where the training rows have one class only."""
    if y.min() == y.max():
        return float("nan")
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=0).fit(x, y)
    return float(roc_auc_score(test_y, model.predict_proba(test_x)[:, 1]))


def told_apart(sampled: pd.DataFrame, real: pd.DataFrame, seed: int) -> float:
    """AUC of telling sampled from real rows; trained on one half of both, measured on the other."""
    both = pd.concat(categories([sampled, real]), ignore_index=True)
    answer = np.arange(len(both)) < len(sampled)
    order = np.random.default_rng(seed).permutation(len(both))
    train, test = np.array_split(order, 2)
    return classify(both.iloc[train], answer[train], both.iloc[test], answer[test])


def useful(sampled: pd.DataFrame, real: pd.DataFrame) -> float:
    """AUC of income on real rows, learnt from sampled ones."""
    x, test_x = categories([frame.drop(columns=TARGET) for frame in (sampled, real)])
    y, test_y = ((frame[TARGET] == POSITIVE).to_numpy() for frame in (sampled, real))
    return classify(x, y, test_x, test_y)


def measured(name: str, sampled: pd.DataFrame, halves: Halves, seconds: str, seed: int) -> str:
    figures = []
    for half in (halves.unseen, halves.seen):
        found = compare(half, sampled)
        figures += [f"{100 * found.shape_error:6.2f}", f"{100 * (found.trend_error or 0):6.2f}"]
    apart, income = told_apart(sampled, halves.unseen, seed), useful(sampled, halves.unseen)
    return f"{name:12} {'  '.join(figures)}  {apart:6.3f}  {income:6.4f}  {seconds:>7}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--time", default="10m", help="for vaekit's training")
    parser.add_argument("--ctgan-python", help="the Python of an environment with ctgan")
    parser.add_argument("--tvae-csv", type=Path, help="rows that an earlier run kept, of the same seed")
    parser.add_argument("--save-tvae", type=Path, help="where to keep the rows of TVAE")
    parser.add_argument("--only", nargs="+", choices=list(MODELS), default=list(MODELS))
    asked = parser.parse_args()
    options = Options(asked.seed, asked.time, asked.ctgan_python, asked.tvae_csv, asked.save_tvae)
    halves = read(asked.path, asked.seed)
    print(f"{len(halves.seen)} rows to learn from, {len(halves.unseen)} to compare with, seed {asked.seed}")
    print(f"{'':12} {'second half':>14}  {'first half':>14}")
    print(f"{'':12} {' shape   trend   shape   trend    C2ST  income  seconds'}")
    for name in asked.only:
        began = time.perf_counter()
        sampled = MODELS[name](halves.seen, options)
        seconds = "kept" if name == "tvae" and options.tvae else f"{time.perf_counter() - began:.1f}"
        if sampled is None:
            print(f"{name:12} left out: neither --ctgan-python nor --tvae-csv is given")
            continue
        sampled = sampled[list(halves.seen)]
        print(measured(name, sampled, halves, seconds, asked.seed), flush=True)


if __name__ == "__main__":
    main()
