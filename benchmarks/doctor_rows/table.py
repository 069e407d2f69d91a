"""What was measured of the doctor, as a table in Markdown."""

from __future__ import annotations

from typing import Any

BEGUN = (
    "(1) Before and after, no step of training beat the linear start (probabilistic PCA), whose weights are kept: two "
    "models of different width, but the same distribution p(x), and hence the same −ELBO. What is mended is the width."
)


def table(done: dict[str, Any]) -> str:
    """What is known, in Markdown."""
    head = ["# The doctor, measured", "", "Written by `python benchmarks/doctor.py`.", ""]
    return "\n".join([*head, *_planted(done), *_healthy(done)]) + "\n"


def _planted(done: dict[str, Any]) -> list[str]:
    """Each fault in a line, how many were named and mended, and the cures."""
    faults = [entry for key, entry in done.items() if key.startswith("planted/")]
    lines = ["## Planted faults", ""]
    lines += [
        "| planted | named | right | value before | after | −ELBO before | after | mended |",
        "|---" * 8 + "|",
    ]
    lines += [_fault(entry) for entry in faults]
    right = sum(entry["right"] for entry in faults)
    mended = sum(bool((entry["mended"] or {}).get("mended")) for entry in faults)
    lines += ["", f"Named {right} of {len(faults)}, mended {mended}."]
    if any((entry["mended"] or {}).get("best_step") == [0, 0] for entry in faults):
        lines += ["", BEGUN]
    cures = [f"- {entry['says']}: `{entry['mended']['cure']}`" for entry in faults if entry["mended"]]
    return lines + (["", "Cures:", "", *cures] if cures else [])


def _fault(entry: dict[str, Any]) -> str:
    cured = entry["mended"] or {}
    values, costs = cured.get("value", [None] * 2), cured.get("negative_elbo", [None] * 2)
    before, after, cost_before, cost_after = (_number(v) for v in (*values, *costs))
    cost_after += "" if cured.get("comparable", True) else " (other scale)"
    mended = _yes(cured.get("mended")) + (" (1)" if cured.get("best_step") == [0, 0] else "")
    cells = [
        entry["says"],
        str(entry["named"]),
        _yes(entry["right"]),
        before,
        after,
        cost_before,
        cost_after,
        mended,
    ]
    return f"| {' | '.join(cells)} |"


def _healthy(done: dict[str, Any]) -> list[str]:
    """The runs of each seed that raised an alarm, and the share of false alarms on fresh seeds."""
    seeds = sorted({int(key.split("/")[1]) for key in done if key.startswith("healthy/")})
    lines = ["", "## Healthy runs", ""]
    for seed in seeds:
        runs = {k.split("/")[2]: e for k, e in done.items() if k.startswith(f"healthy/{seed}/")}
        alarmed = {name: entry for name, entry in runs.items() if entry["alarms"]}
        use = (
            " (limits were set on it; alarms by the limits before)"
            if seed < 3
            else " (looked at once, after the limits were set)"
        )
        lines += [f"Seed {seed}{use}: {len(alarmed)} of {len(runs)} raised an alarm.", ""]
        lines += [
            f"- {name}: {', '.join(entry['alarms'])}. {' '.join(entry['says'])}"
            for name, entry in alarmed.items()
        ]
        lines += [""] if alarmed else []
    fresh = [entry for key, entry in done.items() if key.startswith(("healthy/3/", "healthy/4/"))]
    if fresh:
        wrong = sum(bool(entry["alarms"]) for entry in fresh)
        lines.append(f"False alarms on fresh seeds: {wrong} of {len(fresh)} runs ({wrong / len(fresh):.1%}).")
    return lines


def _yes(value: Any) -> str:
    return "yes" if value else "no"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
