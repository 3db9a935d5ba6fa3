"""Coordinates for sums over rows that are not all seen yet, chosen from the first of them.

As in `basis`, rows become z_w = C'z and w = (u, R'x). Here C and R make the instruments and the
regressors of the pilot rows orthonormal, and u is the residual of least squares, so that sums over
all rows lose no digits as long as the pilot rows are like the others. Where they are not, the
coordinates are chosen again from the sums themselves, and the sums moved, exactly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from qbeconometrics.moments.basis import MomentBasis

FloatArray = NDArray[np.float64]

# Rows that the coordinates are chosen from.
PILOT_ROWS = 16_384

# Rows a column that are waited for before coordinates are chosen: fewer would mislead.
PILOT_ROWS_PER_COLUMN = 20

# A column of which less than this share of its length is new has its own length as its scale until
# more rows are seen.
UNSEEN_SHARE = 1e-7

# Largest ratio of the eigenvalues of sums in their coordinates before these are chosen again: its
# square is what fourth-order sums lose of their precision.
LARGEST_CONDITION = 100.0


def pilot_basis(endog: FloatArray, exog: FloatArray, instrument: FloatArray) -> MomentBasis:
    """Return coordinates in which these rows are orthonormal, as far as they have the rank.

    Parameters
    ----------
    endog : ndarray, shape (n,)
    exog : ndarray, shape (n, k)
    instrument : ndarray, shape (n, m)
    """
    k = exog.shape[1]
    n = len(endog)
    both = _padded_factor(np.column_stack([exog, endog]))
    return _basis(both[: k + 1, : k + 1], _padded_factor(instrument), n)


def _padded_factor(columns: FloatArray) -> FloatArray:
    n, p = columns.shape
    if n < p:
        columns = np.vstack([columns, np.zeros((p - n, p))])
    return np.asarray(np.linalg.qr(columns, mode="r"), dtype=np.float64)


def basis_of_products(
    row_product: FloatArray, instrument_product: FloatArray, n: int
) -> MomentBasis:
    """Return such coordinates relative to those of the sums w w' and z z'.

    Parameters
    ----------
    row_product : ndarray, shape (k + 1, k + 1)
    instrument_product : ndarray, shape (m, m)
    n : int

    Returns
    -------
    MomentBasis
        With the centre and maps to be applied after those of the sums.
    """
    k = len(row_product) - 1
    order = [*range(1, k + 1), 0]
    both = semidefinite_factor(row_product[np.ix_(order, order)])
    return _basis(both, semidefinite_factor(instrument_product), n)


def _basis(both: FloatArray, instrument_factor: FloatArray, n: int) -> MomentBasis:
    k = len(both) - 1
    both = both * np.where(np.diag(both) < 0.0, -1.0, 1.0)[:, None]
    exog_factor, seen = _with_scales(both[:k, :k], n)
    identity = np.eye(k)
    instrument_factor, _ = _with_scales(instrument_factor, n)
    return MomentBasis(
        centre=solve_triangular(exog_factor, np.where(seen, both[:k, k], 0.0)),
        regressor_map=np.sqrt(n) * solve_triangular(exog_factor, identity),
        instrument_map=np.sqrt(n)
        * solve_triangular(instrument_factor, np.eye(len(instrument_factor))),
    )


def _with_scales(factor: FloatArray, n: int) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Triangle with a positive diagonal, and which columns are seen.

    Those that are not have their own length, and earlier columns taken off.
    """
    factor = factor * np.where(np.diag(factor) < 0.0, -1.0, 1.0)[:, None]
    lengths = np.linalg.norm(factor, axis=0)
    unseen = np.diag(factor) <= UNSEEN_SHARE * lengths
    scales = np.where(lengths > 0.0, lengths, np.sqrt(n))
    places = np.flatnonzero(unseen)
    factor[places, :] = 0.0
    factor[places, places] = scales[places]
    return factor, ~unseen


def semidefinite_factor(product: FloatArray, tolerance: float = UNSEEN_SHARE) -> FloatArray:
    """Return upper triangular R with R'R = `product` (p, p), which may be short of rank.

    A column of which a smaller share than `tolerance` is new is taken as a combination of earlier
    columns: its row is zero.

    Examples
    --------
    >>> semidefinite_factor(np.array([[4.0, 2.0], [2.0, 1.0]]))
    array([[2., 1.],
           [0., 0.]])
    """
    p = len(product)
    factor = np.zeros((p, p))
    for j in range(p):
        rest = product[j, j:] - factor[:j, j] @ factor[:j, j:]
        if rest[0] > tolerance**2 * product[j, j]:
            factor[j, j:] = rest / np.sqrt(rest[0])
    return factor


def is_ill_conditioned(product: FloatArray) -> bool:
    """Whether sums of products of coordinates have lost their scale, and can be given one."""
    eigenvalues = np.linalg.eigvalsh(product)
    return bool(eigenvalues[-1] > LARGEST_CONDITION * max(eigenvalues[0], 0.0))


def compose(first: MomentBasis, second: MomentBasis) -> MomentBasis:
    """Return the coordinates that `second` makes of those of `first`."""
    return MomentBasis(
        centre=first.centre + first.regressor_map @ second.centre,
        regressor_map=first.regressor_map @ second.regressor_map,
        instrument_map=first.instrument_map @ second.instrument_map,
    )
