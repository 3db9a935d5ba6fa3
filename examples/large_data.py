"""An exact posterior for data of any size: blocks are made on the fly, added up, and forgotten.

    python examples/large_data.py --rows 100000000

k = 5 coefficients, m = 8 instruments, heteroskedastic errors. The default is a hundredth of that.
"""

import argparse
import os
import resource
import time

# One thread, so that the rate is that of one core.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import qbeconometrics as qb

COEFFICIENTS = np.array([1.0, 0.5, -0.3, 0.2, 0.8])
BLOCK = 200_000


def blocks(rows: int, seconds: list[float]):
    """Yield blocks of (endog, exog, instrument), and note the seconds that making them takes."""
    rng = np.random.default_rng(0)
    for start in range(0, rows, BLOCK):
        began = time.process_time()
        n = min(BLOCK, rows - start)
        z = rng.standard_normal((n, 8))
        z[:, 0] = 1.0
        common = rng.standard_normal(n)
        x = z[:, :5].copy()
        x[:, 4] = 0.3 * z[:, 4:].sum(axis=1) + common + rng.standard_normal(n)
        error = (0.5 + z[:, 1] ** 2) * (common + rng.standard_normal(n))
        y = x @ COEFFICIENTS + error
        seconds.append(time.process_time() - began)
        yield y, x, z


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    making: list[float] = []
    stat = qb.LinearMoments(exog_names=["const", "x1", "x2", "x3", "d"])
    began, worked = time.perf_counter(), time.process_time()
    stat.update_from(blocks(rows, making), block_rows=BLOCK)
    passed = time.perf_counter() - began
    worked = time.process_time() - worked
    adding = worked - sum(making)
    model = qb.QuasiBayesIV.from_moments(stat)
    res = model.fit(rng=0)
    print(res.summary())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{rows:,} rows in {passed:.1f} s; seconds of the processor, which others may share:")
    print(f"    with the making of rows {worked:.1f}, {rows / worked:,.0f} rows a second")
    print(f"    adding them {adding:.1f}, {rows / adding:,.0f} rows a second")
    print(f"peak memory {peak:.2f} GB; the draws took {res.sampler_stats['seconds']:.2f} s")
    off = (res.params.to_numpy() - COEFFICIENTS) / res.bse.to_numpy()
    print(f"largest distance from the truth: {np.abs(off).max():.1f} posterior sds")


if __name__ == "__main__":
    main()
