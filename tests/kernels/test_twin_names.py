"""Every public name of a stub has a twin of the same arguments, and is compared with it."""

import ast
import inspect
from importlib import import_module
from pathlib import Path

import pytest

from qbeconometrics import kernels

FOLDER = Path(kernels.__file__).parent

# Where each public name is compared with its twin.
COMPARED_IN = {
    "cholesky": "test_cholesky.py",
    "solve": "test_cholesky.py",
    "LinearMomentTarget": "test_linear_moments.py",
    "COUNTERS": "test_twin_names.py",
    "random_walk": "test_twin_paths.py",
    "modified_delayed_acceptance": "test_twin_paths.py",
    "log_density_and_gradient": "test_gradient.py",
    "hamiltonian": "test_twin_paths.py",
    "smoothing_gibbs": "test_smoothing.py",
    "ProjectionTarget": "test_projection.py",
    "projection_chain": "test_projection.py",
    "projection_gradient": "test_projection.py",
    "sum_row_products": "test_row_products.py",
    "compare_columns": "test_row_products.py",
    "LANES": "test_particles.py",
    "LossRows": "test_particles.py",
    "particle_walk": "test_particles.py",
    "move_particles": "test_particles.py",
    "CompiledDensity": "test_density.py",
    "PythonDensity": "test_density.py",
    "CHARTS": "test_stiefel.py",
    "StiefelMap": "test_stiefel.py",
    "MatrixTarget": "test_stiefel.py",
    "QuadraticTarget": "test_stiefel.py",
    "PythonMatrixTarget": "test_stiefel.py",
    "StiefelDensity": "test_stiefel.py",
    "DeterminantRatioTarget": "test_cointegration.py",
    "SumOfTargets": "test_cointegration.py",
    "MOST_RANKS": "test_cointegration.py",
    "log_probit": "test_network.py",
    "NetworkDensity": "test_network.py",
    "ComponentDensity": "test_components.py",
    "ReducedRankTarget": "test_reduced_rank.py",
    "STATISTICS": "test_nuts.py",
    "nuts": "test_nuts.py",
    "RULES": "test_kernel_learning.py",
    "EFFECTS": "test_kernel_learning.py",
    "MOMENTS": "test_kernel_learning.py",
    "RUNNING": "test_kernel_learning.py",
    "PATH": "test_kernel_learning.py",
    "FeatureMap": "test_kernel_learning.py",
    "FourierMap": "test_kernel_learning.py",
    "MonomialMap": "test_kernel_learning.py",
    "Learner": "test_kernel_learning.py",
}


def public_names(body):
    """Names of functions, classes and constants, and their nodes."""
    for node in body:
        name = getattr(node, "name", None)
        if isinstance(node, ast.AnnAssign):
            name = node.target.id
        if name and not name.startswith("_"):
            yield name, node


def stub_entries():
    for path in sorted(FOLDER.glob("*.pyi")):
        for name, node in public_names(ast.parse(path.read_text(encoding="utf-8")).body):
            yield pytest.param(path.stem, name, node, id=f"{path.stem}.{name}")


STUBS = list(stub_entries())


def argument_names(function):
    arguments = function.args
    return [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)][1:]


def twins_of(module):
    """Names in the reference module that goes with an extension."""
    return vars(import_module(f"{kernels.__name__}.reference.{module.removeprefix('_')}"))


def test_every_extension_has_a_stub():
    stems = {path.stem for path in FOLDER.glob("*.pyi")}
    shared = {"_cyutility"}  # written by Cython; the package calls nothing in it
    assert stems | shared == {path.name.split(".")[0] for path in FOLDER.glob("_*.so")}
    public = {entry.values[0] for entry in STUBS}
    assert public == {f"_{path.stem}" for path in (FOLDER / "reference").glob("[a-z]*.py")}


@pytest.mark.parametrize(("module", "name", "node"), STUBS)
def test_twin_of_the_same_arguments(module, name, node):
    twin = twins_of(module)[name]
    if isinstance(node, ast.FunctionDef):
        assert argument_names(node) == list(inspect.signature(twin).parameters)[1:]
    if isinstance(node, ast.ClassDef):
        for method in (item for item in node.body if isinstance(item, ast.FunctionDef)):
            if method.name == "__new__":
                assert argument_names(method) == list(inspect.signature(twin).parameters)
            elif not method.decorator_list:
                parameters = inspect.signature(getattr(twin, method.name)).parameters
                assert argument_names(method) == list(parameters)[1:]


@pytest.mark.parametrize(("module", "name", "node"), STUBS)
def test_is_compared(module, name, node):
    text = (Path(__file__).parent / COMPARED_IN[name]).read_text(encoding="utf-8")
    helpers = (Path(__file__).parent / "conftest.py").read_text(encoding="utf-8")
    assert name in text + helpers


def test_counters(compiled, twins):
    assert compiled.delayed_acceptance.COUNTERS == twins.delayed_acceptance.COUNTERS
