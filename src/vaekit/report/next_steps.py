"""What to do next: at most five commands to paste, suited to the data, the verdict and the course of training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vaekit.report.charts import series
from vaekit.report.verdict import NO, PARTLY, Light
from vaekit.report.words import overfitted, quoted_folder, real, source

Arrays = dict[str, np.ndarray]
Step = tuple[str, str]
MOST = 5
GAINED, SHARE = 0.3, 0.005  # nats, and share of the figure, that the last quarter of training still gained
AWAY = 0.6  # lower end of the AUC between samples and reconstructions from which the prior is at fault


def next_steps(
    path: Path,
    run: dict[str, Any],
    records: Sequence[dict[str, Any]],
    evidence: Arrays,
    lights: Sequence[Light],
    alarm: str = "",
) -> list[Step]:
    """What for, and the command: first what mends the model, then what to look at, then what it is good for.

    Args:
        path: The run folder.
        run: What run.json says.
        records: What metrics.jsonl says.
        evidence: What `gather` found.
        lights: The verdict.
        alarm: The check of the diagnosis whose alarm is the first; empty where there is none.
    """
    answers = {light.what: light.answer for light in lights}
    folder, where = quoted_folder(path), source(run)
    form, can_sample = str(evidence.get("form", "")), bool(evidence.get("samples", True))
    found = [(f"mend the first alarm: {alarm}?", f"vaekit doctor {folder} {where} --fix")] if alarm else []
    found += _mending(run, list(records), evidence, answers, folder, where, bool(alarm))
    if not alarm and any(answer in (NO, PARTLY) for answer in answers.values()):
        found.append(("find what is wrong", f"vaekit doctor {folder} {where}"))
    found.append(("look around", f"vaekit explore {folder}"))
    return [*found, *_uses(folder, where, form, can_sample, evidence)][:MOST]


def _mending(
    run: dict[str, Any],
    records: list[dict[str, Any]],
    evidence: Arrays,
    answers: dict[str, str],
    folder: str,
    where: str,
    alarmed: bool,
) -> list[Step]:
    found = []
    if not alarmed and answers.get("latent used") == NO and run.get("preset") not in ("free_bits_vae", None):
        found.append(("make it use its latent", f"vaekit train {where} --preset free_bits_vae"))
    steps = real(run.get("steps"))
    if steps and still_falling(records) and not overfitted(records):
        longer = f"vaekit train {where} --config {folder}/config.yaml --steps {2 * int(steps)} --out {folder}-longer"
        found.append(("train longer: the held-out curve still falls", longer))
    prior = str(evidence.get("prior_to_fit", ""))
    if prior and not run.get("prior") and _prior_at_fault(evidence, answers):
        found.append(("better samples", f"vaekit fit-prior {folder} {where} --prior {prior}"))
    return found


def _prior_at_fault(evidence: Arrays, answers: dict[str, str]) -> bool:
    """Whether samples are worse than reconstructions are: then codes of the prior are not where codes of data are."""
    if not bool(evidence.get("samples", True)):
        return True
    if answers.get("samples") not in (NO, PARTLY):
        return False
    return "verdict_prior" not in evidence or float(evidence["verdict_prior"][1]) > AWAY


def still_falling(records: Sequence[dict[str, Any]]) -> bool:
    """Whether held-out items still gained much in the last quarter of training, to its very end."""
    steps, held = series(list(records), "elbo", "heldout", -1)
    if len(held) < 4:
        steps, held = series(list(records), "distortion", "heldout", 1)
    if len(held) < 4 or held.argmin() < len(held) - 2:
        return False
    before = float(np.interp(0.75 * steps[-1], steps, held))
    return before - float(held.min()) > max(GAINED, SHARE * abs(float(held[-1])))


def _uses(folder: str, where: str, form: str, can_sample: bool, evidence: Arrays) -> list[Step]:
    suffix = {"pictures": "png", "text": "txt"}.get(form, "csv")
    count = 1_000 if form in ("table", "rows", "points") else 16
    new = ("new items", f"vaekit sample {folder} --n {count} --out samples.{suffix}")
    odd = ("unusual items", f"vaekit score {folder} {where} --alpha 0.01 --out scores.csv")
    fill = ("fill empty cells", f"vaekit impute {folder} {where} --out filled.csv")
    codes = ("codes of items", f"vaekit encode {folder} {where} --out codes.npz")
    rebuilt = ("reconstructions", f"vaekit reconstruct {folder} {where} --out rebuilt.{suffix}")
    holes = "hole_train" in evidence
    return [*([new] if can_sample else []), odd, *([fill] if holes else []), codes, rebuilt]
