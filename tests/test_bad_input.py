"""What people hand in by mistake, what breaks, and what somebody means ill by: each is answered by a code, an exit
code and at most five lines without a traceback, and nothing that was there before is lost."""

from __future__ import annotations

import builtins
import errno
import hashlib
import json
import os
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from commands import call
from PIL import Image
from safetensors.torch import load_file

import vaekit
from vaekit import files
from vaekit.errors import CODES, DataError, DivergedError, FileError, ResourceError, UsageError, VaekitError
from vaekit.training import Meter

QUICK = ["--steps", "8", "--batch-size", "16", "--latent", "2"]
QUICK += ["--set", "train.threads=1", "--set", "train.evaluate_every=4"]
FAST: dict[str, Any] = dict(steps=8, batch_size=16, latent=2, threads=1, evaluate_every=4, quiet=True)


@pytest.fixture(scope="module", autouse=True)
def _no_pictures() -> Iterator[None]:
    """Drawing the report takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        for place in ("vaekit.fitting", "vaekit.launch"):
            patch.setattr(f"{place}.write_report", lambda path: files.write(Path(path) / "report.html", ""))
        yield


def mistake(done: SimpleNamespace, code: str, exit_code: int) -> str:
    """What was said: its code, at most five lines, no traceback, nothing on standard output."""
    assert done.code == exit_code, done.err
    said = done.err[done.err.index(code) :] if code in done.err else done.err
    assert said.startswith(f"{code} {CODES[code]}: "), done.err
    assert said.count("\n") <= 5 and "Traceback" not in done.err and done.out == ""
    return said


def content(place: Path) -> dict[str, str]:
    """Every file below a place, by its hash."""
    return {
        str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(place.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test is in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of five columns, to be copied."""
    place = tmp_path_factory.mktemp("trained") / "run"
    vaekit.fit(good(), out=place, **FAST)
    return place


@pytest.fixture
def run(trained: Path, here: Path) -> Path:
    shutil.copytree(trained, here / "run")
    return Path("run")


def good(n: int = 40, columns: int = 5) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, columns))


def pictures(n: int = 30, side: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, side, side)).astype(np.uint8)


# --- data

Made = tuple[list[str], str, int, str]  # words after `train`, code, exit code, what must be said


def saved(values: np.ndarray, *words: str) -> list[str]:
    np.save("x.npy", values, allow_pickle=True)
    return ["x.npy", *words]


def folder(images: dict[str, Any]) -> list[str]:
    Path("photos").mkdir()
    for name, pixels in images.items():
        path = Path("photos", name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(pixels) if isinstance(pixels, bytes) else Image.fromarray(pixels).save(path)
    return ["photos"]


def many(n: int) -> dict[str, Any]:
    return {f"{i:03}.png": pixels for i, pixels in enumerate(pictures(n))}


def changed(row: int, column: int, value: float) -> np.ndarray:
    values = good()
    values[row, column] = value
    return values


def bomb() -> bytes:
    """A PNG of some hundred bytes that claims 50 000 × 50 000 pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 99))
        + chunk(b"IEND", b"")
    )


def configured(text: str) -> list[str]:
    Path("c.yaml").write_text(text)
    return ["--config", "c.yaml"]


def held_out(values: np.ndarray) -> list[str]:
    np.save("v.npy", values)
    return saved(good(), "--val", "v.npy")


def zipped(**arrays: np.ndarray) -> list[str]:
    np.savez("x.npz", **arrays)
    return ["x.npz"]


def cut(words: list[str], length: int) -> list[str]:
    path = Path(words[0])
    path.write_bytes(path.read_bytes()[:length])
    return words


def lying() -> list[str]:
    """A header that declares a terabyte."""
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (250000000, 500), }"
    header += b" " * (127 - 10 - len(header)) + b"\n"
    Path("x.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + b"\0" * 64)
    return ["x.npy"]


BAD: dict[str, tuple[Callable[[], list[str]], str, int, str]] = {
    "missing path": (lambda: ["gone"], "E201", 3, "there is no gone"),
    "missing path, near one": (lambda: [*saved(good())[:0], "x.np"], "E201", 3, "x.npy"),
    "empty path": (lambda: [""], "E103", 2, "nothing to train on"),
    "empty folder": (lambda: folder({}), "E202", 3, "no images"),
    "folder without images": (lambda: folder({"a.txt": b"x", "b.txt": b"y"}), "E202", 3, "2 .txt"),
    "empty file": (lambda: cut(saved(good()), 0), "E202", 3, "empty"),
    "zero rows": (lambda: saved(np.zeros((0, 5))), "E202", 3, "(0, 5)"),
    "zero columns": (lambda: saved(np.zeros((50, 0))), "E202", 3, "(50, 0)"),
    "one row": (lambda: saved(good(1)), "E207", 3, "at least 20"),
    "nineteen rows": (lambda: saved(good(19)), "E207", 3, "19 rows; at least 20"),
    "one image": (lambda: folder(many(1)), "E207", 3, "at least 20"),
    "inf": (lambda: saved(changed(7, 2, -np.inf)), "E206", 3, "1 of 40 rows hold infinity, the first: 7"),
    "NaN in pictures": (
        lambda: saved(np.where(np.arange(2560).reshape(40, 8, 8) == 450, np.nan, 0.5)), "E206", 3, "the first: 7",
    ),
    "all the same": (lambda: saved(np.ones((40, 5))), "E208", 3, "the same"),
    "object array": (lambda: saved(np.array([{}, []], dtype=object)), "E209", 3, "Python objects"),
    "text": (lambda: saved(np.array([["a", "b"]] * 40)), "E211", 3, "text"),
    "complex": (lambda: saved(good() * 1j), "E211", 3, "complex"),
    "one axis": (lambda: saved(good()[:, 0]), "E212", 3, "reshape"),
    "five axes": (lambda: saved(np.zeros((20, 2, 2, 2, 2))), "E212", 3, "5 axes"),
    "several arrays": (lambda: zipped(a=good(), b=good()), "E213", 3, "--key a"),
    "cut short": (lambda: cut(saved(good()), 300), "E204", 3, "1,600 bytes"),
    "a lying header": (lying, "E204", 3, "declares"),
    "a torn npz": (lambda: cut(zipped(x=good()), 700), "E204", 3, "damaged"),
    "pickled npz": (lambda: zipped(x=np.array([{}])), "E209", 3, "objects"),
    "not numpy": (lambda: Path("x.npy").write_bytes(b"hello there") and ["x.npy"], "E204", 3, "begin"),
    "unknown format": (lambda: Path("x.docx").write_bytes(b"hello") and ["x.docx"], "E211", 3, ".docx"),
    "0..255 with bernoulli": (
        lambda: saved(255 * np.random.default_rng(0).random((40, 5)), "--likelihood", "bernoulli"),
        "E203", 3, "0..255",
    ),
    "standardised with bernoulli": (lambda: saved(good(), "--likelihood", "bernoulli"), "E203", 3, "needs [0, 1]"),
    "fractions with categorical": (lambda: saved(good() ** 2, "--likelihood", "categorical"), "E203", 3, "whole"),
    "no pixels": (lambda: saved(good(40, 64).reshape(40, 8, 8)), "E212", 3, "no pixels"),
    "images of no shape": (
        lambda: saved(pictures(30, 8).reshape(30, -1), "--kind", "images"), "E212", 3, "reshape(-1, 8, 8)",
    ),
    "mixed sizes": (lambda: folder(many(30) | {"z.png": pictures(1, 12)[0]}), "E205", 3, "12x12 (1, first z.png)"),
    "corrupt images": (lambda: folder(many(40) | {"bad.png": b"\x89PNG no"}), "E204", 3, "1 of 41 images"),
    "a decompression bomb": (lambda: folder(many(30) | {"z.png": bomb()}), "E210", 3, "z.png"),
    "bad labels": (lambda: [*folder(many(30)), "--labels", "folders"], "E214", 3, "no sub-folder"),
    "labels of another length": (
        lambda: [*zipped(x=good(), y=np.arange(3)), "--labels", "y"], "E214", 3, "(3,)",
    ),
    "second stage": (lambda: saved(good(), "--set", "second_stage=mixture"), "E103", 2, "vaekit fit-prior"),
    "unknown kind": (lambda: saved(good(), "--kind", "vektors"), "E103", 2, "did you mean vectors"),
    "unknown preset": (lambda: saved(good(), "--preset", "bta_vae"), "E101", 2, "did you mean beta_vae"),
    "unknown option": (lambda: saved(good(), "--batchsize", "3"), "E102", 2, "did you mean batch_size"),
    "unknown key": (lambda: saved(good(), "--set", "training.clip=3"), "E104", 2, "did you mean train"),
    "an option that is not finite": (
        lambda: saved(good(), "--preset", "beta_vae", "--beta", "nan"), "E103", 2, "finite",
    ),
    "held-out data of another shape": (lambda: held_out(good(30, 4)), "E212", 3, "rows of 5"),
    "held-out data that are missing": (lambda: saved(good(), "--val", "v.npy"), "E201", 3, "no v.npy"),
    "held-out data with infinity": (
        lambda: held_out(changed(3, 1, np.inf)), "E206", 3, "first: 3",
    ),
    "a configuration that is none": (lambda: configured("a: [1,"), "E303", 4, "YAML"),
    "a configuration of a list": (lambda: configured("- 1"), "E303", 4, "mapping"),
    "a configuration that is a folder": (lambda: ["--config", "."], "E301", 4, "cannot be read"),
    "odd values in a configuration": (
        lambda: configured("source: x.npy\npreset: [vae]"), "E101", 2, "no preset",
    ),
    "odd arguments in a configuration": (
        lambda: configured("source: x.npy\narguments: 3"), "E103", 2, "mapping",
    ),
    "a configuration that would run code": (
        lambda: configured("source: !!python/object/apply:os.system ['touch pwned']"),
        "E303", 4, "YAML",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_bad_data_and_options(what, here) -> None:
    make, code, exit_code, text = BAD[what]
    words = make()
    before = content(here)
    assert text in mistake(call("train", *words, *QUICK), code, exit_code)
    assert content(here) == before and not Path("runs").exists(), "a mistake leaves nothing behind"


@pytest.mark.parametrize(
    ("source", "options", "error", "code"),
    [
        ([], {}, DataError, "E202"),
        ([np.zeros((3, 4)), np.zeros((4, 3))], {}, DataError, "E205"),
        (object(), {}, DataError, "E211"),
        ([{"a": 1}, {"a": 2}], {}, DataError, "E209"),
        (good(1), {}, DataError, "E207"),
        (good(), {"steps": "many"}, UsageError, "E103"),
        (good(), {"stpes": 3}, UsageError, "E102"),
        (good(), {"preset": "vea"}, UsageError, "E101"),
        (good(), {"preset": None}, UsageError, "E101"),
        (good(), {"val": 3.5}, UsageError, "E103"),
        (good(), {"labels": [1, 2]}, UsageError, "E103"),
    ],
    ids="nothing shapes object dicts one-row steps option preset no-preset val labels".split(),  # noqa: SIM905
)
def test_bad_data_and_options_in_python(source, options, error, code) -> None:
    with pytest.raises(error) as caught:
        vaekit.fit(source, quiet=True, **options)
    assert caught.value.code == code and str(caught.value).count("\n") < 5
    assert not Path("runs").exists()


def test_a_few_corrupt_images_are_left_out_and_named() -> None:
    words = folder(many(200) | {"bad.png": b"\x89PNG no", "worse.jpg": b""})
    done = call("train", *words, *QUICK)
    assert done.code == 0 and "2 of 202 images could not be read and were left out: bad.png" in done.err
    card = files.read_json("runs/photos/data_card.json")
    assert card["count"] == 200 and any("worse.jpg" in note for note in card["notes"])


def test_a_constant_column_is_said_and_does_no_harm() -> None:
    values = good()
    values[:, 3] = 7.25
    done = call("train", *saved(values), *QUICK)
    assert done.code == 0 and "1 of 5 columns are constant and tell nothing: 3" in done.err
    run = vaekit.open("runs/x")
    assert np.isfinite(run.metrics["elbo"]) and np.allclose(run.sample(20)[:, 3], 7.25, atol=10)
    assert files.read_json("runs/x/data_card.json")["constant_features"] == {"count": 1, "first": [3]}


@pytest.mark.parametrize("verb", ["evaluate", "encode", "score", "reconstruct"])
@pytest.mark.parametrize(
    ("make", "code", "text"),
    [
        (lambda: np.save("x.npy", good(9, 4)), "E212", "rows of 5"),
        (lambda: np.save("x.npy", changed(7, 2, np.inf)), "E206", "first: 7"),
        (lambda: np.save("x.npy", np.array([{}, []], dtype=object), allow_pickle=True), "E209", "objects"),
        (lambda: None, "E201", "no x.npy"),
    ],
    ids=["columns", "infinity", "objects", "missing"],
)
def test_bad_data_for_a_trained_model(verb, make, code, text, run, here) -> None:
    make()
    before = content(here)
    words = [verb, run, "x.npy", *([] if verb == "evaluate" else ["--out", "out.csv"])]
    assert text in mistake(call(*words), code, 3)
    assert content(here) == before


def test_values_that_were_not_observed_are_left_out(run) -> None:
    """NaN in rows and columns is a hole: said in training, and every verb goes on without it."""
    done = call("train", *saved(changed(7, 2, np.nan)), *QUICK)
    assert done.code == 0 and "1 values (0.5%) are NaN: not observed" in done.err
    opened = vaekit.open("runs/x")
    holes = changed(3, 1, np.nan)
    for trained in (opened, vaekit.open(run)):
        assert np.isfinite(trained.score(holes).score).all() and np.isfinite(trained.encode(holes)).all()


TABLES: dict[str, tuple[str, bytes, str, int]] = {
    "an empty csv": ("z.csv", b"", "E204", 3),
    "a header only": ("z.csv", b"mean_0,mean_1\n", "E202", 3),
    "words": ("z.csv", b"mean_0,mean_1\n1,two\n", "E103", 2),
    "ragged": ("z.csv", b"mean_0,mean_1\n1,2\n3\n", "E204", 3),
    "binary": ("z.csv", b"\xff\xfe\x00", "E204", 3),
    "too few columns": ("z.csv", b"mean_0\n1\n", "E212", 3),
    "NaN": ("z.csv", b"mean_0,mean_1\n1,nan\n", "E206", 3),
    "no codes": ("z.csv", b"a,b\n1,2\n", "E103", 2),
    "a torn npz": ("z.npz", b"PK\3\4 nothing", "E204", 3),
    "a torn npy": ("z.npy", b"\x93NUMPY\1\0", "E204", 3),
    "a torn parquet": ("z.parquet", b"PAR1 nothing PAR1", "E204", 3),
}


@pytest.mark.parametrize("what", TABLES)
def test_bad_codes(what, run, here) -> None:
    name, text, code, exit_code = TABLES[what]
    Path(name).write_bytes(text)
    before = content(here)
    mistake(call("decode", run, name, "--out", "out.npy"), code, exit_code)
    assert content(here) == before


def test_pickled_codes_are_not_loaded(run) -> None:
    class Bad:
        def __reduce__(self) -> Any:
            return Path.touch, (Path("pwned"),)

    np.savez("z.npz", mean=np.array([Bad()], dtype=object))
    np.save("z.npy", np.array([Bad()], dtype=object), allow_pickle=True)
    for name in ("z.npz", "z.npy"):
        mistake(call("decode", run, name, "--out", "out.npy"), "E204", 3)
        mistake(call("train", name, *QUICK), "E209", 3)
    assert not Path("pwned").exists()


# --- places that cannot be written


@pytest.mark.parametrize("verb", ["train", "sample", "encode", "folder"])
@pytest.mark.parametrize("how", ["under a file", "read-only"])
def test_a_place_that_cannot_be_written(verb, how, run, here, monkeypatch) -> None:
    Path("file").write_text("kept")
    Path("shut").mkdir()
    np.save("x.npy", good())
    words = {
        "train": ["train", "x.npy", *QUICK, "--quiet", "--out", "{}/run"],
        "sample": ["sample", run, "--out", "{}/a.npy"],
        "encode": ["encode", run, "x.npy", "--out", "{}/z.csv"],
        "folder": ["sample", run, "--out", "{}/rows"],
    }[verb]
    place = "file" if how == "under a file" else "shut"
    if how == "read-only":  # tests may run as root, whom no permission stops
        real_open, real_mkdir = builtins.open, os.mkdir

        def shut(path: Any, *_: Any) -> None:
            if str(path).startswith("shut/"):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

        def opened(path: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
            if "w" in mode:
                shut(path)
            return real_open(path, mode, *rest, **options)

        monkeypatch.setattr(files, "open", opened, raising=False)
        monkeypatch.setattr(os, "mkdir", lambda path, *rest: shut(path) or real_mkdir(path, *rest))
    before = content(here)
    said = mistake(call(*(str(word).format(place) for word in words)), "E402", 5)
    assert "cannot be written" in said and "--out" in said
    assert content(here) == before


class FullDisk:
    """A disk that is full from the nth write on: half of that write is taken, as disks do.

    Attributes:
        writes: How many files were begun.
    """

    def __init__(self, patch: pytest.MonkeyPatch, at: int | None = None) -> None:
        self.writes, self.at = 0, at
        patch.setattr(files, "open", self.open, raising=False)

    def open(self, path: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
        file = builtins.open(path, mode, *rest, **options)  # noqa: SIM115
        if "w" not in mode:
            return file
        self.writes += 1
        if self.at is None or self.writes <= self.at:
            return file

        class Full:
            def __enter__(self) -> Full:
                return self

            def __exit__(self, *_: Any) -> None:
                file.close()

            def write(self, data: bytes) -> int:
                file.write(data[: len(data) // 2])
                file.flush()
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        return Full()


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A run that was stopped in its middle, its data, and the weights that it must end in."""
    place = tmp_path_factory.mktemp("interrupted")
    np.save(place / "x.npy", good())
    words = [place / "x.npy", *QUICK, "--quiet"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr("vaekit.fitting.SAVE_EVERY", 0.0)
        patch.setattr(os, "fsync", lambda _: None)  # the disk's patience is not what is tested
        assert call("train", *words, "--out", "whole").code == 0
        patch.setattr(Meter, "add", stop_at(6))
        with pytest.raises(RuntimeError, match="stopped"):
            vaekit.fit("x.npy", out="run", **FAST)
    files.check(place / "run" / "checkpoints" / "step-00000005")
    return SimpleNamespace(
        run=place / "run",
        words=words,
        weights=files.sha256(place / "whole" / "model" / "weights.safetensors"),
    )


def stop_at(step: int) -> Callable[..., None]:
    def add(self: Meter, now: Any) -> None:
        if now.step == step:
            raise RuntimeError("stopped")

    return add


def whole(place: Path) -> None:
    """Every file of a run folder can be read, and nothing half-written lies about."""
    for path in place.rglob("*"):
        assert not path.name.endswith((".tmp", ".old")), path
        if path.suffix == ".json":
            files.read_json(path)
        elif path.suffix == ".jsonl":
            [json.loads(line) for line in path.read_text().splitlines()]
        elif path.suffix == ".safetensors":
            assert all(torch.isfinite(t).all() for t in load_file(path).values())
        elif path.name == files.MANIFEST:
            files.check(path.parent)


def test_a_full_disk_loses_nothing(interrupted, here, monkeypatch) -> None:
    """Whichever write it meets: exit 5, every old file whole, and the same command ends as if nothing had been."""
    monkeypatch.setattr("vaekit.fitting.SAVE_EVERY", 0.0)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    shutil.copytree(interrupted.run, here / "count")
    with pytest.MonkeyPatch.context() as patch:
        disk = FullDisk(patch)
        assert call("train", *interrupted.words, "--out", "count").code == 0
    total = disk.writes
    assert total > 30
    for at in sorted({*range(0, total, max(1, total // 7)), total - 1}):
        place = here / f"at-{at}"
        shutil.copytree(interrupted.run, place)
        with pytest.MonkeyPatch.context() as patch:
            FullDisk(patch, at)
            said = mistake(call("train", *interrupted.words, "--out", place.name), "E401", 5)
        assert "the disk is full; nothing was lost" in said and "where: " in said and "--out" in said
        whole(place)
        assert vaekit.open(place).sample(2).shape == (2, 5)
        again = call("train", *interrupted.words, "--out", place.name)
        assert again.code == 0, again.err
        assert files.sha256(place / "model" / "weights.safetensors") == interrupted.weights, (
            f"write {at} of {total}"
        )
        assert (place / "report.html").is_file()


def test_a_full_disk_keeps_what_a_command_wrote_before(run, here) -> None:
    assert call("sample", run, "--n", 5, "--out", "a.npy").code == 0
    assert call("sample", run, "--n", 5, "--out", "rows").code == 0
    before = content(here)
    for out in ("a.npy", "b.csv", "rows", "new"):
        with pytest.MonkeyPatch.context() as patch:
            FullDisk(patch, 0)
            mistake(call("sample", run, "--n", 6, "--out", out), "E401", 5)
        assert content(here) == before and not Path("new").exists()


def test_a_full_disk_at_the_flush(run, here, monkeypatch) -> None:
    """Some file systems say so only when they are asked to be sure."""
    Path("a.csv").write_text("old")
    before = content(here)

    def full(_: int) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "fsync", full)
    mistake(call("sample", run, "--out", "a.csv"), "E401", 5)
    assert content(here) == before


# --- files of ours that are not what they were


def manifest_anew(model: Path) -> None:
    """As somebody would who means it."""
    files.write_json(model / files.MANIFEST, {"files": files.hashes(model)})


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))
    if path.parent.name == "model":
        manifest_anew(path.parent)


def every_verb(run: Path, code: str, text: str = "") -> None:
    """Python and the commands refuse it alike, and change nothing."""
    before = content(Path())
    with pytest.raises(FileError) as caught:
        vaekit.open(run)
    assert caught.value.code == code and text in str(caught.value), str(caught.value)
    assert text in mistake(call("sample", run, "--out", "a.npy"), code, 4)
    assert content(Path()) == before


@pytest.mark.parametrize("name", ["model/recipe.json", "run.json"])
@pytest.mark.parametrize("version", [2, 0, None, "1", [1]])
def test_another_version(name, version, run) -> None:
    rewrite(run / name, lambda found: found.update(format=version))
    every_verb(run, "E302", f"format {version}")


@pytest.mark.parametrize("place", [0, 9, 1_000, -1])
@pytest.mark.parametrize("name", ["weights.safetensors", "recipe.json", "kind.json", "calibration.json"])
def test_a_flipped_byte(name, place, run) -> None:
    path = run / "model" / name
    flipped = bytearray(path.read_bytes())
    flipped[place % len(flipped)] ^= 1
    path.write_bytes(flipped)
    every_verb(run, "E303", f"{name} has changed")


@pytest.mark.parametrize("name", ["weights.safetensors", "recipe.json", "kind.json", "calibration.json"])
def test_a_missing_file(name, run) -> None:
    (run / "model" / name).unlink()
    every_verb(run, "E303", f"names {name}, which is not there")


def test_a_file_that_is_not_ours(here, run) -> None:
    Path("text.txt").write_text("hello")
    for path, text in (("text.txt", "not a run"), (".", "not a run"), ("gone", "no run at")):
        every_verb(Path(path), "E301", text)


def test_weights_of_another_model(run) -> None:
    vaekit.fit(good(), out="other", **{**FAST, "latent": 3})
    shutil.copy("other/model/weights.safetensors", run / "model")
    manifest_anew(run / "model")
    every_verb(run, "E303", "but the recipe makes")


def test_weights_in_another_format(run) -> None:
    torch.save({"a": torch.zeros(3)}, run / "model" / "weights.safetensors")
    manifest_anew(run / "model")
    every_verb(run, "E303", "safetensors")


HOSTILE: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "an unknown class": (lambda m: m["encoder"].update({"class": "System"}), "E304"),
    "a path as a class": (
        lambda m: m["encoder"].update({"class": "os.system", "command": "touch pwned"}),
        "E304",
    ),
    "a builtin": (lambda m: m["encoder"].update({"class": "eval"}), "E304"),
    "a class that is a list": (lambda m: m["encoder"].update({"class": ["Linear"]}), "E303"),
    "an unknown argument": (lambda m: m["encoder"].update(colour=3), "E304"),
    "a missing argument": (lambda m: m["encoder"].pop("outputs"), "E303"),
    "text for a number": (lambda m: m["encoder"].update(outputs="many"), "E303"),
    "a negative width": (lambda m: m["encoder"].update(outputs=-5), "E303"),
    "a width beyond memory": (lambda m: m["encoder"].update(outputs=10**15), "E303"),
    "a reference to nothing": (lambda m: m.update(encoder={"$ref": 7}), "E303"),
    "a number for a part": (lambda m: m.update(encoder=3), "E303"),
    "no model": (lambda m: m.clear(), "E304"),
    "a module of torch that is not for networks": (
        lambda m: m["encoder"].update({"class": "DataParallel"}),
        "E304",
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_recipe(what, run) -> None:
    change, code = HOSTILE[what]
    rewrite(run / "model" / "recipe.json", lambda found: change(found["model"]))
    every_verb(run, code)
    assert not Path("pwned").exists()


@pytest.mark.parametrize("text", ["[]", "3", "null", '{"format": 1}', '{"format": 1, "model": []}', "{"])
def test_a_recipe_that_is_none(text, run) -> None:
    (run / "model" / "recipe.json").write_text(text)
    manifest_anew(run / "model")
    with pytest.raises(FileError) as caught:
        vaekit.open(run)
    assert caught.value.code in ("E302", "E303", "E304")
    assert call("sample", run, "--out", "a.npy").code == 4


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"format": 1, "kind": 3}', '{"format": 9, "kind": {"class": "Vectors", "dim": 5}}']
)
def test_a_kind_that_is_none(text, run) -> None:
    (run / "model" / "kind.json").write_text(text)
    manifest_anew(run / "model")
    with pytest.raises(FileError):
        vaekit.open(run)
    assert call("sample", run, "--out", "a.npy").code == 4


@pytest.fixture
def no_large_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Making a large layer fails as soon as its first value would be written: until then no memory is taken."""
    real = torch.nn.init.kaiming_uniform_

    def guarded(tensor: torch.Tensor, *rest: Any, **options: Any) -> torch.Tensor:
        assert tensor.is_meta or tensor.numel() < 10**7, f"{tensor.numel()} numbers were reserved"
        return real(tensor, *rest, **options)

    monkeypatch.setattr(torch.nn.init, "kaiming_uniform_", guarded)


@pytest.mark.parametrize("part", ["encoder", "posterior"])
def test_a_hostile_width_is_refused_before_memory_is_taken(part, run, no_large_weights) -> None:
    def widen(found: dict[str, Any]) -> None:
        if part == "encoder":
            found["model"]["encoder"]["outputs"] = 10**9
        else:
            found["model"]["bottleneck"]["posterior"]["net"].update(in_features=40_000, out_features=40_000)

    rewrite(run / "model" / "recipe.json", widen)
    every_verb(run, "E303", "but the recipe makes")


def test_a_hostile_width_beside_a_part_that_cannot_be_is_refused_too(run, no_large_weights) -> None:
    def widen(found: dict[str, Any]) -> None:
        found["model"]["bottleneck"]["posterior"]["net"].update(in_features=40_000, out_features=40_000)
        found["model"]["decoder"]["net"] = {"class": "Linear", "in_features": 10**12, "out_features": 10**12}

    rewrite(run / "model" / "recipe.json", widen)
    every_verb(run, "E303")


# --- training that goes wrong


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """(steps) → the loss of these steps is NaN."""
    from vaekit.objectives import Distortion

    real = Distortion.forward

    def poison(steps: Any) -> None:
        nan = lambda self, out, step: real(self, out, step) * (float("nan") if step in steps else 1.0)  # noqa: E731
        monkeypatch.setattr(Distortion, "forward", nan)

    return poison


def test_steps_that_are_not_finite_are_skipped_and_said(poisoned, here) -> None:
    poisoned({2, 3})
    np.save("x.npy", good())
    done = call("train", "x.npy", *QUICK, "--out", "run")
    assert done.code == 0 and "2 steps were not finite and were skipped" in done.err
    run = vaekit.open("run")
    assert [event["what"] for event in run.facts["events"]] == ["2 steps were not finite and were skipped"]
    assert np.isfinite(run.metrics["elbo"])
    whole(here / "run")


def test_divergence_keeps_the_last_good_model(poisoned, here, monkeypatch) -> None:
    monkeypatch.setattr("vaekit.fitting.SAVE_EVERY", 0.0)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    poisoned(range(6, 1_000))
    np.save("x.npy", good())
    words = ["train", "x.npy", *QUICK, "--steps", "36", "--quiet", "--out", "run"]
    for _ in range(2):  # the same again goes on, and ends the same way
        said = mistake(call(*words), "E501", 6)
        assert "not finite for" in said and "where: run" in said and "try: --lr 0.000" in said
        whole(here / "run")
        run = vaekit.open("run")
        assert run.facts["status"] == "diverged" and np.isfinite(run.metrics["elbo"])
        assert run.facts["best_step"] <= 8 and run.sample(2).shape == (2, 5)
    with pytest.raises(DivergedError) as caught:
        vaekit.fit("x.npy", **{**FAST, "steps": 36}, out="again")
    assert isinstance(caught.value, ArithmeticError) and caught.value.exit_code == 6


def test_a_learning_rate_far_too_high(here) -> None:
    np.save("x.npy", good())
    done = call(
        "train", "x.npy", *QUICK, "--steps", "80", "--lr", "10", "--set", "clip=0", "--quiet", "--out", "run"
    )
    if done.code:  # it diverges, or it is pulled back; nothing else
        mistake(done, "E501", 6)
    assert np.isfinite(vaekit.open("run").metrics["elbo"])
    whole(here / "run")


def test_weights_that_are_not_finite_are_never_saved(run) -> None:
    from vaekit import persistence

    opened = vaekit.open(run)
    before = content(run)
    next(opened.model.parameters()).data[0] = float("nan")
    with pytest.raises(ValueError, match="not finite; nothing was saved"):
        persistence.save(run / "model", opened.model, opened.kind)
    assert content(run) == before


def test_every_error_of_ours_has_a_family(here) -> None:
    """The exit code follows from the class, and each class is also the exception that Python's users expect."""
    expected = {UsageError: (2, ValueError), DataError: (3, ValueError), FileError: (4, ValueError)}
    expected |= {ResourceError: (5, OSError), DivergedError: (6, ArithmeticError)}
    for error, (code, base) in expected.items():
        assert error.exit_code == code and issubclass(error, base) and issubclass(error, VaekitError)
