"""Bootstrap replications, as weights of the rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

BOOTSTRAPS = ("pairs", "cluster", "moving-block", "stationary", "multiplier")
BLOCK_BOOTSTRAPS = ("moving-block", "stationary")


@dataclass(frozen=True, slots=True, eq=False)
class Bootstrap:
    """How replications of the rows are drawn, and the random numbers of each of them.

    Attributes
    ----------
    kind : {"pairs", "cluster", "moving-block", "stationary", "multiplier"}
        "pairs" draws rows (Efron 1979, Annals of Statistics 7, 1-26); "cluster" whole clusters;
        "moving-block" blocks of neighbours (Kunsch 1989, Annals of Statistics 17, 1217-1241);
        "stationary" blocks of geometric length on a circle (Politis and Romano 1994, Journal of the
        American Statistical Association 89, 1303-1313); "multiplier" gives exponential weights
        (Rubin 1981, Annals of Statistics 9, 130-134).
    n : int
    streams : tuple of SeedSequence
        One a replication, so that it does not depend on how many there are.
    groups : ndarray of int64, shape (n,), or None
        Codes 0, ..., G - 1 of the clusters.
    block_length : int
        Rows a block, for "stationary" in the mean.
    """

    kind: str
    n: int
    streams: tuple[np.random.SeedSequence, ...]
    groups: IntArray | None = None
    block_length: int = 1

    @property
    def replications(self) -> int:
        """Number of replications."""
        return len(self.streams)

    def weights(self, part: slice) -> FloatArray:
        """Return how often some replications draw each row (replications, n).

        Rows sum to n, or nearly so for clusters of unequal size.
        """
        places = range(*part.indices(self.replications))
        weights = np.empty((len(places), self.n))
        for own, b in zip(weights, places, strict=True):
            own[:] = self._row_weights(b)
        return weights

    def _row_weights(self, b: int) -> FloatArray | IntArray:
        if self.kind == "cluster":
            assert self.groups is not None
            return self.cluster_counts(b)[self.groups]
        if self.kind in BLOCK_BOOTSTRAPS:
            starts, lengths = self.blocks(b)
            first = np.cumsum(lengths) - lengths
            rows = np.repeat(starts - first, lengths) + np.arange(self.n)
            return np.bincount(rows % self.n, minlength=self.n)
        rng = np.random.default_rng(self.streams[b])
        if self.kind == "pairs":
            return np.bincount(rng.integers(self.n, size=self.n), minlength=self.n)
        draws = rng.standard_exponential(self.n)
        return np.asarray(self.n * draws / draws.sum())

    def cluster_counts(self, b: int) -> IntArray:
        """Return how often a replication draws each cluster (G,)."""
        assert self.groups is not None
        many = int(self.groups.max()) + 1
        rng = np.random.default_rng(self.streams[b])
        return np.bincount(rng.integers(many, size=many), minlength=many)

    def blocks(self, b: int) -> tuple[IntArray, IntArray]:
        """Return first rows and lengths of the blocks of a replication; lengths sum to n.

        Blocks of "stationary" go on at the first row after the last.
        """
        n, rng = self.n, np.random.default_rng(self.streams[b])
        if self.kind == "moving-block":
            count = -(-n // self.block_length)
            starts = rng.integers(n - self.block_length + 1, size=count)
            lengths = np.full(count, self.block_length)
            lengths[-1] -= lengths.sum() - n
            return starts, lengths
        fresh = rng.random(n) < 1.0 / self.block_length
        fresh[0] = True
        (begins,) = np.nonzero(fresh)
        return rng.integers(n, size=n)[begins], np.diff(begins, append=n)


def bootstrap(
    kind: str,
    n: int,
    replications: int,
    seed: np.random.SeedSequence,
    *,
    groups: IntArray | None = None,
    block_length: int = 1,
) -> Bootstrap:
    """Return replications with streams spawned from `seed`; arguments as of `Bootstrap`."""
    return Bootstrap(kind, n, tuple(seed.spawn(replications)), groups, block_length)


def bootstrap_weights(
    kind: str,
    n: int,
    replications: int,
    seed: np.random.SeedSequence,
    *,
    groups: IntArray | None = None,
    block_length: int = 1,
) -> FloatArray:
    """Return how often each row is drawn, in all replications (replications, n)."""
    drawn = bootstrap(kind, n, replications, seed, groups=groups, block_length=block_length)
    return drawn.weights(slice(None))
