"""Files survive any failure: the old content or the new one is there, whole."""

from __future__ import annotations

import builtins
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaekit import files
from vaekit.errors import FileError, ResourceError


class Faults:
    """Every call of the operating system that writing needs; the nth one fails.

    Attributes:
        calls: Names of the calls so far.
        fail_at: Place of the one that fails; None for none.
        half: Whether a failing `write` writes half of its bytes first.
    """

    def __init__(self, patch: pytest.MonkeyPatch, code: int = errno.EIO) -> None:
        self.calls: list[str] = []
        self.fail_at: int | None = None
        self.code = code
        for name in ("open", "fsync", "replace", "rename", "mkdir"):
            patch.setattr(os, name, self.counted(f"os.{name}", getattr(os, name)))
        patch.setattr(files, "open", self.open, raising=False)

    def counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            self.tick(name)
            return real(*args, **options)

        return call

    def tick(self, name: str) -> None:
        self.calls.append(name)
        if len(self.calls) - 1 == self.fail_at:
            raise OSError(self.code, os.strerror(self.code))

    def open(self, path: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
        if "w" not in mode:
            return builtins.open(path, mode, *args, **options)
        self.tick("open")
        file = builtins.open(path, mode, *args, **options)  # noqa: SIM115
        real = file.write
        faults = self

        class Written:
            def __enter__(self) -> Any:
                return self

            def __exit__(self, *exc: Any) -> None:
                file.close()

            def write(self, data: bytes) -> int:
                faults_before = len(faults.calls)
                if faults_before == faults.fail_at:
                    real(data[: len(data) // 2])  # a full disk takes a part
                    file.flush()
                faults.tick("write")
                return real(data)

            def __getattr__(self, name: str) -> Any:
                return getattr(file, name)

        return Written()


def leftovers(place: Path, *expected: str) -> list[str]:
    return sorted(set(p.name for p in place.iterdir()) - set(expected))


def sweep(
    tmp_path: Path,
    change: Callable[[Path], Any],
    prepare: Callable[[Path], Any],
    whole: Callable[[Path], str],
    allowed: set[str],
) -> set[str]:
    """Fail the 1st, 2nd, … call until one run gets through; after each, what is there is whole."""
    seen, n = set(), 0
    while True:
        place = tmp_path / str(n)
        place.mkdir()
        prepare(place)
        with pytest.MonkeyPatch.context() as patch:
            faults = Faults(patch)
            faults.fail_at = n
            try:
                change(place)
                failed = False
            except ResourceError as error:
                assert error.code == "E402"
                failed = True
        reached = len(faults.calls) > n
        what = faults.calls[n] if reached else "nothing"
        found = whole(place)
        assert found in allowed, f"after a failing {what} (call {n}): {found}"
        left = [name for name in leftovers(place, "it") if not (found == "new" and name.endswith(".old"))]
        assert left == [], f"after a failing {what} (call {n})"
        if not failed:
            assert found == "new", f"{what} (call {n}) failed, nothing was said, and the content is {found}"
        if not reached:
            return seen
        seen.add(what)
        n += 1


@pytest.mark.parametrize("before", [True, False])
def test_a_file_is_old_or_new_whichever_call_fails(before, tmp_path) -> None:
    def whole(place: Path) -> str:
        if not (place / "it").exists():
            return "none"
        return {b"old" * 999: "old", b"new" * 1111: "new"}.get((place / "it").read_bytes(), "torn")

    seen = sweep(
        tmp_path,
        change=lambda place: files.write(place / "it", b"new" * 1111),
        prepare=lambda place: before and (place / "it").write_bytes(b"old" * 999),
        whole=whole,
        allowed={"old", "new"} if before else {"none", "new"},
    )
    assert {"open", "write", "os.fsync", "os.replace"} <= seen


def fill(path: Path, content: str) -> None:
    with files.folder(path) as place:
        files.write(place / "a", content)
        files.write(place / "b", content)


@pytest.mark.parametrize("before", [True, False])
def test_a_folder_is_old_or_new_whichever_call_fails(before, tmp_path) -> None:
    def whole(place: Path) -> str:
        if not (place / "it").exists():
            return "none"
        files.check(place / "it")
        texts = {p.read_text() for p in (place / "it").iterdir() if p.name != files.MANIFEST}
        return texts.pop() if len(texts) == 1 and len(os.listdir(place / "it")) == 3 else "torn"

    seen = sweep(
        tmp_path,
        change=lambda place: fill(place / "it", "new"),
        prepare=lambda place: before and fill(place / "it", "old"),
        whole=whole,
        allowed={"old", "new"} if before else {"none", "new"},
    )
    assert {"open", "write", "os.fsync", "os.replace"} <= seen


def test_a_machine_that_stops_between_the_two_renames_loses_nothing(tmp_path, monkeypatch) -> None:
    """The old folder has stepped aside and the new one has no name yet: then the power goes, and the next one fails."""
    fill(tmp_path / "it", "old")
    real = os.replace

    class Stopped(BaseException):
        pass

    calls = []

    def replace(source: Any, target: Any) -> None:
        if Path(target).name == "it" or calls:  # from here on nothing happens any more
            calls.append(target)
            raise Stopped
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        if hasattr(files, "shutil"):
            patch.setattr(files.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(Stopped):
            fill(tmp_path / "it", "new")
    with pytest.raises(KeyError), files.folder(tmp_path / "it"):
        raise KeyError  # the next attempt writes nothing
    whole = [p for p in tmp_path.iterdir() if (p / "a").is_file() and (p / files.MANIFEST).is_file()]
    assert whole, "both the old folder and the new one are gone"
    fill(tmp_path / "it", "newer")
    assert (files.check(tmp_path / "it") / "a").read_text() == "newer" and leftovers(tmp_path, "it") == []


@pytest.mark.parametrize("name", ["it", "i*t", "[it]", "it.v1"])
def test_no_other_folder_is_touched(name, tmp_path) -> None:
    others = [f".{name}.my.cache", f".{name}.99.other", ".it.1.keep", "other", ".itt.7.tmp", "i*t.7.tmp"]
    for other in others:
        (tmp_path / other).mkdir()
        (tmp_path / other / "mine").write_text("mine")
    fill(tmp_path / name, "old")
    fill(tmp_path / name, "new")
    assert (tmp_path / name / "a").read_text() == "new"
    for other in others:
        assert (tmp_path / other / "mine").read_text() == "mine", other


def test_the_data_reach_the_disk_before_the_name_does(tmp_path, monkeypatch) -> None:
    faults = Faults(monkeypatch)
    files.write(tmp_path / "it", "text")
    order = [call for call in faults.calls if call in ("write", "os.fsync", "os.replace")]
    assert order == ["write", "os.fsync", "os.replace", "os.fsync"]  # the folder is flushed last


def test_a_folder_that_fails_in_its_body_leaves_the_old_one(tmp_path) -> None:
    fill(tmp_path / "it", "old")
    with pytest.raises(KeyError), files.folder(tmp_path / "it") as place:
        files.write(place / "a", "new")
        raise KeyError
    assert (tmp_path / "it" / "a").read_text() == "old" and leftovers(tmp_path, "it") == []


def test_an_interrupt_leaves_the_old_file(tmp_path, monkeypatch) -> None:
    files.write(tmp_path / "it", "old")

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.write(tmp_path / "it", "new")
    assert (tmp_path / "it").read_text() == "old" and leftovers(tmp_path, "it") == []


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (errno.ENOSPC, "E401"), (errno.EDQUOT, "E401"),
        (errno.EACCES, "E402"), (errno.EROFS, "E402"), (errno.EPERM, "E402"), (errno.EIO, "E402"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("writes", ["file", "folder"])
def test_what_the_system_refuses_is_said_in_our_words(code, expected, writes, tmp_path, monkeypatch) -> None:
    faults = Faults(monkeypatch, code)
    faults.fail_at = 1 if writes == "file" else 2  # `open`: the folder above was made before it
    with pytest.raises(ResourceError) as caught:
        files.write(tmp_path / "it", "x") if writes == "file" else fill(tmp_path / "it", "x")
    error = caught.value
    assert faults.calls[faults.fail_at] == "open"
    assert error.code == expected and str(tmp_path) in error.where and error.hint
    assert str(error).startswith(f"{expected} {'disk-full' if expected == 'E401' else 'not-writable'}: ")
    assert isinstance(error, OSError) and error.exit_code == 5
    assert isinstance(error.__cause__, OSError) and error.__cause__.errno == code


def test_a_place_that_cannot_be_is_an_error_of_ours(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="cannot be written"):
        files.write(tmp_path / "file" / "below", "x")
    with pytest.raises(ResourceError, match="cannot be written"):
        fill(tmp_path / "file" / "below", "x")


# --- the manifest


def manifest_folder(place: Path) -> Path:
    with files.folder(place) as inside:
        files.write(inside / "a.bin", bytes(range(40)))
        files.write_json(inside / "b.json", {"x": 1.5})
    return place


def test_a_manifest_names_what_lies_in_inner_folders(tmp_path) -> None:
    with files.folder(tmp_path / "it") as inside:
        (inside / "inner").mkdir()
        files.write(inside / "inner" / "a.bin", b"1")
    assert files.read_json(files.check(tmp_path / "it") / files.MANIFEST)["files"].keys() == {"inner/a.bin"}
    (tmp_path / "it" / "inner" / "a.bin").write_bytes(b"2")
    with pytest.raises(FileError, match="inner/a.bin has changed"):
        files.check(tmp_path / "it")


def test_every_flipped_bit_of_every_file_is_noticed(tmp_path) -> None:
    place = manifest_folder(tmp_path / "it")
    files.check(place)
    for path in sorted(place.iterdir()):
        original = path.read_bytes()
        for i in range(len(original)):
            for bit in range(8) if path.name != files.MANIFEST else (0, 3, 5, 7):
                changed = bytearray(original)
                changed[i] ^= 1 << bit
                path.write_bytes(changed)
                with pytest.raises(FileError) as caught:
                    files.check(place)
                assert caught.value.code == "E303", (path.name, i, bit)
        path.write_bytes(original)
    files.check(place)


def test_every_truncation_and_every_missing_file_is_noticed(tmp_path) -> None:
    place = manifest_folder(tmp_path / "it")
    for path in sorted(place.iterdir()):
        original = path.read_bytes()
        for length in range(len(original.rstrip())):
            path.write_bytes(original[:length])
            with pytest.raises(FileError, match=r"changed|JSON"):
                files.check(place)
        path.unlink()
        with pytest.raises(FileError, match=r"not there|no MANIFEST") as caught:
            files.check(place)
        assert caught.value.code == ("E301" if path.name == files.MANIFEST else "E303")
        path.write_bytes(original)
    files.check(place)


@pytest.mark.parametrize(
    "text",
    [
        "[]", "3", "null", '"x"', "{}", '{"files": null}', '{"files": []}', '{"files": {"a.bin": 3}}',
        '{"files": {"../outside": "0"}}', '{"files": {"b/../../outside": "0"}}', '{"files": {"/etc/hostname": "0"}}',
    ],
)  # fmt: skip
def test_an_odd_manifest_is_a_damaged_one(text, tmp_path) -> None:
    place = manifest_folder(tmp_path / "it")
    (tmp_path / "outside").write_text("")
    (place / files.MANIFEST).write_text(text)
    with pytest.raises(FileError) as caught:
        files.check(place)
    assert caught.value.code == "E303"


# --- JSON

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def same(written: Any, read: Any) -> bool:
    if isinstance(written, float) and (written != written or written in (float("inf"), float("-inf"))):
        return read is None
    if isinstance(written, dict):
        return written.keys() == read.keys() and all(same(written[k], read[k]) for k in written)
    if isinstance(written, list):
        return len(written) == len(read) and all(map(same, written, read))
    return written == read and type(written) is type(read)


@given(values)
def test_json_comes_back_with_null_for_what_is_not_finite(tmp_path_factory, value) -> None:
    path = tmp_path_factory.getbasetemp() / "value.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)  # the disk's patience, not the writer's
        files.write_json(path, value)
    text = path.read_text(encoding="utf-8")
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} was written"))
    assert same(value, files.read_json(path))


@pytest.mark.parametrize(
    "text", ['{"x": NaN}', "[Infinity]", "-Infinity", "", "{", "{'a': 1}", '{"a": 1} x', "\xff"]
)
def test_what_is_not_json_is_refused(text, tmp_path) -> None:
    (tmp_path / "x.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(FileError, match="not valid JSON") as caught:
        files.read_json(tmp_path / "x.json")
    assert caught.value.code == "E303" and "x.json" in caught.value.where


def test_json_nested_too_deeply_is_refused(tmp_path) -> None:
    (tmp_path / "x.json").write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(FileError):
        files.read_json(tmp_path / "x.json")


def test_a_missing_file_says_so(tmp_path) -> None:
    with pytest.raises(FileError) as caught:
        files.read_json(tmp_path / "x.json")
    assert caught.value.code == "E301"
