"""Sums over one block of rows, taken in pieces that stay in the cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError
from qbeconometrics.kernels._row_products import row_products
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


# Products of a piece fill about this many numbers, which the second-level cache holds; after so
# many pieces the rounding of their sum is kept.
PIECE_NUMBERS = 32_768
PIECES = 32
NOTHING = np.empty((0, 0))


def block_sums(rows: Rows, basis: MomentBasis, *, with_fourth: bool) -> BlockSums:
    """Add up the products of rows in a basis."""
    n, k = rows.exog.shape
    m = rows.instrument.shape[1]
    maps = (
        np.ascontiguousarray(basis.centre),
        np.ascontiguousarray(basis.regressor_map),
        np.ascontiguousarray(basis.instrument_map),
    )
    data = tuple(np.ascontiguousarray(part) for part in (rows.endog, rows.exog, rows.instrument))
    constants = _constants(rows, basis) if with_fourth else None
    work = _Workspace(n, k, m, with_fourth=with_fourth, with_second=constants is None)
    sums = [CompensatedSum.zeros(part.shape) for part in work.totals]
    lengths = np.empty(n)
    for first in range(0, n, PIECES * work.size):
        work.clear()
        last = min(n, first + PIECES * work.size)
        step = work.size if constants is None else PIECES * work.size
        for start in range(first, last, step):
            stop = min(last, start + step)
            endog, exog, instrument = (part[start:stop] for part in data)
            work.add(endog, exog, instrument, *maps, lengths[start:stop])
        sums = [total.add(part) for total, part in zip(sums, work.totals, strict=True)]
    if constants is not None:
        return _second_from_fourth(sums[0], constants, n, k, m, lengths)
    cross = sums[1].map(lambda total: np.roll(np.roll(total, 1, axis=0), 1, axis=1))
    return BlockSums(cross, sums[2], sums[3], sums[0] if with_fourth else None, lengths)


def _constants(rows: Rows, basis: MomentBasis) -> tuple[float, float] | None:
    """Values of the first regressor and instrument in the basis, if they are constants."""
    values = []
    for columns, linear in (
        (rows.exog, basis.regressor_map),
        (rows.instrument, basis.instrument_map),
    ):
        first = columns[:, 0]
        if np.any(linear[1:, 0]) or first.min() != first.max() or first[0] == 0.0:
            return None
        values.append(float(first[0] * linear[0, 0]))
    return values[0], values[1]


def _second_from_fourth(
    fourth: CompensatedSum,
    constants: tuple[float, float],
    n: int,
    k: int,
    m: int,
    lengths: FloatArray,
) -> BlockSums:
    """Read off the other sums: products with the constants are among those of fourth order."""
    of_x, of_z = constants
    # Positions of w_a x_0 and of z_l z_0 among the pairs, packed by rows of the lower triangle.
    order = np.arange(k + 1)
    with_x = np.where(order > 0, order * (order + 1) // 2 + 1, 1)
    order = np.arange(m)
    with_z = order * (order + 1) // 2

    def cross(total: FloatArray) -> FloatArray:
        found = np.zeros((m + 1, k + 2))
        found[1:, 1:] = total[np.ix_(with_x, with_z)].T / (of_x * of_z)
        found[1:, 0] = total[2, with_z] / (of_x**2 * of_z)
        found[0, 1:] = total[with_x, 0] / (of_x * of_z**2)
        return found

    crossed = fourth.map(cross)
    crossed.high[0, 0] = n
    return BlockSums(
        crossed,
        fourth.map(lambda total: total[2] / of_x**2),
        fourth.map(lambda total: total[:, 0] / of_z**2),
        fourth,
        lengths,
    )


class _Workspace:
    """Buffers for pieces of a block, whose rows lie along the last axis; w and z end in ones."""

    def __init__(self, n: int, k: int, m: int, *, with_fourth: bool, with_second: bool):
        pairs, packed = (k + 1) * (k + 2) // 2, m * (m + 1) // 2
        width = pairs + packed + k + m + 3
        size = self.size = max(1, min(n, max(64, PIECE_NUMBERS // width)))
        self.w, self.z = np.ones((k + 2, size)), np.ones((m + 1, size))
        self.with_fourth, self.with_second = with_fourth, with_second
        self.w_pairs, self.z_pairs = np.empty((pairs, size)), np.empty((packed, size))
        shapes: list[tuple[int, ...]] = [(pairs, packed) if with_fourth else (0,)]
        if with_second:
            shapes += [(m + 1, k + 2), (packed,), (pairs,)]
        self.totals = [np.zeros(shape) for shape in shapes]
        self.products = [np.empty(shape) for shape in shapes[:2]]

    def clear(self) -> None:
        """Begin new totals."""
        for total in self.totals:
            total[...] = 0.0

    def add(
        self,
        endog: FloatArray,
        exog: FloatArray,
        instrument: FloatArray,
        centre: FloatArray,
        regressor_map: FloatArray,
        instrument_map: FloatArray,
        lengths: FloatArray,
    ) -> None:
        """Add a piece to the totals, and fill in the lengths of its instruments."""
        w, z, w_pairs, z_pairs = self.w, self.z, self.w_pairs, self.z_pairs
        row_products(
            endog,
            exog,
            instrument,
            centre,
            regressor_map,
            instrument_map,
            w[:-1],
            z[:-1],
            w_pairs,
            z_pairs,
            lengths,
            NOTHING if self.with_second else self.totals[0],
        )
        if not self.with_second:
            return
        n = len(endog)
        if n < self.size:
            w, z, w_pairs, z_pairs = (part[:, :n] for part in (w, z, w_pairs, z_pairs))
        if self.with_fourth:
            self.totals[0] += np.matmul(w_pairs, z_pairs.T, out=self.products[0])
        self.totals[1] += np.matmul(z, w.T, out=self.products[1])
        self.totals[2] += z_pairs.sum(axis=1)
        self.totals[3] += w_pairs.sum(axis=1)
