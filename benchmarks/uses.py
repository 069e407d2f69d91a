"""Every use of a model beside its peers, medians of three seeds; resumable arm by arm.

    VAEKIT_DATA=... python benchmarks/uses.py [--only anomalies,imputation] [--seeds 3] [--workers 2] [--table]

`make bench-uses` runs it in an environment of its own, with the peers in it (benchmarks/peers.txt). Each (arm, seed) is
a process with one thread; what is finished stands in benchmarks/results/uses.json and is not run again (`--again`). The
table is benchmarks/results/uses.md: medians over seeds, seconds of computing, versions.
"""

from __future__ import annotations

from importlib import metadata
from statistics import median
from typing import Any

from arms import HERE, Bench, key

BENCH = Bench("use_rows", "ROWS", HERE / "results" / "uses.json")
TABLE = HERE / "results" / "uses.md"
PACKAGES = ("vaekit", "torch", "numpy", "scikit-learn", "pandas", "pyod", "ctgan", "bm3d", "scikit-image")


def medians(row: Any, done: dict[str, Any]) -> dict[str, dict[str, float]]:
    """The figures of each arm that has been run: medians over its seeds, with `seeds` and `seconds`."""
    arms = {}
    for name, arm in row.arms.items():
        found = [entry for place, entry in done.items() if place.rpartition("/")[0] == key(arm)]
        if found:
            figures = {what: median(e["figures"][what] for e in found) for what in found[0]["figures"]}
            arms[name] = {**figures, "seeds": len(found), "seconds": median(e["computed"] for e in found)}
    return arms


def verdict(row: Any, goal: Any, arms: dict[str, Any]) -> str:
    """Whether a goal is reached; a dash where an arm is missing."""
    try:
        return "yes" if goal(arms) else "no"
    except KeyError:
        return "–"


def table(rows: list[Any], done: dict[str, Any]) -> str:
    """The measured table in Markdown."""
    lines = [
        "# Uses, measured beside their peers", "",
        "Written by `make bench-uses`; medians over seeds, seconds of computing on one thread (fitting and measuring).",
        f"Versions: {versions()}.",
    ]  # fmt: skip
    for row in rows:
        arms = medians(row, done)
        shown = [what for what in row.shown if any(what in arm for arm in arms.values())]
        lines += ["", f"## {row.title}", "", row.says, ""]
        lines += [f"| | {' | '.join(what.replace('_', ' ') for what in shown)} | seeds | seconds |"]
        lines += ["|---" * (len(shown) + 3) + "|"]
        for name, arm in arms.items():
            figures = [f"{arm[what]:.4g}" if what in arm else "" for what in shown]
            lines.append(f"| {' | '.join([name, *figures])} | {arm['seeds']} | {arm['seconds']:.0f} |")
        lines += [""] + [f"- {says}: **{verdict(row, goal, arms)}**" for says, goal in row.goals.items()]
    return "\n".join(lines) + "\n"


def versions() -> str:
    """Of the packages that take part and are here."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def main() -> None:
    every, _ = BENCH.main(__file__, __doc__, lambda row: row.file)
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(table(every, BENCH.read()))
    print(TABLE)


if __name__ == "__main__":
    main()
