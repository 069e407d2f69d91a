"""Every preset from the command line: trained for a few steps, then every verb."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from vaekit.presets import ABOUT, PRESETS

pytestmark = pytest.mark.long


def call(words: str, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> dict:
    """A command in this process; its JSON."""
    from vaekit.cli import main

    patch.setattr(sys, "argv", ["vaekit", *shlex.split(words), "--json"])
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main()
    out = capsys.readouterr()
    assert end.value.code in (0, None), f"vaekit {words}: {end.value.code}\n{out.err}"
    return json.loads(out.out) if out.out.strip() else {}


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, str]:
    """A small source of each kind that a preset may ask for."""
    from vaekit.datasets import digits

    rng = np.random.default_rng(0)
    images, labels = digits()
    np.savez(tmp_path / "digits.npz", images=images[:400], labels=labels[:400])
    np.savez(tmp_path / "parts.npz", image=images[:400], label=labels[:400], view=images[:400, ::-1].copy())
    words = ["".join(rng.choice(list("abc"), 1 + i % 6)) for i in range(300)]
    (tmp_path / "words.txt").write_text("\n".join(words) + "\n")
    return {
        "images": f"{tmp_path}/digits.npz",
        "parts": f"{tmp_path}/parts.npz",
        "sequences": f"{tmp_path}/words.txt",
    }


SUFFIX = {"images": "png", "parts": "npz", "sequences": "txt"}


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_from_the_command_line(name, sources, tmp_path, monkeypatch, capsys) -> None:
    kind = next(kind for kind in ("images", "sequences", "parts") if kind in ABOUT[name].kinds)
    source, end, run = sources[kind], SUFFIX[kind], tmp_path / "run"
    options = " --labels labels" if ABOUT[name].labels else ""
    options += " --kind parts" if kind == "parts" else ""
    done = lambda words: call(words, monkeypatch, capsys)  # noqa: E731
    found = done(f"train {source} --preset {name} --steps 24 --out {run} --quiet{options}")
    assert found["status"] == "finished" and (run / "report.html").is_file()
    from vaekit import open as opened

    model = opened(run).model
    sampled = model.bottleneck.stochastic or model.bottleneck.prior is not None
    if sampled:
        assert done(f"sample {run} --n 4 --out {tmp_path}/s.{end}")["n"] == 4
    else:
        done(f"fit-prior {run} {source} --prior mixture --components 3 --quiet")
        assert done(f"sample {run} --n 4 --out {tmp_path}/s.{end}")["n"] == 4
    done(f"reconstruct {run} {source} --out {tmp_path}/r.{end}")
    done(f"encode {run} {source} --out {tmp_path}/codes.npz")
    done(f"decode {run} {tmp_path}/codes.npz --out {tmp_path}/d.{end}")
    done(f"interpolate {run} {source}#0 {source}#1 --steps 3 --out {tmp_path}/i.{end}")
    done(f"traverse {run} --steps 3 --out {tmp_path}/t.{end}")
    done(f"score {run} {source} --out {tmp_path}/scores.csv")
    figures = done(f"evaluate {run} {source} --samples 3 --limit 20")
    assert figures["n"] == 20 and (figures["nll"] is not None) == model.bottleneck.stochastic
    done(f"inspect {run}")
    done(f"report {run}")
