"""The architecture, enforced: who may import whom, what the source must not contain, what a start must not load."""

import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "vaekit"
FILES = sorted(PACKAGE.rglob("*.py"))

CORE = {
    "recipes",
    "distributions",
    "networks",
    "conditional",
    "bottlenecks",
    "priors",
    "model",
    "objectives",
    "data",
}
BELOW_USE = CORE | {"errors", "files", "training", "presets", "persistence"}
BELOW_TOP = BELOW_USE | {"operations", "evaluation"}

# name directly under vaekit -> the names it may import
LAYERS = {
    "errors": set(),
    "meanings": set(),
    "notebook": set(),
    "files": {"errors"},
    "recipes": {"errors"},
    "distributions": {"errors", "recipes"},
    "networks": {"errors", "recipes"},
    "conditional": {"distributions", "networks", "recipes"},
    "bottlenecks": {"conditional", "distributions", "recipes"},
    "priors": {"conditional", "distributions", "networks", "recipes"},
    "model": {"bottlenecks", "conditional", "distributions", "recipes", "notebook"},
    "objectives": {"bottlenecks", "data", "model", "distributions", "networks", "recipes"},
    "datasets": {"errors"},
    "data": {"distributions", "networks", "errors", "files", "recipes", "datasets", "notebook"},
    "training": CORE | {"files", "errors"},
    "presets": CORE,
    "persistence": CORE | {"errors", "files"},
    "operations": {"bottlenecks", "model", "data", "distributions", "training"},
    "evaluation": BELOW_USE | {"operations"},
    "uses": BELOW_TOP,
    "progress": set(),
    "signals": set(),
    "config": {"files", "errors"},
    "inspection": {"files", "errors"},
    "outputs": {"files", "errors", "data"},
    "pages": {"config", "progress"},
    "prepare": CORE | {"config", "errors", "presets"},
    "report": BELOW_TOP | {"meanings", "config", "outputs", "progress", "uses"},
    "as_trained": CORE | {"config", "prepare", "errors", "files"},
    "model_card": {"files", "errors", "config", "report", "progress"},
    "diagnosis": BELOW_TOP | {"uses", "config", "prepare", "progress", "as_trained"},
    "fitting": BELOW_TOP
    | {
        "uses",
        "config",
        "prepare",
        "progress",
        "signals",
        "outputs",
        "pages",
        "report",
        "diagnosis",
        "model_card",
        "trackers",
    },
    "trackers": {"errors"},
    "export": BELOW_TOP | {"config", "prepare", "progress", "as_trained"},
    "explorer": BELOW_TOP
    | {"uses", "config", "prepare", "progress", "signals", "outputs", "report", "as_trained", "export"},
    "comparison": {"files", "errors", "meanings", "progress", "report"},
    "hub": {"files", "errors", "persistence", "inspection", "config", "progress", "model_card"},
    "second_stage": BELOW_TOP
    | {
        "uses",
        "config",
        "prepare",
        "progress",
        "outputs",
        "pages",
        "report",
        "as_trained",
        "model_card",
        "diagnosis",
    },
    "run": BELOW_TOP
    | {
        "notebook",
        "uses",
        "config",
        "prepare",
        "progress",
        "report",
        "second_stage",
        "as_trained",
        "diagnosis",
        "export",
        "explorer",
    },
    "launch": BELOW_TOP | {"uses", "config", "prepare", "progress", "fitting", "report", "run", "trackers"},
    "mending": BELOW_TOP
    | {"uses", "config", "prepare", "progress", "diagnosis", "as_trained", "run", "launch"},
    "sweep": BELOW_TOP | {"config", "prepare", "progress", "comparison", "run", "launch"},
    "sklearn": BELOW_TOP | {"uses", "config", "prepare"},
    "words": {"errors"},
    "border": {"files", "errors", "progress"},
    "cli": BELOW_TOP
    | {
        "config",
        "prepare",
        "progress",
        "outputs",
        "inspection",
        "report",
        "run",
        "launch",
        "signals",
        "words",
        "border",
        "uses",
        "as_trained",
        "diagnosis",
        "mending",
        "export",
        "explorer",
        "comparison",
        "sweep",
        "trackers",
        "model_card",
        "hub",
    },
    "__main__": {"cli"},
}


def layer_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node, except those that only a type checker sees."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield from (other, *statements(other))
        else:
            yield from (node, *statements(node))


def imported(file: Path, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of every import, relative ones resolved."""
    package = ("vaekit", *file.relative_to(PACKAGE).parent.parts)
    for node in statements(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += [node.module] if node.module else []
            yield from ((node.lineno, ".".join([*base, alias.name])) for alias in node.names)


def wrong_imports(file: Path, source: str) -> list[str]:
    """What `source`, standing at `file`, imports although it stands above or beside it."""
    layer = layer_of(file)
    wrong = []
    for line, name in imported(file, ast.parse(source)):
        top, _, rest = name.partition(".")
        target = rest.partition(".")[0]
        if top == "vaekit" and target not in {layer, "__version__"} and target not in LAYERS[layer]:
            wrong.append(f"{file.relative_to(ROOT)}:{line}: {layer} may not import {name}")
    return wrong


def forbidden(source: str) -> list[str]:
    """What can run code out of a file, or run text as code."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None)
            names = [module] if module else [alias.name for alias in node.names]
            bad = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
            found += [f"{node.lineno}: import {name}" for name in names if name.partition(".")[0] in bad]
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            pickles = any(
                keyword.arg == "allow_pickle" and ast.unparse(keyword.value) != "False"
                for keyword in node.keywords
            )
            if called in {"eval", "exec", "torch.load", "torch.save"} or pickles:
                found.append(f"{node.lineno}: {ast.unparse(node)}")
    return found


def test_the_table_is_one_way() -> None:
    settled: set[str] = set()
    while ready := {name for name, below in LAYERS.items() if name not in settled and below <= settled}:
        settled |= ready
    assert settled == set(LAYERS), (
        f"these import each other, or a name not in LAYERS: {set(LAYERS) - settled}"
    )


def test_every_module_has_a_layer() -> None:
    unknown = {layer_of(file) for file in FILES} - set(LAYERS) - {"__init__"}
    assert not unknown, f"add {sorted(unknown)} to LAYERS in {Path(__file__).name}, with what each may import"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_go_down(file: Path) -> None:
    if layer_of(file) in LAYERS:  # the package's own __init__ only gathers public names
        wrong = wrong_imports(file, file.read_text())
        assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_nothing_runs_code_from_a_file(file: Path) -> None:
    found = forbidden(file.read_text())
    assert not found, "\n".join(f"{file.relative_to(ROOT)}:{line}" for line in found)


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("model.py", "from vaekit.training import train"),
        ("model.py", "from vaekit import VAE"),
        ("model.py", "def f():\n    import vaekit.cli"),
        ("priors/fixed.py", "from ..bottlenecks import Variational"),
        ("priors/fixed.py", "from .. import bottlenecks"),
    ],
)
def test_an_upward_import_is_seen(place: str, source: str) -> None:
    assert wrong_imports(PACKAGE / place, source)


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("model.py", "from vaekit.bottlenecks import Variational"),
        (
            "model.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from vaekit.training import train",
        ),
        ("priors/fixed.py", "from .mixture import Mixture"),
        ("priors/fixed.py", "from ..conditional import Conditional"),
    ],
)
def test_a_downward_import_is_let_through(place: str, source: str) -> None:
    assert not wrong_imports(PACKAGE / place, source)


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(path, weights_only=True)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=trusted)",
        "eval(text)",
        "exec(text)",
    ],
)
def test_what_runs_code_is_seen(source: str) -> None:
    assert forbidden(source)


def test_what_only_looks_like_it_is_let_through() -> None:
    assert not forbidden("model.eval()\nnp.load(path, allow_pickle=False)\nre.compile('eval(')")


@pytest.mark.parametrize("start", ["import vaekit", "from vaekit.cli import main; main()"])
def test_a_start_loads_nothing_heavy(start: str) -> None:
    if "cli" in start and importlib.util.find_spec("vaekit.cli") is None:
        pytest.skip("no command line yet")
    program = f"""
import sys
sys.argv = ["vaekit", "--help"]
try:
    {start}
except SystemExit as end:
    assert end.code in (None, 0), end.code
heavy = {{"torch", "sklearn", "scipy", "matplotlib", "pandas", "pyarrow"}} & set(sys.modules)
sys.exit(f"loaded at the start: {{sorted(heavy)}}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def tree_of(readme: str) -> list[str]:
    """Every path of the README's file tree: the code block that names src/, one indented entry per line."""
    blocks = [
        block
        for block in re.findall(r"^```\w*\n(.*?)^```", readme, re.M | re.S)
        if re.search(r"^src/", block, re.M)
    ]
    paths, above = [], []
    for line in "".join(blocks[:1]).splitlines():
        if entry := re.match(r"( *)([\w.-][\w./-]*)", line):
            indent, name = len(entry[1]), entry[2]
            above = [(depth, folder) for depth, folder in above if depth < indent]
            paths.append("".join(folder for _, folder in above) + name)
            if name.endswith("/"):
                above.append((indent, name))
    return paths


def test_the_file_tree_is_read_with_its_folders() -> None:
    other = "```\nruns/<name>/\n  report.html\n```\n"
    readme = (
        other + "```text\nsrc/vaekit/\n  model.py     the model\n  data/\n    kind.py\ntests/   one\n```\n"
    )
    expected = ["src/vaekit/", "src/vaekit/model.py", "src/vaekit/data/", "src/vaekit/data/kind.py", "tests/"]
    assert tree_of(readme) == expected


def test_the_file_tree_in_the_readme_is_true() -> None:
    missing = [path for path in tree_of((ROOT / "README.md").read_text()) if not (ROOT / path).exists()]
    assert not missing, f"in the file tree of README.md, but not in the repository: {missing}"
