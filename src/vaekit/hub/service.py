"""The hub as a service: what speaks to it, and what it refuses in our words."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from vaekit.errors import FileError, HubError, ResourceError, UsageError


def check_name(name: str) -> None:
    """See to it that a repository's name is of the form owner/name.

    Raises:
        UsageError: E103, it is not.
    """
    if not re.fullmatch(r"(?=.{3,96}$)\w[\w.-]*/\w[\w.-]*", name, re.ASCII) or ".." in name:
        raise UsageError("E103", f"{name!r}: the name of a repository is expected.", hint="owner/name")


class _Hub:
    """huggingface_hub with the one function that is not a method of its API before version 1."""

    def __init__(self, module: Any) -> None:
        self.api, self.snapshot_download = module.HfApi(library_name="vaekit"), module.snapshot_download

    def __getattr__(self, name: str) -> Any:
        return getattr(self.api, name)


def connected() -> Any:
    """What speaks to the hub, with the token that huggingface_hub has.

    Raises:
        ResourceError: E404, huggingface_hub is not installed.
    """
    try:
        import huggingface_hub
    except ImportError:
        message = "sharing models needs huggingface_hub."
        raise ResourceError("E404", message, hint="pip install 'vaekit[hub]'") from None
    return _Hub(huggingface_hub)


@contextlib.contextmanager
def in_our_words(name: str) -> Iterator[None]:
    """Inside, an error of the hub or on the way to it becomes one of ours.

    Args:
        name: Of the repository, which the error names.

    Raises:
        HubError: E601 the hub cannot be reached, E602 it refused.
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
