"""Trackers: what TensorBoard reads back, the calls that MLflow and W&B get, and that none of them stops a run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from commands import call

import vaekit
from vaekit import trackers
from vaekit.errors import ResourceError, UsageError
from vaekit.trackers import TRACKERS, TensorBoard, Tracking, checked, scalars

RECORDS = [
    {"step": 5, "split": "train", "elbo": -3.5, "beta": None, "lr": 1e-3},
    {"step": 5, "split": "heldout", "elbo": -4.25, "beta": None, "lr": 1e-3},
]


class FakeMLflow(ModuleType):
    """The calls of mlflow's fluent interface, with its signatures."""

    def __init__(self) -> None:
        super().__init__("mlflow")
        self.calls: list[tuple[str, Any]] = []

    def active_run(self) -> None:
        return None

    def start_run(self, run_id: str | None = None, experiment_id: str | None = None, run_name: str | None = None,
                  nested: bool = False) -> None:  # fmt: skip
        print("View run at: http://…")  # as it does; standard output is not its
        self.calls.append(("start", (run_name, nested)))

    def log_params(self, params: dict[str, Any]) -> None:
        assert all(isinstance(v, str) and len(v) <= 6000 for v in params.values())
        self.calls.append(("params", params))

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        assert all(isinstance(v, float) for v in metrics.values())
        self.calls.append(("metrics", (step, metrics)))

    def end_run(self, status: str = "FINISHED") -> None:
        self.calls.append(("end", status))


class FakeWandb(ModuleType):
    """The calls of wandb.init and of the run that it gives; after some records the network is gone."""

    def __init__(self, fails_after: int = 10**9) -> None:
        super().__init__("wandb")
        self.fails_after, self.given, self.logged = fails_after, {}, []
        self.summary: dict[str, float] = {}
        self.exit_code: int | None = None

    def init(self, project: str | None = None, name: str | None = None, dir: str | None = None,  # noqa: A002
             config: dict[str, Any] | None = None) -> Any:  # fmt: skip
        self.given = {"project": project, "name": name, "dir": dir, "config": config}
        return SimpleNamespace(log=self.log, summary=self.summary, finish=self.finish)

    def log(self, data: dict[str, Any], step: int | None = None) -> None:
        if len(self.logged) >= self.fails_after:
            raise ConnectionError("the network\nis gone")
        self.logged.append((step, data))

    def finish(self, exit_code: int | None = None) -> None:
        self.exit_code = exit_code


@pytest.fixture
def fakes(monkeypatch) -> SimpleNamespace:
    found = SimpleNamespace(mlflow=FakeMLflow(), wandb=FakeWandb())
    for name, fake in vars(found).items():
        monkeypatch.setitem(sys.modules, name, fake)
    return found


def read_back(path: Path) -> dict[str, list[tuple[int, float]]]:
    """The scalars in the event files of a folder, as TensorBoard shows them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(path), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_tensorboard_reads_back_what_was_told(tmp_path):
    for _ in range(2):  # the second as after a stop: all is told again, and shown once
        board = TensorBoard(tmp_path, {"preset": "vae"})
        for record in RECORDS:
            board.add(record)
        board.end({"elbo": -4.0, "nll": None}, "finished")
    found = read_back(tmp_path / "tensorboard")
    assert found["train/elbo"] == [(5, -3.5)] and found["heldout/elbo"] == [(5, -4.25)]
    assert found["final/elbo"] == [(0, -4.0)] and "train/beta" not in found and "final/nll" not in found


def test_mlflow_and_wandb_get_their_calls(tmp_path, fakes, capsys):
    told: list[str] = []
    tracking = Tracking(["mlflow", "wandb"], told.append)
    tracking.begin(tmp_path / "r", {"latent": 2}, RECORDS)
    tracking.end({"elbo": -4.0}, "finished")
    assert not told and capsys.readouterr().out == ""
    assert fakes.mlflow.calls == [
        ("start", ("r", False)), ("params", {"latent": "2"}),
        ("metrics", (5, {"train/elbo": -3.5, "train/lr": 1e-3})),
        ("metrics", (5, {"heldout/elbo": -4.25, "heldout/lr": 1e-3})),
        ("metrics", (None, {"final/elbo": -4.0})), ("end", "FINISHED"),
    ]  # fmt: skip
    assert fakes.wandb.given == {
        "project": "vaekit",
        "name": "r",
        "dir": str(tmp_path / "r"),
        "config": {"latent": 2},
    }
    assert fakes.wandb.logged == [(5, scalars(record)) for record in RECORDS]
    assert (fakes.wandb.summary, fakes.wandb.exit_code) == ({"final/elbo": -4.0}, 0)


@pytest.mark.parametrize(
    ("status", "code", "ended"), [("diverged", 1, "FAILED"), ("interrupted", 1, "KILLED")]
)
def test_a_run_that_did_not_end_well_is_shown_so(tmp_path, fakes, status, code, ended):
    tracking = Tracking(["mlflow", "wandb"], print)
    tracking.begin(tmp_path, {})
    tracking.end({}, status)
    assert fakes.wandb.exit_code == code and fakes.mlflow.calls[-1] == ("end", ended)


def test_a_failing_tracker_is_given_up_and_says_so_once(tmp_path, fakes):
    told: list[str] = []
    fakes.wandb.fails_after = 1
    tracking = Tracking(["wandb", "mlflow"], told.append)
    tracking.begin(tmp_path, {}, RECORDS)
    for record in RECORDS:
        tracking.add(record)
    tracking.end({}, "finished")
    assert told == ["tracking by wandb failed and is given up (ConnectionError: the network is gone)"]
    assert len(fakes.wandb.logged) == 1 and fakes.mlflow.calls[-1] == ("end", "FINISHED")


def test_a_run_is_tracked_while_it_trains_and_outlives_its_trackers(tmp_path, fakes):
    fakes.wandb.fails_after = 1
    data = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    run = vaekit.fit(
        data, steps=3, latent=1, out=tmp_path / "r", quiet=True, track=["tensorboard", "wandb", "mlflow"]
    )
    assert run.facts["status"] == "finished"
    failures = [event["what"] for event in run.facts["events"] if "wandb" in event["what"]]
    assert failures == ["tracking by wandb failed and is given up (ConnectionError: the network is gone)"]
    assert "wandb" in (run.path / "events.jsonl").read_text()
    found = read_back(run.path / "tensorboard")
    for split in ("train", "heldout"):
        own = [(r["step"], pytest.approx(r["elbo"])) for r in run.history if r["split"] == split]
        assert found[f"{split}/elbo"] == own and own
    assert found["final/elbo"][0][1] == pytest.approx(run.metrics["elbo"])
    logged = [call for call in fakes.mlflow.calls if call[0] == "metrics"]
    assert len(logged) == len(run.history) + 1
    assert "track" not in (run.path / "config.yaml").read_text()  # whoever goes on may track otherwise


def test_what_is_not_there_is_said_before_training(tmp_path, monkeypatch):
    monkeypatch.setitem(
        TRACKERS, "wandb", (trackers.WeightsAndBiases, "no_such_package", "pip install wandb")
    )
    np.save(tmp_path / "x.npy", np.zeros((30, 2)))
    for command in (["train"], ["sweep", "--seeds", "2"]):
        answer = call(
            command[0],
            tmp_path / "x.npy",
            *command[1:],
            "--steps",
            "2",
            "--track",
            "wandb",
            "--out",
            tmp_path / "r",
        )
        assert answer.code == 5 and "E404" in answer.err and "try: pip install wandb" in answer.err
        assert not (tmp_path / "r").exists()
    with pytest.raises(ResourceError, match="no_such_package"):
        checked("wandb")
    with pytest.raises(UsageError, match="did you mean tensorboard"):
        checked(["tensorbord"])
    assert checked(None) == () and checked("tensorboard") == ("tensorboard",)


def test_adapters_are_short():
    import inspect

    lengths = {
        name: len(inspect.getsource(adapter).splitlines()) for name, (adapter, _, _) in TRACKERS.items()
    }
    assert max(lengths.values()) <= 30, lengths


def test_records_are_numbers_by_split():
    assert scalars(
        json.loads('{"step": 1, "split": "train", "active_units": 3, "beta": null, "on": true}')
    ) == {"train/active_units": 3.0}
