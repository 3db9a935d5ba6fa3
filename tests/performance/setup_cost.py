"""Seconds and memory from arrays to a quasi-posterior, k = 5, m = 8.

    python tests/performance/setup_cost.py [--rows 1000000]

Each repeat runs in a process of its own. Memory is the rise of the peak resident set while the
model is made and its moment statistic formed, over the bytes of the data (outcome, regressors,
instruments).
"""

import argparse
import resource
import subprocess
import sys
import time

import numpy as np

import qbeconometrics as qb

K, M = 5, 8


def peak_bytes():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def current_bytes():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def run_once(n):
    """Print seconds of the model, seconds of its statistic, and memory over data."""
    rng = np.random.default_rng(1)
    z = np.empty((n, M))
    z[:, 0] = 1.0
    for j in range(1, M):
        z[:, j] = rng.standard_normal(n)
    x = np.empty((n, K))
    x[:, :4] = z[:, :4]
    x[:, 4] = rng.standard_normal(n)
    for j in range(4, M):
        x[:, 4] += z[:, j]
    y = rng.standard_normal(n) + x[:, 1]
    before = current_bytes()
    began = time.perf_counter()
    model = qb.QuasiBayesIV(y, x, z)
    made = time.perf_counter()
    model.quasi_posterior(evaluation="statistic")
    ended = time.perf_counter()
    data = y.nbytes + x.nbytes + z.nbytes
    print(made - began, ended - made, (peak_bytes() - before) / data)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        run_once(arguments.rows)
        return
    command = [sys.executable, __file__, "--once", "--rows", str(arguments.rows)]
    figures = np.array(
        [
            [float(word) for word in subprocess.check_output(command, text=True).split()]
            for _ in range(arguments.repeats)
        ]
    )
    model, statistic, memory = np.median(figures, axis=0)
    print(f"n = {arguments.rows:,}, medians of {arguments.repeats}")
    print(f"checks and copies   {model:6.2f} s")
    print(f"moment statistic    {statistic:6.2f} s")
    print(f"together            {np.median(figures[:, 0] + figures[:, 1]):6.2f} s")
    print(f"memory over data    {memory:6.2f}")


if __name__ == "__main__":
    main()
