"""Share a model folder on the Hugging Face hub, and take one from there: every file held against its manifest.

Only files that a model folder has are sent or taken, none of which can run code. What was taken stands in its place
whole, after it was checked, or not at all.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaekit import files, model_card
from vaekit.errors import FileError, HubError, ResourceError, UsageError

REFERENCE = "reference.safetensors"
FILES = (
    "recipe.json", "weights.safetensors", "kind.json", "calibration.json", REFERENCE, "README.md", files.MANIFEST,
)  # fmt: skip
THEIRS = (".gitattributes", ".cache")  # what the hub adds; never taken
LARGEST = 20_000_000_000  # bytes of all files


@dataclass(frozen=True)
class Sharing:
    """How a model is shared.

    Attributes:
        license: Identifier of the licence, such as apache-2.0; it must be said.
        visibility: "public" or "private".
        keep: Of what is left out unless it is named here: "reference", training items in coded form.
    """

    license: str
    visibility: str = "public"
    keep: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shared:
    """Where a model is now.

    Attributes:
        name: Of the repository.
        revision: The commit, which never changes: what `--revision` of `pull` takes.
        files: What was sent or taken.
        left_out: What was not.
    """

    name: str
    revision: str
    files: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def push(run: str | Path, name: str, sharing: Sharing, api: Any = None) -> Shared:
    """Send a run's model folder to the hub, and nothing else of the run.

    Args:
        run: A run folder, or a model folder.
        name: owner/name of the repository; made if it is not there.
        sharing: Licence and visibility.
        api: What speaks to the hub; huggingface_hub's by default, with the token it has.

    Raises:
        UsageError: E103, name, licence or visibility is none.
        FileError: It is not a model folder, or it is damaged.
        ResourceError: E404, huggingface_hub is not installed.
        HubError: E601 the hub cannot be reached, E602 it refused.
    """
    place = _model(Path(run))
    _checked(name)
    if sharing.visibility not in ("public", "private") or set(sharing.keep) - {"reference"}:
        raise UsageError(
            "E103", f"{sharing!r}: visibility is public or private, and keep is reference or nothing."
        )
    _whole(place)
    card = model_card.licensed((place / "README.md").read_text(encoding="utf-8"), sharing.license)
    left_out = tuple(n for n in (REFERENCE,) if (place / n).is_file() and "reference" not in sharing.keep)
    api = _api() if api is None else api
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / "model"
        with files.folder(copy) as new:
            for file in files.hashes(place):
                if file not in left_out and file != "README.md":
                    shutil.copyfile(place / file, new / file)
            files.write(new / "README.md", card)
        sent = tuple(sorted(file.name for file in copy.iterdir()))
        with _spoken(name):
            api.create_repo(name, private=sharing.visibility == "private", exist_ok=True)
            commit = api.upload_folder(
                repo_id=name,
                folder_path=copy,
                commit_message="Model trained by vaekit",
                delete_patterns=[file for file in FILES if file not in sent],  # of an older model
            )
    return Shared(name, str(commit.oid), sent, left_out)


def pull(name: str, out: str | Path, revision: str | None = None, api: Any = None) -> Shared:
    """Take a model folder from the hub.

    Args:
        name: owner/name of the repository.
        out: The folder to make; never one that is there.
        revision: A commit, branch or tag; what the hub has now by default.
        api: As of `push`.

    Raises:
        UsageError: E103 the name is none, E107 something is there already.
        FileError: E303, the repository has files that no model folder has, or not what its manifest says; nothing is
            kept.
        ResourceError, HubError: As of `push`.
    """
    out = Path(out)
    _checked(name)
    if os.path.lexists(out):
        raise UsageError(
            "E107", "there is something here already; nothing was taken.", where=out, hint="another --out"
        )
    api = _api() if api is None else api
    with _spoken(name):
        info = api.model_info(name, revision=revision, files_metadata=True)
    commit, listed = str(info.sha), list(info.siblings or [])
    _no_others([str(file.rfilename) for file in listed], name)
    if sum(getattr(file, "size", None) or 0 for file in listed) > LARGEST:
        raise FileError(
            "E303", f"{name} is larger than {LARGEST // 10**9} GB; nothing was taken.", where=name
        )
    with _beside(out) as temporary:
        with _spoken(name):
            api.snapshot_download(name, revision=commit, local_dir=temporary, allow_patterns=list(FILES))
        for theirs in THEIRS:
            _removed(temporary / theirs)
        _whole(temporary, name)
        taken = tuple(sorted(file.name for file in temporary.iterdir()))
        if os.path.lexists(out):
            raise UsageError(
                "E107", "there is something here now; nothing was taken.", where=out, hint="another --out"
            )
        os.rename(temporary, out)
    return Shared(name, commit, taken)


# ---------------------------------------------------------------------- what a model folder is


def _model(path: Path) -> Path:
    place = path / "model" if (path / "model").is_dir() else path
    if not (place / files.MANIFEST).is_file():
        raise FileError(
            "E301", "this is not a run of vaekit with a model.", where=path, hint="vaekit train first"
        )
    return place


def _whole(place: Path, name: str = "") -> None:
    """Plain files of a model folder and no others, each as its manifest says.

    Raises:
        FileError: E303.
    """
    where = name or place
    entries = sorted(place.iterdir())
    odd = [entry.name for entry in entries if entry.is_symlink() or not entry.is_file()]
    if odd:
        raise FileError("E303", f"{odd[0]!r} is no plain file; nothing was taken.", where=where)
    _no_others([entry.name for entry in entries], str(where))
    if not (place / files.MANIFEST).is_file():
        raise FileError("E303", f"there is no {files.MANIFEST}: it cannot be checked.", where=where)
    written = files.read_json(place / files.MANIFEST)
    expected = written.get("files") if isinstance(written, dict) else None
    if not isinstance(expected, dict):
        raise FileError("E303", f"{files.MANIFEST} names no files.", where=where)
    extra = sorted({entry.name for entry in entries} - set(expected) - {files.MANIFEST})
    if extra:
        raise FileError("E303", f"the manifest does not name {extra[0]}.", where=where)
    missing = sorted({"recipe.json", "weights.safetensors", "README.md"} - set(expected))
    if missing:
        raise FileError("E303", f"this is no model folder: it lacks {missing[0]}.", where=where)
    try:
        files.check(place)
    except FileError as error:
        error.where = f"{where}: {Path(error.where).name}" if name else error.where
        raise


def _no_others(names: list[str], where: str) -> None:
    odd = sorted(name for name in names if name not in FILES and name.partition("/")[0] not in THEIRS)
    if odd:
        message = f"{odd[0][:80]!r} is no file of a model folder; nothing was taken."
        raise FileError("E303", message, where=where, hint="share it with vaekit push")


def _checked(name: str) -> None:
    if not re.fullmatch(r"(?=.{3,96}$)\w[\w.-]*/\w[\w.-]*", name, re.ASCII) or ".." in name:
        raise UsageError("E103", f"{name!r}: the name of a repository is expected.", hint="owner/name")


# ---------------------------------------------------------------------- the hub


class _Hub:
    """huggingface_hub with the one function that is not a method of its API before version 1."""

    def __init__(self, module: Any) -> None:
        self.api, self.snapshot_download = module.HfApi(library_name="vaekit"), module.snapshot_download

    def __getattr__(self, name: str) -> Any:
        return getattr(self.api, name)


def _api() -> Any:
    try:
        import huggingface_hub
    except ImportError:
        message = "sharing models needs huggingface_hub."
        raise ResourceError("E404", message, hint="pip install 'vaekit[hub]'") from None
    return _Hub(huggingface_hub)


@contextlib.contextmanager
def _spoken(name: str) -> Iterator[None]:
    """What the hub or the way to it refused, in our words.

    Raises:
        HubError: E601 or E602.
    """
    try:
        yield
    except (FileError, UsageError, HubError):
        raise
    except Exception as error:  # httpx, the hub's own errors, or the operating system's
        status = getattr(getattr(error, "response", None), "status_code", None)
        kind = type(error).__name__
        if status in (401, 403) or kind in ("GatedRepoError", "LocalTokenNotFoundError"):
            raise HubError(
                "E602", "the hub wants to know who you are.", where=name, hint="hf auth login"
            ) from error
        if status == 404 or kind in ("RepositoryNotFoundError", "RevisionNotFoundError"):
            message = "the hub has no such repository or revision, or it is private."
            raise HubError("E602", message, where=name, hint="check the name, or hf auth login") from error
        if status is not None:
            raise HubError(
                "E602", f"the hub refused (status {status}).", where=name, hint="try again later"
            ) from error
        if isinstance(error, OSError) or "onnect" in kind or "imeout" in kind or "ffline" in kind:
            hint = "check the network; HF_HUB_OFFLINE and HF_ENDPOINT if they are set"
            raise HubError("E601", f"the hub cannot be reached ({kind}).", where=name, hint=hint) from error
        raise


@contextlib.contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """A temporary folder beside a path; it is gone afterwards unless it was renamed.

    Raises:
        ResourceError: E402, the place cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".tmp", dir=out.parent))
    except OSError as error:
        message = f"this place cannot be written ({error.strerror})."
        raise ResourceError("E402", message, where=out, hint="choose another place with --out") from error
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _removed(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()
