"""Mending a run: the cure of its first alarm, in a folder beside it, and what it changed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from vaekit import as_trained, files
from vaekit.diagnosis import Cure
from vaekit.diagnosis.record import kept
from vaekit.errors import UsageError
from vaekit.launch import fit
from vaekit.progress import number
from vaekit.run import Run

SUFFIX, NOTE = "-mended", "mended.json"
UNSAID = "whether it is mended cannot be said: the check does not apply to the mended run"


def mend(run: Run, source: Any = None, out: str | Path | None = None, quiet: bool = False) -> dict[str, Any]:
    """Train again with the cure of the first alarm, or fit the prior that it asks for, and examine the result.

    Args:
        run: A finished run.
        source: What it was trained on; by default where the run found it.
        out: Where; RUN-mended by default. An earlier mended run there is replaced, anything else is left alone.
        quiet: Say nothing.

    Returns:
        `disease` (None if there is no alarm), `cure`, `path`, `value` and `negative_elbo` as [before, after],
        `threshold`, `mended` (whether the check was made again and raises no alarm), `comparable` (whether both
        likelihoods are of one sort), `best_step` as [before, after] (0: the weights are those before the first step).

    Raises:
        UsageError: E107, something else lies at `out`.
    """
    source = as_trained.source_of(run.path) if source is None else source
    before = run.examined(source)
    disease = next((finding for finding in before if finding.alarm), None)
    if disease is None or disease.cure is None:
        return {"disease": None, "cure": None, "path": None}
    place = _free(Path(out) if out is not None else run.path.with_name(run.path.name + SUFFIX))
    config = as_trained.options(run.path)
    # said before training, so that one that was stopped is known as ours the next time
    files.write_json(place / NOTE, {"of": run.path.name, "disease": disease.name})
    mended = _applied(run, disease.cure, config, source, place, quiet)
    after = mended.examined(source)
    kept(place, after, as_trained.options(place))
    mended.report()
    same = next(finding for finding in after if finding.name == disease.name)
    return {
        "disease": disease.name, "title": disease.title, "threshold": disease.threshold,
        "cure": disease.cure.command(config, str(run.path), str(place)), "path": str(place),
        "value": [disease.value, same.value], "mended": same.value is not None and not same.alarm,
        "negative_elbo": [_negative_elbo(run), _negative_elbo(mended)],
        "comparable": _discrete(run) == _discrete(mended), "best_step": [_best_step(run), _best_step(mended)],
        "alarms": [finding.name for finding in after if finding.alarm],
    }  # fmt: skip


def _free(place: Path) -> Path:
    """A place for the mended run, an earlier one taken away.

    Raises:
        UsageError: E107, what lies there is no mended run.
    """
    if place.exists() and not (place / NOTE).is_file():
        message = "this is no mended run, so it is left alone."
        raise UsageError("E107", message, where=place, hint="move it, then vaekit doctor RUN --fix")
    shutil.rmtree(place, ignore_errors=True)
    return place


def _applied(run: Run, cure: Cure, config: dict[str, Any], source: Any, place: Path, quiet: bool) -> Run:
    """The mended run: a copy with another prior, or one that was trained anew."""
    if not cure.prior:
        return fit(source, out=place, quiet=quiet, **cure.over(config))
    left = shutil.ignore_patterns("checkpoints", ".lock", NOTE)
    shutil.copytree(run.path, place, ignore=left, dirs_exist_ok=True)
    mended = Run(place)
    items = as_trained.divided(run.path, run.kind, source)
    mended.fit_prior(source if isinstance(source, str | Path) else items.seen, cure.prior, quiet)
    return mended


def _discrete(run: Run) -> bool | None:
    """Whether −ELBO is of a probability, and not of a density."""
    return getattr(getattr(run.model.decoder, "family", None), "discrete", None)


def _negative_elbo(run: Run) -> float | None:
    elbo = run.metrics.get("elbo")
    return None if elbo is None else -elbo


def _best_step(run: Run) -> int | None:
    found = run.facts.get("best_step")
    return found if isinstance(found, int) else None


def told(found: dict[str, Any]) -> str:
    """Before and after, for people."""
    if found["disease"] is None:
        return "there is nothing to mend"
    lines = [
        f"cure:   {found['cure']}",
        f"{'':36} {'before':>9} {'after':>9}",
        f"{found['title']:36} {_shown(found['value'][0])} {_shown(found['value'][1])}   alarm: {found['threshold']}",
        f"{'held-out −ELBO, nats':36} {_shown(found['negative_elbo'][0])} {_shown(found['negative_elbo'][1])}",
    ]
    if not found["comparable"]:
        lines.append(
            "the likelihoods are of two sorts (a density, a probability): their −ELBOs are not to be compared"
        )
    begun = [word for word, step in zip(("before", "after"), found["best_step"], strict=True) if step == 0]
    if begun:
        lines.append(
            f"{' and '.join(begun)}: no step of training beat the linear start, whose weights are kept"
        )
    others = [name for name in found["alarms"] if name != found["disease"]]
    gone, left = "the alarm is gone", "the alarm is still there"
    lines.append(gone if found["mended"] else left if found["value"][1] is not None else UNSAID)
    lines += [f"another alarm: {', '.join(others)}; vaekit doctor {found['path']}"] if others else []
    return "\n".join([*lines, f"mended run: {found['path']}"])


def _shown(value: float | None) -> str:
    return f"{'–' if value is None else number(float(value)):>9}"
