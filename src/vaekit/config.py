"""What a run was asked to do: every choice with its origin, checked when made, written so that it re-runs exactly."""

from __future__ import annotations

import re
import reprlib
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vaekit import files
from vaekit.errors import UsageError, nearest

# chosen by the clock unless given; reused when a run goes on
MEASURED = ("at_most", "threads", "evaluate_every")


class Config(BaseModel):
    """Options of a training run; the names are those of `vaekit train`.

    Attributes:
        source: What was pointed at.
        preset: Name of the variant; `arguments` are its own.
        latent: Latent dimensions; None leaves it to the preset and the data.
        steps, epochs, time: How long, at most one of them: optimizer steps, passes over the data, seconds.
        batch_size: Rows of a step.
        lr: Highest learning rate; it warms up over the first 2 % and falls along a cosine.
        clip: Largest gradient norm; None leaves it to the size of the data, 0 never clips.
        average: Decay of a moving average of the weights, which is then what is saved; 0 keeps none.
        patience: Evaluations without a better held-out figure before stopping early; 0 never does, nor does an
            objective that a critic or a multiplier changes along the way.
        second_stage: Whether a prior is fitted to the latents when training ends: auto (of tables, a mixture, if
            held-out data gain), mixture or none.
        reference: Whether training and held-out items are kept in the model folder in coded form, where `score` looks
            for neighbours; without them it has −ELBO alone.
        seed: Of weights, data order and noise.
        device: auto, cpu or cuda.
        labels, val, key, kind, likelihood, binarize, columns, image_size, patch: How the data are read; `columns` says
            what columns of a table are (number, category or drop) where that is not found out rightly; `patch` cuts
            images into squares of that side.
        at_most, threads, evaluate_every: Chosen by measuring at the first start, and kept: steps where no length was
            asked for, processor threads, steps between evaluations.
    """

    model_config = ConfigDict(extra="forbid", validate_default=True)

    source: str
    preset: str = "vae"
    arguments: dict[str, bool | int | float | str] = Field(default_factory=dict)
    latent: int | None = Field(default=None, ge=1, le=100_000)
    steps: int | None = Field(default=None, ge=1)
    epochs: float | None = Field(default=None, gt=0)
    time: float | None = Field(default=None, gt=0)
    batch_size: int = Field(default=128, ge=1)
    lr: float = Field(default=2e-3, gt=0, le=10)
    clip: float | None = Field(default=None, ge=0)
    average: float = Field(default=0.0, ge=0, lt=1)
    patience: int = Field(default=12, ge=0)
    second_stage: str = Field(default="auto", pattern="^(auto|mixture|none)$")
    reference: bool = True
    seed: int = Field(default=0, ge=0, lt=2**63)
    device: str = Field(default="auto", pattern="^(auto|cpu|cuda(:[0-9]+)?)$")
    labels: str | None = None
    val: str | None = None
    key: str | None = None
    kind: str = "auto"
    likelihood: str = "auto"
    binarize: str = "auto"
    columns: dict[str, str] = Field(default_factory=dict)
    image_size: int | None = Field(default=None, ge=4, le=4096)
    patch: int | None = Field(default=None, ge=4, le=4096)
    at_most: int | None = Field(default=None, ge=1)
    threads: int | None = Field(default=None, ge=1)
    evaluate_every: int | None = Field(default=None, ge=1)


def checked(**options: Any) -> Config:
    """A configuration from options.

    Raises:
        UsageError: An option is unknown (the nearest are named) or its value is not possible.

    Example:
        >>> checked(source="digits", time="5m").time
        300.0
    """
    options = {name: value for name, value in options.items() if value is not None}
    unknown = [name for name in options if name not in Config.model_fields]
    if unknown:
        raise UsageError(
            "E102", f"there is no option {unknown[0]!r}; {nearest(unknown[0], Config.model_fields)}"
        )
    if "time" in options:
        options["time"] = seconds(options["time"])
    if sum(name in options for name in ("steps", "epochs", "time")) > 1:
        raise UsageError("E103", "steps, epochs and time exclude each other.", hint="give one of them")
    try:
        return Config(**options)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "options"
        value = " ".join(reprlib.repr(first.get("input")).split())
        message = f"{name} = {value}: {first['msg'].lower()}."
        raise UsageError("E103", message, hint="vaekit train --help") from None


def texts() -> set[str]:
    """Names of the options whose values are words, whatever they look like."""
    return {name for name, field in Config.model_fields.items() if field.annotation in (str, str | None)}


def seconds(text: Any) -> float:
    """A duration in seconds: 90, "90s", "5m", "1h30m".

    Raises:
        UsageError: It is none of these.

    Example:
        >>> seconds("1h30m"), seconds("45s"), seconds(2)
        (5400.0, 45.0, 2.0)
    """
    found = re.fullmatch(r"(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s?)?", str(text).strip())
    parts = found.groups() if found else ()
    try:
        total = sum(
            float(part) * unit for part, unit in zip(parts, (3600.0, 60.0, 1.0), strict=False) if part
        )
    except ValueError:  # 1.2.3
        total = 0.0
    if total <= 0:
        raise UsageError("E103", f"{text!r} is no duration.", hint="--time 5m   (s, m and h are known)")
    return float(total)


def write(path: Path, config: Config, given: set[str]) -> None:
    """Write config.yaml: each line with where its value comes from.

    Args:
        path: The file.
        config: What to write.
        given: Names that the user gave; the rest are defaults or were measured.
    """
    lines = ["# vaekit train --config config.yaml   runs this again, exactly"]
    for name, value in config.model_dump().items():
        origin = (
            "given" if name in given else "measured" if name in MEASURED and value is not None else "default"
        )
        text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
        plain = text.removesuffix("...\n").rstrip()  # a bare scalar ends with a mark of the document's end
        lines.append(f"{name}: {plain}  # {origin}")
    files.write(path, "\n".join(lines) + "\n")


def read(path: Path) -> dict[str, Any]:
    """The options in a configuration file.

    Raises:
        FileError: There is none, or it is not a mapping.
    """
    return files.read_yaml(path)
