"""Eight planted faults that the doctor is to name and mend, and healthy runs in which it is to find nothing.

    python benchmarks/doctor.py --planted              # 8 faults: what was named, its value before and after the cure
    python benchmarks/doctor.py --healthy --seed 3 4   # 2 x 20 healthy configurations, what raised an alarm
    python benchmarks/doctor.py --table                # the table alone

All on data that ship with scikit-learn or are made here, but for the names of VAEKIT_DATA; one thread. The limits of
the checks were set on earlier healthy runs of seed 0, on the planted faults and on seed 2, which moved two of them: the
AUC of the prior from 0.80 to 0.85, a learned σ from 1.5 to 2 times. What is told is seeds 3 and 4, looked at once.
What is finished stands in results/doctor.json and is not run again; results/doctor.md is the table.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import torch  # noqa: E402
from doctor_rows.faults import FAULTS  # noqa: E402
from doctor_rows.healthy import HEALTHY  # noqa: E402
from doctor_rows.table import table  # noqa: E402

import vaekit  # noqa: E402
from vaekit import files  # noqa: E402
from vaekit.diagnosis import first  # noqa: E402
from vaekit.mending import mend  # noqa: E402

RESULTS, TABLE = HERE / "results" / "doctor.json", HERE / "results" / "doctor.md"


def read() -> dict[str, Any]:
    return json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}


def keep(place: str, found: dict[str, Any]) -> None:
    files.write_json(RESULTS, {**read(), place: found})
    TABLE.write_text(table(read()))


def planted(name: str, seed: int) -> dict[str, Any]:
    """One fault: trained, named, mended."""
    fault = FAULTS[name]
    began = time.process_time()
    with tempfile.TemporaryDirectory() as place:
        data = fault.data(seed)
        run = vaekit.fit(data, out=f"{place}/{name}", seed=seed, quiet=True, reference=False, **fault.options)
        findings = run.examined(data)
        disease = first(findings)
        right = disease is not None and disease.name == fault.named and fault.word in disease.evidence
        mended = mend(run, data, quiet=True)
        if mended.get("cure"):
            command = mended["cure"].replace(place, "runs")
            mended["cure"] = re.sub(r"\S*/names/names.txt", "$VAEKIT_DATA/names/names.txt", command)
    return {
        "says": fault.says, "named": None if disease is None else disease.name, "right": right,
        "evidence": "" if disease is None else disease.evidence,
        "all": {f.name: f.value for f in findings}, "alarms": [f.name for f in findings if f.alarm],
        "mended": {key: value for key, value in mended.items() if key != "path"} if disease else None,
        "seconds": round(time.process_time() - began, 1),
    }  # fmt: skip


def healthy(name: str, seed: int) -> dict[str, Any]:
    """One healthy run: what raised an alarm."""
    make, options = HEALTHY[name]
    began = time.process_time()
    with tempfile.TemporaryDirectory() as place:
        data = make(seed)
        run = vaekit.fit(data, out=f"{place}/run", seed=seed, quiet=True, reference=False, **options)
        trained = time.process_time()
        findings = run.examined(data)
        done = time.process_time()
    return {
        "all": {f.name: f.value for f in findings}, "alarms": [f.name for f in findings if f.alarm],
        "says": [f.evidence for f in findings if f.alarm], "examined": round(done - trained, 1),
        "seconds": round(done - began, 1), "elbo": run.metrics.get("elbo"),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--planted", action="store_true")
    parser.add_argument("--healthy", action="store_true")
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
    parser.add_argument("--only", default="", help="names, with commas between them")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--table", action="store_true")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    only = set(filter(None, chosen.only.split(",")))
    todo = [(f"planted/{n}", planted, n, 0) for n in FAULTS] if chosen.planted else []
    todo += (
        [(f"healthy/{s}/{n}", healthy, n, s) for s in chosen.seed for n in HEALTHY] if chosen.healthy else []
    )
    for place, measure, name, seed in todo:
        if (only and name not in only) or (place in read() and not chosen.again):
            continue
        found = measure(name, seed)
        keep(place, found)
        print(place, json.dumps(files.finite(found)), flush=True)
    if chosen.table:
        TABLE.write_text(table(read()))


if __name__ == "__main__":
    main()
