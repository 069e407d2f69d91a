"""The documentation runs: every Python block and every `vaekit` command of README.md and docs/.

The blocks of a page run in order, in one namespace and one temporary folder. `<!-- not run -->` before a block
leaves it out; other commands of a console block (`make`, `pip`) are the reader's.
"""

import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs/lesson").glob("*.md")),
]
FENCE = re.compile(r"^```(python|console|bash)\n(.*?)^```", re.M | re.S)


class Block(NamedTuple):
    language: str
    text: str
    line: int  # of the first line inside the fence, counted from 1


def blocks(page: str, every: bool = False) -> Iterator[Block]:
    for match in FENCE.finditer(page):
        before = page[: match.start()]
        if every or not before.rstrip().endswith("<!-- not run -->"):
            yield Block(match[1], match[2], before.count("\n") + 2)


def commands(text: str) -> list[list[str]]:
    """The words after `vaekit` of every such command, continued lines joined, comments cut."""
    whole = re.sub(r"\s#.*", "", text.replace("\\\n", " "))  # digits#3 is a word, as it is in a shell
    lines = (line.removeprefix("$ ") for line in whole.splitlines())
    return [shlex.split(line)[1:] for line in lines if line.startswith("vaekit ")]


def call(words: list[str], patch: pytest.MonkeyPatch) -> None:
    """The command in this process, which has torch loaded already."""
    from vaekit.cli import main

    patch.setattr(sys, "argv", ["vaekit", *words])
    try:
        code = main()
    except SystemExit as end:
        code = end.code
    if code:
        pytest.fail(f"vaekit {shlex.join(words)}: exit code {code}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page.read_text()):
        if block.language == "python":
            # The empty lines let a traceback name the line of the page.
            exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), namespace)
        else:
            for words in commands(block.text):
                if importlib.util.find_spec("vaekit.cli") is None:
                    pytest.skip("no command line yet")
                call(words, monkeypatch)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_that_are_not_run_have_options_that_there_are(page: Path) -> None:
    from typer.main import get_command

    from vaekit.cli import app
    from vaekit.launch import configure
    from vaekit.words import named_options, varied

    known = get_command(app).commands
    for block in (block for block in blocks(page.read_text(), every=True) if block.language != "python"):
        for name, *words in commands(block.text):
            context = known[name].make_context(name, [word for word in words if word != "&"])
            if name in ("train", "sweep"):
                over = {
                    option: values[0] for option, values in varied(context.params.get("over") or []).items()
                }
                preset = {"preset": context.params["preset"]} if context.params.get("preset") else {}
                configure("digits", preset | named_options(context.args) | over)


def test_blocks_are_found_in_order_and_may_be_left_out() -> None:
    page = "# A\n\n```python\nx = 1\n```\n<!-- not run -->\n```python\nx = 2\n```\n```text\nno\n```\n```bash\nls\n```\n"
    assert list(blocks(page)) == [Block("python", "x = 1\n", 4), Block("bash", "ls\n", 14)]


def test_only_vaekit_commands_are_taken() -> None:
    text = "pip install x\n$ vaekit train digits --out 'a b'  # why\nvaekit sample a \\\n  --n 4\ntrained\n"
    assert commands(text) == [["train", "digits", "--out", "a b"], ["sample", "a", "--n", "4"]]
