"""Rows a second of a statistic, against NumPy's product of products that are there already.

    python tests/performance/block_throughput.py

k = 5, m = 8, one thread: P @ Q.T of (21, n) and (36, n) against `update` with a block of n rows,
and against the sums alone, side by side. The ratio is of processor seconds, medians of repeats.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import time

import numpy as np

import qbeconometrics as qb
from qbeconometrics.moments.block_sums import Rows, block_sums

K, M = 5, 8


def seconds(call):
    began = time.process_time()
    call()
    return time.process_time() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    n = arguments.rows
    rng = np.random.default_rng(0)
    z = rng.standard_normal((n, M))
    z[:, 0] = 1.0
    x = z[:, :K].copy()
    x[:, 4] += z[:, 5] + rng.standard_normal(n)
    y = x.sum(axis=1) + rng.standard_normal(n)
    P = rng.standard_normal(((K + 1) * (K + 2) // 2, n))
    Q = rng.standard_normal((M * (M + 1) // 2, n))
    stat = qb.LinearMoments.from_arrays(y, x, z)
    basis, rows = stat.moments.basis, Rows(y, x, z)
    times = np.array(
        [
            [
                seconds(lambda: P @ Q.T),
                seconds(lambda: block_sums(rows, basis, with_fourth=True)),
                seconds(lambda: stat.update((y, x, z))),
            ]
            for _ in range(arguments.repeats)
        ]
    )
    product, sums, update = np.median(times, axis=0)
    print(f"P @ Q.T     {n / product:14,.0f} rows a second")
    for name, value in (("sums", sums), ("update", update)):
        ratio = np.median(times[:, 0] / times[:, 1 if name == "sums" else 2])
        print(f"{name:<12}{n / value:14,.0f} rows a second, {ratio:.2f} of P @ Q.T")


if __name__ == "__main__":
    main()
