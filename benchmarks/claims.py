"""Every preset's claim against its ablation, three seeds, on real data; resumable row by row.

    VAEKIT_DATA=... python benchmarks/claims.py [--only beta_vae,iwae] [--seeds 3] [--workers 2] [--table]

Each (arm, seed) is a process with one thread; what is finished stands in benchmarks/claims.json and is not run again
unless the file that defines the arm has changed (`--again`). The table is benchmarks/claims.md.
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
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, stdev
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
RESULTS, TABLE, VERDICTS = HERE / "claims.json", HERE / "claims.md", HERE / "verdicts.json"
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def claims() -> list[Any]:
    """Every claim of every chapter."""
    import claim_rows

    names = [m.name for m in pkgutil.iter_modules(claim_rows.__path__) if m.name != "shared"]
    return [claim for name in sorted(names) for claim in importlib.import_module(f"claim_rows.{name}").CLAIMS]


def key(arm: Any) -> str:
    """What names an arm whichever claim it stands in: its function (a lambda or partial needs a __name__)."""
    return f"{arm.__module__.rpartition('.')[2]}.{getattr(arm, '__name__', '')}"


def read() -> dict[str, Any]:
    """What has been measured: "arm/seed" → figures with their seconds."""
    return json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}


def jobs(chosen: list[Any], seeds: int, done: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Arms and seeds that are still to run, each once."""
    seen = set(done)
    for seed in range(seeds):
        for claim in chosen:
            for arm in claim.arms.values():
                if f"{key(arm)}/{seed}" not in seen:
                    seen.add(f"{key(arm)}/{seed}")
                    yield key(arm), seed


def run_one(name: str, seed: int) -> dict[str, Any]:
    """One arm with one seed, in this process."""
    import torch

    torch.set_num_threads(1)
    chapter = importlib.import_module(f"claim_rows.{name.partition('.')[0]}")
    own = [arm for claim in chapter.CLAIMS for arm in claim.arms.values()]
    arm = next(arm for arm in [*own, *vars(chapter).values()] if callable(arm) and key(arm) == name)
    began, computed = time.monotonic(), time.process_time()
    figures = {what: float(value) for what, value in arm(seed).items()}
    return {
        "figures": figures,
        "seconds": round(time.monotonic() - began, 1),
        "computed": round(time.process_time() - computed, 1),
    }


def run_all(chosen: list[Any], seeds: int, workers: int) -> None:
    """Run what is missing, some at once, writing each result as it comes."""
    done, running = read(), {}
    waiting = list(jobs(chosen, seeds, done))
    print(f"{len(waiting)} to run", file=sys.stderr)
    while waiting or running:
        while waiting and len(running) < workers:
            name, seed = waiting.pop(0)
            command = [sys.executable, __file__, "--one", name, str(seed)]
            running[name, seed] = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, **ENVIRONMENT},
            )
        for (name, seed), process in list(running.items()):
            if process.poll() is None:
                continue
            out, errors = process.communicate()
            del running[name, seed]
            if process.returncode:
                print(f"{name}/{seed} FAILED\n{errors[-2000:]}", file=sys.stderr)
                continue
            done = read() | {f"{name}/{seed}": json.loads(out.splitlines()[-1])}
            RESULTS.write_text(json.dumps(done, indent=1, sort_keys=True) + "\n")
            print(f"{name}/{seed} {done[f'{name}/{seed}']}", file=sys.stderr)
        time.sleep(0.2)


def summary(claim: Any, done: dict[str, Any]) -> dict[str, Any] | None:
    """Mean and spread over seeds of every arm's figures, and whether the claim holds; None if an arm is missing."""
    arms = {}
    for name, arm in claim.arms.items():
        found = [entry for place, entry in done.items() if place.rpartition("/")[0] == key(arm)]
        if not found:
            return None
        values = {what: [entry["figures"][what] for entry in found] for what in found[0]["figures"]}
        arms[name] = {
            "mean": {what: mean(v) for what, v in values.items()},
            "spread": {what: stdev(v) if len(v) > 1 else 0.0 for what, v in values.items()},
            "seeds": len(found),
            "seconds": mean(entry["computed"] for entry in found),
        }
    return {"arms": arms, "holds": bool(claim.holds({name: arm["mean"] for name, arm in arms.items()}))}


def table(every: list[Any], done: dict[str, Any]) -> str:
    """The measured table in Markdown."""
    lines = [
        "# Claims, measured", "",
        "Written by `python benchmarks/claims.py`; mean ± standard deviation over seeds, seconds of computing on one",
        "thread (training and measuring). A preset whose claim does not hold is marked experimental.", "",
        "| preset | claim | on | arm | figures | seeds | seconds | holds |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for claim in every:
        found = summary(claim, done)
        if found is None:
            lines.append(f"| `{claim.preset}` | {claim.says} | {claim.data} | | not run | | | |")
            continue
        for i, (name, arm) in enumerate(found["arms"].items()):
            figures = ", ".join(
                f"{what.replace('_', ' ')} {arm['mean'][what]:.4g} ± {arm['spread'][what]:.2g}" for what in claim.shown
                if what in arm["mean"]
            )  # fmt: skip
            first = (f"`{claim.preset}`", claim.says, claim.data) if i == 0 else ("", "", "")
            verdict = ("**yes**" if found["holds"] else "no") if i == 0 else ""
            lines.append(
                f"| {' | '.join(first)} | {name} | {figures} | {arm['seeds']} | {arm['seconds']:.0f} | {verdict} |"
            )
    return "\n".join(lines) + "\n"


def verdicts(every: list[Any], done: dict[str, Any], seeds: int) -> dict[str, bool]:
    """Whether all of a preset's claims hold, for those whose every arm was run with so many seeds."""
    found: dict[str, list[bool | None]] = {}
    for claim in every:
        row = summary(claim, done)
        whole = row is not None and all(arm["seeds"] >= seeds for arm in row["arms"].values())
        found.setdefault(claim.preset, []).append(row["holds"] if whole else None)  # type: ignore[index]
    return {name: all(rows) for name, rows in sorted(found.items()) if None not in rows}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", help="presets, with commas")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--again", action="store_true", help="run the chosen rows again")
    parser.add_argument("--table", action="store_true", help="only write the table")
    parser.add_argument("--one", nargs=2, metavar=("ARM", "SEED"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(run_one(given.one[0], int(given.one[1]))))
        return
    every = claims()
    chosen = [c for c in every if not given.only or c.preset in given.only.split(",")]
    if given.again:
        gone = {key(arm) for claim in chosen for arm in claim.arms.values()}
        kept = {place: entry for place, entry in read().items() if place.rpartition("/")[0] not in gone}
        RESULTS.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    if not given.table:
        run_all(chosen, given.seeds, given.workers)
    TABLE.write_text(table(every, read()))
    VERDICTS.write_text(json.dumps(verdicts(every, read(), given.seeds), indent=1) + "\n")
    print(
        f"{TABLE}: {sum(bool((summary(c, read()) or {}).get('holds')) for c in every)} of {len(every)} hold"
    )


if __name__ == "__main__":
    main()
