"""The texts that lie in a run folder, for people who open it without us."""

from __future__ import annotations

import platform
from typing import Any

from vaekit.progress import described


def versions() -> dict[str, str]:
    """What made a run."""
    import numpy
    import torch

    from vaekit import __version__

    return {
        "vaekit": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "machine": platform.machine(),
    }


def folder(facts: dict[str, Any]) -> str:
    """The README.md of a run folder."""
    metrics = facts["metrics"] or {}
    figures = described({key: metrics.get(key) for key in ("elbo", "rate", "distortion", "bits_per_dim")})
    name, prior = facts["name"], facts.get("prior")
    then = f" Then a {prior} prior was fitted to its latents." if prior else ""
    return f"""# {name}

A `{facts["preset"]}` trained by vaekit on {facts["data"]["count"]} items; status: {facts["status"]}.{then}
Held out: {figures or "not evaluated yet"} (nats per datum).
{verdict(facts.get("verdict"))}
- `report.html`: open it in a browser; it needs no network.
- `model/`: complete by itself, and what is shared.
- `config.yaml`: `vaekit train --config config.yaml` runs it again.
- `metrics.jsonl`, `events.jsonl`, `data_card.json`, `plots/`: figures and pictures.
- `diagnosis.json`: what ten checks found, once it was examined; `vaekit doctor {name}` examines it in full.
- `checkpoints/`: to go on from; may be deleted once the run is finished.

    vaekit sample {name} --n 16 --out samples.png
    vaekit evaluate {name} SOURCE
"""


def verdict(found: Any) -> str:
    """The three lights of run.json as a table of Markdown; empty where there are none."""
    lights = [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
    if not lights:
        return ""
    rows = [
        f"| {_cell(item.get('what'))} | **{_cell(item.get('answer'))}** | {_cell(item.get('says'))} |"
        for item in lights
    ]
    return "\n".join(["", "| verdict | | |", "|---|---|---|", *rows, ""])


def _cell(text: Any) -> str:
    """Text that cannot break out of a cell, nor begin a link or a tag: names of columns come from anywhere."""
    line = " ".join(str(text).split())
    return "".join(f"\\{letter}" if letter in "\\|<>[]`*_" else letter for letter in line)
