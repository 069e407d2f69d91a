"""The command that says what is wrong with a run, and mends it: doctor."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from vaekit import files
from vaekit.cli.app import Sources, command
from vaekit.errors import FileError, UsageError, nearest


@command("doctor")
def doctor(
    run: Annotated[
        Path | None, typer.Argument(metavar="RUN", help="A run folder; without one, what runs there are.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Argument(metavar="SOURCE", help=f"What it was trained on. {Sources} [where the run found it]"),
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Train again with the cure, beside the run; show before and after.")
    ] = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """What is wrong with a run: ten checks, each with its value, its threshold, evidence and what mends it."""
    if run is None:
        if fix:
            raise UsageError("E103", "--fix needs a run.", hint="vaekit doctor RUN --fix")
        return _overview()
    from vaekit.diagnosis.record import spoken
    from vaekit.report import write_report
    from vaekit.run import Run

    opened = Run(_found(run))
    facts = opened.diagnose(source)
    if (opened.path / "run.json").is_file():
        write_report(opened.path)
    text = spoken(facts)
    if not fix:
        cures = any(line["alarm"] for line in facts["findings"])
        again = shlex.join(["vaekit", "doctor", str(run), *([source] if source else []), "--fix"])
        text += f"\nor: {again}   (trains again beside it, and compares)" if cures else ""
        return {"run": str(opened.path), **facts, "text": text}
    from vaekit.mending import mend, told
    from vaekit.progress import say

    if not quiet:
        say(text)
    mended = mend(opened, source, quiet=quiet)
    return {"run": str(opened.path), **facts, "mended": mended, "text": told(mended)}


def _found(path: Path) -> Path:
    """The run that is meant: a folder, or the name of one in runs/.

    Raises:
        FileError: E301, there is none; those with a similar name are named.
    """
    inside = Path("runs") / path
    if path.exists() or not inside.exists():
        if path.exists():
            return path
        bare = path.parent == Path(".")
        names = [place.name if bare else str(place) for place in _runs()]
        near = nearest(str(path), names or ["none yet"])
        raise FileError("E301", f"there is no run at {path}; {near}", hint="vaekit doctor   (lists the runs)")
    return inside


def _runs() -> list[Path]:
    """The run folders here and in runs/."""
    places = [*Path().glob("*/run.json"), *Path("runs").glob("*/run.json")]
    return sorted({place.parent for place in places})


def _overview() -> dict[str, Any]:
    """The runs that are here, what is known of each, and what of the machine decides how training goes."""
    runs = [_line(place) for place in _runs()]
    machine = _machine()
    lines = [f"{one['run']:24} {one['preset']:20} {one['status']:12} {one['says']}" for one in runs]
    lines = lines or ["no runs here or in runs/; begin with: vaekit demo"]
    lines += ["", *(f"{name:8} {value}" for name, value in machine.items())]
    lines += ["", "vaekit doctor RUN examines one"] if runs else []
    return {"runs": runs, "machine": machine, "page": "\n".join(lines)}


def _line(place: Path) -> dict[str, Any]:
    from vaekit.diagnosis.record import known

    try:
        facts = files.read_json(place / "run.json")
    except FileError:
        return {"run": str(place), "preset": "", "status": "damaged", "says": "run.json cannot be read"}
    found = known(place)
    disease = next((line for line in found.get("findings", []) if line["alarm"]), None)
    says = f"alarm: {disease['title']}?" if disease else "no alarm" if found else "not examined yet"
    return {
        "run": str(place), "preset": str(facts.get("preset", "")), "status": str(facts.get("status", "")), "says": says,
    }  # fmt: skip


def _machine() -> dict[str, str]:
    """Versions, device, threads, room on the disk."""
    import platform
    import shutil

    import torch

    from vaekit import __version__

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    free = shutil.disk_usage(Path()).free / 2**30
    return {
        "vaekit": __version__, "python": platform.python_version(), "torch": torch.__version__, "device": device,
        "threads": str(torch.get_num_threads()), "disk": f"{free:.1f} GiB free",
    }  # fmt: skip
