"""Rows that share all instruments, added up first: what is kept is one small matrix a cell.

Where instruments and exogenous regressors take few values together, as dummies do, every sum that
linear moments need follows from the sums of [1, y, d] [1, y, d]' of each cell, y being the outcome
and d the endogenous regressors: with any centre, and with controls partialled out, although their
coefficients are only known in the end. Wong, Forsell, Lewis, Mao and Wardrop (2021, arXiv
2102.11297) compress least squares so; the fourth-order sums are our addition.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.inputs.rank import triangular_factor
from qbeconometrics.inputs.spans import Coordinates
from qbeconometrics.moments.basis import MomentBasis
from qbeconometrics.moments.linear import LinearMomentStatistic, pair_products, unpack_symmetric

FloatArray = NDArray[np.float64]

# Cells that are taken at a time in a product.
CELLS_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class CellMoments:
    """Sums by cell.

    Attributes
    ----------
    n : int
    controls : ndarray, shape (g, k - p)
        Exogenous regressors of each cell.
    instrument : ndarray, shape (g, m)
    sums : ndarray, shape (g, p + 2, p + 2)
        Of v v' with v = [1, y, d] less `offset`.
    offset : ndarray, shape (p + 2,)
        Zero, and about the means of y and d.
    first_rows : ndarray of int, shape (g,)
        Place of the first row of each cell in the data.
    """

    n: int
    controls: FloatArray
    instrument: FloatArray
    sums: FloatArray
    offset: FloatArray
    first_rows: NDArray[np.int64]

    @property
    def k(self) -> int:
        """Number of coefficients."""
        return self.controls.shape[1] + len(self.offset) - 2

    @property
    def m(self) -> int:
        """Number of moments."""
        return self.instrument.shape[1]


def cells_of_rows(
    codes: NDArray[np.int64],
    controls: FloatArray,
    instrument: FloatArray,
    values: FloatArray,
    position: int,
    offset: FloatArray | None,
) -> CellMoments:
    """Add up rows by cell.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        Row of `controls` and `instrument` that each row has.
    controls : ndarray, shape (g, k - p)
    instrument : ndarray, shape (g, m)
    values : ndarray, shape (n, p + 1)
        Outcome and endogenous regressors.
    position : int
        Of the first row in the data.
    offset : ndarray, shape (p + 2,), or None
        None: chosen from these rows.
    """
    n, width = len(codes), values.shape[1] + 1
    if offset is None:
        offset = np.concatenate([[0.0], values.mean(axis=0)])
    v = np.column_stack([np.ones(n), values - offset[1:]])
    count = len(instrument)
    sums = np.empty((count, width, width))
    for a in range(width):
        for b in range(a + 1):
            total = np.bincount(codes, weights=v[:, a] * v[:, b], minlength=count)
            sums[:, a, b] = sums[:, b, a] = total
    first = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(first, codes, position + np.arange(n))
    used = sums[:, 0, 0] > 0
    cells = CellMoments(n, controls[used], instrument[used], sums[used], offset, first[used])
    return _without_repeats(cells)


def merge_cells(one: CellMoments, two: CellMoments, later: int) -> CellMoments:
    """Return the cells of the rows of both; those of `two` come `later` rows further down."""
    shift = np.eye(len(one.offset))
    shift[1:, 0] = two.offset[1:] - one.offset[1:]
    return _without_repeats(
        CellMoments(
            one.n + two.n,
            np.concatenate([one.controls, two.controls]),
            np.concatenate([one.instrument, two.instrument]),
            np.concatenate([one.sums, shift @ two.sums @ shift.T]),
            one.offset,
            np.concatenate([one.first_rows, two.first_rows + later]),
        )
    )


def _without_repeats(cells: CellMoments) -> CellMoments:
    keys = np.ascontiguousarray(np.column_stack([cells.controls, cells.instrument]) + 0.0)
    texts = keys.view(np.dtype((np.void, keys.dtype.itemsize * keys.shape[1]))).ravel()
    _, first, group = np.unique(texts, return_index=True, return_inverse=True)
    sums = np.zeros((len(first), *cells.sums.shape[1:]))
    np.add.at(sums, group.ravel(), cells.sums)
    rows = np.full(len(first), np.iinfo(np.int64).max)
    np.minimum.at(rows, group.ravel(), cells.first_rows)
    return CellMoments(
        cells.n, cells.controls[first], cells.instrument[first], sums, cells.offset, rows
    )


def _standing_rows(cells: CellMoments) -> FloatArray:
    """A few rows [1, y, d] of each cell with the same sums, shape (g, p + 2, p + 2)."""
    values, vectors = np.linalg.eigh(cells.sums)
    rows = (vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]).swapaxes(1, 2)
    return rows + rows[:, :, :1] * cells.offset


def cell_coordinates(cells: CellMoments) -> Coordinates:
    """Return the columns of the data in orthonormal coordinates, the ones first."""
    rows = _standing_rows(cells)
    ones = rows[:, :, 0]
    width, p = rows.shape[1], rows.shape[2] - 2

    def scaled(columns: FloatArray) -> FloatArray:
        return (ones[:, :, None] * columns[:, None, :]).reshape(-1, columns.shape[1])

    triangle = triangular_factor(
        [
            ones.ravel(),
            scaled(cells.instrument),
            scaled(cells.controls),
            rows[:, :, 2:].reshape(-1, p),
            rows[:, :, 1].ravel(),
        ]
    )
    assert width == p + 2
    m = cells.m
    return Coordinates(
        triangle[:, 0], triangle[:, 1 : m + 1], triangle[:, m + 1 : -1], triangle[:, -1]
    )


def cell_statistic(cells: CellMoments, basis: MomentBasis) -> LinearMomentStatistic:
    """Return the statistic of all rows in a basis, which may leave controls out."""
    rows = _standing_rows(cells)
    q = cells.controls.shape[1]
    ones = rows[:, :, 0]
    exog = np.concatenate([ones[:, :, None] * cells.controls[:, None, :], rows[:, :, 2:]], axis=2)
    w = np.concatenate(
        [(rows[:, :, 1] - exog @ basis.centre)[:, :, None], exog @ basis.regressor_map], axis=2
    )
    assert exog.shape[2] == q + rows.shape[2] - 2
    z = cells.instrument @ basis.instrument_map
    order = w.shape[2]
    row, column = np.tril_indices(order)
    products = np.einsum("gra,grb->gab", w, w)[:, row, column]
    m = z.shape[1]
    fourth = np.zeros((len(row), m * (m + 1) // 2))
    for start in range(0, len(z), CELLS_AT_ONCE):
        part = slice(start, start + CELLS_AT_ONCE)
        fourth += products[part].T @ pair_products(np.ascontiguousarray(z[part].T)).T
    by_cell = np.einsum("gr,gra->ga", ones, w)
    return LinearMomentStatistic(
        basis,
        cells.n,
        z.T @ by_cell,
        (z * cells.sums[:, 0, 0][:, None]).T @ z,
        unpack_symmetric(products.sum(axis=0), order),
        by_cell.sum(axis=0),
        unpack_symmetric(fourth[0], m),
        fourth,
    )


def cell_leverage(cells: CellMoments, coordinates: Coordinates) -> tuple[float, int]:
    """Return the largest leverage of a row, or of rows that are the same, and its place."""
    spread = np.trace(cells.sums[:, 1:, 1:], axis1=1, axis2=2)
    counts = cells.sums[:, 0, 0]
    means = cells.sums[:, 1:, 0]
    varies = spread - np.sum(means**2, axis=1) / counts > 1e-9 * spread
    alone = np.flatnonzero((counts == 1.0) | ~varies)
    if not len(alone):
        return 0.0, 0
    lengths = np.linalg.norm(coordinates.instrument, axis=0)
    factor = triangular_factor([coordinates.instrument / lengths])
    white = np.linalg.solve(factor.T, (cells.instrument[alone] / lengths).T)
    leverage = counts[alone] * np.sum(white**2, axis=0)
    largest = int(leverage.argmax())
    return float(leverage[largest]), int(cells.first_rows[alone[largest]])
