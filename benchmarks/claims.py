"""Every preset's claim against its ablation, three seeds, on real data; resumable row by row.

    VAEKIT_DATA=... python benchmarks/claims.py [--only beta_vae,iwae] [--seeds 3] [--workers 2] [--table]

Each (arm, seed) is a process with one thread; what is finished stands in benchmarks/claims.json and is not run again
unless the file that defines the arm has changed (`--again`). The table is benchmarks/claims.md.
"""

from __future__ import annotations

import json
from statistics import mean, stdev
from typing import Any

from arms import HERE, Bench, key

BENCH = Bench("claim_rows", "CLAIMS", HERE / "claims.json")
TABLE, VERDICTS = HERE / "claims.md", HERE / "verdicts.json"


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
    every, seeds = BENCH.main(__file__, __doc__, lambda claim: claim.preset)
    done = BENCH.read()
    TABLE.write_text(table(every, done))
    VERDICTS.write_text(json.dumps(verdicts(every, done, seeds), indent=1) + "\n")
    print(f"{TABLE}: {sum(bool((summary(c, done) or {}).get('holds')) for c in every)} of {len(every)} hold")


if __name__ == "__main__":
    main()
