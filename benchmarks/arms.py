"""Arms of a benchmark: functions of a seed, each run in a process of its own with one thread, resumable one by one.

What is finished stands in a JSON file, "file.arm/seed" → figures and seconds, and is not run again.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
Arm = Callable[[int], dict[str, float]]


def key(arm: Any) -> str:
    """What names an arm whichever row it stands in: its function (a lambda or partial needs a __name__)."""
    return f"{arm.__module__.rpartition('.')[2]}.{getattr(arm, '__name__', '')}"


@dataclass(frozen=True)
class Bench:
    """A folder of files with rows, and where their results stand.

    Attributes:
        folder: Name of the package beside this file; each of its modules has a list of rows.
        rows: Name of that list.
        results: The JSON file.
    """

    folder: str
    rows: str
    results: Path

    def all(self) -> list[Any]:
        """Every row of every file; a row has `arms`, name → function."""
        package = importlib.import_module(self.folder)
        names = sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name != "shared")
        found = [getattr(importlib.import_module(f"{self.folder}.{name}"), self.rows) for name in names]
        return [row for rows in found for row in rows]

    def read(self) -> dict[str, Any]:
        """What has been measured."""
        return json.loads(self.results.read_text()) if self.results.is_file() else {}

    def write(self, done: dict[str, Any]) -> None:
        self.results.parent.mkdir(parents=True, exist_ok=True)
        self.results.write_text(json.dumps(done, indent=1, sort_keys=True) + "\n")

    def forget(self, rows: Iterable[Any]) -> None:
        """Drop what is known of the arms of some rows."""
        gone = {key(arm) for row in rows for arm in row.arms.values()}
        self.write(
            {place: entry for place, entry in self.read().items() if place.rpartition("/")[0] not in gone}
        )

    def run_one(self, name: str, seed: int) -> dict[str, Any]:
        """One arm with one seed, in this process."""
        import torch

        torch.set_num_threads(1)
        module = importlib.import_module(f"{self.folder}.{name.partition('.')[0]}")
        own = [arm for row in getattr(module, self.rows) for arm in row.arms.values()]
        arm = next(arm for arm in [*own, *vars(module).values()] if callable(arm) and key(arm) == name)
        began, computed = time.monotonic(), time.process_time()
        figures = {what: float(value) for what, value in arm(seed).items()}
        return {
            "figures": figures,
            "seconds": round(time.monotonic() - began, 1),
            "computed": round(time.process_time() - computed, 1),
        }

    def run(self, rows: list[Any], seeds: int, workers: int, script: str) -> None:
        """Run what is missing, some at once, writing each result as it comes.

        Args:
            rows: Those whose arms are wanted.
            seeds: From 0 on.
            workers: Processes at once.
            script: The program that `--one ARM SEED` is given to.
        """
        waiting, running = list(_jobs(rows, seeds, self.read())), {}
        print(f"{len(waiting)} to run", file=sys.stderr)
        while waiting or running:
            while waiting and len(running) < workers:
                name, seed = waiting.pop(0)
                command = [sys.executable, script, "--one", name, str(seed)]
                running[name, seed] = subprocess.Popen(
                    command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                    env={**os.environ, **ENVIRONMENT},
                )  # fmt: skip
            for (name, seed), process in list(running.items()):
                if process.poll() is None:
                    continue
                out, errors = process.communicate()
                del running[name, seed]
                if process.returncode:
                    print(f"{name}/{seed} FAILED\n{errors[-2000:]}", file=sys.stderr)
                    continue
                entry = json.loads(out.splitlines()[-1])
                self.write(self.read() | {f"{name}/{seed}": entry})
                print(f"{name}/{seed} {entry}", file=sys.stderr)
            time.sleep(0.2)

    def main(self, script: str, says: str, name: Callable[[Any], str]) -> tuple[list[Any], int]:
        """What the command line asks for, run; every row and the number of seeds come back, for the table.

        Args:
            script: The program, which workers are started from.
            says: Its help.
            name: What `--only` calls a row.
        """
        form = argparse.RawDescriptionHelpFormatter
        parser = argparse.ArgumentParser(description=says, formatter_class=form)
        parser.add_argument("--only", help="names of rows, with commas")
        parser.add_argument("--seeds", type=int, default=3)
        parser.add_argument("--workers", type=int, default=2)
        parser.add_argument("--again", action="store_true", help="run the chosen rows again")
        parser.add_argument("--table", action="store_true", help="only write the table")
        parser.add_argument("--one", nargs=2, metavar=("ARM", "SEED"), help=argparse.SUPPRESS)
        given = parser.parse_args()
        if given.one:
            print(json.dumps(self.run_one(given.one[0], int(given.one[1]))))
            raise SystemExit
        every = self.all()
        chosen = [row for row in every if not given.only or name(row) in given.only.split(",")]
        if given.again:
            self.forget(chosen)
        if not given.table:
            self.run(chosen, given.seeds, given.workers, script)
        return every, given.seeds


def _jobs(rows: list[Any], seeds: int, done: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Arms and seeds that are still to run, each once."""
    seen = set(done)
    for seed in range(seeds):
        for row in rows:
            for arm in row.arms.values():
                if f"{key(arm)}/{seed}" not in seen:
                    seen.add(f"{key(arm)}/{seed}")
                    yield key(arm), seed
