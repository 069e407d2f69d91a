"""A run from end to end: data in, a folder out, and everything that can be done with it afterwards."""

from __future__ import annotations

import json
import math
import os
import pickle
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.utils.data import TensorDataset

import vaekit
from vaekit import evaluation, files
from vaekit import launch as running
from vaekit.cli import main
from vaekit.config import Config
from vaekit.errors import DataError, FileError, ResourceError, UsageError
from vaekit.fitting import Fitting
from vaekit.presets import ABOUT, PRESETS

# Every choice of the clock is given, so that a run is the same on every machine.
QUICK: dict[str, Any] = dict(
    steps=12, batch_size=16, latent=2, threads=1, evaluate_every=4, patience=0, quiet=True
)


@pytest.fixture(scope="module", autouse=True)
def _no_pictures() -> Iterator[None]:
    """Drawing the report takes seconds: only the tests of the folder and of `vaekit report` do it."""
    with pytest.MonkeyPatch.context() as patch:
        for place in ("vaekit.fitting", "vaekit.launch"):
            patch.setattr(f"{place}.write_report", lambda path: files.write(Path(path) / "report.html", ""))
        yield


def table(n: int = 240, seed: int = 0, columns: int = 5) -> np.ndarray:
    """Correlated columns far from zero: (n, columns) float64."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(2, columns))
    return rng.normal(size=(n, 2)) @ mixing + 0.3 * rng.normal(size=(n, columns)) + 7


def pictures(n: int = 60, side: int = 8, seed: int = 0) -> np.ndarray:
    """A bright spot somewhere: (n, side, side) uint8."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:side, :side]
    places = rng.uniform(1, side - 2, size=(n, 2, 1, 1))
    spot = np.exp(-((row - places[:, 0]) ** 2 + (column - places[:, 1]) ** 2) / 3)
    return np.round(255 * spot).astype(np.uint8)


def fit(source: Any, out: Path, **options: Any) -> vaekit.Run:
    return vaekit.fit(source, out=out, **{**QUICK, **options})


def weights(run: vaekit.Run | Path) -> str:
    return files.sha256(Path(getattr(run, "path", run)) / "model" / "weights.safetensors")


def heldout(run: vaekit.Run) -> list[dict[str, Any]]:
    return [record for record in run.history if record["split"] == "heldout"]


def events(run: vaekit.Run) -> list[str]:
    written = [json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines()]
    assert written == run.facts["events"]
    return [event["what"] for event in written]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., vaekit.Run]:
    """(preset, "images" or "vectors") → a run of it, trained once for all tests."""
    place, made = tmp_path_factory.mktemp("runs"), {}

    def get(preset: str = "vae", form: str = "vectors") -> vaekit.Run:
        if (preset, form) not in made:
            x = pictures() if form == "images" else table()
            source: Any = x
            if preset == "conditional_vae":
                source = TensorDataset(torch.from_numpy(x), torch.arange(len(x)) % 3)
            made[preset, form] = fit(source, place / f"{preset}-{form}", preset=preset)
        return made[preset, form]

    return get


def rows(form: str, n: int = 6, seed: int = 5) -> np.ndarray:
    """New data of the kind that `runs` were trained on."""
    return pictures(n, seed=seed) if form == "images" else table(n, seed=seed)


# --- what can be trained on


def as_folder(place: Path) -> Path:
    for i, pixels in enumerate(pictures(24)):
        path = place / "photos" / ("cat" if i % 3 else "dog") / f"{i}.{'jpg' if i % 2 else 'png'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return place / "photos"


def as_npz(place: Path) -> Path:
    np.savez(place / "data.npz", x=table(40), y=np.array(["no", "yes"] * 20))
    return place / "data.npz"


SOURCES: dict[str, tuple[Callable[[Path], Any], int, str, tuple[int, ...], tuple[str, ...]]] = {
    "uint8 images": (lambda _: pictures(24), 24, "images", (1, 8, 8), ()),
    "float images": (lambda _: pictures(24)[..., None].repeat(3, -1) / 254.7, 24, "images", (3, 8, 8), ()),
    "floats": (lambda _: table(40), 40, "vectors", (5,), ()),
    "bits": (lambda _: table(40) > 7, 40, "vectors", (5,), ()),
    "a tensor": (lambda _: torch.from_numpy(table(40)).float(), 40, "vectors", (5,), ()),
    "lists": (lambda _: table(40).tolist(), 40, "vectors", (5,), ()),
    "a folder": (as_folder, 24, "images", (1, 8, 8), ("cat", "dog")),
    "an .npz": (as_npz, 40, "vectors", (5,), ("no", "yes")),
    "a Dataset": (
        lambda _: TensorDataset(torch.from_numpy(pictures(24)), torch.arange(24) % 2),
        24, "images", (1, 8, 8), ("0", "1"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", SOURCES)
def test_every_form_of_data_is_trained_on(form, tmp_path) -> None:
    make, count, kind, shape, labels = SOURCES[form]
    run = fit(make(tmp_path), tmp_path / "run", steps=2)
    assert (run.kind.name, run.kind.shape, run.kind.labels) == (kind, shape, labels)
    assert run.facts["status"] == "finished" and run.facts["steps"] == 2
    assert run.facts["data"]["heldout"] == round(0.1 * count)
    assert run.facts["data"]["count"] == count - round(0.1 * count)
    item = run.sample(3)
    inside = (
        shape[1:]
        if kind == "images" and shape[0] == 1
        else (*shape[1:], shape[0])
        if len(shape) > 1
        else shape
    )
    assert item.shape == (3, *inside) and np.isfinite(item).all()
    if labels:
        card = json.loads((run.path / "data_card.json").read_text())
        assert set(card["classes"]) == set(labels) and sum(card["classes"].values()) == count


def test_two_rows_are_enough_in_python(tmp_path) -> None:
    run = fit(table(2), tmp_path / "run", steps=2)
    assert run.facts["data"]["count"] == run.facts["data"]["heldout"] == 1
    assert run.score(table(2)).p_value.shape == (2,)


def test_own_held_out_data(tmp_path) -> None:
    np.savez(tmp_path / "val.npz", x=table(30, seed=1), y=np.array(["yes", "maybe", "no"] * 10))
    run = fit(as_npz(tmp_path), tmp_path / "run", val=str(tmp_path / "val.npz"))
    assert run.facts["data"]["count"] == 40 and run.facts["data"]["heldout"] == 30
    assert run.metrics["n"] == 30
    found = evaluation.evaluate(run.model, run.items(table(30, seed=1)))
    assert found["elbo"] == pytest.approx(run.metrics["elbo"], rel=1e-9)
    assert run.items(tmp_path / "val.npz").labels.tolist() == [1, -1, 0] * 10  # by name, and one is not known


# --- the folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> vaekit.Run:
    """A run with everything: labels, checkpoints, and the report as it is."""
    from vaekit.report import write_report

    place = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr("vaekit.fitting.write_report", write_report)
        patch.setattr("vaekit.fitting.SAVE_EVERY", 0.0)
        fit(as_npz(place), Path("runs") / "data", quiet=True)
    return vaekit.open(place / "runs" / "data")


def test_the_folder_holds_what_is_documented(whole) -> None:
    names = {p.name for p in whole.path.iterdir() if not p.name.startswith(".")}
    assert names == {
        "README.md", "report.html", "run.json", "config.yaml", "data_card.json", "metrics.jsonl", "events.jsonl",
        "plots", "model", "checkpoints",
    }  # fmt: skip
    assert {p.name for p in (whole.path / "model").iterdir()} == {
        "recipe.json", "weights.safetensors", "kind.json", "calibration.json", "reference.safetensors", "README.md",
        "MANIFEST.json",
    }  # fmt: skip
    plots = {p.name for p in (whole.path / "plots").iterdir()}
    assert "evidence.npz" in plots and {"loss.png", "reconstructions.png", "samples.png"} <= plots
    assert all(name.endswith(".png") for name in plots - {"evidence.npz"})
    latest = (whole.path / "checkpoints" / "LATEST").read_text().strip()
    steps = sorted(p.name for p in (whole.path / "checkpoints").iterdir() if p.name != "LATEST")
    assert len(steps) == 2 and latest == steps[-1] and all(re.fullmatch(r"step-\d{8}", s) for s in steps)
    files.check(whole.path / "model")
    files.check(whole.path / "checkpoints" / latest)


def test_run_json_says_what_was_done(whole) -> None:
    facts = files.read_json(whole.path / "run.json")  # strict: no NaN
    assert {
        "status",
        "seed",
        "versions",
        "seconds",
        "steps",
        "preset",
        "objective",
        "metrics",
        "data",
    } <= set(facts)
    assert facts["status"] == "finished" and facts["steps"] == 12 and facts["seconds"] > 0
    assert {"vaekit", "python", "torch", "numpy"} <= set(facts["versions"])
    assert re.fullmatch(r"[0-9a-f]{64}", facts["data"]["fingerprint"])
    assert facts["data"]["path"] == "data.npz"
    card = files.read_json(whole.path / "data_card.json")
    assert card["fingerprint"] == facts["data"]["fingerprint"] and card["count"] == 40
    assert "finished" in (whole.path / "README.md").read_text()
    assert "beta_vae" not in (whole.path / "model" / "README.md").read_text()
    assert (whole.path / "report.html").stat().st_size > 10_000


def test_metrics_have_a_line_for_each_split_of_each_evaluation(whole) -> None:
    assert [(r["step"], r["split"]) for r in whole.history] == [
        (step, split) for step in (0, 4, 8, 12) for split in ("train", "heldout")
    ]
    for record in whole.history:
        assert set(record) == {
            "step", "split", "elbo", "rate", "distortion", "active_units", "beta", "gradient_norm",
            "items_per_second", "lr", "seconds",
        }  # fmt: skip
        assert record["elbo"] == pytest.approx(-record["rate"] - record["distortion"])
        assert record["beta"] == 1.0 and 0 < record["lr"] <= Config.model_fields["lr"].default
        assert (record["gradient_norm"] is None) == (record["split"] == "heldout" or record["step"] == 0)


def test_nothing_in_the_folder_is_absolute_or_a_pickle(whole) -> None:
    suffixes = {"", ".json", ".jsonl", ".yaml", ".md", ".html", ".png", ".npz", ".safetensors"}
    for path in (p for p in whole.path.rglob("*") if p.is_file()):
        assert path.suffix in suffixes, path
        content = path.read_bytes()
        for here in (whole.path.parents[1], Path.home(), Path(vaekit.__file__).parent):
            assert len(str(here)) < 2 or str(here).encode() not in content, (path, here)
        assert not content.startswith(b"\x80"), path  # as every pickle since protocol 2 does
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                assert not any(arrays[name].dtype.hasobject for name in arrays)


def test_absolute_paths_that_were_given_are_not_written(tmp_path, monkeypatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    np.savez(tmp_path / "val.npz", x=table(30, seed=1))
    run = fit(as_npz(tmp_path), Path("run"), steps=2, val=tmp_path / "val.npz")
    for path in (p for p in run.path.rglob("*") if p.is_file()):
        assert str(tmp_path).encode() not in path.read_bytes(), path


def test_nothing_is_pickled_on_the_way(tmp_path, monkeypatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a pickle")

    for place, names in ((pickle, ("dump", "dumps", "load", "loads")), (torch, ("save", "load"))):
        for name in names:
            monkeypatch.setattr(place, name, refuse)
    monkeypatch.setattr("vaekit.fitting.SAVE_EVERY", 0.0)
    run = vaekit.open(fit(table(30), tmp_path / "run", steps=3).path)
    assert run.sample(2).shape == (2, 5)


def test_a_moved_folder_opens_from_anywhere(tmp_path, monkeypatch) -> None:
    run = fit(table(), tmp_path / "a" / "run")
    before = run.sample(4, seed=3), run.score(rows("vectors")).p_value, run.history
    (tmp_path / "b").mkdir()
    shutil.move(run.path, tmp_path / "b" / "moved")
    monkeypatch.chdir(tmp_path / "b")
    again = vaekit.open("moved")
    after = again.sample(4, seed=3), again.score(rows("vectors")).p_value, again.history
    assert (
        np.array_equal(before[0], after[0]) and np.array_equal(before[1], after[1]) and before[2] == after[2]
    )
    shutil.copytree("moved/model", tmp_path / "alone")  # the model folder is complete by itself
    alone = vaekit.open(tmp_path / "alone")
    assert np.array_equal(alone.sample(4, seed=3), before[0])
    assert np.array_equal(alone.score(rows("vectors")).p_value, before[1])


# --- the same again


def test_the_configuration_runs_again_exactly(tmp_path, monkeypatch) -> None:
    """What the clock chose at the first start is written down, and read."""
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", table())
    words = ["train", "x.npy", "--preset", "beta_vae", "--beta", "2.5", "--steps", "24", "--batch-size", "16"]
    words += ["--latent", "2", "--seed", "3", "--quiet"]
    with pytest.raises(SystemExit, match="0"):
        main([*words, "--out", "first"])
    text = Path("first/config.yaml").read_text()
    for name, origin in (
        ("steps", "given"),
        ("lr", "default"),
        ("evaluate_every", "measured"),
        ("threads", "measured"),
    ):
        assert re.search(rf"^{name}: .*  # {origin}$", text, re.M), (name, origin)
    with pytest.raises(SystemExit, match="0"):
        main(["train", "--config", "first/config.yaml", "--out", "second", "--quiet"])
    first, second = vaekit.open("first"), vaekit.open("second")
    assert weights(first) == weights(second)
    assert [r["elbo"] for r in first.history] == [r["elbo"] for r in second.history]
    assert first.facts["identity"] == second.facts["identity"]
    with pytest.raises(SystemExit, match="0"):
        main(["train", "--config", "first/config.yaml", "--seed", "4", "--out", "third", "--quiet"])
    assert weights(Path("third")) != weights(first)


def test_another_length_beside_a_configuration_wins(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", table(40))
    fit("x.npy", Path("first"))
    with pytest.raises(SystemExit, match="0"):
        main(["train", "--config", "first/config.yaml", "--epochs", "1", "--out", "second", "--quiet"])
    assert vaekit.open("second").facts["steps"] == 36 // 16


@pytest.fixture
def no_training(runs: Callable[..., vaekit.Run], monkeypatch: pytest.MonkeyPatch) -> None:
    runs()  # trained before

    def refuse(*_: Any) -> None:
        raise AssertionError("it trains")

    monkeypatch.setattr(Fitting, "run", refuse)


def test_the_same_call_opens_the_finished_run(runs, no_training, capsys) -> None:
    first = runs()
    again = vaekit.fit(table(), out=first.path, **{**QUICK, "quiet": False})
    assert again.path == first.path and "finished already" in capsys.readouterr().err


def test_the_same_call_writes_a_report_that_is_missing(runs, no_training, tmp_path, monkeypatch) -> None:
    shutil.copytree(runs().path, tmp_path / "run")
    (tmp_path / "run" / "report.html").unlink()  # as after a crash in its last second
    monkeypatch.setattr(running, "write_report", lambda path: files.write(path / "report.html", "again"))
    fit(table(), tmp_path / "run")
    assert (tmp_path / "run" / "report.html").read_text() == "again"


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"lr": 0.0007}, {"preset": "sigma_vae"}, {"preset": "beta_vae", "beta": 2.0}]
)
def test_other_options_are_another_run(change, runs, no_training) -> None:
    with pytest.raises(UsageError, match="other options or data") as caught:
        fit(table(), runs().path, **change)
    assert caught.value.code == "E107" and "--fresh" in caught.value.hint


def test_other_data_are_another_run(runs, no_training) -> None:
    with pytest.raises(UsageError, match="other options or data"):
        fit(table(seed=1), runs().path)


def test_runs_are_numbered_and_found_again(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", table(40))
    options = {**QUICK, "steps": 2}
    paths = [vaekit.fit("x.npy", **{**options, "seed": seed}).path for seed in (0, 1, 2, 1, 0)]
    assert [str(path) for path in paths] == ["runs/x", "runs/x-2", "runs/x-3", "runs/x-2", "runs/x"]
    kept = weights(Path("runs/x")), weights(Path("runs/x-3"))
    Path("runs/x-2/mark").write_text("")
    again = vaekit.fit("x.npy", **{**options, "seed": 1}, fresh=True)
    assert str(again.path) == "runs/x-2" and not Path("runs/x-2/mark").exists()
    assert kept == (weights(Path("runs/x")), weights(Path("runs/x-3"))), "fresh touched another run"


def test_fresh_trains_again(tmp_path) -> None:
    first = fit(table(40), tmp_path / "run", steps=2)
    (first.path / "mark").write_text("")
    again = fit(table(40), tmp_path / "run", steps=2, fresh=True)
    assert not (again.path / "mark").exists() and weights(again) == weights(first)
    other = fit(table(40), tmp_path / "run", steps=3, fresh=True)
    assert other.facts["steps"] == 3
    assert os.listdir(tmp_path) == ["run"]


def test_a_folder_with_something_else_is_left_alone(tmp_path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    for fresh in (False, True):
        with pytest.raises(UsageError, match="not a run"):
            fit(table(40), tmp_path, fresh=fresh)
    assert os.listdir(tmp_path) == ["thesis.tex"]


# --- what is kept


@pytest.mark.parametrize(("beta", "rows"), [(0.01, 240), (1.0, 16)])
def test_the_best_model_by_what_is_trained_is_kept(tmp_path, beta, rows) -> None:
    """With β = 0.01 the ELBO gets ever worse while the objective gains; with few rows held-out ones soon lose."""
    np.save(tmp_path / "val.npy", table(60, seed=1))
    options = dict(steps=60, lr=1e-2, evaluate_every=2, latent=4, val=str(tmp_path / "val.npy"))
    run = fit(table(rows), tmp_path / "run", preset="beta_vae", beta=beta, **options)
    elbo = np.array([record["elbo"] for record in heldout(run)])
    found = [record["distortion"] + beta * record["rate"] for record in heldout(run)]
    best = int(np.argmin(found))
    assert elbo.max() > elbo[-1] + 0.5, "it did not get worse"
    assert best == elbo.argmax() if beta == 1 else best > elbo.argmax()
    assert run.facts["best_step"] == heldout(run)[best]["step"]
    for metrics in (run.metrics, evaluation.evaluate(run.model, run.items(table(60, seed=1)))):
        assert metrics["elbo"] == pytest.approx(elbo[best], rel=1e-9)
    assert {record["beta"] for record in run.history} == {beta}


@pytest.mark.parametrize("preset", ["iwae", "wae_mmd", "free_bits_vae"])
def test_another_objective_chooses_by_itself(tmp_path, monkeypatch, preset) -> None:
    values = iter([3.0, 1.0, math.nan, 2.0])
    monkeypatch.setattr("vaekit.fitting.goal", lambda *given: next(values))
    run = fit(table(40), tmp_path / "run", preset=preset, steps=40, evaluate_every=10)
    assert run.facts["best_step"] == 20


def test_numbers_that_left_the_finite_ones_for_a_while_end_nothing(tmp_path, monkeypatch) -> None:
    calls = iter(range(100))

    def sometimes(*given):
        if next(calls) in (1, 2):
            raise DataError("E206", "some items are not finite.")
        return evaluation.evaluate(*given)

    monkeypatch.setattr("vaekit.fitting.evaluate", sometimes)
    run = fit(table(40), tmp_path / "run", preset="beta_vae", steps=12, evaluate_every=4)
    assert [record["elbo"] is None for record in heldout(run)] == [True, False, False]
    assert run.facts["best_step"] in (8, 12) and math.isfinite(run.metrics["elbo"])


def test_where_a_critic_moves_the_objective_the_newest_weights_are_kept(tmp_path) -> None:
    for preset in ("factor_vae", "geco_vae"):
        run = fit(table(40), tmp_path / preset, preset=preset, steps=40, lr=0.05, evaluate_every=8)
        assert run.facts["best_step"] == 40 and events(run) == []
    run = fit(table(40), tmp_path / "asked", preset="geco_vae", steps=40, evaluate_every=2, patience=1)
    assert run.facts["steps"] == 40 and "trained to its end" in events(run)[0]


def test_training_stops_early_and_says_so(tmp_path) -> None:
    run = fit(table(24), tmp_path / "run", steps=400, lr=0.01, evaluate_every=4, patience=3, latent=4)
    stopped = run.facts["steps"]
    assert stopped < 400 and stopped == run.facts["best_step"] + 3 * 4
    assert events(run) == [f"stopped early: no better held-out figure since step {run.facts['best_step']}"]


def test_training_never_stops_early_within_the_warm_up(tmp_path) -> None:
    run = fit(
        table(24), tmp_path / "run", preset="annealed_vae", warmup=80, steps=300, lr=0.02, evaluate_every=4,
        patience=2, latent=4,
    )  # fmt: skip
    found = [record["elbo"] for record in heldout(run) if record["step"] <= 80]
    stale = [max(found[: i + 1]) > max(found[i : i + 3]) for i in range(len(found) - 2)]
    assert any(stale), "without the warm-up it would not have stopped"
    assert run.facts["steps"] >= 80 + 2 * 4, "evaluations of the warm-up were counted"
    assert run.facts["steps"] < 300 and "stopped early" in events(run)[0]
    betas = {record["step"]: record["beta"] for record in run.history}
    assert betas[4] == pytest.approx(4 / 80, abs=0.02) and betas[84] == 1.0


def test_a_warm_up_that_does_not_finish_is_said(tmp_path, capsys) -> None:
    run = fit(table(40), tmp_path / "run", preset="annealed_vae", warmup=1_000, quiet=False)
    said = "the warm-up ends at step 1000, after training does (12)"
    assert events(run) == [said] and said in capsys.readouterr().err
    assert events(fit(table(40), tmp_path / "fits", preset="annealed_vae", warmup=10)) == []


def test_a_warm_up_is_fitted_to_the_length(tmp_path) -> None:
    run = fit(table(40), tmp_path / "run", preset="annealed_vae", steps=40, evaluate_every=5)
    betas = [record["beta"] for record in heldout(run)]
    assert betas[0] < 1 and set(betas[2:]) == {1.0} and events(run) == []


def test_no_run_ends_below_the_linear_model_it_begins_with(tmp_path) -> None:
    run = fit(table(60), tmp_path / "run", lr=0.5)  # far too high
    found = heldout(run)
    assert [record["step"] for record in found] == [0, 4, 8, 12] and run.facts["best_step"] == 0
    assert run.metrics["elbo"] == pytest.approx(found[0]["elbo"], rel=1e-9)
    assert found[0]["elbo"] > max(record["elbo"] for record in found[1:])


def test_what_is_not_the_elbo_is_not_held_against_its_start(tmp_path) -> None:
    for name, source, options in (
        ("beta", table(60), {"preset": "beta_vae"}),
        ("free", table(60), {"preset": "free_bits_vae"}),
        ("pictures", pictures(), {}),  # no linear path
    ):
        assert heldout(fit(source, tmp_path / name, **options))[0]["step"] == 4
    annealed = fit(table(60), tmp_path / "annealed", preset="annealed_vae", warmup=6)
    assert heldout(annealed)[0]["step"] == 0, "it ends at the ELBO"


def test_averaged_weights_are_what_is_evaluated_and_saved(tmp_path) -> None:
    # with this weight it is not the ELBO that is trained, so that the linear start cannot be the best
    options = dict(steps=30, lr=0.01, evaluate_every=30, preset="beta_vae", beta=0.9)
    plain, averaged = (fit(table(60), tmp_path / f"{a}", average=a, **options) for a in (0.0, 0.9))
    assert weights(plain) != weights(averaged)
    for run in (plain, averaged):
        assert run.metrics["elbo"] == pytest.approx(heldout(run)[-1]["elbo"], rel=1e-9)
    # the same training underneath: the average lies between where it began and where it ended
    begun = fit(table(60), tmp_path / "begun", **{**options, "lr": 1e-12})
    ends = [load_file(run.path / "model" / "weights.safetensors") for run in (begun, averaged, plain)]
    far = [sum(float((ends[0][n] - end[n]).pow(2).sum()) for n in end) for end in ends[1:]]
    assert 0 < far[0] < far[1]


def test_without_a_length_the_default_is_taken(tmp_path, monkeypatch) -> None:
    """However much else was given."""
    monkeypatch.setattr("vaekit.fitting.DEFAULT_STEPS", 30)
    run = fit(table(40), tmp_path / "run", steps=None)
    assert run.facts["steps"] == 30 and "at_most: 30  # measured" in (run.path / "config.yaml").read_text()


def test_one_epoch_takes_each_row_once(tmp_path) -> None:
    run = fit(table(100), tmp_path / "run", steps=None, epochs=2)
    assert run.facts["steps"] == 2 * (90 // 16)


def test_time_is_kept_and_leaves_a_usable_model(tmp_path) -> None:
    began = time.monotonic()
    run = fit(table(), tmp_path / "run", steps=None, time="4s", patience=0)
    took = time.monotonic() - began
    assert (
        1 < run.facts["seconds"] < 4 + 8 and took < 30
    )  # generous: what is asserted is that time is what ends it
    assert run.facts["status"] == "finished" and run.facts["steps"] > 10
    assert run.score(rows("vectors")).score.shape == (6,)
    text = (run.path / "config.yaml").read_text()
    assert "time: 4.0  # given" in text and re.search(r"^at_most: \d+  # measured$", text, re.M)
    assert heldout(run)[-1]["lr"] < 1e-4, "the learning rate falls with the clock"


# --- every plain preset; tests/test_presets.py and tests/test_cli_presets.py have all of them

PLAIN = sorted([name for name in PRESETS if ABOUT[name].chapter == "elbo"] + ["iwae", "conditional_vae"])


@pytest.mark.parametrize("form", ["vectors", "images"])
@pytest.mark.parametrize("preset", PLAIN)
def test_every_preset_is_trained_saved_and_opened(preset, form, runs) -> None:
    trained = runs(preset, form)
    run = vaekit.open(trained.path)
    assert run.about["preset"] == preset and run.kind.name == form
    assert preset in repr(run)
    for name, value in trained.model.state_dict().items():
        assert torch.equal(value, run.model.state_dict()[name]), name
    assert not run.model.training


@pytest.mark.parametrize("form", ["vectors", "images"])
@pytest.mark.parametrize("preset", PLAIN)
def test_every_verb_of_every_preset(preset, form, runs) -> None:
    run, x, n = runs(preset, form), rows(form), 6
    item, dtype = x.shape[1:], np.uint8 if form == "images" else np.float64

    def items(made: np.ndarray, count: int) -> None:
        assert made.shape == (count, *item) and made.dtype == dtype and np.isfinite(made).all()

    z, std = run.encode(x, return_std=True)
    assert (
        z.shape == std.shape == (n, 2) and z.dtype == np.float32 and np.isfinite(z).all() and (std >= 0).all()
    )
    assert np.array_equal(run.encode(x), z)
    items(run.decode(z), n)
    items(run.decode(z[0]), 1)
    items(run.reconstruct(x), n)
    items(run.interpolate(x[:1], x[1:2], steps=5), 5)
    items(run.traverse(steps=3), 2 * 3)
    items(run.traverse(dims=[1], steps=4), 4)
    scored = run.score(x, alpha=0.5)
    assert scored.score.shape == scored.p_value.shape == scored.flag.shape == (n,)
    assert ((scored.p_value > 0) & (scored.p_value <= 1)).all() and scored.flag.dtype == bool
    assert np.array_equal(scored.flag, scored.p_value <= 0.5)
    assert run.score(x, alpha=float(scored.p_value.min())).flag.any(), "up to alpha, alpha included"
    assert run.score(x, budget=2).flag.sum() == 2
    assert np.array_equal(np.flatnonzero(run.score(x, budget=1).flag), [scored.score.argmax()])
    found = run.evaluate(x, samples=5)
    assert set(found) == {
        "elbo", "rate", "distortion", "nll", "nll_se", "bits_per_dim", "active_units", "n", "samples"
    }  # fmt: skip
    assert found["n"] == n and found["samples"] == 5 and math.isfinite(found["distortion"])
    if preset == "autoencoder":
        assert found["elbo"] is found["rate"] is found["nll"] is found["bits_per_dim"] is None
        for call in (lambda: run.sample(3), lambda: run.log_likelihood(x)):
            with pytest.raises(UsageError, match="prior") as caught:
                call()
            assert caught.value.code == "E106" and "autoencoder" in str(caught.value)
        return
    assert found["elbo"] == pytest.approx(-found["rate"] - found["distortion"])
    assert found["bits_per_dim"] == pytest.approx(found["nll"] / x[0].size / math.log(2))
    items(run.sample(5, seed=1), 5)
    assert run.log_likelihood(x, samples=5).shape == (n,)
    assert -run.log_likelihood(x, samples=5).mean() == pytest.approx(found["nll"], rel=1e-6)


def test_reconstruction_is_decoded_code(runs) -> None:
    for form in ("vectors", "images"):
        run, x = runs("vae", form), rows(form)
        assert np.array_equal(run.decode(run.encode(x)), run.reconstruct(x))
        line = run.interpolate(x[:1], x[1:2], steps=3)
        ends = run.reconstruct(x[:2])
        assert np.allclose(
            line[[0, -1]].astype(float), ends.astype(float), atol=1.0 if form == "images" else 1e-4
        )


def test_samples_are_a_function_of_the_seed(runs) -> None:
    run = runs("vae", "vectors")
    assert np.array_equal(run.sample(8, seed=3), run.sample(8, seed=3))
    assert not np.array_equal(run.sample(8, seed=3), run.sample(8, seed=4))
    still = run.sample(8, temperature=0.0, mean=True)
    assert np.ptp(still, axis=0).max() == 0 and np.allclose(
        still[:1], run.decode(np.zeros((1, 2))), rtol=1e-6
    )
    assert run.sample(400, mean=False).std() > run.sample(400, mean=True).std()


@pytest.mark.parametrize(
    ("z", "code"),
    [(np.zeros((3, 7)), "E212"), (np.zeros((2, 2, 2)), "E212"), (np.full((3, 2), np.nan), "E206")],
)
def test_codes_that_are_none_are_refused(z, code, runs) -> None:
    with pytest.raises(DataError) as caught:
        runs().decode(z)
    assert caught.value.code == code


@pytest.mark.parametrize("wrong", [np.zeros((3, 4)), np.zeros((3, 9, 9)), np.full((3, 5), np.inf)])
def test_data_of_another_kind_are_refused_by_every_verb(wrong, runs) -> None:
    run = runs()
    verbs = (
        run.encode,
        run.reconstruct,
        run.score,
        run.evaluate,
        run.log_likelihood,
        lambda x: run.interpolate(x, x),
    )
    for verb in verbs:
        with pytest.raises(DataError) as caught:
            verb(wrong)
        assert caught.value.code in ("E212", "E206")


# --- conditions


@pytest.fixture(scope="module")
def conditional(tmp_path_factory: pytest.TempPathFactory) -> vaekit.Run:
    """Three well separated clusters, one for each label."""
    place, rng = tmp_path_factory.mktemp("conditional"), np.random.default_rng(0)
    y = rng.integers(0, 3, 300)
    x = 10.0 * np.eye(3)[y] + rng.normal(size=(300, 3))
    np.savez(place / "x.npz", x=x, y=np.array(["red", "green", "blue"])[y])
    return fit(
        place / "x.npz", place / "run", preset="conditional_vae", steps=250, lr=5e-3, evaluate_every=50
    )


def test_a_condition_chooses_what_is_sampled(conditional) -> None:
    assert conditional.kind.labels == ("blue", "green", "red")
    for place, name in enumerate(("red", "green", "blue")):
        made = conditional.sample(200, where={"label": name})
        assert (made.argmax(1) == place).mean() > 0.95, name
        centre = conditional.decode(np.zeros((5, 2)), where={"label": name})
        assert (centre.argmax(1) == place).all()
    shares = np.bincount(conditional.sample(600).argmax(1), minlength=3) / 600
    assert (abs(shares - 1 / 3) < 0.12).all(), "without a condition, labels come as often as in training"


def test_a_condition_that_is_unknown_names_the_nearest(conditional, runs) -> None:
    for where, word in (({"label": "gren"}, "green"), ({"lable": "red"}, "label")):
        with pytest.raises(UsageError, match=f"did you mean {word}") as caught:
            conditional.sample(2, where=where)
        assert caught.value.code == "E103"
    with pytest.raises(UsageError, match="no condition"):
        runs().sample(2, where={"label": "red"})


def test_a_conditional_preset_needs_labels(tmp_path) -> None:
    with pytest.raises(UsageError, match="labels") as caught:
        fit(table(40), tmp_path / "run", preset="conditional_vae")
    assert caught.value.code == "E105" and not (tmp_path / "run").exists()


# --- figures


@pytest.mark.parametrize(
    ("preset_name", "form"),
    [("vae", "images"), ("vae", "vectors"), ("conditional_vae", "vectors"), ("autoencoder", "vectors")],
)
def test_scores_and_codes_are_functions_of_the_datum(preset_name, form, runs) -> None:
    run, x = runs(preset_name, form), rows(form, 64)
    scores, codes, p = run.score(x).score, run.encode(x), run.score(x).p_value
    for _ in range(9):
        assert np.array_equal(run.score(x).score, scores) and np.array_equal(run.encode(x), codes)
    shuffled = np.random.default_rng(0).permutation(64)
    for size in (1, 7, 64):
        for order in (np.arange(64), shuffled):
            parts = [order[i : i + size] for i in range(0, 64, size)]
            found, encoded = np.empty(64), np.empty_like(codes)
            flagged = np.empty(64)
            for part in parts:
                scored = run.score(x[part])
                found[part], flagged[part], encoded[part] = scored.score, scored.p_value, run.encode(x[part])
            assert np.allclose(found, scores, rtol=1e-4, atol=1e-5), (size, abs(found / scores - 1).max())
            assert np.allclose(encoded, codes, rtol=1e-5, atol=1e-6), (size, abs(encoded - codes).max())
            assert (abs(flagged - p) <= 1 / 24).all()


def test_convolutions_score_alike_in_every_batch(tmp_path) -> None:
    x = np.stack([pictures(40, 24)] * 3, axis=-1)  # 1 728 values: large enough for convolutions
    run = fit(x, tmp_path / "run", steps=3, evaluate_every=3)
    assert "Conv" in repr(run.model)
    whole = run.score(x).score
    for size in (1, 7):
        parts = np.concatenate([run.score(x[i : i + size]).score for i in range(0, 40, size)])
        assert np.allclose(parts, whole, rtol=1e-4, atol=0)  # a quadratic form of what float32 rounds


def test_p_values_of_new_data_are_uniform(tmp_path) -> None:
    np.save(tmp_path / "val.npy", table(2_000, seed=1))
    run = fit(table(300), tmp_path / "run", steps=60, evaluate_every=30, val=str(tmp_path / "val.npy"))
    p = np.sort(run.score(table(1_000, seed=2)).p_value)
    distance = abs(p - (np.arange(1_000) + 0.5) / 1_000).max()
    assert distance < 1.63 * math.sqrt(1 / 1_000 + 1 / 2_000)  # Kolmogorov–Smirnov at 1 %
    for alpha in (0.01, 0.1):
        share = run.score(table(1_000, seed=2), alpha=alpha).flag.mean()
        assert share <= alpha + 4 * math.sqrt(alpha / 700)
    odd = table(50, seed=3) + 30
    assert run.score(odd, alpha=0.01).flag.all() and (run.score(odd).p_value == 1 / 2_001).all()


def test_the_bound_is_below_the_likelihood(tmp_path) -> None:
    run = fit(table(), tmp_path / "run", preset="beta_vae", beta=0.1, steps=80, lr=0.01, latent=4)
    one, few, many = (run.evaluate(table(200, seed=2), samples=k) for k in (1, 8, 64))
    assert one["elbo"] == few["elbo"] == many["elbo"]
    assert many["elbo"] + 0.3 < -many["nll"], "q is far from the posterior here, so the bound is loose"
    assert -one["nll"] < -few["nll"] < -many["nll"], "more draws close it"
    # the ELBO and one importance weight estimate the same mean: with the KL in closed form, and drawn
    assert -one["nll"] == pytest.approx(one["elbo"], abs=4 * one["nll_se"])


@pytest.mark.parametrize("factor", [8.0, 10.0])
def test_figures_are_in_the_units_of_the_data(factor, tmp_path) -> None:
    x = table()
    plain, scaled = (fit(x * by, tmp_path / f"{by}", steps=40, evaluate_every=10) for by in (1.0, factor))
    expected = 5 * math.log(factor)
    loose = 1e-9 if factor == 8 else 1e-4  # a power of two changes no digit
    lower = plain.log_likelihood(x[:50], samples=20) - scaled.log_likelihood(factor * x[:50], samples=20)
    assert np.allclose(lower, expected, rtol=loose, atol=loose)
    assert plain.metrics["elbo"] - scaled.metrics["elbo"] == pytest.approx(expected, rel=10 * loose)
    assert heldout(plain)[0]["elbo"] - heldout(scaled)[0]["elbo"] == pytest.approx(expected, rel=10 * loose)
    assert np.allclose(scaled.sample(20), factor * plain.sample(20), rtol=1e-3, atol=1e-3)
    assert scaled.metrics["rate"] == pytest.approx(plain.metrics["rate"], rel=10 * loose)


def test_the_progress_line_is_in_the_units_of_the_data(tmp_path, monkeypatch) -> None:
    """Running figures of training and held-out figures are of the same data in the same units."""
    from vaekit.progress import Line

    shown: list[dict[str, Any]] = []
    monkeypatch.setattr(Line, "due", property(lambda self: True))
    monkeypatch.setattr(Line, "show", lambda self, fraction, figures: shown.append(figures))
    fit(1000 * table(300), tmp_path / "run", steps=200, evaluate_every=100)
    near = [figures for figures in shown if figures["step"] in range(150, 199)]
    assert near and all(abs(figures["elbo"] - figures["heldout_elbo"]) < 3 for figures in near)


# --- one at a time

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def refused(source: Any, path: Path, **options: Any) -> None:
    with pytest.raises(ResourceError, match="another process") as caught:
        fit(source, path, **options)
    assert caught.value.code == "E406" and caught.value.exit_code == 5


def test_a_second_process_is_kept_out(tmp_path) -> None:
    run = fit(table(40), tmp_path / "run", steps=2)
    facts = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps(facts | {"status": "running"}))
    before = sorted(str(p) for p in run.path.rglob("*")), weights(run)
    words = [sys.executable, "-c", HOLD, str(run.path / ".lock")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        refused(table(40), run.path, steps=2)
        refused(table(40), run.path, steps=2, fresh=True)
        other.communicate("")
    assert before == (sorted(str(p) for p in run.path.rglob("*")), weights(run))
    assert fit(table(40), run.path, steps=2).facts["status"] == "finished"  # the lock went with its owner


def test_a_second_thread_is_kept_out(tmp_path, monkeypatch) -> None:
    inside, go, real = threading.Event(), threading.Event(), Fitting._train

    def waiting(self: Fitting, *args: Any) -> None:
        inside.set()
        assert go.wait(60)
        real(self, *args)

    monkeypatch.setattr(Fitting, "_train", waiting)
    done: list[vaekit.Run] = []
    first = threading.Thread(target=lambda: done.append(fit(table(40), tmp_path / "run", steps=2)))
    first.start()
    try:
        assert inside.wait(60)
        refused(table(40), tmp_path / "run", steps=2)
        refused(table(40), tmp_path / "run", steps=2, fresh=True)
    finally:
        go.set()
        first.join(60)
    assert done[0].facts["status"] == "finished"


def test_what_a_killed_writer_left_is_not_in_the_way(tmp_path) -> None:
    place = tmp_path / "run"
    place.mkdir()
    (place / ".lock").write_text("")
    (place / ".config.yaml.123.tmp").write_text("half")
    assert fit(table(40), place, steps=2).facts["status"] == "finished"


# --- opening


def test_what_is_no_run_is_said(tmp_path) -> None:
    (tmp_path / "my-run").mkdir()
    with pytest.raises(FileError, match="did you mean my-run") as caught:
        vaekit.open(tmp_path / "my-rum")
    assert caught.value.code == "E301"
    with pytest.raises(FileError, match="not a run"):
        vaekit.open(tmp_path)
    files.write_json(tmp_path / "my-run" / "run.json", {"format": 1, "status": "running"})
    with pytest.raises(FileError, match="no model yet") as caught:
        vaekit.open(tmp_path / "my-run")
    assert caught.value.code == "E305"
