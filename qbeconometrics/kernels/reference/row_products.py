"""Products of the entries of rows; the twin of `_row_products`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def row_products(
    endog: FloatArray,
    exog: FloatArray,
    instrument: FloatArray,
    centre: FloatArray,
    regressor_map: FloatArray,
    instrument_map: FloatArray,
    w: FloatArray,
    z: FloatArray,
    w_pairs: FloatArray,
    z_pairs: FloatArray,
    lengths: FloatArray,
) -> None:
    """Fill rows in a basis, and the products of their entries; see the kernel."""
    n = len(endog)
    w[0, :n] = endog - exog @ centre
    w[1:, :n] = (exog @ regressor_map).T
    z[:, :n] = (instrument @ instrument_map).T
    for columns, pairs in ((w, w_pairs), (z, z_pairs)):
        row, column = np.tril_indices(len(columns))
        pairs[:, :n] = columns[row, :n] * columns[column, :n]
    lengths[:] = np.sum(z[:, :n] ** 2, axis=0)
