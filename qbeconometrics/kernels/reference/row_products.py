"""Sums over rows of products of their entries; the twin of `_row_products`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def sum_row_products(
    endog: FloatArray,
    exog: FloatArray,
    instrument: FloatArray,
    row_map: FloatArray,
    instrument_map: FloatArray,
    lengths: FloatArray,
    fourth: FloatArray,
    cross: FloatArray,
    instrument_product: FloatArray,
    row_product: FloatArray,
) -> None:
    """Add the products of entries of rows; see the kernel."""
    w = np.column_stack([endog, exog]) @ row_map
    z = instrument @ instrument_map
    w_pairs, z_pairs = (_pairs(columns) for columns in (w, z))
    lengths[:] = np.sum(z**2, axis=1)
    if fourth.size:
        fourth += w_pairs.T @ z_pairs
    ones = np.ones(len(endog))
    cross += np.column_stack([ones, z]).T @ np.column_stack([ones, w])
    instrument_product += z_pairs.sum(axis=0)
    row_product += w_pairs.sum(axis=0)


def compare_columns(
    left: FloatArray,
    right: FloatArray,
    pairs: NDArray[np.int64],
    left_squares: FloatArray,
    right_squares: FloatArray,
) -> bool:
    """Add up squares, and compare columns; see the kernel."""
    left_squares[:] = np.sum(left**2, axis=0)
    right_squares[:] = np.sum(right**2, axis=0)
    return all(np.array_equal(left[:, first], right[:, second]) for first, second in pairs)


def _pairs(columns: FloatArray) -> FloatArray:
    row, column = np.tril_indices(columns.shape[1])
    return columns[:, row] * columns[:, column]
