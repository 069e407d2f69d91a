"""The report: one HTML file that needs no network, no script and no data, made from what a run left in its folder."""

from __future__ import annotations

import base64
import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from vaekit import files
from vaekit.errors import FileError
from vaekit.report import diagnosis, synthetic, texts, verdict, words
from vaekit.report.charts import series
from vaekit.report.next_steps import next_steps
from vaekit.report.plots import draw
from vaekit.report.style import number, word

Arrays = dict[str, np.ndarray]
Facts = dict[str, Any]
PICTURES = 3_400_000  # bytes of all pictures together: in base64, with the text, they stay below 5 MB
LONGEST = 60_000  # characters of a configuration that are shown
SECTIONS = (
    ("data", "Data"), ("training", "Training"), ("columns", "Columns"), ("pairs", "Pairs"),
    ("reconstructions", "Reconstructions"), ("missing", "Missing cells"), ("samples", "Samples"),
    ("traversals", "Traversals"), ("latent", "Latent space"), ("kl", "Dimensions"),
    ("synthetic", "Synthetic rows"), ("diagnosis", "Diagnosis"), ("figures", "Figures"),
    ("configuration", "Configuration"), ("next", "What to do next"),
)  # fmt: skip


def write_report(run_path: Path) -> Path:
    """Draw the pictures anew and write `report.html`; what the run does not have is left out.

    Args:
        run_path: A run folder.

    Returns:
        The file.

    Raises:
        FileError: This is no run folder, or its run.json is damaged.
    """
    path = Path(run_path)
    if not (path / "run.json").is_file():
        hint = "name a folder that vaekit train made"
        raise FileError("E301", "there is no run here: run.json is missing.", where=path, hint=hint)
    run = _mapping(files.read_json(path / "run.json"))
    card, records, evidence = _card(path), _records(path), read_evidence(path)
    names = [str(name) for name in card.get("columns") or []] if isinstance(card.get("columns"), list) else []
    names = names if len(names) == np.prod(evidence.get("shape", 0)) else []
    drawn = draw(path / "plots", evidence, records, run, names)
    return files.write(
        path / "report.html", rendered("page.html", _context(path, run, card, records, evidence, drawn))
    )


# ---------------------------------------------------------------------- what the run left


def _card(path: Path) -> Facts:
    try:
        return _mapping(files.read_json(path / "data_card.json"))
    except FileError:
        return {}


def _records(path: Path) -> list[Facts]:
    """The lines of metrics.jsonl that are whole: the last one may still be being written."""
    try:
        lines = (path / "metrics.jsonl").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return [record for record in found if isinstance(record, dict)]


def read_evidence(path: Path) -> Arrays:
    """The arrays of `gather`; empty where there are none or they cannot be read."""
    try:
        with open(path / "plots" / "evidence.npz", "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error):
        return {}


def _config(path: Path) -> str:
    try:
        return (path / "config.yaml").read_text(encoding="utf-8", errors="replace")[:LONGEST].strip()
    except OSError:
        return ""


# ---------------------------------------------------------------------- the page


def _context(
    path: Path, run: Facts, card: Facts, records: list[Facts], evidence: Arrays, drawn: dict[str, Path]
) -> Facts:
    """Everything that the template names."""
    form, stochastic = str(evidence.get("form", "")), bool(evidence.get("stochastic", True))
    can_sample = bool(evidence.get("samples", True))
    shown, more = words.labels(card)
    shapes = (
        ("samples", "tall", form == "pictures"), ("latent", "wide", "latent_pca" in evidence),
        ("columns", "wide", True), ("traversals", "wide", form == "table"),
    )  # fmt: skip
    lit = verdict.lights(_mapping(run.get("metrics")), evidence) or verdict.from_facts(run.get("verdict"))
    diagnosed = diagnosis.section(path)
    alarm = diagnosed["first"] if diagnosed else ""
    context = {
        "title": str(run.get("name") or path.resolve().name), "preset": run.get("preset"), "course": _course(run),
        "objective": str(run.get("objective") or ""), "prior": word(run["prior"]) if run.get("prior") else "",
        "verdict": words.verdict(_mapping(run.get("metrics")), evidence),
        "lights": lit,
        "advice": words.advice(run, records, evidence, words.source(run), alarm),
        "facts": words.facts(card, run), "labels": shown, "more_labels": more,
        "reasons": words.reasons(card), "types": words.types(card), "table": words.fidelity(evidence),
        "rows": words.rows(evidence), "texts": texts.tables(evidence), "notes": _sentences(card.get("notes")),
        "pictures": embedded(drawn), "form": form,
        "shapes": {name: shape for name, shape, there in shapes if there},
        "has_rate": stochastic and (bool(evidence) or len(series(records, "elbo")[0]) > 0),
        "seen": number(int(evidence.get("seen_count", 0))), "copies": _copies(evidence),
        "spread": "the prior" if can_sample else "the codes",
        "labelled": "latent_label" in evidence, "components": "latent_pca" in evidence,
        "circle": bool(evidence.get("prior_circle", False)),
        "figures": words.figures(run, evidence), "versions": _versions(run), "config": _config(path),
        "stochastic": stochastic, "can_sample": can_sample, "synthetic": synthetic.section(path),
        "diagnosis": diagnosed, "commands": next_steps(path, run, records, evidence, lit, alarm),
        "fingerprint": str(_mapping(run.get("data")).get("fingerprint") or "")[:12],
    }  # fmt: skip
    context["there"] = {id: name for id, name in SECTIONS if _present(id, context)}
    return context


def _present(id: str, context: Facts) -> bool:
    """Whether a section of the template has something in it."""
    if id in ("training", "columns", "pairs", "reconstructions", "missing", "traversals", "latent"):
        return {"training": "loss"}.get(id, id) in context["pictures"] or id in context["texts"]
    parts = {
        "data": context["facts"] or context["types"]["rows"] or context["reasons"] or context["notes"],
        "samples": context["rows"] or context["texts"] or "samples" in context["pictures"] or context["copies"]
        or not context["can_sample"],
        "kl": "kl" in context["pictures"] or not context["stochastic"],
        "synthetic": context["synthetic"], "diagnosis": context["diagnosis"], "figures": context["figures"],
        "configuration": context["config"], "next": True,
    }  # fmt: skip
    return bool(parts[id])


def _course(run: Facts) -> str:
    """How far the run came."""
    steps, seconds = words.real(run.get("steps")), words.real(run.get("seconds"))
    parts = [str(run["status"])] if run.get("status") else []
    parts += [] if steps is None else [f"{number(steps)} steps"]
    return ", ".join(parts + ([] if seconds is None else [words.duration(seconds)]))


def _copies(evidence: Arrays) -> dict[str, str] | None:
    if "copy_rate" not in evidence:
        return None
    samples, heldout = (f"{100 * rate:.1f} %" for rate in evidence["copy_rate"])
    searched = min(int(evidence.get("train_count", 0)), 20_000)
    count = len(evidence.get("copy_sample_distance", ()))
    return {"samples": samples, "heldout": heldout, "count": number(count), "searched": number(searched)}


def _versions(run: Facts) -> str:
    return ", ".join(f"{name} {words.spoken(value)}" for name, value in _mapping(run.get("versions")).items())


def _sentences(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _mapping(value: Any) -> Facts:
    return value if isinstance(value, dict) else {}


def rendered(template: str, context: Facts) -> str:
    """A page; every value is escaped, because names and labels come from anywhere."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("vaekit.report", "")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(template).render(context)


# ---------------------------------------------------------------------- pictures inside the page


def embedded(drawn: dict[str, Path], most: int = PICTURES) -> dict[str, str]:
    """Pictures as data URIs that together stay within a number of bytes.

    Args:
        drawn: Files by name.
        most: Bytes of all of them; one that takes more than its part loses colours first, then size.
    """
    contents = {name: path.read_bytes() for name, path in drawn.items()}
    if sum(map(len, contents.values())) > most:
        contents = {name: smaller(content, most // len(contents)) for name, content in contents.items()}
    return {
        name: f"data:image/png;base64,{base64.b64encode(content).decode()}"
        for name, content in contents.items()
    }


def smaller(content: bytes, most: int) -> bytes:
    """A PNG of at most so many bytes: itself, or 256 colours, or those and fewer pixels."""
    from PIL import Image

    if len(content) <= most:
        return content
    with Image.open(io.BytesIO(content)) as image:
        full = image.convert("RGB")
    share = 1.0
    while len(content) > most and share > 0.05:
        size = (max(1, round(full.width * share)), max(1, round(full.height * share)))
        reduced = full if share == 1 else full.resize(size, Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        reduced.quantize(256).save(buffer, format="PNG", optimize=True)
        content, share = buffer.getvalue(), share * 0.8
    return content
