"""S of bootstrap replications at one position of the parameters, as sums over what is drawn.

A row that is drawn w times counts w times in S, not w squared, and a cluster drawn twice is two
clusters: S is linear in how often rows or clusters were drawn, so that one matrix product gives it
for all replications.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from qbeconometrics.calibration.replicated_moments import Units, is_definite
from qbeconometrics.calibration.replications import Bootstrap
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.moments.linear import pair_products, unpack_symmetric
from qbeconometrics.moments.row_covariance import residuals_along

FloatArray = NDArray[np.float64]


class ReplicatedCovariance:
    """How S is formed from the moments of all rows.

    Parameters
    ----------
    rule : CovarianceRule
        "cluster" and "HAC" go with replications of clusters and of blocks.
    drawn : Bootstrap
    n_params : int
    instrument : ndarray, shape (n, q), or None
        Needed for "nonrobust".
    scale : ndarray, shape (m,)
        Root mean squares of the moments of the data, by which a singular S is told.
    subtracted : ndarray, shape (m,), or None
        What recentred moments have taken off: their mean at the estimate.
    """

    def __init__(
        self,
        rule: CovarianceRule,
        drawn: Bootstrap,
        *,
        n_params: int,
        scale: FloatArray,
        instrument: FloatArray | None = None,
        subtracted: FloatArray | None = None,
    ):
        self.rule, self.drawn, self.n_params = rule, drawn, n_params
        self.scale, self.m = scale, len(scale)
        self.instrument, self.subtracted = instrument, subtracted
        if instrument is not None:
            self._squares = np.einsum("ij,ij->i", instrument, instrument)
        self._members: csr_array | None = None
        if rule.cov_type == "cluster":
            assert drawn.groups is not None
            n, many = drawn.n, int(drawn.groups.max()) + 1
            cells = np.ones(n), (drawn.groups, np.arange(n))
            self._members = csr_array(cells, shape=(many, n))
            self._lengths = np.bincount(drawn.groups).astype(np.float64)

    def columns(self, moments: FloatArray) -> FloatArray:
        """Return what is added up (units, c) of moments (n, m) of all rows."""
        if self.rule.cov_type == "nonrobust":
            assert self.instrument is not None
            residuals = residuals_along(moments, self.instrument, self._squares)
            return np.column_stack([_products(residuals), residuals])
        if self._members is None:
            return _products(moments)
        sums = np.asarray(self._members @ moments)
        return np.column_stack([_products(sums), self._lengths[:, None] * sums])

    def counts(self, part: slice, weights: FloatArray) -> FloatArray:
        """Return how often units are drawn (B, units), where rows are by `weights` (B, n)."""
        if self._members is None:
            return weights
        places = range(*part.indices(self.drawn.replications))
        return np.array([self.drawn.cluster_counts(b) for b in places], dtype=np.float64)

    def matrices(
        self, sums: FloatArray, means: FloatArray, counts: FloatArray, sizes: FloatArray
    ) -> FloatArray:
        """Return S (B, P, m, m) at P positions.

        Parameters
        ----------
        sums : ndarray, shape (B, P, c)
            Of the columns.
        means : ndarray, shape (B, P, m)
            Mean moments, with nothing taken off.
        counts : ndarray, shape (B, units)
        sizes : ndarray, shape (B,)
            Rows of each replication.
        """
        sums = sums / sizes[:, None, None]
        if self.rule.cov_type == "nonrobust":
            return self._of_residuals(sums, counts, sizes)
        pairs = self.m * (self.m + 1) // 2
        S = unpack_symmetric(sums[:, :, :pairs], self.m)
        off = means if self.rule.centered else self.subtracted
        if off is not None:
            off = np.broadcast_to(off, means.shape)
            # Sums over clusters have `off` taken from each of their rows.
            total, square = means, np.ones(len(sizes))
            if self._members is not None:
                total, square = sums[:, :, pairs:], counts @ self._lengths**2 / sizes
            product = total[..., :, None] * off[..., None, :]
            S += square[:, None, None, None] * off[..., :, None] * off[..., None, :]
            S -= product + product.swapaxes(2, 3)
        factor = [self.rule.small_sample_factor(round(size), self.n_params) for size in sizes]
        return np.asarray(np.array(factor)[:, None, None, None] * S)

    def _of_residuals(self, sums: FloatArray, counts: FloatArray, sizes: FloatArray) -> FloatArray:
        assert self.instrument is not None
        q = self.instrument.shape[1]
        r = self.m // q
        means = sums[:, :, -r:]
        variance = unpack_symmetric(sums[:, :, :-r], r)
        if self.rule.centered:
            variance = variance - means[..., :, None] * means[..., None, :]
        product = unpack_symmetric(counts @ _products(self.instrument), q) / sizes[:, None, None]
        S = variance[:, :, :, None, :, None] * product[:, None, None, :, None, :]
        return np.asarray(S.reshape(*sums.shape[:2], self.m, self.m))

    def is_regular(self, S: FloatArray) -> NDArray[np.bool_]:
        """Return whether each of (B, m, m) is positive definite beside that of the data.

        A dummy that one drawn row has is fitted by it, and its moment vanishes.
        """
        return is_definite(S / np.outer(self.scale, self.scale))

    def of_one(self, b: int, moments: FloatArray, weights: FloatArray) -> FloatArray:
        """Return S (m, m) of one replication, which draws rows by `weights` (n,)."""
        size = weights.sum()
        mean = weights @ moments / size
        if self.rule.is_dependent and self._members is None:
            off = mean if self.rule.centered else self.subtracted
            zero = np.zeros(self.m)
            return Units(self.drawn).product(b, moments, zero if off is None else off) / size
        counts = self.counts(slice(b, b + 1), weights[None])
        sums = counts @ self.columns(moments)
        sizes = np.array([size])
        return self.matrices(sums[:, None], mean[None, None], counts, sizes)[0, 0]


def _products(rows: FloatArray) -> FloatArray:
    return pair_products(np.ascontiguousarray(rows.T)).T


def is_regular(S: FloatArray) -> NDArray[np.bool_]:
    """Return whether each of (B, m, m) is positive definite, whatever the units of the moments."""
    with np.errstate(all="ignore"):
        scale = np.sqrt(np.einsum("bjj->bj", S))
        return is_definite(S / (scale[:, :, None] * scale[:, None, :]))
