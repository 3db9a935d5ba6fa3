"""Bootstrap replications, as weights of the rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

BOOTSTRAPS = ("pairs", "cluster", "moving-block", "stationary", "multiplier")


def bootstrap_weights(
    kind: str,
    n: int,
    replications: int,
    seed: np.random.SeedSequence,
    *,
    groups: NDArray[np.int64] | None = None,
    block_length: int = 1,
) -> FloatArray:
    """Return how often each row is drawn (replications, n); rows sum to n, or nearly for clusters.

    Parameters
    ----------
    kind : {"pairs", "cluster", "moving-block", "stationary", "multiplier"}
        "pairs" draws rows (Efron 1979, Annals of Statistics 7, 1-26); "cluster" whole clusters;
        "moving-block" blocks of neighbours (Kunsch 1989, Annals of Statistics 17, 1217-1241);
        "stationary" blocks of geometric length on a circle (Politis and Romano 1994, Journal of the
        American Statistical Association 89, 1303-1313); "multiplier" gives exponential weights
        (Rubin 1981, Annals of Statistics 9, 130-134).
    n, replications : int
    seed : SeedSequence
        Replication b has its own stream, so that it does not depend on how many there are.
    groups : ndarray of int64, shape (n,), optional
        Codes 0, ..., G - 1 of the clusters.
    block_length : int
        Rows a block, for "stationary" in the mean.
    """
    weights = np.empty((replications, n))
    for b, own in enumerate(seed.spawn(replications)):
        rng = np.random.default_rng(own)
        if kind == "pairs":
            weights[b] = np.bincount(rng.integers(n, size=n), minlength=n)
        elif kind == "cluster":
            assert groups is not None
            many = int(groups.max()) + 1
            weights[b] = np.bincount(rng.integers(many, size=many), minlength=many)[groups]
        elif kind == "multiplier":
            draws = rng.standard_exponential(n)
            weights[b] = n * draws / draws.sum()
        elif kind == "moving-block":
            starts = rng.integers(n - block_length + 1, size=-(-n // block_length))
            rows = (starts[:, None] + np.arange(block_length)).ravel()[:n]
            weights[b] = np.bincount(rows, minlength=n)
        else:
            fresh = rng.random(n) < 1.0 / block_length
            fresh[0] = True
            start = rng.integers(n, size=n)
            since = np.arange(n) - np.maximum.accumulate(np.where(fresh, np.arange(n), 0))
            begun = start[np.maximum.accumulate(np.where(fresh, np.arange(n), 0))]
            weights[b] = np.bincount((begun + since) % n, minlength=n)
    return weights
