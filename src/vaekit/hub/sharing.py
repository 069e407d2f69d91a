"""Push a run's model folder to the hub, and pull one from there.

Only files that a model folder has are sent or taken, none of which can run code. What was taken stands in its place
whole, after it was checked, or not at all.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaekit import files, model_card
from vaekit.errors import FileError, ResourceError, UsageError
from vaekit.hub.model_folder import FILES, REFERENCE, THEIRS, check_names, check_whole, model_folder
from vaekit.hub.service import check_name, connected, in_our_words

LARGEST = 20_000_000_000  # bytes of all files


@dataclass(frozen=True)
class Sharing:
    """How a model is shared.

    Attributes:
        license: Identifier of the licence, such as apache-2.0; there is no default.
        visibility: "public" or "private".
        keep: What is sent only if it is named here: "reference", training items in coded form.
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
        left_out: What of the model folder was not sent.
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
        UsageError: E103, the name, the licence or the visibility is not a valid one.
        FileError: It is not a model folder, or it is damaged.
        ResourceError: E404, huggingface_hub is not installed.
        HubError: E601 the hub cannot be reached, E602 it refused.
    """
    place = model_folder(Path(run))
    check_name(name)
    if sharing.visibility not in ("public", "private") or set(sharing.keep) - {"reference"}:
        raise UsageError(
            "E103", f"{sharing!r}: visibility is public or private, and keep is reference or nothing."
        )
    check_whole(place)
    card = model_card.licensed((place / "README.md").read_text(encoding="utf-8"), sharing.license)
    left_out = tuple(n for n in (REFERENCE,) if (place / n).is_file() and "reference" not in sharing.keep)
    api = connected() if api is None else api
    with tempfile.TemporaryDirectory() as temporary:
        copy = _copied(place, Path(temporary) / "model", card, left_out)
        sent = tuple(sorted(file.name for file in copy.iterdir()))
        with in_our_words(name):
            api.create_repo(name, private=sharing.visibility == "private", exist_ok=True)
            commit = api.upload_folder(
                repo_id=name,
                folder_path=copy,
                commit_message="Model trained by vaekit",
                delete_patterns=[file for file in FILES if file not in sent],  # of an older model
            )
    return Shared(name, str(commit.oid), sent, left_out)


def _copied(place: Path, copy: Path, card: str, left_out: Collection[str]) -> Path:
    """A model folder's copy with another model card and without some files."""
    with files.folder(copy) as new:
        for file in files.hashes(place):
            if file not in left_out and file != "README.md":
                shutil.copyfile(place / file, new / file)
        files.write(new / "README.md", card)
    return copy


def pull(name: str, out: str | Path, revision: str | None = None, api: Any = None) -> Shared:
    """Take a model folder from the hub.

    Args:
        name: owner/name of the repository.
        out: The folder to make; never one that is there.
        revision: A commit, branch or tag; what the hub has now by default.
        api: As of `push`.

    Raises:
        UsageError: E103 the name is not of the form owner/name, E107 something is there already.
        FileError: E303, the repository has files that no model folder has, or not what its manifest says; nothing is
            kept.
        ResourceError, HubError: As of `push`.
    """
    out = Path(out)
    check_name(name)
    if os.path.lexists(out):
        raise UsageError(
            "E107", "there is something here already; nothing was taken.", where=out, hint="another --out"
        )
    api = connected() if api is None else api
    commit = _fitting_commit(api, name, revision)
    with _beside(out) as temporary:
        with in_our_words(name):
            api.snapshot_download(name, revision=commit, local_dir=temporary, allow_patterns=list(FILES))
        for theirs in THEIRS:
            _removed(temporary / theirs)
        check_whole(temporary, name)
        taken = tuple(sorted(file.name for file in temporary.iterdir()))
        if os.path.lexists(out):
            raise UsageError(
                "E107", "there is something here now; nothing was taken.", where=out, hint="another --out"
            )
        os.rename(temporary, out)
    return Shared(name, commit, taken)


def _fitting_commit(api: Any, name: str, revision: str | None) -> str:
    """The commit that a revision stands for, if it lists a model folder's files alone, of a size that can be taken.

    Raises:
        FileError: E303, it does not.
    """
    with in_our_words(name):
        info = api.model_info(name, revision=revision, files_metadata=True)
    listed = list(info.siblings or [])
    check_names([str(file.rfilename) for file in listed], name)
    if sum(getattr(file, "size", None) or 0 for file in listed) > LARGEST:
        message = f"{name} is larger than {LARGEST // 10**9} GB; nothing was taken."
        raise FileError("E303", message, where=name)
    return str(info.sha)


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
