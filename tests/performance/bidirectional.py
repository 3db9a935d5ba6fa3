"""One pass of the bidirectional stream: seconds against NumPy, growth with n, and memory.

The design of `simulate.bidirectional`, 100 random Fourier features, AdaGrad. The NumPy reference is
the same stream with the kernel's twin, which works on whole batches with vectorised operations.
Compiled and reference runs take turns; printed are medians of processor time, their ratio, the
slope of log seconds on log n, and the peak memory of a process that reads so many rows in pieces of
20,000.

    python tests/performance/bidirectional.py [--rows 1000000] [--repeats 3] [--largest 10000000]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

# One core for everything, before any library starts its threads.
for library in ("OPENBLAS", "OMP", "MKL"):
    os.environ[f"{library}_NUM_THREADS"] = "1"

import numpy as np

import qbeconometrics as qb
from qbeconometrics.kernels.reference import kernel_learning as twin
from qbeconometrics.online import features, stream

PIECE = 100_000
COMPILED = (stream.Learner, features.FourierMap)
REFERENCE = (twin.Learner, twin.FourierMap)

# The largest memory of the process itself: ru_maxrss would count that of its parent.
PEAK = """
import re, sys
import qbeconometrics as qb
{body}
with open("/proc/self/status", encoding="utf-8") as status:
    print(int(re.search(r"VmHWM:\\s+(\\d+)", status.read())[1]) / 1024)
"""
READS = """
est = qb.OnlineBidirectional(rng=0)
for number in range(int(sys.argv[1]) // 20_000):
    rows = qb.simulate.bidirectional(20_000, seed=number % 3)
    est.partial_fit(rows["y1"], rows["y2"], rows[["x1", "x2"]])
assert not est.result().weakly_identified
"""


def pieces(n: int) -> list[tuple[np.ndarray, ...]]:
    """The rows of a stream, as arguments of `partial_fit`; the same after each million."""
    found = []
    for seed in range(min(-(-n // PIECE), 10)):
        data = qb.simulate.bidirectional(min(n, PIECE), seed=seed)
        found.append((data["y1"].to_numpy(), data["y2"].to_numpy(), data[["x1", "x2"]].to_numpy()))
    return [found[place % len(found)] for place in range(-(-n // PIECE))]


def seconds(rows: list[tuple[np.ndarray, ...]], kernels: tuple[type, type]) -> float:
    """Processor time of one pass."""
    stream.Learner, features.FourierMap = kernels
    try:
        began = time.process_time()
        est = qb.OnlineBidirectional(rng=0)
        for piece in rows:
            est.partial_fit(*piece)
        return time.process_time() - began
    finally:
        stream.Learner, features.FourierMap = COMPILED


def peak(body: str, n: int) -> float:
    """Largest memory, in MB, of a process that runs `body`."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK.format(body=body), str(n)],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def has_avx2() -> bool:
    """Whether the processor says so."""
    facts = Path("/proc/cpuinfo")
    return facts.exists() and "avx2" in facts.read_text(encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--largest", type=int, default=10_000_000)
    chosen = parser.parse_args()

    rows = pieces(chosen.rows)
    compiled, reference = [], []
    for _ in range(chosen.repeats):
        compiled.append(seconds(rows, COMPILED))
        reference.append(seconds(rows, REFERENCE))
    ratio = np.median(np.divide(reference, compiled))
    print(f"one pass over {chosen.rows:,} rows, AVX2 {'found' if has_avx2() else 'not found'}:")
    print(f"  compiled {np.median(compiled):.2f} s, NumPy {np.median(reference):.2f} s")
    print(f"  ratio, median of {chosen.repeats}: {ratio:.2f}")

    sizes = [n for n in (100_000, 1_000_000, 10_000_000) if n <= chosen.largest]
    medians = []
    for n in sizes:
        rows = pieces(n)
        medians.append(np.median([seconds(rows, COMPILED) for _ in range(chosen.repeats)]))
        print(f"  {n:>12,} rows: {medians[-1]:.2f} s")
    slope = np.polyfit(np.log(sizes), np.log(medians), 1)[0]
    print(f"  slope of log seconds on log n: {slope:.3f}")

    bare = peak("", 0)
    print(f"peak memory: import alone {bare:.0f} MB")
    for n in sizes:
        print(f"  {n:>12,} rows: {peak(READS, n):.0f} MB")


if __name__ == "__main__":
    main()
