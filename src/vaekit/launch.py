"""From one call to a finished run: options, the run folder, going on, keeping others out."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vaekit import config as configuration
from vaekit import files, trackers
from vaekit.config import Config
from vaekit.errors import ResourceError, UsageError, nearest
from vaekit.fitting import Fitting, device_of
from vaekit.prepare import prepare, preset_named, presets_with
from vaekit.progress import Line, say
from vaekit.report import write_report
from vaekit.run import Run


def fit(
    source: Any,
    *,
    out: str | Path | None = None,
    fresh: bool = False,
    quiet: bool = False,
    minimum: int = 2,
    track: str | Sequence[str] | None = None,
    **options: Any,
) -> Run:
    """Train a model on data and open the run.

    The same call goes on with an unfinished run, and opens a finished one.

    Args:
        source: A path, array, tensor or torch Dataset; or `digits`.
        out: The run folder; `runs/<name>` by default.
        fresh: Start again even if there is a run.
        quiet: Say nothing.
        minimum: Fewest items that will do.
        track: Where to show the records as they come: tensorboard, mlflow, wandb, or several of them.
        options: Those of `vaekit train`, and the preset's own (beta=4).

    Returns:
        The finished run.

    Raises:
        VaekitError: With a code, what is wrong and what to do.
    """
    began = time.monotonic()
    config = configure(source, options)
    device_of(config.device)  # says at once if it is not here
    tracked = trackers.checked(track)
    given = {name for name, value in options.items() if value is not None}
    asked = given.intersection(Config.model_fields) | {"source", "arguments"}
    data = prepare(source, config, minimum)
    identity = _identity(config, data.card.get("fingerprint"))
    path, done = _place(out, config, identity, fresh)
    if done:
        if not quiet:
            say(f"{path} is finished already; --fresh trains it again")
        if not (path / "report.html").is_file():  # it was killed in its last second
            write_report(path)
        return Run(path)
    with locked(path):
        _reuse_measured(path, config, identity)
        with Line(quiet) as line:
            fitting = Fitting(path, data, config, asked, identity, line, began, tracked)
            _tell(data.said, quiet)
            fitting.run()
            _tell(data.said, quiet)
    return Run(path)


def configure(source: Any, options: Mapping[str, Any]) -> Config:
    """Options of training and of the preset, told apart.

    Raises:
        UsageError: One is neither; the nearest are named.
    """
    options = dict(options)
    preset = options.get("preset", "vae")
    own = [name for name in preset_named(preset)[1] if name != "latent"]
    arguments = options.pop("arguments", None) or {}
    if not isinstance(arguments, Mapping):
        raise UsageError("E103", f"arguments = {arguments!r}: a mapping of names to values is expected.")
    arguments = dict(arguments)
    arguments |= {name: options.pop(name) for name in list(options) if name in own}
    unknown = [name for name in options if name not in Config.model_fields]
    if unknown:
        with_it = presets_with(unknown[0])
        told = (
            f"found in {', '.join(with_it[:4])}"
            if with_it
            else nearest(unknown[0], [*own, *Config.model_fields])
        )
        hint = f"--preset {with_it[0]}" if with_it else ""
        raise UsageError("E102", f"{preset} has no option {unknown[0]!r}; {told}", hint=hint)
    if isinstance(options.get("val"), str | Path):
        options["val"] = _described(options["val"])
    return configuration.checked(**{**options, "source": _described(source), "arguments": arguments})


def _described(source: Any) -> str:
    """A source as text: a path that means the same from here on another machine, or what it was."""
    if not isinstance(source, str | Path):
        return "array"
    text = str(source)
    return os.path.relpath(text) if os.path.isabs(text) else text


def _identity(config: Config, fingerprint: str | None) -> str:
    """What makes two commands the same: every choice but the measured ones, and the data themselves."""
    chosen = config.model_dump(exclude={*configuration.MEASURED, "source"}) | {"fingerprint": fingerprint}
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:16]


def _place(out: str | Path | None, config: Config, identity: str, fresh: bool) -> tuple[Path, bool]:
    """The run folder, and whether a finished run of the same identity is there."""
    if out is not None:
        path = Path(out)
        found = _found(path)
        if found not in (None, identity) and not fresh:
            hint = "another --out, or --fresh to train it again"
            raise UsageError(
                "E107", "this folder holds a run with other options or data.", where=path, hint=hint
            )
    else:
        path = _free(Path("runs") / run_name(config.source), identity)
    if fresh and _found(path) is not None:
        with locked(path):  # never under another process
            aside = path.with_name(f".{path.name}.{os.getpid()}.old")
            os.replace(path, aside)
        shutil.rmtree(aside)
    facts = path / "run.json"
    return path, facts.is_file() and files.read_json(facts).get("status") == "finished"


def _found(path: Path) -> str | None:
    """The identity of the run in a folder; None where nothing is.

    Raises:
        UsageError: Something else is there.
    """
    if not path.exists():
        return None
    if (path / "run.json").is_file():
        return str(files.read_json(path / "run.json").get("identity"))
    if path.is_dir() and all(_begun(entry.name) for entry in path.iterdir()):
        return None
    raise UsageError("E107", "there is something here that is not a run.", where=path, hint="another --out")


def _begun(name: str) -> bool:
    """Whether a file is one that a run, or its mending, writes before run.json, or what a killed writer left of one."""
    return name in (".lock", "config.yaml", "mended.json") or (name.startswith(".") and name.endswith(".tmp"))


def _free(path: Path, identity: str) -> Path:
    """The first of name, name-2, name-3 … that is free or holds this very run."""
    for number in range(1, 10_000):
        place = path if number == 1 else path.with_name(f"{path.name}-{number}")
        if _found(place) in (None, identity):
            return place
    raise UsageError("E107", "there are thousands of runs of this name.", where=path, hint="--out")


def run_name(source: str) -> str:
    """What a run of a source is called where nothing else is said.

    Example:
        >>> run_name("data/my photos/"), run_name("x.csv.gz")
        ('my-photos', 'x')
    """
    stem = Path(source.rstrip("/")).name.split(".")[0]
    return re.sub(r"[^\w-]+", "-", stem).strip("-") or "run"


def _reuse_measured(path: Path, config: Config, identity: str) -> None:
    """What the clock decided at the first start stays."""
    if _found(path) == identity and (path / "config.yaml").is_file():
        written = configuration.read(path / "config.yaml")
        for name in configuration.MEASURED:
            setattr(config, name, getattr(config, name) or written.get(name))


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep a second process out of a run folder.

    Raises:
        ResourceError: Another one is at work in it.
    """
    if not os.access(path / ".lock", os.R_OK | os.W_OK):
        files.write(path / ".lock", "")  # says so where it cannot be written
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    with open(path / ".lock", "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            hint = "wait for it, or choose another --out"
            raise ResourceError(
                "E406", "another process trains in this folder.", where=path, hint=hint
            ) from None
        yield


def _tell(said: list[str], quiet: bool) -> None:
    for text in said:
        if not quiet:
            say(text)
    said.clear()
