"""One training run in its folder: train, keep the best, calibrate, save, report.

Everything that the clock decides is written into config.yaml at the first start and reused, so that the same command
after a crash goes on and ends in the same weights.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vaekit import config as configuration
from vaekit import files, model_card, outputs, pages, persistence
from vaekit.config import Config
from vaekit.data import Items
from vaekit.diagnosis import QUICK, examine, record
from vaekit.errors import DataError, DivergedError, ResourceError
from vaekit.evaluation import evaluate
from vaekit.evaluation.calibration import calibration, spaced
from vaekit.evaluation.units import log_volume
from vaekit.model import VAE
from vaekit.objectives import Distortion, Rate, Term, at
from vaekit.prepare import Data, compose
from vaekit.priors.fitted_mixture import FittedMixture
from vaekit.progress import Line
from vaekit.report import gather, write_report
from vaekit.report.verdict import as_facts, lights
from vaekit.signals import Interrupted, Stop, stops
from vaekit.trackers import Tracking
from vaekit.training import (
    Adam,
    Meter,
    Progress,
    averaged,
    fit_prior,
    goal,
    load_checkpoint,
    match_margins,
    measure,
    pca_start,
    save_checkpoint,
    see_first,
    settled,
    start,
    table_prior,
    threads,
    train,
    warm_cosine,
)
from vaekit.uses.yardstick import Yardstick

WATCHED = 2_048  # held-out items in each evaluation while training
SAVE_EVERY = 30.0  # seconds between checkpoints, once a training is long
SAVE_FIRST = 4.0  # seconds until the first; each further pause is as long again as the training so far
DEFAULT_STEPS, DEFAULT_TIME = 20_000, 600.0  # where no length was asked for: the shorter of the two
SECOND_STAGE = 15.0  # seconds that a table's mixture takes at most
EXAMINED = 200  # steps from which on a run is examined when its training ends
STREAK = 25  # steps in a row that are not finite before giving up


@dataclass
class Best:
    """The weights with the best held-out figure so far."""

    value: float = math.inf
    step: int = 0
    stale: int = 0
    tensors: dict[str, Tensor] = field(default_factory=dict)


class Fitting:
    """One training run in its folder.

    Args:
        path: The run folder.
        data: What it trains on.
        config: What was asked for.
        asked: Names of the options that were given.
        identity: What makes another command the same one.
        line: Where progress is shown.
        began: When the command began, by the monotonic clock.
        track: Names of trackers.
    """

    def __init__(
        self,
        path: Path,
        data: Data,
        config: Config,
        asked: set[str],
        identity: str,
        line: Line,
        began: float,
        track: Sequence[str] = (),
    ) -> None:
        self.path, self.data, self.config, self.asked, self.identity = path, data, config, asked, identity
        self.line = line
        self.device = device_of(config.device)
        self.history: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.best, self.elapsed, self.began = Best(), 0.0, began
        self.prior = ""  # what was fitted to the latents in the end
        self.verdict: list[dict[str, str]] = []
        self.trained = 0.0  # seconds of training before this process
        self.before = self.training_since = 0.0  # seconds until training began here, and when that was
        self.looking = 0.0  # seconds of an evaluation on the watched items
        self.watched = spaced(data.heldout, WATCHED)
        self.seen = spaced(data.train, WATCHED)
        self.volume = (
            0.0  # nats between a log density of the model's values and one of the user's, of the mean item
        )
        self.tracking = Tracking(track, lambda what: self._event(self.state.step, what))

    # ------------------------------------------------------------------ the course of a run

    def run(self) -> None:
        """Train from where the folder stands to the end, and write everything."""
        self._measure()
        steps = self.steps
        with threads(self.config.threads or 1), stops() as stop:
            self.model, self.objective = compose(self.data.kind, self.config, steps)
            self.volume = _volume(self.model, self.seen)
            self.model.to(self.device), self.objective.to(self.device)
            self._note_warm_up(steps)
            linear = self._restore()
            self._write_facts("running")
            self.tracking.begin(self.path, self.config.model_dump(), self.history)
            try:
                self._train(steps, stop, linear)
            except DivergedError:
                self._finish("diverged")
                raise
            self._finish("finished")

    def _train(self, steps: int, stop: Stop, linear: bool) -> None:
        meter, saved = Meter(), time.monotonic()
        self.training_since = time.monotonic()
        self.before = self.training_since - self.began
        if linear and self._is_elbo():  # then what it begins with is what training has to beat
            self._evaluate(0, self.optimizer.lr * warm_cosine(0.0), meter)
        # in a timed run only the clock ends training, and `steps` is what was expected to fit
        limit = steps if self.config.time is None else 2**62
        clock = None if self.config.time is None else self._clock
        progress = train(
            self.model, self.objective, self.data.train, steps=limit, batch_size=self.config.batch_size,
            optimizer=self.optimizer, decay=warm_cosine, average=self.config.average, seed=self.config.seed,
            device=self.device, resume=self.state, clock=clock,
        )  # fmt: skip
        for now in progress:
            meter.add(now)
            if self.line.due:
                self.line.show(
                    now.fraction, {"step": now.step, **meter.figures(self.volume), **self._latest()}
                )
            if now.step % (self.config.evaluate_every or 1) == 0 or now.fraction >= 1:
                self._check_finite(now)
                self._evaluate(now.step, now.lr, meter)
                if self._enough(now):
                    return
            if stop.signum or time.monotonic() - saved > pause(saved - self.training_since):
                self._checkpoint(now)
                saved = time.monotonic()
            if stop.signum:
                self._finish("interrupted")
                raise Interrupted(stop.signum, self.path)

    def _enough(self, now: Progress) -> bool:
        """Whether held-out data have stopped gaining, long after the last warm-up ended."""
        if now.step <= self.objective.finish:
            self.best.stale = 0  # until then the objective itself still changes
        if not self.config.patience or self.best.stale < self.config.patience:
            return False
        self._event(now.step, f"stopped early: no better held-out figure since step {self.best.step}")
        return True

    # ------------------------------------------------------------------ choices made by the clock

    @property
    def steps(self) -> int:
        """Optimizer steps in all, or as many as were expected to fit the time."""
        chosen = self.config
        if chosen.epochs is not None:
            rows = len(self.data.train)
            return max(1, math.ceil(chosen.epochs * (rows // min(chosen.batch_size, rows))))
        return chosen.steps or chosen.at_most or 1

    def _measure(self) -> None:
        """Fill in what the configuration leaves to the clock, and write it down."""
        chosen = self.config
        unbounded = chosen.steps is None and chosen.epochs is None and chosen.at_most is None
        if unbounded or chosen.threads is None or chosen.evaluate_every is None:
            model, objective = compose(self.data.kind, chosen, 1_000)
            model.to(self.device), objective.to(self.device)
            all_threads = torch.get_num_threads()
            tried = [chosen.threads] if chosen.threads else sorted({1, all_threads})
            speed = measure(model, objective, self.data.train, chosen.batch_size, tried, self.device)
            chosen.threads = chosen.threads or speed.threads
            if chosen.steps is None and chosen.epochs is None:
                fitting = max(1, int((chosen.time or DEFAULT_TIME) / speed.step))
                chosen.at_most = chosen.at_most or (fitting if chosen.time else min(DEFAULT_STEPS, fitting))
            began = time.perf_counter()
            evaluate(model.eval(), self.watched)
            if settled(objective) and not _sides(objective):
                goal(model, objective, self.watched, chosen.batch_size)
            # an evaluation looks at held-out and at training data; together they take at most a tenth of the time
            self.looking = time.perf_counter() - began
            rarest = math.ceil(20 * self.looking / speed.step)
            chosen.evaluate_every = chosen.evaluate_every or max(
                1, self.steps // 40, min(rarest, self.steps // 4)
            )
        configuration.write(self.path / "config.yaml", chosen, self.asked)

    def _clock(self) -> float:
        """Share of the time that is used up; what follows training has its share kept back."""
        total = self.config.time or 1.0
        # all held-out data are evaluated, encoded and scored (as 16 draws), and the report is drawn
        whole = len(self.data.heldout) / max(1, len(self.watched))
        # and neighbours are looked up among training items
        afterwards = 6.0 + self.looking * (2 * whole + (6 if self.config.reference else 4))
        if self._table_prior() is not None:
            afterwards += SECOND_STAGE * min(1.0, len(self.data.train) / 20_000)
        # at least half of the time is for training, however long reading and measuring took
        budget = max(total - self.before - afterwards, 0.5 * total)
        return self._training_seconds() / budget

    def _training_seconds(self) -> float:
        return self.trained + time.monotonic() - self.training_since

    def _seconds(self) -> float:
        return self.elapsed + time.monotonic() - self.began

    @property
    def optimizer(self) -> Adam:
        clip = (
            20 * math.sqrt(math.prod(self.data.kind.shape)) if self.config.clip is None else self.config.clip
        )
        return Adam(self.config.lr, clip=clip or None)

    # ------------------------------------------------------------------ figures

    def _evaluate(self, step: int, lr: float, meter: Meter) -> None:
        with averaged(self.model, self.state.average):
            self.model.eval()
            for split, items in (("train", self.seen), ("heldout", self.watched)):
                self._record(step, lr, split, self._figures(items), meter)
            self._keep_best(step, self.history[-1])
            self.model.train()
        meter.clear()

    def _figures(self, items: Items) -> dict[str, Any]:
        """The figures of an evaluation; None each where the model's numbers have left the finite ones."""
        try:
            return evaluate(self.model, items)
        except DataError as error:  # the data themselves were looked at when they were read
            if error.code != "E206":
                raise
            return dict.fromkeys(("elbo", "rate", "distortion", "active_units"))

    def _record(self, step: int, lr: float, split: str, found: dict[str, Any], meter: Meter) -> None:
        figures = {name: found[name] for name in ("elbo", "rate", "distortion", "active_units")}
        extra = meter.figures() if split == "train" else {}
        record = {
            "step": step, "split": split, **figures, "beta": self._beta(step),
            "gradient_norm": extra.get("gradient_norm"), "items_per_second": extra.get("items_per_second"),
            "lr": lr, "seconds": round(self._seconds(), 3),
        }  # fmt: skip
        self.history.append(files.finite(record))
        self._write_history()
        self.tracking.add(self.history[-1])

    def _beta(self, step: int) -> float | None:
        """What the rate weighs at a step, in units of the distortion's weight; None where there is no such term."""
        parts = [(at(weight, step), term) for weight, term in self.objective.parts()]
        rates = [weight for weight, term in parts if isinstance(term, Rate)]
        unit = sum(weight for weight, term in parts if isinstance(term, Distortion)) or 1.0
        return sum(rates) / unit if rates else None

    def _is_elbo(self) -> bool:
        """Whether the objective ends as −ELBO, and not as another balance of its two sides."""
        sides = _sides(self.objective)
        return sides is not None and all(weight == 1 for weight, _ in sides)

    def _keep_best(self, step: int, record: dict[str, Any]) -> None:
        """The best by what training ends at, on held-out data; the newest where a critic or a multiplier moves that."""
        value = self._goal(record) if settled(self.objective) else -float(step)
        if value is not None and value < self.best.value:
            tensors = {name: t.detach().clone() for name, t in self.model.state_dict().items()}
            self.best = Best(value, step, 0, tensors)
        else:
            self.best.stale += 1

    def _goal(self, record: dict[str, Any]) -> float | None:
        """The objective on the watched items, its weights at their last values; None where it is not finite."""
        sides = _sides(self.objective)
        if sides is not None:  # measured already
            found = [(weight, record[name]) for weight, name in sides]
            return None if any(side is None for _, side in found) else sum(w * side for w, side in found)
        value = goal(self.model, self.objective, self.watched, self.config.batch_size)
        return value if math.isfinite(value) else None

    def _latest(self) -> dict[str, Any]:
        """What the last evaluation said, for the progress line."""
        if not self.history:
            return {}
        last = self.history[-1]
        return {"heldout_elbo": last["elbo"], "active": last["active_units"], "beta": last["beta"]}

    def _check_finite(self, now: Progress) -> None:
        streak, skipped = int(now.state.streak), int(now.state.skipped)
        if skipped and not any("not finite" in event["what"] for event in self.events):
            self._event(now.step, f"{skipped} steps were not finite and were skipped")
        if streak >= STREAK:
            message = f"the loss was not finite for {streak} steps in a row; the last good weights are kept."
            raise DivergedError(
                "E501", message, where=self.path, hint=f"--lr {self.config.lr / 4:g}, and --fresh"
            )

    def _note_warm_up(self, steps: int) -> None:
        if "patience" in self.asked and self.config.patience and not settled(self.objective):
            self._event(
                0, "no early stopping: what is trained changes along the way, so it is trained to its end"
            )
        if self.objective.finish > steps:
            self._event(0, f"the warm-up ends at step {self.objective.finish}, after training does ({steps})")

    def _event(self, step: int, what: str) -> None:
        self.events.append({"step": step, "what": what})
        self.data.said.append(what)

    # ------------------------------------------------------------------ files

    def _restore(self) -> bool:
        """Take over the newest checkpoint, or begin; tells whether it begins at the linear solution."""
        for left in (self.path / "checkpoints").glob(".step-*"):  # by a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        found = load_checkpoint(self.path / "checkpoints")
        if found is None:
            see_first(self.model, self.data.train, self.config.seed, self.device)
        linear = found is None and pca_start(self.model, self.data.train)
        self.state = start(self.model, self.objective, self.optimizer, self.config.average)
        if found is None:
            return linear
        tensors, facts = found
        kept = {name.removeprefix("best."): t for name, t in tensors.items() if name.startswith("best.")}
        self.state.restore({n: t for n, t in tensors.items() if not n.startswith("best.")}, facts["step"])
        best = facts["best"]
        self.best = Best(
            math.inf if best["value"] is None else best["value"], best["step"], best["stale"], kept
        )
        self.history, self.events, self.elapsed = facts["history"], facts["events"], facts["elapsed"]
        self.trained = facts["trained"]
        self.data.said.append(f"going on from step {facts['step']}")
        return False

    def _checkpoint(self, now: Progress) -> None:
        tensors = now.state.tensors() | {f"best.{name}": t for name, t in self.best.tensors.items()}
        best = {"value": self.best.value, "step": self.best.step, "stale": self.best.stale}
        facts = {
            "best": best,
            "history": self.history,
            "events": self.events,
            "elapsed": self._seconds(),
            "trained": self._training_seconds(),
        }
        save_checkpoint(self.path / "checkpoints", now.step, tensors, facts)
        self._save_model()

    def _finish(self, status: str) -> None:
        """The best weights, figures on all held-out data, calibration, the model folder, the report."""
        if self.best.tensors:
            self.model.load_state_dict(self.best.tensors)
        self.model.eval()
        if status == "finished":
            self._second_stage()
        metrics = evaluate(self.model, self.data.heldout)
        yardstick = None
        if self.config.reference and status == "finished":  # one that is stopped is to end soon
            yardstick = Yardstick.fit(self.model, self.data.train, self.data.heldout)
        known = None if yardstick is None else yardstick.heldout.negative_elbo
        self.tracking.end(metrics, status)
        self._save_model(calibration(self.model, self.data.heldout, known), metrics, yardstick)
        if status == "finished":  # run.json says so after all but the report, which can be made from the rest
            evidence = gather(
                self.model, self.data.kind, self.data.train, self.data.heldout, self.config.seed
            )
            outputs.write_arrays(self.path / "plots" / "evidence.npz", evidence)
            self.verdict = as_facts(lights(metrics, evidence))
        facts = self._write_facts(status, metrics)
        coded = 0 if yardstick is None else len(yardstick)
        persistence.describe(self.path / "model", model_card.written(facts, self.data.card, coded))
        if status == "finished":
            self._examine()
            write_report(self.path)

    def _examine(self) -> None:
        """The short examination; a model of few steps has learned nothing yet that could be sick."""
        if self.state.step < EXAMINED:
            return
        config = self.config.model_dump()
        found = examine(
            self.model,
            self.data.kind,
            self.data.train,
            self.data.heldout,
            self.history,
            self.events,
            config,
            QUICK,
        )
        record.kept(self.path, found, config, quick=True)

    def _table_prior(self) -> FittedMixture | None:
        """What is to be fitted to the latents when training ends, not fitted yet."""
        if self.config.second_stage == "none":
            return None
        return table_prior(self.model, self.data.kind, len(self.data.train))

    def _second_stage(self) -> None:
        """Fit a mixture to a table's latents, and new rows' margins to those of training, if held-out data gain."""
        kind, seen, seed = self.data.kind, self.data.train, self.config.seed
        prior = self._table_prior()
        if prior is None:
            return
        before = evaluate(self.model, self.watched)["elbo"]
        fitted = deepcopy(fit_prior(self.model, prior, seen, seed=seed))
        match_margins(fitted, kind, seed)
        after = evaluate(fitted, self.watched)["elbo"]
        if after <= before and self.config.second_stage == "auto":
            return
        self.model, self.prior = fitted, "mixture"
        self.best.tensors = {name: t.detach().clone() for name, t in fitted.state_dict().items()}
        figures = f"held-out ELBO {after:.2f} after {before:.2f}"
        self._event(self.state.step, f"a mixture of {prior.components} fitted to the latents: {figures}")

    def _save_model(
        self,
        calibrated: dict[str, Any] | None = None,
        metrics: dict[str, Any] | None = None,
        yardstick: Yardstick | None = None,
    ) -> None:
        calibrated, reference = (calibrated, None) if yardstick is None else yardstick.beside(calibrated)
        kept = {name: t.detach().clone() for name, t in self.model.state_dict().items()}
        try:
            if self.best.tensors:
                self.model.load_state_dict(self.best.tensors)
            about = {"preset": self.config.preset, "objective": repr(self.objective), "metrics": metrics}
            about |= {"prior": self.prior} if self.prior else {}
            coded = 0 if yardstick is None else len(yardstick)
            text = model_card.written(self._facts("running", metrics), self.data.card, coded)
            persistence.save(
                self.path / "model", self.model, self.data.kind, calibrated, about, text, reference
            )
        finally:
            self.model.load_state_dict(kept)

    def _write_history(self) -> None:
        lines = [json.dumps(record, allow_nan=False) for record in self.history]
        files.write(self.path / "metrics.jsonl", "".join(line + "\n" for line in lines))

    def _facts(self, status: str, metrics: dict[str, Any] | None = None) -> dict[str, Any]:
        """What run.json says."""
        return {
            "format": persistence.FORMAT, "name": self.path.name, "status": status, "preset": self.config.preset,
            "objective": repr(self.objective), "seed": self.config.seed,
            "identity": self.identity, "versions": pages.versions(), "seconds": round(self._seconds(), 2),
            "steps": self.state.step, "best_step": self.best.step,
            "data": {
                "path": self.config.source, "count": len(self.data.train), "heldout": len(self.data.heldout),
                "observed": _observed(self.seen),
                "fingerprint": self.data.card.get("fingerprint"),
            },
            "metrics": metrics, "events": self.events, **({"prior": self.prior} if self.prior else {}),
            **({"verdict": self.verdict} if self.verdict else {}),
        }  # fmt: skip

    def _write_facts(self, status: str, metrics: dict[str, Any] | None = None) -> dict[str, Any]:
        facts = self._facts(status, metrics)
        files.write_json(self.path / "run.json", facts)
        files.write_json(self.path / "data_card.json", self.data.card)
        files.write(self.path / "events.jsonl", "".join(json.dumps(event) + "\n" for event in self.events))
        files.write(self.path / "README.md", pages.folder(facts))
        return facts


def _sides(objective: Term) -> list[tuple[float, str]] | None:
    """The weights that distortion and rate end with, where the objective is made of these two alone."""
    parts = [(at(weight, objective.finish), term) for weight, term in objective.parts()]
    if not all(isinstance(t, Distortion) or (isinstance(t, Rate) and not t.free) for _, t in parts):
        return None
    return [(weight, "rate" if isinstance(term, Rate) else "distortion") for weight, term in parts]


def _observed(items: Items) -> float:
    """Share of some items' values that are there."""
    there = [
        len(b) if b.mask is None else float(b.mask.flatten(1).float().mean(1).sum())
        for b in items.batches(256)
    ]
    return round(sum(there) / len(items), 6)


def _volume(model: VAE, items: Items) -> float:
    """Nats between a log density of the model's values and one of the user's, in the mean over some items."""
    batch = items.batch(torch.arange(len(items)))
    return float(torch.as_tensor(log_volume(model, items.kind, batch)).mean())


def device_of(name: str) -> torch.device:
    """The device a word stands for; auto takes a GPU where there is one.

    Raises:
        ResourceError: It is not here.
    """
    here = torch.cuda.is_available()
    if name.startswith("cuda") and not here:
        raise ResourceError("E405", "there is no CUDA device here.", hint="--device cpu")
    return torch.device("cuda" if name == "auto" and here else "cpu" if name == "auto" else name)


def pause(trained: float) -> float:
    """Seconds from one checkpoint to the next: as many again as were trained, from a few to `SAVE_EVERY`.

    A short training has a model to look at (`explore --live`) and to go on from; a long one spends nothing on it.
    """
    return min(SAVE_EVERY, SAVE_FIRST + trained)
