"""Sweeps: every combination and seed once, going on, what fails."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from commands import call

from vaekit import sweep as module
from vaekit.errors import DataError, UsageError
from vaekit.sweep import combinations, folder, sweep
from vaekit.words import named_options, varied


@pytest.fixture(scope="module")
def points(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "points.npy"
    np.save(path, np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32))
    return path


@pytest.fixture
def fits(monkeypatch) -> list[dict[str, Any]]:
    """What `fit` was called with; nothing is trained, and latent=3 fails."""
    calls: list[dict[str, Any]] = []

    def fit(source: Any, out: Path, **options: Any) -> Any:
        calls.append({"out": out, **options})
        if options.get("latent") == 3:
            raise DataError("E206", "not finite.")
        if options.get("latent") == 4:
            raise RuntimeError("a bug")
        return SimpleNamespace(path=out)

    monkeypatch.setattr(module, "fit", fit)
    return calls


# ---------------------------------------------------------------------- without training


def test_every_combination_and_seed_is_trained_once(fits, tmp_path):
    made = sweep(
        "digits",
        {"beta": [1, 2, 4], "latent": [5, 6]},
        tmp_path,
        preset="beta_vae",
        seeds=2,
        seed=7,
        quiet=True,
    )
    wanted = {(beta, latent, seed) for beta in (1, 2, 4) for latent in (5, 6) for seed in (7, 8)}
    assert {(c["beta"], c["latent"], c["seed"]) for c in fits} == wanted and len(fits) == 12
    assert len({c["out"] for c in fits}) == 12 and [c["out"] for c in fits] == made.runs and not made.failed
    assert all(c["preset"] == "beta_vae" and c["out"].parent == tmp_path for c in fits)


def test_one_that_fails_is_noted_and_the_others_go_on(fits, tmp_path, capsys):
    made = sweep("digits", {"latent": [3, "many", 2, 4, 5]}, tmp_path)
    assert [run.name for run in made.runs] == ["latent-2_seed-0", "latent-5_seed-0"]
    assert {path.name.split("_")[0]: type(error).__name__ for path, error in made.failed.items()} == {
        "latent-many": "UsageError", "latent-3": "DataError", "latent-4": "RuntimeError",
    }  # fmt: skip
    said = capsys.readouterr().err
    assert "[5/5] latent=5 seed=0" in said and "latent=3 seed=0 failed: E206" in said


def test_a_source_that_is_not_there_is_said_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = call("sweep", "gone.npy", "--over", "latent=1,2,3")
    assert answer.code == 3 and answer.err.count("E201") == 1 and not list(tmp_path.iterdir())


def test_being_stopped_stops_the_sweep(fits, tmp_path, monkeypatch):
    def stopped(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "fit", stopped)
    with pytest.raises(KeyboardInterrupt):
        sweep("digits", {"latent": [2, 3]}, tmp_path, quiet=True)


@pytest.mark.parametrize(
    ("over", "options", "says"),
    [
        ({"latent": ["x", "y"]}, {}, "latent"), ({"sead": [1, 2]}, {}, "no option 'sead'"),
        ({"seed": [1, 2]}, {}, "averaged"), ({}, {}, "nothing to go over"),
        ({"latent": [2]}, {"latent": 3}, "both given and gone over"), ({"latent": [2]}, {"seeds": 0}, "at least one"),
        ({"likelihood": ["gaussian:2", "gaussian 2"]}, {}, "the folder"),
    ],
    ids=["all wrong", "unknown", "seed", "nothing", "twice", "no seeds", "one folder"],
)  # fmt: skip
def test_what_cannot_be_is_said_before_anything_is_trained(fits, tmp_path, over, options, says):
    with pytest.raises(UsageError, match=says):
        sweep("digits", over, tmp_path, **options)
    assert not fits


def test_folders_tell_combinations_apart():
    made = [folder(one) for one in combinations({"lr": [1e-3, 1e-4], "preset": ["vae", "a/b"]}, 0, 2)]
    assert len(set(made)) == 8 and made[-1] == "lr-0.0001_preset-a-b_seed-1"
    assert not any("/" in name for name in made)


def test_words_of_the_command_line():
    assert varied(["beta=1,2.5,1", "labels=1,2"], {"labels"}) == {"beta": [1, 2.5], "labels": ["1", "2"]}
    assert named_options(["--labels", "7", "--latent", "7"], {"labels"}) == {"labels": "7", "latent": 7}
    for wrong in (["beta"], ["beta="], ["=1"], ["beta=1,,2"], ["beta=1", "beta=2"]):
        with pytest.raises(UsageError, match="E103|--over"):
            varied(wrong)


# ---------------------------------------------------------------------- with it


def test_a_sweep_from_the_command_line_ends_with_the_comparison(points, tmp_path, monkeypatch):
    for place in ("fitting", "launch"):  # reports take longer than these runs, and have their own tests
        monkeypatch.setattr(f"vaekit.{place}.write_report", lambda path: None)
    words = [
        "sweep",
        points,
        "--over",
        "latent=1,0",
        "--seeds",
        "2",
        "--steps",
        "3",
        "--set",
        "patience=0",
        "--out",
        tmp_path / "sw",
    ]
    answer = call(*words, "--json")
    assert answer.code == 2, answer.err  # latent=0 cannot be
    found = json.loads(answer.out)
    assert [Path(run).name for run in found["rows"][0]["runs"]] == ["latent-1_seed-0", "latent-1_seed-1"]
    assert found["rows"][0]["figures"]["elbo"]["half"] > 0 and len(found["rows"]) == 1
    assert len(found["failed"]) == 2 and "E103" in found["failed"][0]["error"]
    assert any("latent-0_seed-0 failed" in note for note in found["notes"])
    page = (tmp_path / "sw" / "comparison.html").read_text()
    assert "latent-1_seed-{0,1}" in page and "latent-0_seed-0 failed" in page

    runs = [tmp_path / "sw" / f"latent-1_seed-{seed}" for seed in (0, 1)]
    before = [(run / "run.json").stat().st_mtime_ns for run in runs]
    (runs[1] / "run.json").write_text((runs[1] / "run.json").read_text().replace('"finished"', '"running"'))
    again = call(*words)
    assert again.code == 2 and "latent-1_seed-0 is finished already" in again.err
    assert "latent-1_seed-1 is finished already" not in again.err and "★" not in again.out
    assert (runs[0] / "run.json").stat().st_mtime_ns == before[0]
    assert (runs[1] / "run.json").stat().st_mtime_ns != before[1]
    assert call("compare", tmp_path / "sw", "--json").out.count("latent-1_seed") == 2
