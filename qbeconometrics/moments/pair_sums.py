"""Sums over pairs of rows that may be correlated, while rows come in: by cluster, or in time.

With M = z w' of a row, clusters keep the sum of M of each cluster, and a series keeps its first and
last rows, so that pairs across blocks are not lost. Both end in `omega`, the sum over pairs of the
weight times vec(M) vec(M)'.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError
from qbeconometrics.moments.basis import MomentBasis
from qbeconometrics.moments.block_sums import MIXED_GROUPS, Rows
from qbeconometrics.moments.compensated import CompensatedSum
from qbeconometrics.moments.linear import block_slices

FloatArray = NDArray[np.float64]
Labels = NDArray[Any]  # whole numbers or text

# Eigenvalues below this share of the largest are of directions that no cluster shows.
ROUNDING = 1e-14

# fourth-order sums (packed), weighted sum of z w' (m, k + 1), total weight
Totals = tuple[FloatArray, FloatArray, float]


def row_vectors(rows: Rows, basis: MomentBasis) -> tuple[FloatArray, FloatArray]:
    """Return w (n, k + 1) and z (n, m)."""
    w = np.column_stack([rows.endog - rows.exog @ basis.centre, rows.exog @ basis.regressor_map])
    return w, rows.instrument @ basis.instrument_map


def packed_fourth(omega: FloatArray, k: int, m: int) -> FloatArray:
    """Return n T_ab, packed, from sums of vec(z w') vec(z w')', shape ((k + 1) m, (k + 1) m)."""
    full = omega.reshape(k + 1, m, k + 1, m).swapaxes(1, 2)
    full = (full + full.swapaxes(2, 3)) / 2
    row, column = np.tril_indices(k + 1)
    first, second = np.tril_indices(m)
    return np.ascontiguousarray(full[row, column][:, first, second])


@dataclass(frozen=True, slots=True)
class ClusterSums:
    """Sum of [1, z w'] of each cluster, in lots that are joined as they grow.

    Attributes
    ----------
    lots : tuple of (labels, sums)
        Labels (g,), sorted, and sums (g, 1 + (k + 1) m); a cluster may be in several lots.
    width, m : int
        Numbers a cluster; instruments.
    """

    lots: tuple[tuple[Labels, FloatArray], ...]
    width: int
    m: int
    cov_type: str = "cluster"

    @classmethod
    def nothing(cls, k: int, m: int) -> ClusterSums:
        """Return sums over no row."""
        return cls((), 1 + (k + 1) * m, m)

    def add(self, rows: Rows, basis: MomentBasis) -> ClusterSums:
        """Return the sums with more rows."""
        assert rows.clusters is not None
        lots = self.lots
        for block in block_slices(len(rows.endog), self.width):
            part = rows.part(block)
            w, z = row_vectors(part, basis)
            products = (w[:, :, None] * z[:, None, :]).reshape(len(w), -1)
            sums = np.column_stack([np.ones(len(w)), products])
            assert part.clusters is not None
            lots = _joined((*lots, _by_label(part.clusters, sums)))
        return replace(self, lots=lots)

    def merge(self, other: ClusterSums) -> ClusterSums:
        """Return the sums over the rows of both."""
        return replace(self, lots=_joined((*self.lots, *other.lots)))

    def move(self, rows: FloatArray, columns: FloatArray) -> ClusterSums:
        """Return the sums for rows'w and columns'z."""
        change = np.kron(rows, columns)
        moved = [
            (labels, np.column_stack([sums[:, :1], sums[:, 1:] @ change]))
            for labels, sums in self.lots
        ]
        return replace(self, lots=tuple(moved))

    def single_lot(self) -> tuple[Labels, FloatArray]:
        """Return labels (g,) and sums (g, 1 + (k + 1) m) of all clusters."""
        labels = np.concatenate([labels for labels, _ in self.lots])
        return _by_label(labels, np.concatenate([sums for _, sums in self.lots]))

    def totals(self, k: int, m: int) -> Totals:
        """Return what `LinearMomentStatistic` holds."""
        sums = self.single_lot()[1]
        sizes, products = sums[:, 0], sums[:, 1:]
        weighted = (sizes @ products).reshape(k + 1, m).T
        return packed_fourth(products.T @ products, k, m), weighted, float(sizes @ sizes)


def _by_label(labels: Labels, sums: FloatArray) -> tuple[Labels, FloatArray]:
    found, group = np.unique(labels, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(len(found)))
    return found, np.add.reduceat(sums[order], starts, axis=0)


def _joined(lots: tuple[tuple[Labels, FloatArray], ...]) -> tuple[tuple[Labels, FloatArray], ...]:
    """Join the last lots until each is less than half of the one before."""
    joined = list(lots)
    while len(joined) > 1 and 2 * len(joined[-1][0]) >= len(joined[-2][0]):
        (first, first_sums), (second, second_sums) = joined[-2:]
        if first.dtype.kind != second.dtype.kind:
            raise InputError(MIXED_GROUPS)
        joined[-2:] = [
            _by_label(np.concatenate([first, second]), np.concatenate([first_sums, second_sums]))
        ]
    return tuple(joined)


@dataclass(frozen=True, slots=True)
class SerialSums:
    """Sums over pairs of rows that are close in time.

    Attributes
    ----------
    lags : ndarray, shape (L + 1,)
        Weights of pairs by their distance.
    half : CompensatedSum, shape ((k + 1) m, (k + 1) m)
        Sum over pairs (t, s <= t) of the weight, halved where s = t.
    weighted_cross : CompensatedSum, shape (m, k + 1)
    weight_total : float
    head, tail : ndarray, shape (at most L, k + 1 + m)
        The first and the last rows, [endog, exog, instrument].
    n : int
    """

    lags: FloatArray
    half: CompensatedSum
    weighted_cross: CompensatedSum
    weight_total: float
    head: FloatArray
    tail: FloatArray
    n: int
    cov_type: str = "HAC"

    @classmethod
    def nothing(cls, lags: FloatArray, k: int, m: int) -> SerialSums:
        """Return sums over no row."""
        order = (k + 1) * m
        empty = np.empty((0, k + 1 + m))
        return cls(
            lags,
            CompensatedSum.zeros((order, order)),
            CompensatedSum.zeros((m, k + 1)),
            0.0,
            empty,
            empty,
            0,
        )

    def add(self, rows: Rows, basis: MomentBasis) -> SerialSums:
        """Return the sums with the rows that follow in time."""
        table = np.column_stack([rows.endog, rows.exog, rows.instrument])
        added = self
        width = self.half.high.shape[0] * (len(self.lags) + 2)
        for block in block_slices(len(table), width):
            added = added._with_pairs(added.tail, table[block], basis, within=True)
            added = added._extended(table[block])
        return added

    def merge(self, other: SerialSums, basis: MomentBasis) -> SerialSums:
        """Return the sums over the rows of both; those of `other` follow in time."""
        across = self._with_pairs(self.tail, other.head, basis, within=False)
        L = len(self.lags) - 1
        head, tail = self.head, other.tail
        if len(head) < L:
            head = np.concatenate([head, other.head])[:L]
        if len(tail) < L:
            tail = _last(np.concatenate([self.tail, tail]), L)
        return replace(
            across,
            half=across.half.merge(other.half),
            weighted_cross=across.weighted_cross.merge(other.weighted_cross),
            weight_total=across.weight_total + other.weight_total,
            head=head,
            tail=tail,
            n=self.n + other.n,
        )

    def move(self, rows: FloatArray, columns: FloatArray) -> SerialSums:
        """Return the sums for rows'w and columns'z."""
        change = np.kron(rows, columns)
        return replace(
            self,
            half=self.half.map(lambda half: change.T @ half @ change),
            weighted_cross=self.weighted_cross.map(lambda cross: columns.T @ cross @ rows),
        )

    def totals(self, k: int, m: int) -> Totals:
        """Return what `LinearMomentStatistic` holds."""
        half = self.half.value
        return packed_fourth(half + half.T, k, m), self.weighted_cross.value, self.weight_total

    def _extended(self, table: FloatArray) -> SerialSums:
        L = len(self.lags) - 1
        head = self.head
        if len(head) < L:
            head = np.concatenate([head, table])[:L]
        tail = _last(np.concatenate([self.tail, table[-L:] if L else table[:0]]), L)
        return replace(self, head=head, tail=tail, n=self.n + len(table))

    def _with_pairs(
        self, before: FloatArray, table: FloatArray, basis: MomentBasis, *, within: bool
    ) -> SerialSums:
        """Add pairs of a row of `table` with one of `before`, and `within` the table."""
        k = len(basis.centre)
        both = np.concatenate([before, table])
        w, z = row_vectors(Rows(both[:, 0], both[:, 1 : k + 1], both[:, k + 1 :]), basis)
        products = (w[:, :, None] * z[:, None, :]).reshape(len(both), -1)
        first = len(before)
        earlier = np.zeros((len(table), products.shape[1]))
        weights = np.zeros(len(both))
        for lag in range(len(self.lags)):
            # Row i of the table with row i - lag, where there is such a row.
            last = len(table) if within else min(len(table), lag)
            start = max(0, lag - first)
            if lag == 0 and not within:
                continue
            if start >= last:
                continue
            weight = self.lags[lag] * (0.5 if lag == 0 else 1.0)
            earlier[start:last] += weight * products[first + start - lag : first + last - lag]
            weights[first + start : first + last] += weight
            weights[first + start - lag : first + last - lag] += weight
        return replace(
            self,
            half=self.half.add(products[first:].T @ earlier),
            weighted_cross=self.weighted_cross.add(z.T @ (weights[:, None] * w)),
            weight_total=self.weight_total + float(weights.sum()),
        )


def _last(table: FloatArray, count: int) -> FloatArray:
    return table[max(0, len(table) - count) :]


PairSums = ClusterSums | SerialSums


def cluster_share(pairs: ClusterSums) -> tuple[float, object]:
    """Return the largest share of some combination of the moments that one cluster holds.

    The share is 1 where some combination of the instruments is zero outside the cluster, as far as
    the sums over clusters tell.

    Returns
    -------
    share : float
    cluster : object
        Its label.
    """
    labels, sums = pairs.single_lot()
    by_cluster = sums[:, 1:].reshape(len(labels), -1, pairs.m)
    total = np.einsum("gai,gaj->ij", by_cluster, by_cluster)
    eigenvalues, vectors = np.linalg.eigh(total)
    seen = eigenvalues > ROUNDING * eigenvalues[-1]
    white = by_cluster @ (vectors[:, seen] / np.sqrt(eigenvalues[seen]))
    traces = np.einsum("gai,gai->g", white, white)
    largest, cluster = 0.0, int(traces.argmax())
    for candidate in np.flatnonzero(traces > 0.5):
        share = float(np.linalg.norm(white[candidate], 2) ** 2)
        if share > largest:
            largest, cluster = share, int(candidate)
    label = labels[cluster]
    return largest, label.item() if isinstance(label, np.generic) else label
