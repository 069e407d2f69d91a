"""What mends a run: other options to train with, or a prior to fit to its latents; and the command that does it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vaekit.config import MEASURED, Config

ELSEWHERE = ("source", "arguments", "columns", *MEASURED)  # of a configuration, what is no plain option


@dataclass(frozen=True)
class Cure:
    """Options that change, or a prior.

    Attributes:
        options: Of training and of the preset, by name; the rest stay as they were.
        prior: What `vaekit fit-prior` is to fit; then nothing is trained again.
    """

    options: dict[str, Any] = field(default_factory=dict)
    prior: str = ""

    def over(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The options of the mended run, as `vaekit.fit` takes them; the preset's own among the others.

        Args:
            config: What the run was trained with, as config.yaml says.

        Example:
            >>> Cure({"beta": 1.0}).over({"source": "digits", "preset": "beta_vae", "arguments": {"beta": 100.0}})
            {'preset': 'beta_vae', 'beta': 1.0}
        """
        preset = self.options.get("preset", config.get("preset", "vae"))
        same = preset == config.get("preset", "vae")  # another preset's options mean something else
        own = dict(config.get("arguments") or {}) if same else {}
        plain = {
            name: value for name, value in config.items() if name not in ELSEWHERE and _given(name, value)
        }
        plain |= {"columns": config["columns"]} if config.get("columns") else {}
        length = {"steps", "epochs", "time"} & set(self.options)
        plain = {
            name: value
            for name, value in plain.items()
            if not length or name not in ("steps", "epochs", "time")
        }
        kept = {"preset": preset, **plain, **own, **self.options}
        return {name: value for name, value in kept.items() if value is not None}

    def command(self, config: Mapping[str, Any], run: str = "RUN", out: str = "") -> str:
        """What to type.

        Args:
            config: As in `over`.
            run: The run folder, as it is typed.
            out: Where the mended run goes.

        Example:
            >>> Cure(prior="flow").command({"source": "digits"}, "runs/digits")
            'vaekit fit-prior runs/digits digits --prior flow'
        """
        source = str(config.get("source") or "SOURCE")
        source = "SOURCE" if source == "array" else source
        if self.prior:
            return shlex.join(["vaekit", "fit-prior", run, source, "--prior", self.prior])
        words = ["vaekit", "train", source]
        for name, value in self.over(config).items():
            if name == "columns":
                words += [
                    word for column, told in value.items() for word in ("--set", f"column.{column}={told}")
                ]
            elif name in SETTINGS:
                words += ["--set", f"train.{name}={_word(value)}"]
            else:
                words += [f"--{name.replace('_', '-')}", _word(value)]
        return shlex.join([*words, *(["--out", out] if out else [])])


SETTINGS = ("clip", "average", "patience", "second_stage", "reference")  # given by --set train.NAME=VALUE


def _given(name: str, value: Any) -> bool:
    """Whether an option is another than its default."""
    field_ = Config.model_fields.get(name)
    return field_ is not None and value is not None and value != field_.default


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    short = f"{value:g}" if isinstance(value, float) else str(value)
    return short if not isinstance(value, float) or float(short) == value else repr(value)
