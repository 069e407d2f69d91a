"""The second stage of a run: a prior fitted to its latents, saved with the model, used by all that draws or scores."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from vaekit import as_trained, files, model_card, outputs, pages, persistence
from vaekit.data import Items
from vaekit.diagnosis import QUICK, examine, record
from vaekit.distributions import Noise
from vaekit.errors import FileError, UsageError, nearest
from vaekit.evaluation import evaluate
from vaekit.evaluation.calibration import calibration
from vaekit.priors.autoregressive import AutoregressiveCodes
from vaekit.priors.diffusion import RectifiedFlow
from vaekit.priors.fitted_mixture import FittedMixture
from vaekit.priors.flow import Flow
from vaekit.priors.second_vae import TwoStage
from vaekit.priors.standardised import Standardised
from vaekit.progress import Line
from vaekit.report import gather, write_report
from vaekit.report.verdict import as_facts, lights
from vaekit.training import Fitted, fit_prior
from vaekit.training.second_stage import MOST
from vaekit.uses.yardstick import Yardstick

if TYPE_CHECKING:
    from vaekit.run import Run

STEPS, COMPONENTS = 10_000, 10
CONTINUOUS = ("mixture", "flow", "diffusion", "vae")
PRIORS = (*CONTINUOUS, "autoregressive")


@dataclass(frozen=True)
class Choice:
    """What a prior is to be.

    Attributes:
        name: mixture, flow, diffusion, vae (the two-stage VAE), or autoregressive (over codes).
        components: Of a mixture.
        steps, time: How long to fit: optimizer steps, or seconds.
        lr: Learning rate.
        seed: Of the weights, the order of the data and all noise.
    """

    name: str
    components: int = COMPONENTS
    steps: int | None = None
    time: float | None = None
    lr: float = 1e-3
    seed: int = 0


def refit(run: Run, data: Any, choice: Choice, quiet: bool = False) -> dict[str, Any]:
    """Fit a prior to a run's model and save both in its folder.

    The rate, the scores that new items are held against and the report are those of the new prior afterwards.

    Args:
        run: A finished run.
        data: What it was trained on; what was held out is held out again.
        choice: What prior, and how long.
        quiet: Say nothing.

    Returns:
        `prior`, `steps`, `seconds`, and `elbo`, `rate` on the held-out tenth before and after, where there are any.

    Raises:
        UsageError: E101 there is no such prior, E103 more components than items, E106 it is not for this model's
            latents.
        FileError: E301 the folder is a model's alone.
    """
    began = time.monotonic()
    if not (run.path / "run.json").is_file():
        message = "this is a model without its run, and a prior is saved with what a run tells of it."
        raise FileError("E301", message, where=run.path, hint="name the folder that vaekit train made")
    whole = as_trained.divided(run.path, run.kind, data)
    seen, heldout = whole.seen, whole.heldout
    prior = composed(run, choice)
    if choice.name == "mixture" and choice.components > min(len(seen), MOST):
        message = f"{choice.components} components for {len(seen)} items: there must be fewer components than items."
        raise UsageError("E103", message, hint="--components 10")
    before = evaluate(run.model, heldout)
    fitted = Fitted(0, 0.0, torch.zeros(()))
    with Line(quiet) as line:

        def each(now: Fitted) -> None:
            nonlocal fitted
            fitted = now
            if line.due:
                line.show(now.fraction, {"step": now.step, "loss": float(now.loss)})

        run.model = fit_prior(
            run.model, prior, seen, steps=choice.steps or STEPS, lr=choice.lr, seed=choice.seed,
            clock=_clock(choice.time), each=each,
        )  # fmt: skip
    after = evaluate(run.model, heldout)
    _save(run, choice, seen, heldout, after)
    figures = {f"{name}_before": before[name] for name in ("elbo", "rate")}
    return {
        "prior": choice.name, "steps": fitted.step, "seconds": round(time.monotonic() - began, 1),
        **figures, "elbo": after["elbo"], "rate": after["rate"],
    }  # fmt: skip


def composed(run: Run, choice: Choice) -> nn.Module:
    """The prior that was asked for, its weights drawn from the seed, over the latent that it is for.

    Raises:
        UsageError: As in `refit`.
    """
    if choice.name not in PRIORS:
        raise UsageError("E101", f"there is no prior {choice.name!r}; {nearest(choice.name, PRIORS)}")
    if hasattr(getattr(run.model.bottleneck, "prior", None), "settle"):
        message = f"the latents of {run.about.get('preset', 'this model')} lie on a sphere or are one-hot, where no "
        raise UsageError("E106", message + "prior can be fitted.", hint="train with --preset vae, or vq_vae")
    like = run.like
    top = like[run.model.bottleneck.prior_of] if isinstance(like, list) else like
    codes = not top.is_floating_point()
    if codes != (choice.name == "autoregressive"):
        fitting = "--prior autoregressive" if codes else "--prior diffusion, or mixture, flow, vae"
        latents = "codes" if codes else "continuous latents, not codes"
        message = f"--prior {choice.name} is not for this model, which has {latents}."
        raise UsageError("E106", message, hint=fitting)
    condition = run.kind.condition_width if run.kind.conditional and run.model.bottleneck.prior_heard else 0
    with Noise(choice.seed, "prior weights").torch():
        return _made(run, choice, top.shape[1:], condition)


def _made(run: Run, choice: Choice, shape: torch.Size, condition: int) -> nn.Module:
    dim = math.prod(shape)
    if choice.name == "autoregressive":
        levels: Any = run.model.bottleneck.prior.levels  # type: ignore[union-attr]
        return AutoregressiveCodes(shape, levels, condition)
    if choice.name == "mixture":
        if condition:
            message = "a mixture takes no condition, and this model is conditional."
            raise UsageError("E106", message, hint="--prior diffusion")
        return FittedMixture(choice.components, dim)
    if choice.name == "flow":
        return Standardised(Flow("NSF" if dim > 1 else "MAF", dim, condition, hidden=[128, 128]), dim)
    if choice.name == "vae":
        return Standardised(TwoStage(dim, condition=condition), dim)
    return Standardised(RectifiedFlow(dim, condition=condition), dim)


def _clock(seconds: float | None) -> Callable[[], float] | None:
    began = time.monotonic()
    return None if seconds is None else lambda: (time.monotonic() - began) / seconds


def _save(run: Run, choice: Choice, seen: Items, heldout: Items, metrics: dict[str, Any]) -> None:
    """The model folder with the new prior and what hangs on it, then the report."""
    about = {
        **{k: v for k, v in run.about.items() if k != "calibration"},
        "metrics": metrics,
        "prior": choice.name,
    }
    calibrated, reference = calibration(run.model, heldout), None
    if persistence.load_reference(run.path / "model"):  # it was not left out
        calibrated, reference = Yardstick.fit(run.model, seen, heldout).beside(calibrated)
    persistence.save(run.path / "model", run.model, run.kind, calibrated, about, reference=reference)
    run.about = {**about, "calibration": calibrated}
    facts = {**run.facts, "metrics": metrics, "prior": choice.name}
    facts["events"] = [
        *facts.get("events", []),
        {"step": facts.get("steps"), "what": f"prior fitted: {choice.name}"},
    ]
    evidence = gather(run.model, run.kind, seen, heldout, facts.get("seed", 0))
    outputs.write_arrays(run.path / "plots" / "evidence.npz", evidence)
    facts["verdict"] = as_facts(lights(metrics, evidence))
    run.facts = facts
    files.write_json(run.path / "run.json", facts)
    files.write(run.path / "README.md", pages.folder(facts))
    coded = sum(len(t) for name, t in (reference or {}).items() if name.endswith(".codes"))
    card = files.read_json(run.path / "data_card.json")
    persistence.describe(run.path / "model", model_card.written(facts, card, coded))
    _examine_again(run, seen, heldout)
    write_report(run.path)


def _examine_again(run: Run, seen: Items, heldout: Items) -> None:
    """The short examination, where a diagnosis tells of the prior that was."""
    if not record.known(run.path):
        return
    events, config = run.facts["events"], as_trained.options(run.path)
    found = examine(run.model, run.kind, seen, heldout, run.history, events, config, QUICK)
    record.kept(run.path, found, config, quick=True)
