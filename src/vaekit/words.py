"""Words of the command line as options: `--beta 4`, `beta=4`, `--set train.clip=100`, `--where label=3`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

from vaekit.errors import UsageError, nearest


def named_options(words: list[str], texts: Collection[str] = ()) -> dict[str, Any]:
    """Options by name: --beta 4, --beta=4, beta=4; values of `texts` stay as they were typed."""
    found, rest = {}, list(words)
    while rest:
        word = rest.pop(0)
        if "=" not in word and not word.startswith("--"):
            raise UsageError("E102", f"{word!r} is one argument too many.", hint="vaekit train --help")
        name, _, value = word.lstrip("-").partition("=")
        if "=" not in word:
            value = rest.pop(0) if rest and not rest[0].startswith("--") else "true"
        name = name.replace("-", "_")
        found[name] = value if name in texts else typed(value)
    return found


def assigned(text: str) -> tuple[str, Any]:
    """A name and its value: beta=4, train.clip=100, preset.beta=4, column.age=category."""
    name, sign, value = text.partition("=")
    if not sign:
        raise UsageError("E104", f"--set {text}: a key and a value are expected.", hint="--set beta=4")
    if name.startswith("column."):
        return "columns", {name.removeprefix("column."): value}
    part, _, inner = name.rpartition(".")
    if part not in ("", "train", "preset"):
        raise UsageError(
            "E104", f"--set {text}: there is no part {part!r}; {nearest(part, ['train', 'preset', 'column'])}"
        )
    return inner.replace("-", "_"), typed(value)


def varied(pairs: Iterable[str], texts: Collection[str] = ()) -> dict[str, list[Any]]:
    """What a sweep goes over: beta=1,2,4; each name with its values, each value once; those of `texts` stay text.

    Raises:
        UsageError: E103, a name comes twice or has no values.

    Example:
        >>> varied(["beta=1,2,0.5", "preset=vae,beta_vae"])
        {'beta': [1, 2, 0.5], 'preset': ['vae', 'beta_vae']}
    """
    found: dict[str, list[Any]] = {}
    for text in pairs:
        name, _, values = text.partition("=")
        name, words = name.strip().replace("-", "_"), [word.strip() for word in values.split(",")]
        if not name or "" in words or name in found:
            raise UsageError(
                "E103", f"--over {text}: a new name and its values are expected.", hint="--over beta=1,2,4"
            )
        found[name] = list(dict.fromkeys(word if name in texts else typed(word) for word in words))
    return found


def joined(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Names and values as one mapping; mappings of the same name are put together."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        found[name] = {**found.get(name, {}), **value} if isinstance(value, dict) else value
    return found


def typed(text: str) -> Any:
    """A word as the number, truth value or text that it is."""
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)


def conditions(pairs: list[str] | None) -> dict[str, str] | None:
    """What new items are conditioned on: label=3, age>=60; None where nothing was asked for.

    Example:
        >>> conditions(["income=>50K", "age>=60", "age<65"])
        {'income': '>50K', 'age>=': '60', 'age<': '65'}
    """
    found = {}
    for pair in pairs or []:
        parts = re.fullmatch(r"([^<>=]+?)\s*(<=|>=|<|>|=)\s?(.*)", pair.strip(), re.DOTALL)
        if parts is None:
            hint = "--where label=3, or --where 'age>=60'"
            raise UsageError("E103", f"--where {pair}: column=value is expected.", hint=hint)
        name, sign, value = parts.groups()
        found[name if sign == "=" else name + sign] = value
    return found or None
