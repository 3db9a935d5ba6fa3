"""Facts of the package that no other test looks at: version, extras, imports, size of files."""

import ast
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import qbeconometrics

SOURCE = Path(qbeconometrics.__file__).parent
TREE = Path(__file__).parent.parent
EXTRAS = {
    "plots", "arviz", "progress", "test", "docs", "bench", "dask", "parquet", "compare",
}  # fmt: skip
# Optional, or slow to import: only functions that need one of these import it.
NOT_IMPORTED = ("matplotlib", "arviz", "xarray", "statsmodels.api", "linearmodels")
LONGEST_FILE = 400


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((TREE / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def python_files():
    return sorted(SOURCE.rglob("*.py"))


def test_the_version_stands_in_one_place(project):
    assert "version" not in project.get("dynamic", [])
    version = project["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", version)
    assert importlib.metadata.version("qbeconometrics") == version
    assert qbeconometrics.__version__ == version
    literal = [path for path in python_files() if f'"{version}"' in path.read_text("utf-8")]
    assert literal == []


def test_the_version_is_cited_and_in_the_change_log(project):
    version = project["version"]
    assert f"\nversion: {version}\n" in (TREE / "CITATION.cff").read_text(encoding="utf-8")
    assert f"## [{version}]" in (TREE / "CHANGELOG.md").read_text(encoding="utf-8")


def test_extras_exist(project):
    assert set(project["optional-dependencies"]) >= EXTRAS
    installed = importlib.metadata.metadata("qbeconometrics").get_all("Provides-Extra")
    assert set(installed) >= EXTRAS


def test_import_is_light():
    script = "import json, sys, qbeconometrics; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    loaded = json.loads(run.stdout)
    assert [name for name in NOT_IMPORTED if name in loaded] == []
    assert run.stderr == ""


def test_the_library_does_not_print():
    found = []
    for path in python_files():
        if path.name == "__main__.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("print", "pprint"):
                found.append(f"{path.relative_to(SOURCE)}:{node.lineno}")
    assert found == []


def test_files_are_short():
    paths = [path for kind in ("py", "pyx", "pxd", "pyi") for path in SOURCE.rglob(f"*.{kind}")]
    lengths = {
        str(path.relative_to(SOURCE)): len(path.read_text(encoding="utf-8").splitlines())
        for path in paths
    }
    assert {name: length for name, length in lengths.items() if length >= LONGEST_FILE} == {}


def test_types_are_published():
    assert (SOURCE / "py.typed").is_file()


def test_the_public_names_are_the_same_twice():
    api = __import__("qbeconometrics.api", fromlist=["api"])
    assert sorted(api.__all__) == sorted(qbeconometrics.__all__)
    for name in qbeconometrics.__all__:
        assert getattr(api, name) is getattr(qbeconometrics, name)
