"""The command line: every command, what it prints where, its exit code, and every form of output."""

from __future__ import annotations

import csv
import inspect
import io
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from commands import call
from PIL import Image

import vaekit
from vaekit import cli, files, progress
from vaekit import launch as running
from vaekit.errors import CODES
from vaekit.presets import PRESETS

FAST = ["--steps", "6", "--batch-size", "16", "--latent", "2"]
FAST += ["--set", "train.threads=1", "--set", "train.evaluate_every=3"]


@pytest.fixture(scope="module", autouse=True)
def _no_pictures() -> Iterator[None]:
    """Drawing the report takes seconds; one test does it."""
    with pytest.MonkeyPatch.context() as patch:
        for place in ("vaekit.fitting", "vaekit.launch"):
            patch.setattr(f"{place}.write_report", lambda path: files.write(Path(path) / "report.html", ""))
        yield


def ok(*words: Any) -> Any:
    """What a command answers with `--json`: exit code 0, one line of JSON on standard output and nothing else."""
    done = call(*words, "--json")
    assert done.code == 0, done.err
    assert done.out.endswith("\n") and done.out.count("\n") == 1
    return json.loads(done.out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def mistake(done: SimpleNamespace, code: str, exit_code: int) -> str:
    """What was said of a mistake: its code, at most five lines, no traceback, nothing on standard output."""
    assert done.code == exit_code, done.err
    assert done.err.startswith(f"{code} {CODES[code]}: "), done.err
    assert done.err.count("\n") <= 5 and "Traceback" not in done.err and done.out == ""
    assert len(done.err.splitlines()[0]) > len(f"{code} {CODES[code]}: ") + 10
    return done.err


@pytest.fixture(scope="module", autouse=True)
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with data and three runs, where every test is."""
    place, rng = tmp_path_factory.mktemp("cli"), np.random.default_rng(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        np.save("x.npy", rng.normal(size=(80, 4)))
        np.save("holes.npy", np.where(rng.random((9, 4)) < 0.3, np.nan, 0.5))
        np.savez("labelled.npz", x=rng.normal(size=(80, 4)), y=np.array(["a", "b"] * 40))
        for i, pixels in enumerate(rng.integers(0, 256, (30, 8, 8)).astype(np.uint8)):
            Path("photos").mkdir(exist_ok=True)
            Image.fromarray(pixels).save(f"photos/{i}.png")
        for source, *words in (
            ("x.npy", "--out", "v"), ("photos", "--out", "i"), ("x.npy", "--preset", "autoencoder", "--out", "a"),
            ("labelled.npz", "--preset", "conditional_vae", "--out", "c"), ("x.npy", "--seed", "1", "--out", "p"),
            ("x.npy", "--preset", "wae_mmd", "--out", "wae"),
            ("labelled.npz", "--preset", "semi_supervised_vae", "--out", "semi"),
        ):  # fmt: skip
            assert ok("train", source, *words, *FAST)["status"] == "finished"
        yield place


# --- every command: what it answers

FIGURES = {"elbo", "rate", "distortion", "nll", "nll_se", "bits_per_dim", "active_units", "n", "samples"}
HELD = {"path", "files", "sha256", "numbers", "tensors"}
TRAINED = {"path", "steps", "seconds", "status", "elbo"}
COMMANDS: dict[str, tuple[str, set[str]]] = {
    "train": ("train x.npy --out v --steps 6 --batch-size 16 --latent 2", TRAINED),
    "train --dry-run": ("train x.npy --dry-run", {"card", "objective", "parameters"}),
    "evaluate": ("evaluate v x.npy --samples 3 --limit 10", FIGURES),
    "evaluate --bound": (
        "evaluate v x.npy --bound --samples 10 --limit 3",
        {"n", "elbo", "elbo_se", "samples", "iwae", "iwae_se", "ais", "ais_se", "chains", "temperatures", "without"},
    ),
    "evaluate --curve": (
        "evaluate v x.npy --curve --limit 2",
        {"n", "beta", "rate", "rate_se", "distortion", "distortion_se", "encoder_rate", "encoder_distortion", "chains",
         "temperatures"},
    ),
    "fit-prior": (
        "fit-prior p x.npy --prior mixture --components 2",
        {"prior", "steps", "seconds", "elbo_before", "rate_before", "elbo", "rate"},
    ),
    "score": ("score v x.npy --out made/s.csv", {"n", "flagged", "alpha", "out"}),
    "sample": ("sample v --n 3 --out made/a.npy", {"n", "out"}),
    "reconstruct": ("reconstruct v x.npy --out made/r.npy", {"n", "out"}),
    "interpolate": ("interpolate v x.npy#0 x.npy#7 --out made/i.npy", {"n", "out"}),
    "traverse": ("traverse v --steps 3 --out made/t.npy", {"n", "out"}),
    "encode": ("encode v x.npy --out made/z.npz", {"n", "latent", "out"}),
    "impute": (
        "impute v holes.npy --out made/f.npy --samples 20",
        {"filled", "rows", "effective_draws", "samples", "out"},
    ),
    "classify": ("classify semi labelled.npz --out made/c.csv", {"n", "labels", "out"}),
    "decode": ("decode v made/z.npz --out made/d.npy", {"n", "out"}),
    "augment": ("augment v x.npy --factor 2 --out made/g.npy", {"n", "old", "out"}),
    "denoise": ("denoise v x.npy --samples 4 --out made/n.npz", {"n", "noise", "spread", "out"}),
    "edit": ("edit v x.npy#3 --dim 1 --out made/e.npy", {"dim", "asked", "moved", "else", "out"}),
    "report": ("report v", {"report"}),
    "doctor": ("doctor v", {"version", "quick", "disease", "run", "findings"}),
    "compare": ("compare v", {"better", "notes", "rows", "judged"}),
    "inspect": ("inspect v", HELD | {"status", "preset", "objective", "steps", "seconds", "metrics"}),
}  # fmt: skip


def test_every_command_is_tried_here() -> None:
    elsewhere = {"presets", "demo", "explore", "export", "sweep", "push", "pull"}  # in tests of their own
    tried = {words.split()[0] for words in COMMANDS} | elsewhere
    assert tried == {command.name for command in cli.app.registered_commands}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_answers_in_json_and_in_words(name, monkeypatch) -> None:
    words, keys = COMMANDS[name][0].split(), COMMANDS[name][1]
    monkeypatch.setattr(
        "vaekit.report.write_report", lambda path: path / "report.html"
    )  # it has a test of its own
    if words[0] == "decode":
        ok("encode", "v", "x.npy", "--out", "made/z.npz")
    if name == "train":  # it was trained already, so nothing is said twice
        words += FAST
    assert set(ok(*words)) == keys
    spoken = call(*words)
    page = name in ("presets", "inspect", "compare")  # what was asked to be read is for a pager or a file
    said, silent = (spoken.out, spoken.err) if page else (spoken.err, spoken.out)
    assert spoken.code == 0 and said.strip() and silent == ""
    quiet = call(*words, "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    both = call(*words, "--quiet", "--json")
    assert both.err == "" and set(json.loads(both.out)) == keys


def test_training_speaks_on_standard_error_only() -> None:
    spoken = call("train", "x.npy", *FAST, "--out", "spoken")
    assert spoken.out == "" and "72 items train, 8 are held out" in spoken.err
    assert "status finished" in spoken.err and "report:  spoken/report.html" in spoken.err
    quiet = call("train", "x.npy", *FAST, "--out", "quiet", "--quiet", "--json")
    assert quiet.err == "" and set(json.loads(quiet.out)) == TRAINED
    answer = json.loads(quiet.out)
    assert answer["path"] == "quiet" and answer["steps"] == 6 and answer["status"] == "finished"
    assert answer["elbo"] == vaekit.open("quiet").metrics["elbo"]


def test_what_a_models_latents_do_not_allow_is_said() -> None:
    for words in (["evaluate", "wae", "x.npy", "--bound"], ["evaluate", "wae", "x.npy", "--curve"]):
        assert "deterministic" in mistake(call(*words), "E106", 2)
    assert "exclude" in mistake(call("evaluate", "v", "x.npy", "--curve", "--bound"), "E103", 2)
    assert "diffusion" in mistake(call("fit-prior", "v", "x.npy", "--prior", "difusion"), "E101", 2)
    assert "codes" in mistake(call("fit-prior", "v", "x.npy", "--prior", "autoregressive"), "E106", 2)


def test_figures_that_do_not_exist_are_null() -> None:
    found = ok("evaluate", "a", "x.npy", "--samples", "3")
    assert found["elbo"] is found["nll"] is found["bits_per_dim"] is None and found["distortion"] > 0
    assert ok("evaluate", "v", "x.npy", "--limit", "10", "--samples", "3")["n"] == 10


def test_the_demo_runs_on_the_digits(monkeypatch) -> None:
    asked, real = {}, running.fit

    def small(source: Any, **options: Any) -> vaekit.Run:
        asked.update(options, source=source)
        return real("x.npy", **{**options, **dict(steps=2, threads=1, evaluate_every=2, latent=2)})

    monkeypatch.setattr(running, "fit", small)
    assert set(ok("demo", "--out", "demo")) == TRAINED
    assert asked["source"] == "digits" and asked["steps"] >= 1_000 and "device" not in asked
    spoken = call("demo", "--out", "demo").err
    for line in ("demo/report.html", "vaekit sample demo", "vaekit train"):
        assert line in spoken
    quiet = call("demo", "--out", "demo", "--quiet")
    assert quiet.err == quiet.out == ""


def test_presets_are_listed() -> None:
    found = ok("presets")
    assert {entry["name"] for entry in found} == set(PRESETS) and len(found) == len(PRESETS)
    for entry in found:
        assert {"name", "kinds", "authors", "year", "summary", "objective"} <= set(entry)
        assert re.fullmatch(r"(19|20)\d\d", entry["year"])
        assert all(value for key, value in entry.items() if key != "experimental")
    assert ok("presets", "beta_vae")[0]["objective"] == "Distortion() + 4 * Rate()"
    said = call("presets").out
    assert all(f"  {name} " in said for name in PRESETS) and "(Kingma and Welling 2014)" in said
    assert "options: latent=16 beta=4.0" in call("presets", "beta_vae").out


def test_help_and_version_need_no_command() -> None:
    assert call("--version").out.strip() == vaekit.__version__
    for words in ((), ("--help",), ("-h",)):
        helped = call(*words)
        assert helped.code == (0 if words else 2) and all(
            name in helped.out for name in ("train", "sample", "inspect")
        )
        assert helped.err == ""
    for name in (command.name for command in cli.app.registered_commands):
        helped = call(name, "--help").out
        assert all(option in helped for option in ("--json", "--quiet", "--debug")), name


def test_help_loads_no_torch() -> None:
    script = (
        "import sys; from vaekit.cli import main\ntry: main(['train', '--help'])\nexcept SystemExit: pass\n"
    )
    script += "print([name for name in ('torch', 'numpy', 'matplotlib', 'sklearn') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


# --- exit codes


def test_exit_code_1_is_our_bug(monkeypatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("boom" + 30 * "\nand more")

    monkeypatch.setattr(vaekit.Run, "sample_x", broken)
    done = call("sample", "v", "--out", "made/a.npy")
    assert done.code == 1 and done.out == "" and "Traceback" not in done.err
    assert "a bug of ours" in done.err and "ZeroDivisionError: boom" in done.err
    assert done.err.count("\n") <= 5, "however long it is"
    shown = call("sample", "v", "--out", "made/a.npy", "--debug")
    assert shown.code == 1 and "Traceback" in shown.err and "raise ZeroDivisionError" in shown.err


CASES: list[tuple[str, str, int, str]] = [
    ("trian x.npy", "E109", 2, "did you mean 'train'|Did you mean 'train'"),
    ("train", "E103", 2, "nothing to train on"),
    ("train x.npy y.npy", "E102", 2, "'y.npy' is one argument too many"),
    ("train x.npy --presett vae", "E102", 2, "did you mean preset"),
    ("train x.npy --preset beta-vea", "E101", 2, "did you mean beta_vae"),
    ("train x.npy --beta 4", "E102", 2, "vae has no option 'beta'.*\\n.*try: --preset beta_vae$"),
    ("train x.npy --preset beta_vae --beta lots", "E103", 2, "takes a float"),
    ("train x.npy --preset sigma_vae --set optimal=3", "E103", 2, "takes a bool"),
    ("train x.npy --set clp=3", "E102", 2, "did you mean clip"),
    ("train x.npy --set modle.clip=3", "E104", 2, "no part 'modle'"),
    ("train x.npy --set beta", "E104", 2, "a key and a value"),
    ("train x.npy --steps few", "E103", 2, "--steps"),
    ("train x.npy --steps 0", "E103", 2, "steps = 0"),
    ("train x.npy --steps 5 --epochs 2", "E103", 2, "exclude each other"),
    ("train x.npy --time soon", "E103", 2, "no duration"),
    ("train x.npy --lr -1", "E103", 2, "lr"),
    ("train x.npy --kind image", "E103", 2, "did you mean images"),
    ("train x.npy --likelihood bernouli", "E103", 2, "did you mean bernoulli"),
    ("train x.npy --device gpu", "E103", 2, "device"),
    ("train x.npy --preset conditional_vae", "E105", 2, "--labels"),
    ("train labelled.npz --labels z", "E214", 3, "z"),
    ("train labelled.npz --key w", "E213", 3, "known: x, y"),
    ("train y.npy", "E201", 3, "x.npy"),
    ("train --config gone.yaml", "E301", 4, "no such configuration"),
    ("sample", "E103", 2, "RUN"),
    ("sample v", "E103", 2, "--out"),
    ("sample v --n 0 --out b.npy", "E103", 2, "--n"),
    ("sample v --temprature 2 --out b.npy", "E102", 2, "--temperature"),
    ("sample v --out b.xyz", "E107", 2, ".png"),
    ("sample v --out b.png", "E107", 2, "cannot be drawn"),
    ("sample v --where label=a --out b.npy", "E103", 2, "no condition"),
    ("sample c --where a --out b.npy", "E103", 2, "column=value"),
    ("sample c --where lable=a --out b.npy", "E103", 2, "did you mean label"),
    ("sample c --where label=z --out b.npy", "E103", 2, "known: a, b"),
    ("sample a --out b.npy", "E106", 2, "has no prior"),
    ("sample w --out b.npy", "E301", 4, "no run at w"),
    ("sample x.npy --out b.npy", "E301", 4, "not a run"),
    ("sample v --out x.npy/b.npy", "E402", 5, "cannot be written"),
    ("evaluate v photos", "E212", 3, "rows of 4 numbers"),
    ("evaluate v gone.npy", "E201", 3, "no gone.npy"),
    ("evaluate i x.npy", "E212", 3, "8"),
    ("interpolate v x.npy#0 x.npy#80 --out b.npy", "E103", 2, "the rows are 0 to 79"),
    ("encode v x.npy --out b.png", "E107", 2, ".csv"),
    ("score v x.npy --out b.npy", "E107", 2, ".csv"),
    ("score v x.npy --alpha 2 --out b.csv", "E103", 2, "--alpha"),
    ("decode v gone.npz --out b.npy", "E201", 3, "no such file"),
    ("decode v labelled.npz --out b.npy", "E103", 2, "no codes"),
    ("decode v x.npy --out b.npy", "E212", 3, "codes of 2 numbers"),
    ("presets beta", "E101", 2, "beta_vae"),
    ("inspect gone", "E301", 4, "nothing there"),
    ("inspect x.npy", "E301", 4, "not a file of vaekit"),
    ("report gone", "E301", 4, "run"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "code", "exit_code", "said"), CASES, ids=[case[0] for case in CASES])
def test_a_mistake_is_answered_by_a_code_and_what_to_do(words, code, exit_code, said) -> None:
    before = sorted(Path().rglob("*"))
    assert re.search(said, mistake(call(*words.split()), code, exit_code))
    assert sorted(Path().rglob("*")) == before, "a mistake leaves nothing behind"
    quiet = call(*words.split(), "--quiet", "--json")
    assert quiet.code == exit_code and quiet.out == "" and quiet.err, "an error is said even when it is quiet"


def test_debug_shows_the_traceback() -> None:
    done = call("sample", "w", "--out", "b.npy", "--debug")
    assert done.code == 4 and "Traceback" in done.err and "E301 not-a-run" in done.err


def test_exit_code_6_is_divergence(monkeypatch) -> None:
    from vaekit.objectives import Distortion

    real = Distortion.forward
    monkeypatch.setattr(Distortion, "forward", lambda self, out, step: real(self, out, step) * float("nan"))
    done = call("train", "x.npy", *FAST, "--steps", "30", "--quiet", "--out", "diverged")
    said = mistake(done, "E501", 6)
    assert "not finite" in said and "try: --lr 0.000" in said
    assert files.read_json("diverged/run.json")["status"] == "diverged"


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_exit_codes_130_and_143_are_interruptions(signum, code, monkeypatch) -> None:
    from vaekit.training import Meter

    real, place = Meter.add, f"stopped-{code}"

    def stopped(self: Meter, now: Any) -> None:
        real(self, now)
        if now.step == 4:
            signal.raise_signal(signum)

    monkeypatch.setattr(Meter, "add", stopped)
    done = call("train", "x.npy", *FAST, "--out", place)
    assert done.code == code and done.out == "" and "Traceback" not in done.err
    assert done.err.strip().splitlines()[-1] == f"stopped and saved; the same command goes on with {place}"
    assert Path(place, "checkpoints", "LATEST").read_text() == "step-00000004\n"
    assert files.read_json(f"{place}/run.json")["status"] == "interrupted"
    assert ok("sample", place, "--n", "2", "--out", "made/stopped.npy")["n"] == 2
    monkeypatch.setattr(Meter, "add", real)
    again = call("train", "x.npy", *FAST, "--out", place)
    assert again.code == 0 and "going on from step 4" in again.err
    assert files.sha256(Path(place, "model/weights.safetensors")) == files.sha256(
        Path("v/model/weights.safetensors")
    )


def test_out_of_memory_is_said(monkeypatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise RuntimeError(
            "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: out of memory"
        )

    monkeypatch.setattr(vaekit.Run, "sample_x", full)
    mistake(call("sample", "v", "--out", "b.npy"), "E403", 5)


def test_a_closed_pipe_is_no_error(monkeypatch) -> None:
    def closed(*_: Any, **__: Any) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(vaekit.Run, "sample_x", closed)
    done = call("sample", "v", "--out", "b.npy")
    assert (done.code, done.out, done.err) == (0, "", "")


# --- forms of output


def arrays(path: Path) -> dict[str, np.ndarray]:
    """What a .npz file holds; of a .npy file the values."""
    with open(path, "rb") as file:
        loaded = np.load(file, allow_pickle=False)
        return {"values": loaded} if path.suffix == ".npy" else dict(loaded)


def columns(path: Path) -> dict[str, np.ndarray]:
    """A table as it stands in the file."""
    if path.suffix == ".parquet":
        import pyarrow.parquet

        return {k: v.to_numpy() for k, v in zip(*_parquet(pyarrow.parquet.read_table(path)), strict=True)}
    with open(path, newline="") as file:
        header, *lines = list(csv.reader(file))
    assert not path.read_bytes().count(b"\r")
    return {name: np.array([line[i] for line in lines]) for i, name in enumerate(header)}


def _parquet(table: Any) -> tuple[list[str], list[Any]]:
    return table.column_names, table.columns


def test_samples_in_every_form() -> None:
    expected = vaekit.open("i").sample(9, seed=5)
    for suffix in (".npy", ".npz", ".csv", ".parquet", ".png", ""):
        out = Path(f"made/many{suffix}")
        assert ok("sample", "i", "--n", 9, "--seed", 5, "--out", out) == {"n": 9, "out": str(out)}
        if suffix == ".npy":
            found = np.load(out, allow_pickle=False)
            assert found.dtype == np.uint8
        elif suffix == ".npz":
            found = arrays(out)["values"]
        elif suffix in (".csv", ".parquet"):
            table = columns(out)
            assert list(table) == [f"x{i}" for i in range(64)]
            found = np.stack(list(table.values()), 1).astype(int).reshape(9, 8, 8)
        elif suffix == ".png":
            with Image.open(out) as picture:
                sheet = np.asarray(picture)
            side = 8 * 8  # each pixel eightfold
            assert sheet.shape == (3 * (side + 2) + 2, 3 * (side + 2) + 2, 3) and (sheet[:2] == 255).all()
            found = np.stack(
                [
                    sheet[2 + r * 66 : 66 + r * 66 : 8, 2 + c * 66 : 66 + c * 66 : 8, 0]
                    for r in range(3)
                    for c in range(3)
                ]
            )
        else:
            names = sorted(p.name for p in out.glob("*.png"))
            assert names == [f"{i:05d}.png" for i in range(9)]
            found = np.stack([np.asarray(Image.open(out / name)) for name in names])
            files.check(out)
        assert np.array_equal(found, expected), suffix


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp", ".tiff", ".bmp", ".PNG"])
def test_pictures_in_other_forms(suffix) -> None:
    ok("sample", "i", "--n", 4, "--out", f"made/grid{suffix}")
    with Image.open(f"made/grid{suffix}") as picture:
        assert picture.size == (134, 134)


def test_rows_in_every_form() -> None:
    expected = vaekit.open("v").sample(5, seed=2)
    for suffix in (".npy", ".npz", ".csv", ".parquet", ""):
        out = Path(f"made/rows{suffix}")
        ok("sample", "v", "--n", 5, "--seed", 2, "--out", out)
        if suffix in (".csv", ".parquet"):
            found = np.stack([column.astype(float) for column in columns(out).values()], 1)
        else:
            found = arrays(out)["values"] if suffix else np.load(out / "values.npy", allow_pickle=False)
        assert np.array_equal(found, expected), suffix


def test_a_folder_is_replaced_as_a_whole() -> None:
    ok("sample", "i", "--n", 5, "--out", "made/replaced")
    ok("sample", "i", "--n", 2, "--out", "made/replaced")
    assert sorted(p.name for p in Path("made/replaced").glob("*.png")) == ["00000.png", "00001.png"]


def test_a_folder_of_something_else_is_not_replaced() -> None:
    Path("made/thesis").mkdir(parents=True, exist_ok=True)
    Path("made/thesis/chapter.tex").write_text("years")
    mistake(call("sample", "i", "--n", 2, "--out", "made/thesis"), "E107", 2)
    assert Path("made/thesis/chapter.tex").read_text() == "years"
    mistake(call("sample", "i", "--n", 2, "--out", "v"), "E107", 2)
    assert vaekit.open("v").sample(1).shape == (1, 4)


def test_draws_and_means() -> None:
    run = vaekit.open("v")
    for word, mean in (("--draw", False), ("--mean", True)):
        ok("sample", "v", "--n", 5, word, "--out", "made/a.npy")
        assert np.array_equal(np.load("made/a.npy"), run.sample(5, mean=mean))
    ok("sample", "v", "--n", 5, "--temperature", 0, "--mean", "--out", "made/a.npy")
    assert np.ptp(np.load("made/a.npy"), axis=0).max() == 0


def test_a_condition_from_the_command_line() -> None:
    ok("sample", "c", "--n", 5, "--where", "label=b", "--out", "made/a.npy")
    assert np.array_equal(np.load("made/a.npy"), vaekit.open("c").sample(5, where={"label": "b"}))


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz", ".npy", ".CSV"])
def test_decode_undoes_encode(suffix) -> None:
    z, y = f"made/codes{suffix}", "made/back.npy"
    assert ok("encode", "v", "x.npy", "--out", z) == {"n": 80, "latent": 2, "out": z}
    assert ok("decode", "v", z, "--out", y) == {"n": 80, "out": y}
    run = vaekit.open("v")
    assert np.array_equal(np.load(y), run.reconstruct("x.npy")), "not a digit is lost on the way"
    mean, std = run.encode("x.npy", return_std=True)
    if suffix in (".csv", ".parquet", ".CSV"):
        table = columns(Path(z))
        assert list(table) == ["mean_0", "mean_1", "std_0", "std_1"]
        assert np.array_equal(table["std_1"].astype(np.float32), std[:, 1])
    if suffix == ".npz":
        loaded = arrays(Path(z))
        assert np.array_equal(loaded["mean"], mean) and np.array_equal(loaded["std"], std)


def test_decoded_pictures() -> None:
    ok("encode", "i", "photos", "--out", "made/z.csv")
    ok("decode", "i", "made/z.csv", "--out", "made/decoded")
    assert len(list(Path("made/decoded").glob("*.png"))) == 30


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz"])
def test_scores_in_every_form(suffix) -> None:
    out = f"made/scores{suffix}"
    found = ok("score", "v", "x.npy", "--alpha", 0.3, "--out", out)
    expected = vaekit.open("v").score("x.npy", alpha=0.3)
    assert (
        found == {"n": 80, "flagged": int(expected.flag.sum()), "alpha": 0.3, "out": out}
        and found["flagged"] > 0
    )
    table = arrays(Path(out)) if suffix == ".npz" else columns(Path(out))
    more = list(expected.statistics.names) if suffix == ".npz" else ["top1", "top2", "top3"]
    assert list(table) == ["row", "score", "p_value", "flag", "trained_on", *more]
    assert [str(one) for one in table["trained_on"].tolist()] == [
        str(one) for one in expected.trained.tolist()
    ]
    assert expected.trained.sum() == vaekit.open("v").facts["data"]["count"] == 72
    assert np.array_equal(table["row"].astype(int), np.arange(80))
    assert np.array_equal(table["score"].astype(float), expected.score)
    assert np.array_equal(table["p_value"].astype(float), expected.p_value)
    assert [str(flag) for flag in table["flag"].tolist()] == [str(flag) for flag in expected.flag.tolist()]
    assert ok("score", "v", "x.npy", "--budget", 7, "--out", out)["flagged"] == 7


def test_pictures_show_originals_above_reconstructions() -> None:
    found = ok("reconstruct", "i", "photos", "--out", "made/r.png")
    assert found == {"n": 30, "out": "made/r.png"}
    with Image.open("made/r.png") as picture:
        sheet = np.asarray(picture)
    assert (sheet.shape[1] - 2) // 66 == 8
    first = np.asarray(Image.open("photos/0.png"))
    assert np.array_equal(sheet[2:66:8, 2:66:8, 0], first), "the first row shows the items themselves"
    run = vaekit.open("i")
    assert np.array_equal(sheet[68:132:8, 2:66:8, 0], run.reconstruct("photos")[0]), (
        "the second what was made of them"
    )
    ok("traverse", "i", "--out", "made/t.png")
    with Image.open("made/t.png") as picture:
        assert picture.size == (9 * 66 + 2, 2 * 66 + 2)
    ok("interpolate", "i", "photos/0.png", "photos#3", "--steps", 5, "--out", "made/l.png")
    with Image.open("made/l.png") as picture:
        assert picture.size == (5 * 66 + 2, 66 + 2)


def test_an_old_file_is_replaced_and_a_failing_command_keeps_it(monkeypatch) -> None:
    ok("sample", "v", "--n", 2, "--out", "made/kept.npy")
    ok("sample", "v", "--n", 3, "--out", "made/kept.npy")
    before = Path("made/kept.npy").read_bytes()
    mistake(call("sample", "a", "--n", 3, "--out", "made/kept.npy"), "E106", 2)
    assert Path("made/kept.npy").read_bytes() == before and len(np.load("made/kept.npy")) == 3


# --- training options


def config_of(place: str) -> dict[str, Any]:
    from vaekit import config

    return config.read(Path(place) / "config.yaml")


@pytest.mark.parametrize("form", ["--beta 4", "--beta=4", "beta=4", "--set beta=4", "--set preset.beta=4"])
def test_a_presets_own_option_in_every_form(form) -> None:
    found = ok("train", "x.npy", "--preset", "beta_vae", *form.split(), "--dry-run")
    assert found["objective"] == "Distortion() + 4 * Rate()"
    other = ok("train", "x.npy", "--preset", "beta_vae", "--beta", "2.5", "--dry-run")
    assert other["objective"] == "Distortion() + 2.5 * Rate()"


def test_truth_values_and_dashes_in_options() -> None:
    for form in (
        "--convolutional",
        "--convolutional true",
        "convolutional=true",
        "--set convolutional=True",
    ):
        sizes = [
            ok("train", "photos", "--preset", "top_down_vae", *words, "--dry-run")["parameters"]
            for words in ([], form.split())
        ]
        assert sizes[1] != sizes[0], form


def test_settings_of_training() -> None:
    ok(
        "train",
        "x.npy",
        *FAST,
        "--set",
        "train.clip=100",
        "--set",
        "patience=3",
        "--lr",
        "0.01",
        "--seed",
        7,
        "--out",
        "set",
    )
    found = config_of("set")
    assert (found["clip"], found["patience"], found["lr"], found["seed"]) == (100.0, 3, 0.01, 7)
    text = Path("set/config.yaml").read_text()
    assert re.search(r"^clip: 100\.0  # given$", text, re.M) and re.search(
        r"^average: 0\.0  # default$", text, re.M
    )


def test_a_dry_run_says_what_the_data_are_and_writes_nothing() -> None:
    before = sorted(Path().rglob("*"))
    found = ok("train", "photos", "--dry-run")
    assert found["card"]["count"] == 30 and found["card"]["shape"] == [1, 8, 8] and found["parameters"] > 1000
    said = call("train", "photos", "--dry-run").err
    for word in (
        "image files",
        "discretised logistic",
        "27 items train, 3 are held out",
        "objective: Distortion()",
        "parameters:",
    ):
        assert word in said
    assert sorted(Path().rglob("*")) == before


def test_labels_by_name() -> None:
    np.savez("other.npz", x=np.random.default_rng(1).normal(size=(40, 4)), kind=np.array(["p", "q"] * 20))
    found = ok(
        "train",
        "other.npz",
        "--key",
        "x",
        "--labels",
        "kind",
        "--preset",
        "conditional_vae",
        *FAST,
        "--out",
        "l",
    )
    assert found["status"] == "finished" and vaekit.open("l").kind.labels == ("p", "q")


# --- progress


def test_without_a_terminal_progress_is_plain_lines(monkeypatch) -> None:
    monkeypatch.setattr(progress, "PLAIN_EVERY", 0.0)
    done = call("train", "x.npy", *FAST, "--json", "--out", "plain")
    lines = [line for line in done.err.splitlines() if line.startswith("step ")]
    assert len(lines) == 6 and set(json.loads(done.out)) == TRAINED
    assert "\r" not in done.err and "\x1b" not in done.err
    for i, line in enumerate(lines):
        assert re.match(rf"step {i + 1}  elbo -\d", line) and line.endswith(" left"), line
    assert re.search(r"rate \S+  distortion \S+  gradient norm \S+  items per second \d", lines[0])
    assert "heldout elbo -" in lines[-1] and "active " in lines[-1] and "beta 1" in lines[-1]
    monkeypatch.setattr(progress, "PLAIN_EVERY", 1e9)
    done = call("train", "x.npy", *FAST, "--seed", 1, "--out", "plain-2")
    assert not [line for line in done.err.splitlines() if line.startswith("step ")]


def test_on_a_terminal_progress_is_one_line(monkeypatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(progress, "LIVE_EVERY", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    for quiet in (False, True):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        vaekit.fit(
            "x.npy", out=f"live-{quiet}", steps=6, batch_size=16, threads=1, evaluate_every=3, quiet=quiet
        )
        assert ("\x1b[" in terminal.getvalue()) != quiet
        assert not [line for line in terminal.getvalue().split("\n") if line.startswith("step ")]


# --- inspect


def test_inspect_reads_and_runs_nothing(monkeypatch) -> None:
    from vaekit import persistence

    monkeypatch.setattr(persistence, "load", lambda *_: pytest.fail("it was loaded"))
    monkeypatch.setattr(persistence, "built", lambda *_: pytest.fail("it was built"))
    run, model = ok("inspect", "v"), ok("inspect", "v/model")
    assert run["status"] == "finished" and run["preset"] == "vae" and run["steps"] == 6
    assert run["sha256"] == model["sha256"] and set(model) == {
        "path",
        "files",
        "sha256",
        "numbers",
        "tensors",
    }
    assert run["sha256"]["weights.safetensors"] == files.sha256(Path("v/model/weights.safetensors"))
    assert run["files"]["recipe.json"] == Path("v/model/recipe.json").stat().st_size
    one = ok("inspect", "v/model/weights.safetensors")
    assert one["numbers"] == run["numbers"] > 1000 and one["tensors"] == run["tensors"]
    assert one["tensors"]["decoder.family.scale.raw"] == "F32 [4]"
    assert ok("inspect", "v/run.json")["content"]["status"] == "finished"
    assert '"numbers"' in call("inspect", "v").out


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut short": lambda content: content[:-5],
    "longer": lambda content: content + b"\0\0\0\0",
    "empty": lambda content: b"",
    "a lying length": lambda content: (2**40).to_bytes(8, "little") + content[8:],
    "no header": lambda content: content[:8] + b"x" + content[9:],
    "text": lambda content: b"not a tensor in sight",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_inspect_names_what_is_damaged(damage, tmp_path) -> None:
    shutil.copytree("v", tmp_path / "v")
    weights = tmp_path / "v" / "model" / "weights.safetensors"
    weights.write_bytes(DAMAGE[damage](weights.read_bytes()))
    assert "weights.safetensors" in mistake(call("inspect", weights), "E303", 4)
    assert "weights.safetensors has changed" in mistake(call("inspect", tmp_path / "v"), "E303", 4)
    (tmp_path / "v" / "run.json").write_text("{")
    mistake(call("inspect", tmp_path / "v" / "run.json"), "E303", 4)


# --- the report


def test_the_report_is_written_again() -> None:
    Path("v/report.html").write_text("")
    assert ok("report", "v") == {"report": "v/report.html"}
    text = Path("v/report.html").read_text()
    assert len(text) > 10_000 and "<script" not in text and not re.search(r"(src|href)=\"https?:", text)


def test_options_have_names_that_are_documented() -> None:
    """Names are fixed (interface.md): nothing listed is renamed."""
    expected = {
        "train": "preset latent steps epochs time batch_size lr seed device labels val key kind likelihood binarize "
        "image_size out set_ config fresh dry_run json quiet debug",
        "sample": "n seed temperature where out", "evaluate": "samples", "score": "alpha budget out", "demo": "out",
        "reconstruct": "out", "interpolate": "steps out", "traverse": "out", "encode": "out", "decode": "out",
    }  # fmt: skip
    for command in cli.app.registered_commands:
        known = set(inspect.signature(command.callback).parameters)
        assert set(expected.get(command.name, "").split()) <= known, command.name


def test_a_p_value_that_cannot_be_small_is_said(monkeypatch) -> None:
    """Eight held-out rows have no p-value below 1/9."""
    assert "no p-value is below 0.11" in call("score", "v", "x.npy", "--out", "s.csv").err
    assert "no p-value" not in call("score", "v", "x.npy", "--out", "s.csv", "--alpha", "0.2").err
    assert "no p-value" not in call("score", "v", "x.npy", "--out", "s.csv", "--budget", "3").err


# --- what is read stays as it is


@pytest.mark.parametrize(
    "words",
    [
        "score v x.npy --out {}", "score v x.npy --out made/s.csv --review {}", "impute v x.npy --out {}",
        "edit v x.npy#3 --dim 1 --out {}", "encode v x.npy --out {}", "train x.npy --out {}",
    ],
)  # fmt: skip
def test_no_command_writes_over_its_source(words: str, tmp_path: Path) -> None:
    source = tmp_path / "x.npy"
    shutil.copy("x.npy", source)
    (tmp_path / "link.npy").symlink_to(source)
    before = source.read_bytes()
    for target in (source, tmp_path / "link.npy", tmp_path / "." / "x.npy"):
        said = words.format(target).replace("x.npy", str(source), 1)
        error = mistake(call(*said.split()), "E107", 2)
        assert "is the source; nothing was written" in error and f"-{said.split()[0]}.npy" in error
    assert source.read_bytes() == before


def test_no_command_replaces_the_folder_that_it_reads(tmp_path: Path) -> None:
    names = [f"{i:05d}.png" for i in range(3)]  # as vaekit names pictures itself
    (tmp_path / "in").mkdir()
    for name in names:
        shutil.copy("photos/1.png", tmp_path / "in" / name)
    for source, what in ((tmp_path / "in", "is"), (tmp_path / "in" / names[1], "holds")):
        error = mistake(call("reconstruct", "i", source, "--out", tmp_path / "in"), "E107", 2)
        assert f"{what} the source" in error and "--out in-reconstruct" in error
    mistake(call("score", "i", tmp_path / "in", "--out", "made/s.csv", "--maps", tmp_path / "in"), "E107", 2)
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == names


def test_a_mistake_in_a_command_points_to_its_own_help() -> None:
    assert "try: vaekit score --help" in mistake(call("score", "v", "x.npy"), "E103", 2)
    assert "try: vaekit sample --help" in mistake(
        call("sample", "v", "--colour", 3, "--out", "a.npy"), "E102", 2
    )
    assert "try: vaekit --help" in mistake(call("scoer", "v"), "E109", 2)
