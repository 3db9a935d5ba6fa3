"""Instructions a draw of `da-exact` with the n-free evaluation, counted by valgrind's callgrind.

    python tests/performance/cost_per_draw.py

Builds the kernels with symbols in a copy of the tree, forms the moment statistic for k = 5, m = 8,
and n = 1,000 and 1,000,000, and counts the instructions of a kernel call of 2,000 draws under each.
Seconds are of the same calls outside valgrind, medians of five. Needs valgrind,
a C compiler, setuptools and Cython.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SIZES = (1_000, 1_000_000)
K, M, DRAWS, DF = 5, 8, 2_000, 20.0
KERNEL = "__pyx_pw_*modified_delayed_acceptance"


def moment_arrays(n):
    """Return the arrays of the quasi-posterior of a simulated regression with n rows."""
    import qbeconometrics as qb

    rng = np.random.default_rng(1)
    z = np.column_stack([np.ones(n), rng.standard_normal((n, M - 1))])
    x = np.column_stack([z[:, :4], z[:, 4:].sum(axis=1) + rng.standard_normal(n)])
    y = x.sum(axis=1) + rng.standard_normal(n) * (0.5 + np.abs(z[:, 1]))
    return qb.QuasiBayesIV(y, x, z).quasi_posterior(evaluation="statistic").target.arrays


def load_kernels(package):
    """Import the kernels alone: the rest of the package would take minutes under valgrind."""
    for name, folder in (
        ("qbeconometrics", package),
        ("qbeconometrics.kernels", package / "kernels"),
    ):
        module = types.ModuleType(name)
        module.__path__ = [str(folder)]
        sys.modules[name] = module
    from qbeconometrics.kernels import _delayed_acceptance, _linear_moments

    return _delayed_acceptance, _linear_moments


def run_kernel(package, stored):
    """Advance one chain from the centre; return the seconds of five calls and the acceptance."""
    kernels, moments = load_kernels(package)
    arrays = np.load(stored)
    target = moments.LinearMomentTarget(
        arrays["intercept"],
        arrays["jacobian"],
        arrays["prior_precision"],
        arrays["prior_mean"],
        determinant=True,
        statistic=arrays["statistic"],
    )
    empty = np.empty((0, 0)), np.empty(0)
    seconds = []
    for _ in range(1 if "VALGRIND" in os.environ else 5):
        draws, log_density = np.empty((DRAWS, K)), np.empty(DRAWS)
        counters = np.zeros(5, dtype=np.int64)
        began = time.perf_counter()
        kernels.modified_delayed_acceptance(
            target, np.random.PCG64(0), np.zeros(K), DF, 0.0, *empty, draws, log_density, counters,
            exact=True,
        )  # fmt: skip
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds)), counters[2] / counters[0]


def count_instructions(package, stored):
    """Run this file under callgrind and read the total."""
    environment = dict(os.environ, PYTHONHASHSEED="0", OMP_NUM_THREADS="1", VALGRIND="1")
    with tempfile.TemporaryDirectory() as folder:
        report = subprocess.run(
            [
                "valgrind",
                "--tool=callgrind",
                f"--toggle-collect={KERNEL}",
                f"--callgrind-out-file={folder}/out",
                sys.executable,
                __file__,
                str(package),
                str(stored),
            ],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
    found = re.search(r"Collected : (\d+)", report.stderr)
    if found is None or int(found[1]) == 0:
        raise RuntimeError(f"callgrind counted nothing:\n{report.stderr}")
    return int(found[1])


def build_with_symbols(folder):
    """Copy the tree and compile it; return the package folder of the copy."""
    copy = Path(folder) / "tree"
    ignored = shutil.ignore_patterns(".git", "build", "*.so", "*.egg-info", "docs")
    shutil.copytree(ROOT, copy, ignore=ignored)
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=copy,
        env=dict(os.environ, QBECONOMETRICS_SYMBOLS="1"),
        check=True,
        capture_output=True,
    )
    return copy / "qbeconometrics"


def main():
    print("|         n | instructions a draw | microseconds a draw | acceptance |")
    print("| --------: | ------------------: | ------------------: | ---------: |")
    counts = []
    with tempfile.TemporaryDirectory() as folder:
        package = build_with_symbols(folder)
        for n in SIZES:
            stored = Path(folder) / f"{n}.npz"
            np.savez(stored, **moment_arrays(n))
            counts.append(count_instructions(package, stored) / DRAWS)
            timed = subprocess.run(
                [sys.executable, __file__, str(package), str(stored)],
                capture_output=True,
                text=True,
                check=True,
            )
            seconds, acceptance = (float(word) for word in timed.stdout.split())
            print(
                f"| {n:9,d} | {counts[-1]:19,.1f} | {1e6 * seconds / DRAWS:19.2f} "
                f"| {acceptance:10.3f} |"
            )
    print(f"\nratio of the counts: {counts[1] / counts[0]:.4f}")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(*run_kernel(Path(sys.argv[1]), Path(sys.argv[2])))
    else:
        main()
