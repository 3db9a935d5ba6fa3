"""Imports inside the package go one way: each module imports what stands before it, or its own."""

import ast
from importlib.util import resolve_name
from pathlib import Path

import pytest

import qbeconometrics

PACKAGE = "qbeconometrics"
ROOT = Path(qbeconometrics.__file__).parent
ORDER = (
    "exceptions",
    "kernels",
    "inputs",
    "moments",
    "moment_functions",
    "priors",
    "losses",
    "posterior",
    "diagnostics",
    "sampling",
    "calibration",
    "stiefel",
    "online",
    "plots",
    "results",
    "models",
    "command_line",
    "__main__",
)
PUBLIC = {*ORDER[: ORDER.index("command_line")], "simulate", "datasets", "versions"}
# What else these may import, besides the exceptions. The public front takes all but the program.
ASIDE = {
    "simulate": set(),
    "datasets": set(),
    "versions": set(),
    "__init__": PUBLIC,
    "api": {*PUBLIC, PACKAGE},
    "command_line": PUBLIC,
    "__main__": {*PUBLIC, "command_line"},
}


def part_of(module):
    """Which part of the package a full module name belongs to; the package itself if to none."""
    words = module.split(".")
    return words[1] if len(words) > 1 else PACKAGE


def in_front(name):
    """Full name of a part imported from the package, or the package for a public name."""
    return f"{PACKAGE}.{name}" if name in {*ORDER, *ASIDE} else PACKAGE


def imported_modules(source, module, is_package):
    """Full names of the modules of this package that a source imports."""
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            # "from qbeconometrics import datasets" imports a part, not the front.
            names = [base if base != PACKAGE else in_front(alias.name) for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == PACKAGE)


def allowed_for(part):
    """Parts that a part may import."""
    before = set(ORDER[: ORDER.index(part)]) if part in ORDER and part not in ASIDE else set()
    return before | ASIDE.get(part, set()) | {part, "exceptions"}


def wrong_arrows(source, module, is_package=False):
    part = "__init__" if module == PACKAGE else part_of(module)
    allowed = allowed_for(part)
    found = sorted({part_of(name) for name in imported_modules(source, module, is_package)})
    return [f"{module} -> {target}" for target in found if target not in allowed]


def modules():
    for path in sorted(ROOT.rglob("*.py")):
        words = path.relative_to(ROOT.parent).with_suffix("").parts
        is_package = words[-1] == "__init__"
        yield path, ".".join(words[:-1] if is_package else words), is_package


def test_every_part_has_a_place():
    parts = {part_of(module) for _, module, _ in modules()} - {PACKAGE}
    assert parts <= {*ORDER, *ASIDE}


def test_imports_go_one_way():
    wrong = [
        arrow
        for path, module, is_package in modules()
        for arrow in wrong_arrows(path.read_text(encoding="utf-8"), module, is_package)
    ]
    assert wrong == []


def test_compiled_modules_import_only_kernels():
    for path in sorted(ROOT.rglob("*.p[yx][xd]")):
        lines = path.read_text(encoding="utf-8").splitlines()
        imports = [
            line.split() for line in lines if line.startswith(("from ", "cimport ", "import "))
        ]
        ours = [words[1] for words in imports if words[1].startswith(PACKAGE)]
        assert all(name.startswith(f"{PACKAGE}.kernels") for name in ours), path


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("from qbeconometrics.models.iv import QuasiBayesIV", "qbeconometrics.results.summary"),
        ("import qbeconometrics.sampling.run", "qbeconometrics.moments.linear"),
        ("def f():\n    from ..results import export", "qbeconometrics.diagnostics.ess"),
        ("from qbeconometrics import priors", "qbeconometrics.datasets.loading"),
        ("from .. import priors", "qbeconometrics.moments.linear"),
        ("import qbeconometrics", "qbeconometrics.models.iv"),
        ("from qbeconometrics import QuasiBayesIV", "qbeconometrics.results.iv_results"),
    ],
)
def test_a_wrong_arrow_is_seen(source, module):
    assert len(wrong_arrows(source, module)) == 1


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("from .formula_text import split", "qbeconometrics.inputs.formula"),
        ("from qbeconometrics import exceptions", "qbeconometrics.datasets.loading"),
        ("import numpy", "qbeconometrics.kernels.reference.twins"),
    ],
)
def test_a_right_arrow_passes(source, module):
    assert wrong_arrows(source, module) == []
