"""The texts that lie in a run folder, for people who open it without us."""

from __future__ import annotations

import platform
from typing import Any

from vaekit.config import Config
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

- `report.html`: open it in a browser; it needs no network.
- `model/`: complete by itself, and what is shared.
- `config.yaml`: `vaekit train --config config.yaml` runs it again.
- `metrics.jsonl`, `events.jsonl`, `data_card.json`, `plots/`: figures and pictures.
- `checkpoints/`: to go on from; may be deleted once the run is finished.

    vaekit sample {name} --n 16 --out samples.png
    vaekit evaluate {name} SOURCE
"""


def model_card(
    name: str,
    config: Config,
    objective: Any,
    card: dict[str, Any],
    metrics: dict[str, Any] | None,
    coded: int = 0,
) -> str:
    """The README.md of a model folder; `coded` items lie in it in coded form."""
    found = metrics or {}
    kind, shape = card.get("kind", "data"), card.get("shape")
    figures = {key: found.get(key) for key in ("elbo", "rate", "distortion", "bits_per_dim", "active_units")}
    return f"""---
library_name: vaekit
tags: [variational-autoencoder, {config.preset}]
---

# {name}

A `{config.preset}` for {kind} of shape {shape}, trained on {card.get("count", "?")} items by the objective
`{objective!r}`.

Held-out figures, nats per datum: {described(figures) or "not evaluated yet"}.

    import vaekit
    run = vaekit.open("{name}")
    run.sample(16)

It knows only data like those it was trained on. {_holds(coded)}
"""


def _holds(coded: int) -> str:
    """What of the training data is in a model folder."""
    if not coded:
        return """It holds no rows of them, but a model can remember: do not share one
trained on what you may not share."""
    return f"""`reference.safetensors` holds {coded} of them in coded form, from
which they can be read back: `score` looks for neighbours there. Do not share this folder if you may not share the data;
`--set train.reference=false` at training leaves the file out, and even then a model can remember."""
