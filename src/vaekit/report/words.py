"""What the report says in words: the verdict, advice with its evidence, tables, commands to paste."""

from __future__ import annotations

import math
import shlex
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from vaekit.meanings import MEANINGS, Meaning
from vaekit.report.charts import series
from vaekit.report.style import number, word
from vaekit.report.verdict import active_units

Arrays = dict[str, np.ndarray]
LABELS = 40  # listed at most
TYPES, SENTENCES = 60, 40  # columns of a table, and reasons


def verdict(metrics: dict[str, Any], evidence: Arrays) -> str:
    """The held-out figures in one line; empty if nothing is known."""
    elbo, rate, distortion = (real(metrics.get(name)) for name in ("elbo", "rate", "distortion"))
    bits, active = real(metrics.get("bits_per_dim")), active_units(metrics, evidence)
    parts = []
    if elbo is not None:
        parts.append(f"Held-out ELBO {number(elbo, 4)} nats per item{_sides(rate, distortion)}")
    elif distortion is not None:
        parts.append(f"Held-out distortion {number(distortion, 4)} nats per item")
    parts += [] if bits is None else [f"{number(bits)} bits per dimension"]
    if active is not None:
        whole = f" of {len(evidence['order'])}" if "order" in evidence else ""
        parts.append(f"{number(active)}{whole} latent dimensions in use")
    if "codebook" in evidence:
        used, perplexity, size = evidence["codebook"]
        parts.append(f"{used:.0%} of {number(size)} codes in use, perplexity {number(perplexity)}")
    return "; ".join(parts) + "." if parts else ""


def _sides(rate: float | None, distortion: float | None) -> str:
    if rate is None or distortion is None:
        return ""
    return f" (rate {number(rate)} + distortion {number(distortion)})"


def advice(
    run: dict[str, Any], records: list[dict[str, Any]], evidence: Arrays, source: str, alarm: str = ""
) -> list[str]:
    """At most three sentences about what seems wrong, each with its number and what to try.

    Args:
        run, records: What run.json and metrics.jsonl say.
        evidence: What `gather` found.
        source: What was trained on, as a word of a command.
        alarm: The first alarm of the diagnosis, which knows the better cure.
    """
    found = []
    active = active_units(_mapping(run.get("metrics")), evidence)
    if active == 0:
        plain = f"Try: vaekit train {source} --preset free_bits_vae"
        cure = f"The diagnosis says what mends it: {alarm}?" if alarm else plain
        found.append("The latent is not used (0 dimensions): the posterior has collapsed onto the prior. "
                     + cure)  # fmt: skip
    samples, held = evidence.get("copy_rate", (0.0, 0.0))
    if samples > max(0.1, 5 * held):
        found.append(f"{samples:.0%} of the samples nearly repeat a training item (held-out items: {held:.0%}). "
                     "More data or fewer steps help.")  # fmt: skip
    lost = overfitted(records)
    if lost:
        found.append(f"The held-out ELBO was {number(lost)} nats better than at the end: the model overfits, and the "
                     "best weights were kept. More data help, or a smaller --latent.")  # fmt: skip
    return found[:3]


def overfitted(records: list[dict[str, Any]]) -> float:
    """Nats that held-out items lost after their best while training items still gained; 0 if few."""
    steps, held = series(records, "elbo", "heldout", -1)
    train_steps, trained = series(records, "elbo", "train", -1)
    if len(held) < 5 or not len(trained):
        return 0.0
    lost = float(held[-1] - held.min())
    gained = trained[-1] < np.interp(steps[held.argmin()], train_steps, trained)
    return lost if gained and lost > max(1.0, 0.02 * abs(held[-1])) else 0.0


def facts(card: dict[str, Any], run: dict[str, Any]) -> list[tuple[str, str]]:
    """The data card as names and values; what it lacks is left out."""
    data = _mapping(run.get("data"))
    found: list[tuple[str, str]] = []
    if data.get("path"):
        found.append(("source", base(data["path"])))
    of_table = _mappings(card.get("types"))  # its parts and their likelihoods are the columns'
    for name in ("kind", "count", "shape", "dtype", "range", "likelihood", "binarize"):
        value = None if of_table and name in ("shape", "likelihood") else card.get(name)
        if value not in (None, "", [], "none"):
            found.append((name, spoken(value, " to " if name == "range" else " × ")))
    if real(data.get("count")) is not None and real(data.get("heldout")) is not None:
        found.append(("split", f"{number(data['count'])} for training, {number(data['heldout'])} held out"))
    if of_table:
        found.append(("columns", number(len(of_table))))
    same, constant = real(card.get("duplicates")), real(_mapping(card.get("constant_features")).get("count"))
    found += [("duplicates", f"{same:.1%} of the items")] if same else []
    found += [("constant", f"{number(constant)} of the values of every item")] if constant else []
    return found + ([("unlabelled", spoken(card["unlabelled"]))] if real(card.get("unlabelled")) else [])


def reasons(card: dict[str, Any]) -> list[str]:
    """Why the data are treated so; the reasons of a table's columns stand beside them, in `types`."""
    told = tuple(f"{column.get('name')}: " for column in _mappings(card.get("types")))
    found = card.get("reasons")
    sentences = [str(item) for item in found] if isinstance(found, list) else []
    return [sentence for sentence in sentences if not (told and sentence.startswith(told))][:SENTENCES]


def types(card: dict[str, Any]) -> dict[str, Any]:
    """The columns of a table: name, type, what is in it, why; and how many are not listed."""
    found = _mappings(card.get("types"))
    rows = [(spoken(column.get("name")), _type(column), _content(column), spoken(column.get("why")))
            for column in found[:TYPES]]  # fmt: skip
    return {"rows": rows, "more": max(0, len(found) - TYPES)}


def _type(column: dict[str, Any]) -> str:
    role = column.get("role")
    return spoken(column.get("type")) + (f", {role}" if role in ("given", "left out") else "")


def _content(column: dict[str, Any]) -> str:
    """The range or the number of categories, and the share of holes."""
    parts = []
    if "low" in column and "high" in column:
        ends = dict.fromkeys((_end(column["low"]), _end(column["high"])))  # one where they are the same
        parts.append(" to ".join(ends))
    if real(column.get("categories")) is not None:
        parts.append(f"{spoken(column['categories'])} values")
    holes = real(column.get("holes"))
    return ", ".join(parts + ([f"{100 * holes:.2g} % empty"] if holes else []))


def _end(value: Any) -> str:
    return spoken(value).removesuffix(" 00:00:00").removeprefix("0 days ")[:40]


def fidelity(evidence: Arrays) -> dict[str, str]:
    """Mean errors of columns and of pairs, each beside its floor."""
    found = {}
    if len(evidence.get("table_shape", ())) and "table_floor" in evidence:
        found["shape"], found["shape_floor"] = (
            f"{evidence[name].mean():.3f}" for name in ("table_shape", "table_floor")
        )
        found["shape_chance"] = _chance(evidence["table_shape"].mean(), evidence["table_floor"].mean())
    if "pair_mean" in evidence:
        found["trend"], found["trend_floor"] = (f"{value:.3f}" for value in evidence["pair_mean"])
        found["trend_chance"] = _chance(*evidence["pair_mean"])
        found["paired"] = number(len(evidence.get("pair_compared", ())))
    found["columns"] = number(len(evidence.get("table_names", ())))
    return found


def _chance(error: float, floor: float) -> str:
    """What the error of training rows says about that of samples."""
    return "no less, so that chance explains the difference" if error <= floor else "which is chance"


def rows(evidence: Arrays) -> dict[str, Any] | None:
    """Sampled rows as text: the names of the columns, cells, and how many columns are not shown."""
    if "row_cells" not in evidence or "row_names" not in evidence:
        return None
    return {
        "names": [word(name, 24) for name in evidence["row_names"]],
        "cells": evidence["row_cells"].tolist(), "more": int(evidence.get("row_more", 0)),
    }  # fmt: skip


def labels(card: dict[str, Any]) -> tuple[list[tuple[str, str]], int]:
    """Labels and how often they came, and how many are not listed."""
    found = [
        (str(name), spoken(count))
        for name, count in _mapping(card.get("labels") or card.get("classes")).items()
    ]
    return found[:LABELS], max(0, len(found) - LABELS)


def figures(run: dict[str, Any], evidence: Arrays) -> list[tuple[str, str, str]]:
    """Name, value and meaning of every figure that the run has."""
    metrics = _mapping(run.get("metrics"))
    known = [name for name in MEANINGS if name in metrics] + sorted(set(metrics) - set(MEANINGS))
    rows = []
    for name in known:
        value = active_units(metrics, evidence) if name == "active_units" else metrics[name]
        if value is not None and not (name == "samples" and metrics.get("nll") is None):
            meaning = MEANINGS.get(name, Meaning(name, ""))
            rows.append((meaning.title, spoken(value), meaning.sentence))
    extra = (
        ("steps", "of the optimizer"),
        ("best_step", "whose weights were kept"),
        ("seed", "of all randomness"),
    )
    there = [(name, meaning) for name, meaning in extra if run.get(name) is not None]
    rows += [(name.replace("_", " "), spoken(run[name]), meaning) for name, meaning in there]
    seconds = real(run.get("seconds"))
    return rows if seconds is None else [*rows, ("time", duration(seconds), "of training")]


def source(run: dict[str, Any]) -> str:
    """What the run was trained on, as a word of a command; where an absolute path stood, its last part."""
    return _pasted(base(_mapping(run.get("data")).get("path") or "SOURCE"), "SOURCE")


def quoted_folder(path: Path) -> str:
    """The run's folder as a word of a command: runs/x where it lies in a folder of that name."""
    path = path.resolve()
    return _pasted(f"runs/{path.name}" if path.parent.name == "runs" else path.name, "RUN")


def _pasted(text: str, otherwise: str) -> str:
    """Safe to paste into a shell: quoted, no option, nothing invisible."""
    if not text.isprintable():
        return otherwise
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def base(path: Any) -> str:
    """A path without what would tell where somebody's files lie."""
    text = str(path)
    return (PurePath(text).name or text) if PurePath(text).is_absolute() or text.startswith("~") else text


def duration(seconds: float) -> str:
    """A time for people.

    Example:
        >>> duration(3.21), duration(75), duration(4000)
        ('3.2 s', '1 min 15 s', '1 h 6 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def spoken(value: Any, between: str = ", ") -> str:
    """Any value of a JSON file as short text."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, int | float):
        return number(value, 4)
    if isinstance(value, list):
        return between.join(spoken(item) for item in value[:12])
    return str(value)[:300]


def real(value: Any) -> float | None:
    """A finite number, or None."""
    plain = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if plain else None


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _mappings(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
