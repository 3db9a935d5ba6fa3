"""Sums over one block of rows, taken in pieces that stay in the cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError
from qbeconometrics.kernels._row_products import sum_row_products
from qbeconometrics.moments.basis import MomentBasis
from qbeconometrics.moments.compensated import CompensatedSum

FloatArray = NDArray[np.float64]

MIXED_GROUPS = "groups are numbers in some blocks and text in others. Give them one type."


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of data that are finite and of one width.

    Attributes
    ----------
    endog : ndarray, shape (n,)
    exog : ndarray, shape (n, k)
    instrument : ndarray, shape (n, m)
    clusters : ndarray, shape (n,), or None
        Whole numbers or text.
    """

    endog: FloatArray
    exog: FloatArray
    instrument: FloatArray
    clusters: NDArray[Any] | None = None

    def part(self, rows: slice) -> Rows:
        """Return some of the rows."""
        clusters = None if self.clusters is None else self.clusters[rows]
        return Rows(self.endog[rows], self.exog[rows], self.instrument[rows], clusters)

    def followed_by(self, rows: Rows) -> Rows:
        """Return the rows with others below them."""
        clusters = None
        if self.clusters is not None and rows.clusters is not None:
            parts = [part for part in (self.clusters, rows.clusters) if len(part)]
            if len({part.dtype.kind for part in parts}) > 1:
                raise InputError(MIXED_GROUPS)
            clusters = np.concatenate(parts) if parts else rows.clusters
        return Rows(
            np.concatenate([self.endog, rows.endog]),
            np.concatenate([self.exog, rows.exog]),
            np.concatenate([self.instrument, rows.instrument]),
            clusters,
        )


@dataclass(frozen=True, slots=True)
class BlockSums:
    """Sums over a block; see `RunningMoments`.

    Attributes
    ----------
    cross, instrument_product, row_product : CompensatedSum
    fourth : CompensatedSum or None
    lengths : ndarray, shape (n,)
        z'z of each row.
    """

    cross: CompensatedSum
    instrument_product: CompensatedSum
    row_product: CompensatedSum
    fourth: CompensatedSum | None
    lengths: FloatArray


# After so many rows the rounding of their sum is kept.
PIECE_ROWS = 16_384


def block_sums(rows: Rows, basis: MomentBasis, *, with_fourth: bool) -> BlockSums:
    """Add up the products of rows in a basis."""
    n, k = rows.exog.shape
    m = rows.instrument.shape[1]
    pairs, packed = (k + 1) * (k + 2) // 2, m * (m + 1) // 2
    # [y, x] times this is w.
    row_map = np.eye(k + 1)
    row_map[1:, 0], row_map[1:, 1:] = -basis.centre, basis.regressor_map
    instrument_map = np.ascontiguousarray(basis.instrument_map)
    data = tuple(np.ascontiguousarray(part) for part in (rows.endog, rows.exog, rows.instrument))
    shapes = [(pairs, packed) if with_fourth else (0, 0), (m + 1, k + 2), (packed,), (pairs,)]
    sums = [CompensatedSum.zeros(shape) for shape in shapes]
    lengths = np.empty(n)
    for start in range(0, n, PIECE_ROWS):
        piece = slice(start, start + PIECE_ROWS)
        endog, exog, instrument = (part[piece] for part in data)
        totals = [np.zeros(shape) for shape in shapes]
        sum_row_products(endog, exog, instrument, row_map, instrument_map, lengths[piece], *totals)
        sums = [total.add(part) for total, part in zip(sums, totals, strict=True)]
    fourth, cross, instrument_product, row_product = sums
    return BlockSums(
        cross, instrument_product, row_product, fourth if with_fourth else None, lengths
    )
