"""The border between people and the package: what every command shares, and how what goes wrong is said.

Every command prints for people on standard error, takes `--json` (one object on standard output and nothing else
there), `--quiet` and `--debug`, and ends with 0 ok, 1 our bug, 2 usage, 3 bad data, 4 bad file, 5 resources,
6 diverged, 130 or 143 interrupted with a checkpoint saved.
"""

from __future__ import annotations

import functools
import inspect
import json as json_
import sys
import warnings
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

from vaekit import files
from vaekit.errors import CODES, VaekitError
from vaekit.progress import described, say

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing for people.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def command(
    app: typer.Typer, name: str, **settings: Any
) -> Callable[[Callable[..., dict[str, Any]]], Callable[..., dict[str, Any]]]:
    """A function that returns its result as a dict, as a command with `--json`, `--quiet` and `--debug`.

    Of the result `text` and `page` are for people, `exit_code` is what the command ends with; the rest is its JSON.

    Args:
        app: What the command belongs to.
        name: What users type.
        settings: Those of typer.
    """

    def register(function: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        @functools.wraps(function)
        def run(*args: Any, json: bool, quiet: bool, debug: bool, **options: Any) -> None:
            with_quiet = {"quiet": quiet} if "quiet" in inspect.signature(function).parameters else {}
            try:
                result = function(*args, **options, **with_quiet)
            except KeyboardInterrupt as stop:  # typer would say nothing, and end with 130 always
                raise typer.Exit(_stopped(stop, debug)) from stop
            text, page, code = (result.pop(name, None) for name in ("text", "page", "exit_code"))
            if json:
                print(json_.dumps(files.finite(result.get("list", result)), allow_nan=False))
            elif page is not None and not quiet:  # what was asked to be read, for a pager or a file
                print(page)
            elif not quiet:
                print(text if text is not None else described(result), file=sys.stderr)
            if code:  # some of what was asked for could not be done
                raise typer.Exit(code)

        keep = [
            p for p in inspect.signature(function, eval_str=True).parameters.values() if p.name != "quiet"
        ]
        common = [
            inspect.Parameter(word, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
            for word, kind in (("json", Json), ("quiet", Quiet), ("debug", Debug))
        ]
        run.__signature__ = inspect.Signature([*keep, *common])  # type: ignore[attr-defined]
        app.command(name, **settings)(run)
        return function

    return register


def run(app: typer.Typer, words: list[str]) -> NoReturn:
    """Run a command; whatever goes wrong becomes a short message and an exit code."""
    debug = "--debug" in words
    warnings.showwarning = _note
    try:
        code = app(words, standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except VaekitError as error:
        sys.exit(_said(str(error), error.exit_code, debug))
    except KeyboardInterrupt as stop:
        sys.exit(_stopped(stop, debug))
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        sys.exit(_failed(error, debug))


def _note(message: Warning | str, *place: Any, **more: Any) -> None:
    """A warning as a sentence, without the line of our source that it came from."""
    print(f"note: {message}", file=sys.stderr)


def _failed(error: Exception, debug: bool) -> int:
    """Errors that are not ours: of the command line itself, of memory, of the library, or a bug."""
    show = getattr(error, "format_message", None)
    if show is not None:  # the command line's own: an unknown command or option, a missing argument
        return _misused(error, show(), debug)
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return _said("E403 out-of-memory: it does not fit.\n  try: --batch-size 32", 5, debug)
    if isinstance(error, ValueError):
        return _said(f"E103 bad-value: {error}", 2, debug)
    return _said(
        f"a bug of ours, sorry ({type(error).__name__}: {error})\n  try: the same with --debug", 1, debug
    )


def _misused(error: Exception, text: str, debug: bool) -> int:
    name = type(error).__name__
    if name == "NoArgsIsHelpError":  # the help is the answer
        print(text)
        return 2
    code = "E103" if name in ("BadParameter", "MissingParameter", "BadOptionUsage") else "E102"
    code = "E109" if text.startswith("No such command") else code
    context: Any = getattr(error, "ctx", None)
    own = f" {context.info_name}" if context is not None and context.parent is not None else ""
    return _said(f"{code} {CODES[code]}: {text}\n  try: vaekit{own} --help", 2, debug)


def _stopped(stop: KeyboardInterrupt, debug: bool) -> int:
    return _said(str(stop) or "stopped", 128 + getattr(stop, "signum", 2), debug)


def _said(text: str, code: int, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exc()
    say("\n".join(text.splitlines()[:5]))
    return code
