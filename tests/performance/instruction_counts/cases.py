"""The kernel calls whose instructions are counted.

    python cases.py <package folder> <folder of inputs> <callgrind's output> <case> ...

Runs under callgrind, which writes its count when the kernel is left, and so imports nothing but
NumPy and the kernels: the rest of the package would take minutes. Prints, a line of JSON each, the
processor that callgrind shows and every case with the number of the file that holds its count.
"""

import importlib
import json
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PACKAGE = "qbeconometrics"
# What the compiled loops and the C library choose their versions by.
PROCESSOR_FEATURES = ("FMA3", "AVX2", "AVX512F")


@dataclass(frozen=True)
class Case:
    """A call of one kernel.

    Attributes
    ----------
    module, function : str
        Of the kernel: `function` is what callgrind counts in.
    inputs : str
        Name of its arrays; see inputs.py.
    units : int
        Draws, sweeps or rows: a count is given for one of them.
    run : callable
        Takes a function from names of modules to modules, the arrays, and `units`.
    """

    module: str
    function: str
    inputs: str
    units: int
    run: Callable


def linear_target(kernel, arrays):
    k = arrays["jacobian"].shape[1]
    form = {"statistic": arrays.get("statistic")}
    if "residual" in arrays:
        rows = (arrays["residual"], arrays["regressor"], arrays["instrument"])
        form = {"rows": (*rows, 1.0 / len(rows[0]), 0.0)}
    prior = 0.01 * np.eye(k), np.zeros(k)
    return kernel("_linear_moments").LinearMomentTarget(
        arrays["intercept"], arrays["jacobian"], *prior, determinant=True, **form
    )


def outputs(arrays, draws):
    return np.empty((draws, len(arrays["mean"]))), np.empty(draws), np.zeros(5, dtype=np.int64)


def random_walk(kernel, arrays, draws, *, delayed):
    k = len(arrays["mean"])
    kernel("_delayed_acceptance").random_walk(
        linear_target(kernel, arrays), np.random.PCG64(0), arrays["mean"],
        np.array([np.log(2.4 / np.sqrt(k)), 0.0]), arrays["root"], *outputs(arrays, draws),
        delayed=delayed, unscreened=10 if delayed else 0,
    )  # fmt: skip


def surrogate(kernel, arrays, draws, *, exact):
    jacobian = arrays["jacobian"]
    inverse, solution = np.empty((0, 0)), np.empty(0)
    if not exact and jacobian.shape[0] == jacobian.shape[1]:
        inverse, solution = np.linalg.inv(jacobian), arrays["mean"].copy()
    kernel("_delayed_acceptance").modified_delayed_acceptance(
        linear_target(kernel, arrays), np.random.PCG64(0), arrays["mean"], 20.0, 0.0, inverse,
        solution, *outputs(arrays, draws), exact=exact,
    )  # fmt: skip


def hamiltonian(kernel, arrays, draws):
    k = len(arrays["mean"])
    log_step = np.log(0.8)
    kernel("_hmc").hamiltonian(
        linear_target(kernel, arrays), np.random.PCG64(0), np.zeros(k),
        np.array([log_step, 0.0, 0.0, log_step, log_step]), arrays["mean"], arrays["root"],
        0.1, 2.2, 0.3, *outputs(arrays, draws),
    )  # fmt: skip


def smoothing(kernel, arrays, sweeps):
    k, paths = len(arrays["linear"]), len(arrays["sizes"])
    position = np.concatenate([np.zeros(k), np.ones(paths)])
    kernel("_smoothing").smoothing_gibbs(
        np.random.PCG64(0), position, **arrays, shape=1.0, rate=0.01, cauchy_rate=0.0,
        draws=np.empty((sweeps, k + paths)),
    )  # fmt: skip


def projection(kernel, arrays, sweeps):
    proposal = [arrays.pop(name) for name in ("blocks", "centre", "whitening", "colouring")]
    target = kernel("_projection").ProjectionTarget(**arrays)
    draws = np.empty((sweeps, target.n_params + target.n_paths))
    kernel("_projection").projection_chain(
        target, np.random.PCG64(0), np.append(proposal[1], 1.0), *proposal, 8.0, 1.0, 0.5, 0.0,
        draws, np.empty(sweeps), np.zeros(5, dtype=np.int64), unscreened=5,
    )  # fmt: skip


def particles(kernel, arrays, steps):
    k, n = arrays["columns"].shape
    no_student = np.empty((0, k)), np.empty(0), np.empty(0)
    rows = kernel("_particles").LossRows(
        1, 0.5, arrays["endog"], np.zeros(n), arrays["columns"], arrays["weight"],
        0.01 * np.eye(k), np.zeros(k), no_student,
    )  # fmt: skip
    positions = arrays["positions"]
    root = np.eye(k)[np.tril_indices(k)]
    kernel("_particles").move_particles(
        rows, np.random.PCG64(0), positions, rows.losses(positions), root, 0.05, 1.0,
        steps // len(positions),
    )  # fmt: skip


def no_u_turn(kernel, arrays, draws, *, chart):
    p, k = arrays["linear"].shape
    coordinates = kernel("_stiefel").StiefelMap(chart, p, k)
    target = kernel("_stiefel_density").QuadraticTarget(p, k, linear=arrays["linear"])
    density = kernel("_stiefel_density").StiefelDensity(coordinates, target)
    size, log_step = density.size, np.log(0.4)
    kernel("_nuts").nuts(
        density, np.random.PCG64(0), arrays["position"][:size].copy(),
        np.array([log_step, 0.0, 0.0, log_step, log_step]), np.ones(size), 10,
        np.empty((draws, size)), np.empty((draws, len(kernel("_nuts").STATISTICS))),
    )  # fmt: skip


def learner(kernel, arrays, rows):
    module = kernel("_kernel_learning")
    count = 4 * len(arrays["phases"]) + 2
    features = module.FourierMap(*(arrays[name] for name in ("frequencies", "phases", "scales")))
    module.Learner(
        features, np.zeros(count), np.zeros((3, count)), np.zeros(module.RUNNING),
        np.zeros(module.MOMENTS), np.zeros(count), np.zeros(module.PATH), "adagrad", 0.1,
    ).learn(arrays["y"][:rows], arrays["x"][:rows], 100, 0, "score")  # fmt: skip


def with_options(run, **options):
    return lambda kernel, arrays, units: run(kernel, arrays, units, **options)


def chain(function, inputs, draws, run, **options):
    module = "_hmc" if function == "hamiltonian" else "_delayed_acceptance"
    return Case(module, function, inputs, draws, with_options(run, **options))


WALK, SURROGATE, HAMILTONIAN = "random_walk", "modified_delayed_acceptance", "hamiltonian"
N_FREE = ("da-exact n=1,000", "da-exact n=1,000,000")

CASES: dict[str, Case] = {}
for k, draws in ((3, 4_000), (10, 800), (20, 200)):
    data = f"regression k={k}"
    CASES[f"rwm k={k}"] = chain(WALK, data, draws, random_walk, delayed=False)
    CASES[f"da-exact k={k}"] = chain(SURROGATE, data, draws, surrogate, exact=True)
    CASES[f"da-approx k={k}"] = chain(SURROGATE, data, draws, surrogate, exact=False)
    CASES[f"hmc k={k}"] = chain(HAMILTONIAN, data, draws // 4, hamiltonian)
CASES |= {
    "da k=10": chain(WALK, "regression k=10", 800, random_walk, delayed=True),
    N_FREE[0]: chain(SURROGATE, "instruments n=1000", 2_000, surrogate, exact=True),
    N_FREE[1]: chain(SURROGATE, "instruments n=1000000", 2_000, surrogate, exact=True),
    "da-exact from 500 rows": chain(SURROGATE, "rows", 300, surrogate, exact=True),
    "smoothing, 37 horizons": Case("_smoothing", "smoothing_gibbs", "smoothing", 2_000, smoothing),
    "projection, 37 horizons": Case(
        "_projection", "projection_chain", "projection", 60, projection
    ),
    "particles, 1,000 rows": Case("_particles", "move_particles", "losses", 1_000, particles),
    "nuts, polar chart": Case(
        "_nuts", "nuts", "orthonormal", 200, with_options(no_u_turn, chart="polar")
    ),
    "nuts, Householder chart": Case(
        "_nuts", "nuts", "orthonormal", 200, with_options(no_u_turn, chart="householder")
    ),
    "learner, 100 features": Case("_kernel_learning", "learn", "stream", 2_000, learner),
}


def kernels_of(folder):
    """Return a function that imports a kernel from a folder, without the package around it."""
    for name, path in ((PACKAGE, folder), (f"{PACKAGE}.kernels", folder / "kernels")):
        package = types.ModuleType(name)
        package.__path__ = [str(path)]
        sys.modules[name] = package
    return lambda name: importlib.import_module(f"{PACKAGE}.kernels.{name}")


def processor():
    """Say what the processor has, among what matters, as far as callgrind knows it."""
    from numpy._core._multiarray_umath import __cpu_features__ as features

    return " ".join(name for name in PROCESSOR_FEATURES if features.get(name)) or "none of these"


def main():
    folder, inputs, output = (Path(argument) for argument in sys.argv[1:4])
    kernel = kernels_of(folder)
    print(json.dumps({"processor": processor()}))
    for name in sys.argv[4:]:
        case = CASES[name]
        with np.load(inputs / f"{case.inputs}.npz") as stored:
            arrays = dict(stored)
        try:
            case.run(kernel, arrays, case.units)
        except Exception as error:
            # Kernels of an older commit may have other arguments.
            print(json.dumps({"case": name, "error": f"{type(error).__name__}: {error}"}))
        else:
            dumps = len(list(output.parent.glob(f"{output.name}.*")))
            print(json.dumps({"case": name, "dump": dumps}))


if __name__ == "__main__":
    main()
