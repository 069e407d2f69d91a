"""Runs beside one another: intervals against SciPy, Pareto against brute force, what is left out and why."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import call
from scipy import stats

from vaekit import files
from vaekit.comparison import as_json, as_text, compare, entries
from vaekit.comparison.intervals import interval, student
from vaekit.comparison.shown import as_csv, as_page, spread
from vaekit.comparison.table import dominated
from vaekit.errors import UsageError
from vaekit.meanings import MEANINGS
from vaekit.report import words

PNG = b"\x89PNG\r\n\x1a\n"


def made(place: Path, seed: int = 0, fingerprint: str = "f" * 64, status: str = "finished", card: Any = None,
         prior: str = "", chosen: Any = None, **metrics: float) -> Path:  # fmt: skip
    """A run folder without a model: what compare reads, and nothing else."""
    files.write_json(
        place / "run.json",
        {"status": status, "seed": seed, "seconds": 10.0 + seed, "metrics": metrics, "prior": prior,
         "data": {"fingerprint": fingerprint, "path": "x.npy"}},
    )  # fmt: skip
    card = {"kind": "images", "count": 100, "source": "x.npy", "binarize": "none"} | (card or {})
    files.write_json(place / "data_card.json", card)
    config = {"source": place.name, "preset": "vae", "seed": seed, "arguments": {}, "latent": None} | (
        chosen or {}
    )
    lines = [f"{name}: {json.dumps(value)}  # given" for name, value in config.items()]
    lines.append(f"threads: {seed + 1}  # measured")
    files.write(place / "config.yaml", "\n".join(lines))
    return place


def table(*paths: Path, figures: list[str] | None = None) -> Any:
    found, left_out = entries(paths)
    assert not left_out
    return compare(found, figures)


# ---------------------------------------------------------------------- the numbers


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 8, 29, 30, 200])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
def test_students_quantile_is_scipys(freedom, confidence):
    assert student(freedom, confidence) == pytest.approx(stats.t.ppf((1 + confidence) / 2, freedom), rel=1e-9)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_the_interval_is_scipys(count, rng):
    values = rng.normal(-100, 3, count)
    mean, half, seeds = interval(values.tolist())
    low, high = stats.t.interval(0.95, count - 1, np.mean(values), stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high)) and seeds == count


def test_an_interval_of_one_value_has_no_width_and_of_none_is_an_error():
    assert interval([3.0]) == (3.0, None, 1)
    with pytest.raises(ValueError, match="at least one"):
        interval([])


def test_the_front_is_brute_forces(tmp_path, rng):
    points = [*rng.integers(0, 5, (14, 2)).astype(float).tolist(), [2.0, 2.0], [2.0, 2.0]]
    paths = [
        made(tmp_path / f"r{i}", chosen={"latent": i + 1}, distortion=d, rate=r)
        for i, (d, r) in enumerate(points)
    ]
    found = {row.runs[0].path.name: row.best for row in table(*paths).rows}
    for i, own in enumerate(points):
        beaten = any(o[0] <= own[0] and o[1] <= own[1] and (o[0] < own[0] or o[1] < own[1]) for o in points)
        assert found[f"r{i}"] is (not beaten)
    assert any(found.values()) and not all(found.values())


def test_higher_and_lower_are_told_apart(tmp_path):
    paths = [
        made(tmp_path / "a", elbo=-90.0, nll=95.0),
        made(tmp_path / "b", chosen={"latent": 2}, elbo=-100.0, nll=99.0),
    ]
    for names, best in ((["elbo"], "a"), (["nll"], "a"), (["seconds"], "ab")):
        found = table(*paths, figures=names)
        assert "".join(row.name for row in found.rows if row.best) == best
    assert [row.name for row in table(*reversed(paths)).rows] == ["a", "b"]  # best first


def test_domination_needs_something_better():
    for own, other in itertools.product(itertools.product((1, 2), repeat=2), repeat=2):
        assert dominated(own, [other]) is (
            all(o <= s for o, s in zip(other, own, strict=True)) and other != own
        )


# ---------------------------------------------------------------------- rows, and what they differ in


def test_runs_that_differ_in_their_seed_are_one_row(tmp_path):
    seeds = [made(tmp_path / f"s{seed}", seed, elbo=-100.0 - seed) for seed in range(3)]
    other = made(tmp_path / "b4", chosen={"preset": "beta_vae", "arguments": {"beta": 4}}, elbo=-99.0)
    found = table(*seeds, other)
    assert [(row.name, len(row.runs)) for row in found.rows] == [("b4", 1), ("s{0,1,2}", 3)]
    assert found.choices == ["preset", "beta"] and found.rows[1].choices == {"preset": "vae", "beta": "–"}
    mean, half, _ = found.rows[1].figures["elbo"]
    assert mean == -101 and half == pytest.approx(stats.t.ppf(0.975, 2) / np.sqrt(3))


def test_the_same_seed_again_is_no_further_evidence(tmp_path):
    first, again = made(tmp_path / "a", elbo=-1.0), made(tmp_path / "b", elbo=-1.0)
    found = table(first, again, first)
    assert found.rows[0].figures["elbo"] == (-1.0, None, 1) and found.rows[0].best is None
    assert "b: the same run as another one" in found.notes[0]


def test_a_figure_that_some_seeds_lack_is_no_mean(tmp_path):
    found = table(made(tmp_path / "a", 0, elbo=-1.0, nll=2.0), made(tmp_path / "b", 1, elbo=-1.0))
    assert "nll" not in found.rows[0].figures and "have no −log p(x)" in found.notes[0]


def test_a_prior_fitted_afterwards_is_another_row_but_not_the_one_of_training_a_table(tmp_path):
    plain, fitted = made(tmp_path / "a", 0, elbo=-2.0), made(tmp_path / "b", 1, prior="flow", elbo=-1.0)
    assert table(plain, fitted).choices == ["prior"]
    of_table = {"kind": "table"}
    paths = (
        made(tmp_path / "c", 0, card=of_table, elbo=-2.0),
        made(tmp_path / "d", 1, card=of_table, prior="mixture", elbo=-1.0),
    )
    assert len(table(*paths).rows) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"fingerprint": "e" * 64},
        {"card": {"kind": "vectors"}},
        {"card": {"binarize": "dynamic"}},
        {"chosen": {"val": "v.npy"}},
    ],
    ids=["data", "kind", "bits", "held-out"],
)
def test_runs_on_other_data_are_not_held_against_one_another(tmp_path, other):
    found = table(made(tmp_path / "a", elbo=-1.0), made(tmp_path / "b", elbo=-2.0, **other))
    assert len(found.rows) == 2 and all(row.best is None for row in found.rows)
    assert "not on the same data" in found.notes[0] and "same letter only: A is" in found.notes[0]
    assert [row["data"] for row in as_json(found)["rows"]] == ["A", "B"]
    assert re.search(r"\bb +B\b", as_text(found))


def test_an_unknown_figure_names_the_nearest(tmp_path):
    with pytest.raises(UsageError, match="did you mean elbo"):
        table(made(tmp_path / "a", elbo=-1.0), figures=["elbow"])


# ---------------------------------------------------------------------- what is left out


def test_what_cannot_be_compared_is_left_out_with_its_reason(tmp_path):
    good = made(tmp_path / "runs" / "good", elbo=-1.0)
    made(tmp_path / "runs" / "half", status="interrupted", elbo=-1.0)
    made(tmp_path / "runs" / "wild", status="diverged")
    for name, text in (
        ("torn", '{"status": "fin'),
        ("odd", "[1]"),
        ("bare", '{"status": "finished", "data": {}}'),
    ):
        files.write(tmp_path / "runs" / name / "run.json", text)
    (tmp_path / "empty").mkdir()
    found, left_out = entries([tmp_path / "runs", tmp_path / "empty", tmp_path / "nowhere", good])
    assert [run.path.name for run in found] == ["good"]
    codes = {path.name: error.code for path, error in left_out}
    assert codes == {"half": "E305", "wild": "E305", "torn": "E303", "odd": "E303", "bare": "E301",
                     "empty": "E301", "nowhere": "E301"}  # fmt: skip
    assert "diverged" in str(dict((p.name, e) for p, e in left_out)["wild"])
    answer = call("compare", tmp_path / "runs", "--json")
    notes = json.loads(answer.out)["notes"]
    assert (
        answer.code == 0
        and len(notes) == 5
        and any("half is left out: it is not finished" in n for n in notes)
    )


def test_nothing_to_compare_is_an_error(tmp_path):
    assert call("compare", made(tmp_path / "a", status="running")).code == 4
    assert call("compare").code == 2


# ---------------------------------------------------------------------- as page, CSV, JSON


def test_the_page_needs_no_network_and_runs_nothing(tmp_path):
    evil = "<script>alert(1)</script>"
    path = made(tmp_path / "a", elbo=-1.0)
    files.write(path / "plots" / "samples.png", PNG + b"0")
    paths = [path, made(tmp_path / evil.replace("/", "∕"), chosen={"latent": evil}, elbo=-2.0)]
    page = as_page(table(*paths))
    assert "<script" not in page and "&lt;script&gt;" in page and "default-src 'none'" in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert page.count("data:image/png;base64,") == 1 and "No samples lie in its folder." in page


def test_rows_and_lines_stand_side_by_side(tmp_path):
    tabular, text = made(tmp_path / "t", elbo=-1.0), made(tmp_path / "l", chosen={"latent": 2}, elbo=-2.0)
    for path, arrays in (
        (
            tabular,
            {"row_names": np.array(["age"]), "row_cells": np.array([["41"]] * 20), "row_more": np.array(0)},
        ),
        (
            text,
            {"form": np.array("text"), "sample_x": np.array(["Anna"]), "sample_nearest": np.array(["Anne"])},
        ),
    ):
        (path / "plots").mkdir()
        np.savez(path / "plots" / "evidence.npz", **arrays)
    page = as_page(table(tabular, text))
    assert page.count("<td>41</td>") == 8 and "<td>Anna</td>" in page


def test_the_csv_says_what_the_table_does(tmp_path):
    paths = [
        made(tmp_path / "a", 0, elbo=-1.0),
        made(tmp_path / "b", 1, elbo=-3.0),
        made(tmp_path / "c", chosen={"latent": 8}, elbo=-9.0),
    ]
    first, second = csv.DictReader(io.StringIO(as_csv(table(*paths))))
    assert (first["seeds"], first["latent"], second["latent"], first["best"]) == ("0 1", "auto", "8", "1")
    low, high = stats.t.interval(0.95, 1, -2, stats.sem([-1, -3]))
    assert [float(first[name]) for name in ("elbo", "elbo_low", "elbo_high")] == pytest.approx(
        [-2, low, high]
    )
    assert second["elbo_low"] == ""


@pytest.mark.parametrize("name", ["c.html", "c.csv", "c.json"])
def test_out_is_written_and_named(tmp_path, name):
    made(tmp_path / "a", elbo=-1.0), files.write(tmp_path / name, "old")
    answer = call("compare", tmp_path / "a", "--out", tmp_path / name, "--json")
    assert json.loads(answer.out)["out"] == str(tmp_path / name) and (tmp_path / name).stat().st_size > 100


def test_another_suffix_is_refused(tmp_path):
    answer = call("compare", made(tmp_path / "a", elbo=-1.0), "--out", tmp_path / "x.png")
    assert answer.code == 2 and "E107" in answer.err and "x.html" in answer.err


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        ((-101.0, 2.484, 3), "-101.0 ± 2.5"),
        ((5.0, 0.0123, 2), "5.000 ± 0.012"),
        ((0.12345, None, 1), "0.123"),
        ((12345.6, 700.0, 2), "12346 ± 700"),
    ],
)
def test_a_mean_has_the_digits_its_interval_allows(figure, text):
    from vaekit.comparison.intervals import Interval

    assert spread(Interval(*figure)) == text


def test_the_meanings_are_those_of_the_report():
    assert words.MEANINGS is MEANINGS
    assert {name for name, one in MEANINGS.items() if one.better == "higher"} == {"elbo"}
    assert all("better" not in one.sentence or one.better for one in MEANINGS.values())


def test_it_starts_without_what_is_slow_to_load(tmp_path):
    runs = [made(tmp_path / f"s{seed}", seed, elbo=-1.0 * seed) for seed in range(2)]
    out = tmp_path / "c.html"
    files.write(out, "old")
    for options, heavy in (
        ([], {"torch", "numpy", "scipy", "jinja2"}),
        (["--out", str(out)], {"torch", "pandas", "matplotlib"}),
    ):
        program = f"""
import sys
from vaekit.cli import main
try:
    main(["compare", *{[str(run) for run in runs]}, *{options}])
except SystemExit as end:
    sys.exit(end.code or " ".join({heavy} & set(sys.modules)) or None)
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
