"""The model card: what a model folder's README.md says, from what the run knows, in one place.

Front matter in YAML as the Hugging Face hub reads it, then: what it is, what for, the data's fingerprint and no datum,
figures, limits, time, how to load it. Names of columns and files come from anywhere, so that all of them are escaped.

Source: Mitchell et al. (2019), Model cards for model reporting, arXiv:1810.03993.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from vaekit.errors import FileError, UsageError
from vaekit.progress import described, duration, one_line

UNKNOWN = "unknown"  # the licence until somebody says it
MARK = "---\n"
TAGS = {"images": "image", "table": "tabular", "sequences": "text", "vectors": "tabular", "counts": "counts"}
USES = {
    "table": "synthetic rows, filling empty cells, finding odd rows, codes for other models",
    "images": "new images, codes and interpolations, finding odd images, removing noise",
    "sequences": "new lines, codes of lines, finding odd lines",
    "parts": "filling in a part that is missing, new items, codes",
}
OTHERWISE = "new items, codes for other models, finding odd items"


def written(facts: Mapping[str, Any], data: Mapping[str, Any], coded: int = 0, license: str = UNKNOWN) -> str:
    """The text of a model card.

    Args:
        facts: What run.json says.
        data: The data card.
        coded: How many items of the data lie in the folder in coded form.
        license: Under which the model is shared; unknown until it is.

    Example:
        >>> facts = {"name": "a", "preset": "vae", "objective": "Distortion() + Rate()"}
        >>> text = written(facts, {"kind": "images", "count": 9, "shape": [1, 8, 8]})
        >>> front(text)["library_name"], front(text)["license"], text.splitlines()[10]
        ('vaekit', 'unknown', '# a')
    """
    name, preset, kind = (
        str(facts.get("name") or "model"),
        str(facts.get("preset")),
        str(data.get("kind", "data")),
    )
    header: dict[str, Any] = {
        "library_name": "vaekit",
        "license": license,
        "tags": [*dict.fromkeys(["vaekit", "variational-autoencoder", preset, TAGS.get(kind, kind)])],
    }
    parts = [
        f"{MARK}{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}{MARK}",
        f"# {plain(name)}\n",
        _what(facts, data, preset, kind),
        _second_stage(facts),
        f"## Intended use\n\n{USES.get(kind, OTHERWISE).capitalize()}: of data like those it was trained on.\n",
        _figures(facts),
        f"## Limits\n\n{_limits(facts, coded)}",
        _data(facts, data),
        _made(facts),
        _loading(),
    ]
    return "\n".join(part for part in parts if part)


def front(text: str) -> dict[str, Any]:
    """The front matter of a model card.

    Raises:
        FileError: There is none, or it is no YAML.
    """
    found = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    try:
        header = yaml.safe_load(found[1]) if found else None
    except yaml.YAMLError:
        header = None
    if not isinstance(header, dict):
        raise FileError("E303", "the model card has no front matter.", where="README.md")
    return header


def licensed(text: str, license: str) -> str:
    """The same card under a licence.

    Raises:
        UsageError: E103, this is no identifier of a licence.
        FileError: The card has no front matter.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,40}", license) or license == UNKNOWN:
        message = f"--license {license!r}: an identifier of a licence is expected."
        raise UsageError("E103", message, hint="--license apache-2.0, mit, cc-by-4.0 or other")
    header = {**front(text), "license": license}
    body = text[len(MARK) :].split(f"\n{MARK}", 1)[1]
    return f"{MARK}{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}{MARK}{body}"


# ---------------------------------------------------------------------- the sections


def _what(facts: Mapping[str, Any], data: Mapping[str, Any], preset: str, kind: str) -> str:
    shape = " × ".join(str(side) for side in data.get("shape") or []) or "unknown"
    counts = facts.get("data") or {}
    count = counts.get("count", data.get("count", "?"))
    return (
        f"A `{code(preset)}` (variational autoencoder) for {plain(kind)} of shape {shape}, trained by vaekit\n"
        f"on {count} items by the objective `{code(facts.get('objective') or '')}`.\n"
    )


def _second_stage(facts: Mapping[str, Any]) -> str:
    prior = facts.get("prior")
    return (
        f"## Second stage\n\nA {plain(prior)} prior was fitted to its latents afterwards.\n" if prior else ""
    )


def _figures(facts: Mapping[str, Any]) -> str:
    found = facts.get("metrics") or {}
    names = ("elbo", "rate", "distortion", "nll", "nll_se", "bits_per_dim", "active_units")
    shown = described({name: found.get(name) for name in names}) or "not evaluated yet"
    on = f" on {found['n']} items that were not trained on" if found.get("n") else ""
    lights = [item for item in facts.get("verdict") or [] if isinstance(item, dict)]
    rows = [
        f"| {plain(i.get('what'))} | **{plain(i.get('answer'))}** | {plain(i.get('says'))} |" for i in lights
    ]
    table = ["", "| verdict | | |", "|---|---|---|", *rows] if rows else []
    return "\n".join([f"## Figures\n\nNats per item{on}: {shown}.", *table, ""])


def _limits(facts: Mapping[str, Any], coded: int) -> str:
    notes = [
        "- It knows only data like those it was trained on; it was not tested for decisions about people."
    ]
    answers = {
        item.get("what"): item.get("answer") for item in facts.get("verdict") or [] if isinstance(item, dict)
    }
    if (facts.get("metrics") or {}).get("active_units") == 0 or answers.get("latent used") == "no":
        notes.append(
            "- Its latent is not used (the posterior has collapsed onto the prior): codes say nothing."
        )
    if answers.get("samples") in ("no", "partly", "cannot be said"):
        notes.append("- Samples are not, or not known to be, like the data: see the verdict.")
    notes.append(
        "- A likely item is not a usual one: odd items can have a high likelihood; `vaekit score` looks at more."
    )
    notes += [f"- {line}" for line in holds(coded)]
    return "\n".join(notes) + "\n"


def holds(coded: int) -> list[str]:
    """What of the training data is in a model folder, in sentences."""
    if not coded:
        return [
            "It holds no rows of the training data, but a model can remember: do not share one trained on what you "
            "may not share."
        ]
    return [
        f"`reference.safetensors` holds {coded} of them in coded form, from which they can be read back: `score` "
        "looks for neighbours there. Do not share this folder if you may not share the data; `vaekit push` leaves "
        "the file out unless it is told otherwise, and `--set train.reference=false` at training never writes it. "
        "Even then a model can remember."
    ]


def _data(facts: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    counts = facts.get("data") or {}
    lines = [f"- {plain(data.get('kind', 'data'))}, {data.get('count', '?')} items"]
    if counts.get("heldout") is not None:
        lines[0] += f"; {counts.get('count')} trained on, {counts['heldout']} held out"
    if data.get("likelihood"):
        lines.append(f"- likelihood: {plain(data['likelihood'])}")
    if data.get("fingerprint"):
        lines.append(f"- SHA-256 of the data: `{code(data['fingerprint'])}`")
    return "\n".join(["## Data", "", *lines, ""])


def _made(facts: Mapping[str, Any]) -> str:
    seconds, steps = facts.get("seconds"), facts.get("steps")
    took = [f"{steps} steps"] if steps is not None else []
    took += [duration(float(seconds))] if isinstance(seconds, int | float) else []
    versions = ", ".join(
        f"{plain(name)} {plain(value)}" for name, value in (facts.get("versions") or {}).items()
    )
    seed = [f"seed {facts['seed']}"] if facts.get("seed") is not None else []
    text = "; ".join(part for part in (", ".join([*took, *seed]), versions) if part)
    return f"## Training\n\n{text}.\n" if text else ""


def _loading() -> str:
    return """## How to load it

    import vaekit
    run = vaekit.open("PATH-OF-THIS-FOLDER")
    run.sample(16)

Every file is held against `MANIFEST.json` before it is read; the weights are safetensors, and nothing here is code.
"""


# ---------------------------------------------------------------------- words from anywhere


def plain(text: Any) -> str:
    """Any text as one line of Markdown that is only text.

    Example:
        >>> print(plain("a|b <script>\\n# c"))
        a\\|b \\<script\\> # c
    """
    line = one_line(text)[:400]
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", line)


def code(text: Any) -> str:
    """Any text as it may stand between two backticks."""
    return one_line(text).replace("`", "'")[:400]
