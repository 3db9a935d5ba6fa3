"""Smallest bulk ESS per second of the no-U-turn sampler on a standard normal law.

The density is compiled (built here with Cython, against the package's own declarations), written in
Python behind the same kernel, and the same Python function given to nutpie where that is installed
(`pip install nutpie`). All adapt a diagonal metric; one core, one chain after another, in turns.
Seconds are of processor time, warm-up included. A method whose variances are off is not reported.

    python tests/performance/nuts.py [--size 40] [--draws 1000] [--repeats 3]
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# One core for everything, before any library starts its threads.
for library in ("OPENBLAS", "OMP", "MKL", "RAYON"):
    os.environ[f"{library}_NUM_THREADS"] = "1"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import numpy as np

import qbeconometrics
from qbeconometrics.diagnostics.convergence import bulk_ess
from qbeconometrics.kernels._density import PythonDensity
from qbeconometrics.sampling.nuts import sample_density

CHAINS = 4
TUNE = 1_000

NORMAL = """
from qbeconometrics.kernels._density cimport CompiledDensity

cdef bint evaluate(
    void* context, const double* x, double* value, double* gradient
) noexcept nogil:
    cdef int a, size = (<int*>context)[0]
    value[0] = 0.0
    for a in range(size):
        value[0] -= 0.5 * x[a] * x[a]
        gradient[a] = -x[a]
    return True

cdef class StandardNormal(CompiledDensity):
    def __init__(self, int size):
        self.c.size, self.c.context, self.c.evaluate = size, <void*>&self.c.size, evaluate
"""

SETUP = """
from Cython.Build import cythonize
from setuptools import Extension, setup
setup(
    name="standard_normal",
    ext_modules=cythonize(
        [Extension("standard_normal", ["standard_normal.pyx"], extra_compile_args=["-O3"])],
        include_path=[{root!r}],
        compiler_directives={{"language_level": 3, "boundscheck": False, "wraparound": False}},
    ),
)
"""


def compiled_normal(size):
    """Build the density in a folder of its own, and return it."""
    with tempfile.TemporaryDirectory() as folder:
        root = str(Path(qbeconometrics.__file__).parents[1])
        Path(folder, "standard_normal.pyx").write_text(NORMAL, encoding="utf-8")
        Path(folder, "setup.py").write_text(SETUP.format(root=root), encoding="utf-8")
        subprocess.run(
            [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": root},
            check=True,
        )
        built = next(path for path in Path(folder).glob("standard_normal.*") if _is_built(path))
        spec = importlib.util.spec_from_file_location("standard_normal", built)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.StandardNormal(size)


def _is_built(path):
    return path.suffix in (".so", ".pyd")


def standard_normal(x):
    return -0.5 * float(x @ x), -x


def ours(density):
    """Return a method: (draws, seed) -> draws (chains, draws, size) and gradients after warm-up."""

    def run(draws, seed):
        starts = np.random.default_rng(seed).standard_normal((CHAINS, density.size))
        sample = sample_density(
            density, draws, TUNE, CHAINS, seed, starts, cores=1, progressbar=False
        )
        return sample.draws, float(sample.statistics["gradients"].mean())

    return run


def nutpie_method(size):
    """Return the same for nutpie, or None where it is not installed."""
    if importlib.util.find_spec("nutpie") is None:
        return None
    import nutpie
    from nutpie.compiled_pyfunc import from_pyfunc

    model = from_pyfunc(
        ndim=size,
        make_logp_fn=lambda: standard_normal,
        make_expand_fn=lambda *_: lambda x: {"x": x},
        expanded_dtypes=[np.dtype(np.float64)],
        expanded_shapes=[(size,)],
        expanded_names=["x"],
    )

    def run(draws, seed):
        trace = nutpie.sample(
            model, draws=draws, tune=TUNE, chains=CHAINS, cores=1, seed=seed, progress_bar=False
        )
        return trace.posterior["x"].values, float(trace.sample_stats["n_steps"].values.mean())

    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=40)
    parser.add_argument("--draws", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    methods = {
        "compiled": ours(compiled_normal(given.size)),
        "Python function": ours(PythonDensity(given.size, standard_normal)),
        "nutpie, Python function": nutpie_method(given.size),
    }
    runs = {name: [] for name, method in methods.items() if method is not None}
    for seed in range(given.repeats):
        for name, run in runs.items():
            began = time.process_time()
            draws, gradients = methods[name](given.draws, seed)
            run.append((draws, gradients, time.process_time() - began))
    print("| density                 | ESS / s | ESS / draw | gradients / draw | seconds |")
    print("| ----------------------- | ------: | ---------: | ---------------: | ------: |")
    for name, run in runs.items():
        pooled = np.concatenate([draws for draws, _, _ in run], axis=1)
        # Over all coordinates and draws, its standard error is near 0.002.
        if abs(pooled.var() - 1.0) > 0.02:
            print(f"| {name:23s} | variances are off: {pooled.var():.3f} |")
            continue
        worth = [bulk_ess(draws).min() for draws, _, _ in run]
        seconds = [taken for _, _, taken in run]
        rate = np.median([w / s for w, s in zip(worth, seconds, strict=True)])
        share = np.median(worth) / (CHAINS * given.draws)
        gradients = np.median([count for _, count, _ in run])
        print(
            f"| {name:23s} | {rate:7.0f} | {share:10.2f} | {gradients:16.1f} |"
            f" {np.median(seconds):7.2f} |"
        )
    for name in methods.keys() - runs.keys():
        print(f"{name.split(',')[0]} is not installed")


if __name__ == "__main__":
    main()
