"""What is said about the presets: read from their docstrings, signatures and objectives."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from vaekit.data import Images, Kind, Parts, Sequences, Vectors
from vaekit.presets.preset import ABOUT, CHAPTERS, PRESETS, Preset


def about() -> list[dict[str, Any]]:
    """Name, chapter, kinds, authors, year, summary, advice, objective and own options of every preset."""
    order = list(CHAPTERS)
    names = sorted(PRESETS, key=lambda name: order.index(ABOUT[name].chapter))
    return [_about(name, PRESETS[name]) for name in names]


def _about(name: str, preset: Callable[..., Preset]) -> dict[str, Any]:
    first, _, advice = inspect.cleandoc(preset.__doc__ or "").partition("\n\n")
    sources, _, summary = first.replace("\n", " ").rpartition(": ")
    authors, _, rest = sources.partition(" (")
    options = [
        f"{p.name}={p.default}" for p in inspect.signature(preset).parameters.values() if p.name != "kind"
    ]
    return {
        "name": name, "chapter": ABOUT[name].chapter, "kinds": ", ".join(ABOUT[name].kinds),
        "authors": authors, "year": rest[:4], "source": sources, "summary": summary,
        "advice": " ".join(advice.split()), "objective": repr(preset(example(name)).objective),
        "options": " ".join(options), "experimental": ABOUT[name].experimental,
    }  # fmt: skip


def example(name: str) -> Kind:
    """A small kind that a preset takes."""
    labels: dict[str, Any] = {
        "labels": ("a", "b"),
        "frequencies": (0.5, 0.5),
        "conditional": ABOUT[name].labels,
    }
    kinds: dict[str, Kind] = {
        "vectors": Vectors(4, **labels),
        "images": Images(1, 8, 8, **labels),
        "sequences": Sequences(["a", "b"], 4),
        "parts": Parts({"one": Vectors(4), "other": Vectors(4)}),
    }
    return next(kind for word, kind in kinds.items() if word in ABOUT[name].kinds)
