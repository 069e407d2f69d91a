"""From a source and a configuration to what can be trained: a kind, items, a model and its objective."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from vaekit.config import Config
from vaekit.data import Images, Items, Kind, Parts, Table, TableSource, as_arrays, build, card, detect, read
from vaekit.data.patches import cut
from vaekit.distributions import Noise
from vaekit.errors import UsageError, nearest
from vaekit.presets import ABOUT, CHAPTERS, PRESETS, Preset

HELD_OUT, MOST_HELD_OUT = 0.1, 10_000  # share of the items that are held out, and the most of them


@dataclass
class Data:
    """What a run trains on and what it is held against."""

    kind: Kind
    train: Items
    heldout: Items
    card: dict[str, Any]
    said: list[str]


def prepare(source: Any, config: Config, minimum: int = 2) -> Data:
    """Read a source, find out what it is, and hold some of it out.

    Args:
        source: A path, array, tensor or torch Dataset.
        config: How to read it.
        minimum: Fewest items that will do.

    Raises:
        DataError: The data cannot be used; the message says which part and what to do.
    """
    _preset(config)  # what cannot be is said before anything is read
    key = "*" if config.kind == "parts" else config.key
    whole = read(source, key=key, labels=config.labels, image_size=config.image_size)
    raw = whole if config.patch is None else cut(whole, config.patch)
    kind, reasons = detect(
        raw, config.kind, config.likelihood, config.binarize, minimum,
        told=config.columns, conditional=ABOUT[config.preset].labels,
    )  # fmt: skip
    _condition(kind, config)
    items = build(raw, kind)
    facts = card(raw, kind, items, reasons)
    train_items, heldout = _split(items, kind, config, len(raw) // len(whole))
    said = [*reasons, *raw.notes, f"{len(train_items)} items train, {len(heldout)} are held out"]
    return Data(kind, train_items, heldout, facts, said)


def _condition(kind: Kind, config: Config) -> None:
    """Seed what the kind draws once; labels condition the model where the preset says so."""
    if isinstance(kind, Images):
        kind.seed = config.seed
    taken = ABOUT[config.preset].kinds
    if kind.name not in taken:
        message = f"the preset {config.preset} is not for {kind.name}; it takes {', '.join(taken)}."
        order = sorted(ABOUT, key=lambda name: list(CHAPTERS).index(ABOUT[name].chapter))
        others = [name for name in order if kind.name in ABOUT[name].kinds and not ABOUT[name].experimental]
        raise UsageError("E105", message, hint=f"--preset {', or '.join(others[:3])}")
    if config.second_stage == "mixture" and (not isinstance(kind, Table) or ABOUT[config.preset].labels):
        message = (
            f"second_stage=mixture is for tables without a condition; this is {config.preset} of {kind.name}."
        )
        raise UsageError(
            "E103", message, hint="vaekit fit-prior RUN SOURCE --prior mixture, when training has ended"
        )
    if ABOUT[config.preset].labels:
        if not kind.condition_width:
            hint = "--labels KEY, or a folder with one sub-folder for each label"
            raise UsageError(
                "E105", f"the preset {config.preset} needs labels, and there are none.", hint=hint
            )
        kind.conditional = True


def _split(items: Items, kind: Kind, config: Config, pieces: int) -> tuple[Items, Items]:
    if config.val is not None:
        key = "*" if isinstance(kind, Parts) else config.key
        other = read(config.val, key=key, labels=config.labels, image_size=config.image_size)
        other = other if config.patch is None else cut(other, config.patch)
        return items, labelled_items(other, kind)
    return held_out(items, config.seed, pieces)


def held_out(items: Items, seed: int, pieces: int = 1) -> tuple[Items, Items]:
    """What is trained on and what is held out; the same rows for the same seed.

    Args:
        items: In order.
        seed: Of the choice.
        pieces: So many items after one another are of one picture, and stay together if there are two pictures.
    """
    pieces = pieces if len(items) > pieces else 1
    order = Noise(seed, "split").permutation(len(items) // pieces)
    held = min(max(1, round(HELD_OUT * len(order))), max(1, MOST_HELD_OUT // pieces))
    rows = order.unsqueeze(1) * pieces + torch.arange(pieces)  # (pictures, pieces)
    seen, other = (items.subset(part.flatten().sort().values) for part in (rows[held:], rows[:held]))
    return seen, other


def labelled_items(source: Any, kind: Kind) -> Items:
    """A source as items of a kind that is already known; its labels are matched to the kind's by name."""
    if isinstance(kind, Table):
        values = source if isinstance(source, TableSource) else source.values
        return Items(kind.store(values), kind, _index(kind, values))
    source = as_arrays(kind, source)
    raw = kind.store(source.values)
    if not kind.labels:
        return Items(raw, kind)
    labels = torch.full((len(raw),), -1)
    if source.labels is not None:
        places = {name: i for i, name in enumerate(kind.labels)}
        known = torch.tensor([places.get(name, -1) for name in source.label_names] or [-1])
        given = torch.as_tensor(source.labels).long()
        labels = torch.where(given >= 0, known[given.clamp(min=0)], -1)
    return Items(raw, kind, labels)


def _index(kind: Table, values: Any) -> torch.Tensor | None:
    """The rows' labels, if the column with the labels is there."""
    here = isinstance(values, TableSource) and kind.label in values.frame
    return kind.index(values) if here else None


def compose(kind: Kind, config: Config, steps: int) -> Preset:
    """The preset's model and objective, its weights drawn from the seed.

    Raises:
        UsageError: The preset or one of its arguments is unknown.
    """
    preset, known = _preset(config)
    # warm-ups are fitted to the length of the training unless their own length is given
    quarter = max(1, steps // 4)
    fitted = {"warmup": quarter, "start": quarter, "period": max(1, steps // 8)}
    chosen: dict[str, Any] = {
        name: value for name, value in fitted.items() if name in known
    } | config.arguments
    if config.latent is not None:
        chosen["latent"] = config.latent
    elif "latent" not in chosen:
        chosen["latent"] = min(known["latent"], max(1, math.prod(kind.shape) // 2))
    with Noise(config.seed, "weights").torch():
        return preset(kind, **chosen)


def preset_named(name: Any) -> tuple[Callable[..., Preset], dict[str, Any]]:
    """A preset and its options' defaults.

    Raises:
        UsageError: There is none of this name; the nearest are named.
    """
    if not isinstance(name, str) or name not in PRESETS:
        raise UsageError("E101", f"there is no preset {name!r}; {nearest(str(name), PRESETS)}")
    preset = PRESETS[name]
    return preset, {
        key: p.default for key, p in inspect.signature(preset).parameters.items() if key != "kind"
    }


def presets_with(option: str) -> list[str]:
    """The presets that have such an option of their own, those first that are named after it.

    Example:
        >>> presets_with("beta")[0], presets_with("bta")
        ('beta_vae', [])
    """
    found = [name for name in PRESETS if option in preset_named(name)[1]]
    return sorted(found, key=lambda name: (not name.startswith(f"{option}_"), name.count("_")))


def _preset(config: Config) -> tuple[Callable[..., Preset], dict[str, Any]]:
    """The preset of a configuration and its options' defaults, once the options given are known to be possible."""
    preset, known = preset_named(config.preset)
    for name, value in config.arguments.items():
        if name not in known:
            raise UsageError("E104", f"{config.preset} takes no {name!r}; {nearest(name, known)}")
        if isinstance(value, str) or isinstance(value, bool) != isinstance(known[name], bool):
            raise UsageError(
                "E103", f"{name} = {value!r}: {config.preset} takes a {type(known[name]).__name__}."
            )
        if not math.isfinite(value) or value < 0:
            raise UsageError("E103", f"{name} = {value!r}: a finite number from 0 on is expected.")
        if type(known[name]) is int and (int(value) != value or value < 1):
            raise UsageError("E103", f"{name} = {value!r}: a whole number from 1 on is expected.")
    return preset, known
