"""Trackers: a run's records in TensorBoard, MLflow or Weights & Biases, while it trains; a failing one stops nothing.

Each adapter takes the records of metrics.jsonl as they come. A run that goes on after a stop tells all its records
again, from the first, so that what is shown is whole.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from vaekit.errors import ResourceError, UsageError, nearest

Record = Mapping[str, Any]


class Tracker(Protocol):
    """What takes records: one at a time, then the figures and the status of the end."""

    def add(self, record: Record) -> None: ...
    def end(self, metrics: Record, status: str) -> None: ...


class TensorBoard:
    """Event files in `RUN/tensorboard`; `tensorboard --logdir runs` shows all runs."""

    def __init__(self, path: Path, choices: Record) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # what an earlier process wrote is told again
        self.writer = SummaryWriter(str(path / "tensorboard"), purge_step=0)
        lines = [f"    {name}: {value}" for name, value in choices.items()]
        self.writer.add_text("choices", "\n".join(lines), 0)

    def add(self, record: Record) -> None:
        for name, value in scalars(record).items():
            self.writer.add_scalar(name, value, record["step"])
        self.writer.flush()

    def end(self, metrics: Record, status: str) -> None:
        for name, value in scalars(metrics).items():
            self.writer.add_scalar(f"final/{name}", value, 0)
        self.writer.close()


class MLflow:
    """A run of the tracking server that MLFLOW_TRACKING_URI names, and of MLFLOW_EXPERIMENT_NAME."""

    def __init__(self, path: Path, choices: Record) -> None:
        import mlflow

        self.mlflow = mlflow
        mlflow.start_run(run_name=path.resolve().name, nested=mlflow.active_run() is not None)
        mlflow.log_params({name: str(value)[:500] for name, value in choices.items()})

    def add(self, record: Record) -> None:
        self.mlflow.log_metrics(scalars(record), step=record["step"])

    def end(self, metrics: Record, status: str) -> None:
        self.mlflow.log_metrics({f"final/{name}": value for name, value in scalars(metrics).items()})
        self.mlflow.end_run({"finished": "FINISHED", "interrupted": "KILLED"}.get(status, "FAILED"))


class WeightsAndBiases:
    """A run of the project that WANDB_PROJECT names, or `vaekit`; WANDB_MODE=offline sends nothing."""

    def __init__(self, path: Path, choices: Record) -> None:
        import wandb

        project = os.environ.get("WANDB_PROJECT", "vaekit")
        self.run = wandb.init(project=project, name=path.resolve().name, dir=str(path), config=dict(choices))

    def add(self, record: Record) -> None:  # both splits of an evaluation have the same step
        self.run.log(scalars(record), step=record["step"])

    def end(self, metrics: Record, status: str) -> None:
        self.run.summary.update({f"final/{name}": value for name, value in scalars(metrics).items()})
        self.run.finish(exit_code=0 if status == "finished" else 1)


# what people type -> the adapter, the package that it needs, what installs it
TRACKERS: dict[str, tuple[Callable[[Path, Record], Tracker], str, str]] = {
    "tensorboard": (TensorBoard, "tensorboard", "pip install 'vaekit[track]'"),
    "mlflow": (MLflow, "mlflow", "pip install mlflow"),
    "wandb": (WeightsAndBiases, "wandb", "pip install wandb"),
}


def scalars(record: Record) -> dict[str, float]:
    """The numbers of a record by `split/name`; what is missing is left out.

    Example:
        >>> scalars({"step": 20, "split": "heldout", "elbo": -98.5, "beta": None})
        {'heldout/elbo': -98.5}
    """
    split = f"{record['split']}/" if "split" in record else ""
    numbers = {k: v for k, v in record.items() if isinstance(v, int | float) and not isinstance(v, bool)}
    return {f"{split}{name}": float(value) for name, value in numbers.items() if name != "step"}


def checked(names: str | Sequence[str] | None) -> tuple[str, ...]:
    """The trackers that were asked for, once all of them are known to be here.

    Raises:
        UsageError: E103, there is no such tracker.
        ResourceError: E404, its package is not installed.
    """
    asked = tuple(dict.fromkeys([names] if isinstance(names, str) else names or ()))
    for name in asked:
        if name not in TRACKERS:
            raise UsageError("E103", f"there is no tracker {name!r}; {nearest(str(name), TRACKERS)}")
        _, package, hint = TRACKERS[name]
        if package not in sys.modules and importlib.util.find_spec(package) is None:
            raise ResourceError("E404", f"tracking by {name} needs the package {package}.", hint=hint)
    return asked


class Tracking:
    """Several trackers of one run, none of which can stop it.

    Args:
        names: As `checked` gives them.
        tell: Takes a sentence where one fails; it is not called again after that.

    Example:
        >>> tracking = Tracking([], print)
        >>> tracking.add({"step": 1, "split": "train", "elbo": -3.0})
    """

    def __init__(self, names: Sequence[str], tell: Callable[[str], None]) -> None:
        self.names, self.tell = names, tell
        self.trackers: dict[str, Tracker] = {}

    def begin(self, path: Path, choices: Record, records: Sequence[Record] = ()) -> None:
        """Start them, and tell the records that there are already."""
        for name in self.names:
            with self._spared(name):
                self.trackers[name] = TRACKERS[name][0](path, choices)
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """A record of metrics.jsonl."""
        for name, tracker in list(self.trackers.items()):
            with self._spared(name):
                tracker.add(record)

    def end(self, metrics: Record, status: str) -> None:
        """The figures of all held-out data, and how the run ended."""
        for name, tracker in list(self.trackers.items()):
            with self._spared(name):
                tracker.end(metrics, status)
        self.trackers.clear()

    @contextlib.contextmanager
    def _spared(self, name: str) -> Iterator[None]:
        """Inside, a tracker that fails is given up and training goes on; what it prints goes to standard error."""
        try:
            with contextlib.redirect_stdout(sys.stderr):
                yield
        except Exception as error:
            self.trackers.pop(name, None)
            reason = " ".join(str(error).split())[:200]
            self.tell(f"tracking by {name} failed and is given up ({type(error).__name__}: {reason})")
