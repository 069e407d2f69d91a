"""How the documentation is built: Markdown pages, and the reference from the docstrings."""

import re
from importlib.metadata import version as installed
from typing import Any

project = "vaekit"
release = version = installed("vaekit")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
html_theme = "furo"
html_title = f"vaekit {release}"

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

default_role = "literal"  # `name` in a docstring is code, as it is in Markdown
autosummary_generate = True
autosummary_ignore_module_all = True  # else the modules of a package that has __all__ are not found
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_numpy_docstring = False
suppress_warnings = [
    "ref.python"
]  # a VAE in an annotation is the model; scikit-learn's estimator has the name too


EXAMPLE = r"^ *>>>[\s\S]*?(?=\n *\n|\Z)"
DIRECTIVE = r"^(?P<column> *)\.\. .*(?:\n *(?=\n)|\n(?P=column) +.*)*"
CODE = r"`[^`]*`"
MARKUP = r"[*|]|(?<=\w)_(?!\w)|(?<=`)(?=\w)"  # the last: the plural of a name, `Gaussian`s


def plain_text(app: Any, what: str, name: str, item: Any, options: Any, lines: list[str]) -> None:
    """Take `*`, `|` and a final `_` in a docstring as they stand.

    Docstrings here are plain text with code in backticks: in a shape like (B, *latent), in KL(q || p) or in a name
    like coef_, reStructuredText would see markup. Doctests, directives and code are left alone.
    """
    if type(item).__name__ == "Typer":  # its class's words would stand here
        lines[:] = ["All commands."]
    kept = f"(?P<kept>{EXAMPLE}|{DIRECTIVE}|{CODE})"
    text = re.sub(f"{kept}|{MARKUP}", lambda m: m["kept"] or "\\" + m[0], "\n".join(lines), flags=re.M)
    lines[:] = text.split("\n")


def skipped(app: Any, what: str, name: str, item: Any, skip: bool, options: Any) -> bool | None:
    """Leave out fields of named tuples, which their docstring lists, and what scikit-learn adds to estimators."""
    field = type(item).__name__ == "_tuplegetter"
    return True if field or re.fullmatch(r"set_\w+_request", name) else None


def setup(app: Any) -> None:
    app.connect("autodoc-skip-member", skipped)
    app.connect("autodoc-process-docstring", plain_text, priority=100)  # before the sections are read
