"""A sweep: a run for every combination of some options' values and every seed, each in a folder of its own."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vaekit.errors import DataError, UsageError
from vaekit.launch import configure, fit
from vaekit.progress import say


@dataclass
class Sweep:
    """What a sweep has made.

    Attributes:
        path: Its folder.
        runs: Folders of the runs that are finished.
        failed: What went wrong, by the folder of the run.
    """

    path: Path
    runs: list[Path] = field(default_factory=list)
    failed: dict[Path, Exception] = field(default_factory=dict)


def sweep(
    source: Any,
    over: Mapping[str, Sequence[Any]],
    out: str | Path,
    *,
    seeds: int = 1,
    quiet: bool = False,
    **options: Any,
) -> Sweep:
    """Train a run for every combination and every seed; the same call goes on where an earlier one stopped.

    Finished runs are not trained again, and one that fails does not keep the others from being trained.

    Args:
        source: As for `fit`.
        over: Options of `fit`, each with its values.
        out: The folder of the runs, `beta-4_seed-0` and so on.
        seeds: How many seeds of each combination, counted from the option `seed`.
        quiet: Say nothing.
        options: Those of `fit`, the same for all runs.

    Raises:
        UsageError: E103, an option is both varied and given, or it is the seed; or no combination can be: the first
            one's error.
        DataError: E201, there is no such source.

    Example:
        >>> sweep("digits", {"seed": [1, 2]}, "runs/seeds")
        Traceback (most recent call last):
        ...
        vaekit.errors.UsageError: E103 bad-value: seeds are averaged over, not compared.
          try: --seeds 2
    """
    _possible(over, options, seeds)
    made, wanted = Sweep(Path(out)), list(combinations(over, options.pop("seed", None) or 0, seeds))
    training = {name: options.pop(name) for name in ("fresh", "minimum", "track") if name in options}
    for chosen in wanted:  # what cannot be is said before anything is trained
        try:
            configure(source, {**options, **chosen})
        except Exception as error:
            made.failed[made.path / folder(chosen)] = error
    if len(made.failed) == len(wanted):
        raise next(iter(made.failed.values()))
    for place, chosen in enumerate(wanted):
        path = made.path / folder(chosen)
        if not quiet:
            say(f"[{place + 1}/{len(wanted)}] {spoken(chosen)}")
        if path not in made.failed:
            try:
                made.runs.append(fit(source, out=path, quiet=quiet, **training, **options, **chosen).path)
            except Exception as error:
                if isinstance(error, DataError) and error.code == "E201":
                    raise  # what is not there is there for no other combination
                made.failed[path] = error
        if path in made.failed and not quiet:
            say(f"{spoken(chosen)} failed: {made.failed[path]}")
    return made


def combinations(over: Mapping[str, Sequence[Any]], first: int, seeds: int) -> Iterator[dict[str, Any]]:
    """Every combination with every seed, the last option and then the seeds varying fastest.

    Example:
        >>> [tuple(one.values()) for one in combinations({"beta": [1, 2]}, 0, 2)]
        [(1, 0), (1, 1), (2, 0), (2, 1)]
    """
    for values in itertools.product(*over.values()):
        for seed in range(first, first + seeds):
            yield {**dict(zip(over, values, strict=True)), "seed": seed}


def folder(chosen: Mapping[str, Any]) -> str:
    """The name of a run's folder.

    Example:
        >>> folder({"beta": 0.5, "likelihood": "gaussian:25", "seed": 1})
        'beta-0.5_likelihood-gaussian-25_seed-1'
    """
    return "_".join(re.sub(r"[^\w.+-]+", "-", f"{name}-{value}") for name, value in chosen.items())


def spoken(chosen: Mapping[str, Any]) -> str:
    """A combination as words: `beta=4 seed=0`."""
    return " ".join(f"{name}={value}" for name, value in chosen.items())


def _possible(over: Mapping[str, Sequence[Any]], options: Mapping[str, Any], seeds: int) -> None:
    """What is varied is not given too; a seed is no option to compare; each run has a folder of its own."""
    if seeds < 1:
        raise UsageError("E103", f"seeds = {seeds}: at least one is needed.", hint="--seeds 3")
    if "seed" in over:
        raise UsageError(
            "E103", "seeds are averaged over, not compared.", hint=f"--seeds {len(over['seed'])}"
        )
    if not over and seeds == 1:
        raise UsageError("E103", "there is nothing to go over.", hint="--over beta=1,2,4, or --seeds 3")
    both = [name for name in over if options.get(name) is not None]
    if both:
        raise UsageError("E103", f"{both[0]} is both given and gone over.", hint=f"leave --{both[0]} out")
    names = [folder(chosen) for chosen in combinations(over, 0, 1)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError("E103", f"two combinations would have the folder {twice}.", hint="other values")
