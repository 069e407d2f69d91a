"""Training that is killed at any moment: the same command goes on, and ends in the weights it would have ended in."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import vaekit
from vaekit import cli, files, fitting
from vaekit.training import Meter

# `python -m vaekit`, but with a checkpoint after every step and without the report's pictures
DRIVER = """
import os, sys
from pathlib import Path
import vaekit.fitting as fitting
from vaekit import files
fitting.SAVE_EVERY = 0.0
os.fsync = lambda _: None  # a killed process loses nothing that it gave to the system
fitting.write_report = lambda path: files.write(Path(path) / "report.html", "")
from vaekit.cli import main
main(sys.argv[1:])
"""
DIGITS = [
    "train",
    "digits",
    "--steps",
    "60",
    "--batch-size",
    "32",
    "--latent",
    "4",
    "--quiet",
    "--out",
    "run",
]
DIGITS += ["--set", "train.threads=1", "--set", "train.evaluate_every=10", "--set", "train.average=0.9"]


def plain(path: Any) -> Path:
    return files.write(Path(path) / "report.html", "")


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    """No pictures, a checkpoint after every step, and no waiting for the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        patch.setattr("vaekit.fitting.write_report", plain)
        patch.setattr("vaekit.launch.write_report", plain)
        patch.setattr("vaekit.fitting.SAVE_EVERY", 0.0)
        yield


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*words: Any) -> SimpleNamespace:
    """A command in this process: exit code, and what was said."""
    err = io.StringIO()
    with contextlib.redirect_stderr(err), pytest.raises(SystemExit) as end:
        cli.main([str(word) for word in words])
    return SimpleNamespace(code=end.value.code, err=err.getvalue())


def weights(place: Any) -> str:
    return files.sha256(Path(place) / "model" / "weights.safetensors")


def status(place: Any) -> str:
    return files.read_json(Path(place) / "run.json")["status"]


def newest(place: Any) -> int:
    """The step of the newest checkpoint; 0 before the first."""
    latest = Path(place) / "checkpoints" / "LATEST"
    return int(latest.read_text().strip().removeprefix("step-")) if latest.is_file() else 0


# --- a process of its own


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> vaekit.Run:
    """What training on the digits ends in when nothing happens."""
    place = tmp_path_factory.mktemp("uninterrupted")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr("vaekit.fitting.SAVE_EVERY", 1e9)  # checkpoints themselves change nothing either
        assert call(*DIGITS).code == 0
    return vaekit.open(place / "run")


def struck(signum: int, ready: Callable[[], bool]) -> SimpleNamespace:
    """Start training, send a signal as soon as `ready`, and wait for the end."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", DRIVER, *DIGITS]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment) as process:
        until = time.monotonic() + 120
        while not ready():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < until
            time.sleep(0.002)
        process.send_signal(signum)
        _, err = process.communicate(timeout=120)
    return SimpleNamespace(code=process.returncode, err=err)


def goes_on_and_ends_as(expected: vaekit.Run) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vaekit.fitting.SAVE_EVERY", 1e9)
        again = call(*DIGITS)
    assert again.code == 0, again.err
    found = vaekit.open("run")
    assert weights("run") == weights(expected.path)
    told = [
        [
            {k: v for k, v in r.items() if k not in ("seconds", "items_per_second", "gradient_norm")}
            for r in run.history
        ]
        for run in (found, expected)
    ]
    assert told[0] == told[1], "the history has a hole or says something twice"
    assert found.facts["best_step"] == expected.facts["best_step"] and found.metrics == expected.metrics
    assert found.facts["status"] == "finished" and found.facts["events"] == expected.facts["events"]


MOMENTS: dict[str, Callable[[], bool]] = {
    "in the middle": lambda: newest("run") >= 13,
    "while a checkpoint is written": lambda: (
        newest("run") >= 5 and any(Path("run/checkpoints").glob(".*.tmp"))
    ),
}
MORE_MOMENTS: dict[str, Callable[[], bool]] = {
    "before the first step": lambda: Path("run/config.yaml").is_file(),
    "at the first checkpoint": lambda: newest("run") >= 1,
    "while the model is written": lambda: newest("run") >= 20 and any(Path("run").glob(".model*")),
    "after an evaluation": lambda: newest("run") >= 30,
    "near the end": lambda: newest("run") >= 55,
}


def killed(ready: Callable[[], bool], expected: vaekit.Run) -> None:
    assert struck(signal.SIGKILL, ready).code == -signal.SIGKILL
    assert not Path("run/run.json").exists() or status("run") == "running"
    goes_on_and_ends_as(expected)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_goes_on_and_ends_the_same(moment, uninterrupted) -> None:
    killed(MOMENTS[moment], uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize("moment", MORE_MOMENTS)
def test_a_run_killed_at_other_moments_goes_on_and_ends_the_same(moment, uninterrupted) -> None:
    killed(MORE_MOMENTS[moment], uninterrupted)


@pytest.mark.slow
def test_a_run_killed_three_times_ends_the_same(uninterrupted) -> None:
    for step in (10, 25, 40):
        assert struck(signal.SIGKILL, lambda step=step: newest("run") >= step).code == -signal.SIGKILL
    goes_on_and_ends_as(uninterrupted)


def test_a_terminated_run_saves_and_goes_on(uninterrupted) -> None:
    done = struck(signal.SIGTERM, lambda: newest("run") >= 10)
    assert done.code == 143, "128 + SIGTERM"
    assert done.err == "stopped and saved; the same command goes on with run\n"
    assert status("run") == "interrupted" and 10 <= newest("run") < 60
    assert vaekit.open("run").sample(3).shape == (3, 8, 8), "it is usable as it is"
    goes_on_and_ends_as(uninterrupted)


# --- in this process

FAST: dict[str, Any] = dict(
    steps=10, batch_size=8, latent=2, threads=1, evaluate_every=3, quiet=True, lr=0.01
)


def table() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(40, 4))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> vaekit.Run:
    return vaekit.fit(table(), out=tmp_path_factory.mktemp("whole") / "run", **FAST)


def stopped_at(step: int, act: Callable[[], None]) -> Callable[[Meter, Any], None]:
    real = Meter.add

    def add(self: Meter, now: Any) -> None:
        real(self, now)
        if now.step == step:
            act()

    return add


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", [1, 6, 9])
def test_a_signal_is_saved_at_its_step(signum, step, whole, monkeypatch) -> None:
    before = signal.getsignal(signum)
    with monkeypatch.context() as patch:
        patch.setattr(Meter, "add", stopped_at(step, lambda: signal.raise_signal(signum)))
        with pytest.raises(KeyboardInterrupt, match="goes on with run") as caught:
            vaekit.fit(table(), out="run", **FAST)
    assert caught.value.signum == signum and str(caught.value.path) == "run"
    assert signal.getsignal(signum) is before, "signals are handed back"
    assert newest("run") == step and status("run") == "interrupted"
    again = vaekit.fit(table(), out="run", **FAST)
    assert weights("run") == weights(whole.path) and again.facts["status"] == "finished"


def test_a_second_signal_acts_at_once(monkeypatch) -> None:
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it went on")

    monkeypatch.setattr(Meter, "add", stopped_at(2, twice))
    with pytest.raises(KeyboardInterrupt) as caught:
        vaekit.fit(table(), out="run", **FAST)
    assert not hasattr(caught.value, "signum")


class Killed(BaseException):
    """What no handler for errors catches."""


def test_death_at_any_write_is_survived(whole, monkeypatch) -> None:
    """Killed before the nth file is written, for many n: the same call ends in the same weights, all files there."""
    real, count, limit = files.write, 0, 10**9

    def write(path: Any, data: Any) -> Path:
        nonlocal count
        count += 1
        if count > limit:
            raise Killed
        return real(path, data)

    monkeypatch.setattr(files, "write", write)
    vaekit.fit(table(), out="counted", **FAST)
    total, names = count, {p.name for p in Path("counted").iterdir()} - {"checkpoints"}
    assert total > 60
    for at in sorted({*range(0, 8), *range(8, total, max(1, total // 6)), *range(total - 8, total)}):
        count, limit = 0, at
        with pytest.raises(Killed):
            vaekit.fit(table(), out=f"at-{at}", **FAST)
        limit = 10**9
        with monkeypatch.context() as patch:
            patch.setattr(fitting, "SAVE_EVERY", 1e9)
            again = vaekit.fit(table(), out=f"at-{at}", **FAST)
        assert weights(again.path) == weights(whole.path), at
        assert again.facts["status"] == "finished"
        assert {p.name for p in again.path.iterdir()} - {"checkpoints"} == names, (
            f"killed at write {at} of {total}"
        )
        files.check(again.path / "model")


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose newest checkpoints are those of steps 6 and 7."""
    with monkeypatch.context() as patch:
        patch.setattr(Meter, "add", stopped_at(8, lambda: (_ for _ in ()).throw(Killed())))
        with pytest.raises(Killed):
            vaekit.fit(table(), out="run", **FAST)
    assert sorted(p.name for p in Path("run/checkpoints").glob("step-*")) == [
        "step-00000006",
        "step-00000007",
    ]
    return Path("run")


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "cut in half": lambda place: os.truncate(
        place / "state.safetensors", (place / "state.safetensors").stat().st_size // 2
    ),
    "empty": lambda place: os.truncate(place / "state.safetensors", 0),
    "missing": lambda place: (place / "state.safetensors").unlink(),
    "without facts": lambda place: (place / "state.json").unlink(),
    "without a manifest": lambda place: (place / files.MANIFEST).unlink(),
    "a flipped bit": lambda place: flip(place / "state.safetensors"),
    "gone": shutil.rmtree,
}


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_torn_checkpoint_gives_way_to_the_one_before(damage, interrupted, whole, capsys) -> None:
    DAMAGE[damage](interrupted / "checkpoints" / "step-00000007")
    again = vaekit.fit(table(), out="run", **{**FAST, "quiet": False})
    assert "going on from step 6" in capsys.readouterr().err
    assert weights(again.path) == weights(whole.path) and again.facts["best_step"] == whole.facts["best_step"]


def test_without_damage_the_newest_is_taken(interrupted, whole, capsys) -> None:
    vaekit.fit(table(), out="run", **{**FAST, "quiet": False})
    assert "going on from step 7" in capsys.readouterr().err
    assert weights("run") == weights(whole.path)


def test_when_no_checkpoint_is_whole_nothing_is_thrown_away(interrupted, whole) -> None:
    np.save("x.npy", table())
    for place in (interrupted / "checkpoints").glob("step-*"):
        DAMAGE["cut in half"](place)
    before = {p: p.stat().st_size for p in interrupted.rglob("*.safetensors")}
    model = weights("run")
    with pytest.raises(vaekit.errors.FileError, match="none of the 2 checkpoints is whole") as caught:
        vaekit.fit(table(), out="run", **FAST)
    assert caught.value.code == "E303" and caught.value.exit_code == 4 and "--fresh" in caught.value.hint
    assert before == {p: p.stat().st_size for p in interrupted.rglob("*.safetensors")}
    assert weights("run") == model and vaekit.open("run").sample(2).shape == (2, 4)
    assert weights(vaekit.fit(table(), out="run", fresh=True, **FAST).path) == weights(whole.path)


def test_checkpoints_of_a_finished_run_may_be_deleted(whole) -> None:
    shutil.copytree(whole.path, "run")
    shutil.rmtree("run/checkpoints")
    assert vaekit.fit(table(), out="run", **FAST).facts["status"] == "finished"
    assert weights("run") == weights(whole.path)


def test_a_run_that_was_told_to_stop_early_resumes_its_patience(whole, monkeypatch) -> None:
    options = {**FAST, "steps": 200, "patience": 3, "evaluate_every": 2, "lr": 0.03}
    expected = vaekit.fit(table(), out="expected", **options)
    assert expected.facts["steps"] < 200
    with monkeypatch.context() as patch:
        patch.setattr(
            Meter, "add", stopped_at(expected.facts["steps"] - 3, lambda: (_ for _ in ()).throw(Killed()))
        )
        with pytest.raises(Killed):
            vaekit.fit(table(), out="run", **options)
    again = vaekit.fit(table(), out="run", **options)
    assert again.facts["steps"] == expected.facts["steps"] and weights("run") == weights("expected")
    assert again.facts["events"] == expected.facts["events"]


def test_what_the_clock_chose_at_the_first_start_is_kept(monkeypatch) -> None:
    """Another machine, or a busier one, would choose otherwise; the run would then not be the same."""
    from vaekit.training import measure as real

    options = {**FAST, "threads": None, "evaluate_every": None, "steps": None}
    monkeypatch.setattr(fitting, "DEFAULT_STEPS", 12)
    with monkeypatch.context() as patch:
        patch.setattr(Meter, "add", stopped_at(5, lambda: (_ for _ in ()).throw(Killed())))
        with pytest.raises(Killed):
            vaekit.fit(table(), out="run", **options)
    chosen = Path("run/config.yaml").read_text()
    for name in ("threads", "evaluate_every", "at_most"):
        assert re.search(rf"^{name}: \d+  # measured$", chosen, re.M)
    monkeypatch.setattr(fitting, "DEFAULT_STEPS", 7)
    monkeypatch.setattr(fitting, "measure", lambda *rest: pytest.fail(f"measured again: {real(*rest)}"))
    assert vaekit.fit(table(), out="run", **options).facts["steps"] == 12
    assert Path("run/config.yaml").read_text() == chosen


def test_a_run_by_the_clock_goes_on_with_the_time_that_is_left(monkeypatch) -> None:
    options = {**FAST, "steps": None, "time": "4s"}
    with monkeypatch.context() as patch:
        patch.setattr(Meter, "add", stopped_at(10, lambda: (_ for _ in ()).throw(Killed())))
        with pytest.raises(Killed):
            vaekit.fit(table(), out="run", **options)
    spent = files.read_json(Path("run/checkpoints") / f"step-{newest('run'):08d}" / "state.json")["elapsed"]
    again = vaekit.fit(table(), out="run", **options)
    assert spent > 0 and again.facts["status"] == "finished" and again.facts["steps"] > 10
    assert again.facts["seconds"] >= spent and again.facts["seconds"] < 4 + 8


def test_the_interval_of_checkpoints_is_that_of_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests change it; what people have is a few seconds at first, and half a minute in the end."""
    with open(fitting.__file__) as file:
        assert "\nSAVE_EVERY = 30.0 " in file.read()
    monkeypatch.setattr(fitting, "SAVE_EVERY", 30.0)
    ends = [0.0]
    while len(ends) < 7:
        ends.append(ends[-1] + fitting.pause(ends[-1]))
    assert ends[1:] == [4, 12, 28, 58, 88, 118]
