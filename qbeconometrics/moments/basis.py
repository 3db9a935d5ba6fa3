"""Scaled coordinates in which sums over rows are well conditioned.

The statistic of linear moments is stored for z_w = C'z, w = (u, R'x) with u = y - x' centre, and
coefficients theta = centre + R x_w. C makes Z_w'Z_w / n the identity and R makes the usual
two-stage least squares covariance the identity, so columns may differ in scale by any factor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve, solve_triangular

FloatArray = NDArray[np.float64]

# A share of a column's length that no rounding reaches.
CLEAR_SIGN = 1e-6


@dataclass(frozen=True, slots=True)
class MomentBasis:
    """Centre and scale of the coordinates.

    Attributes
    ----------
    centre : ndarray, shape (k,)
        The two-stage least squares estimate.
    regressor_map : ndarray, shape (k, k)
        R in theta = centre + R x.
    instrument_map : ndarray, shape (m, m)
        C in z_w = C' z.
    """

    centre: FloatArray
    regressor_map: FloatArray
    instrument_map: FloatArray

    def to_params(self, points: FloatArray) -> FloatArray:
        """Map scaled coordinates (..., k) to coefficients."""
        return self.centre + points @ self.regressor_map.T

    def to_scaled(self, params: FloatArray) -> FloatArray:
        """Map coefficients (..., k) to scaled coordinates."""
        k = len(self.centre)
        difference = np.asarray(params, dtype=float) - self.centre
        scaled: FloatArray = solve(self.regressor_map, difference.reshape(-1, k).T).T
        return scaled.reshape(difference.shape)


def basis_from_triangle(triangle: FloatArray, n: int, k: int, m: int) -> MomentBasis:
    """Two-stage least squares and its covariance from the R factor of [Z, X, y].

    Parameters
    ----------
    triangle : ndarray, shape (m + k + 1, m + k + 1)
        R factor of the columns [instrument, exog, endog] over all rows.
    n, k, m : int
        Rows, regressors, instruments.

    Returns
    -------
    MomentBasis
    """
    # [Z, X, y] = Q triangle, so projections on Z are the first m rows.
    triangle = triangle * np.where(np.diag(triangle) > 0.0, -1.0, 1.0)[:, None]
    instrument_root = triangle[:m, :m]
    projected_exog = triangle[:m, m : m + k]
    projected_endog = triangle[:m, m + k]
    scale = np.linalg.norm(projected_exog, axis=0)
    orthogonal, root = np.linalg.qr(projected_exog / scale)
    # The signs of a QR factor hang on how the rows were cut into blocks; draws must not.
    signs = np.where(np.diag(root) < 0.0, -1.0, 1.0)
    if k == m:
        # As many instruments as regressors: each coordinate goes the way of its instrument.
        ways = np.diag(projected_exog) / scale
        signs *= np.where(ways < -CLEAR_SIGN, -1.0, 1.0)
    orthogonal, root = orthogonal * signs, root * signs[:, None]
    centre = solve_triangular(root, orthogonal.T @ projected_endog) / scale
    residual = triangle[:, m + k] - triangle[:, m : m + k] @ centre
    sigma = np.linalg.norm(residual) / np.sqrt(n)
    regressor_map = sigma * solve_triangular(root, np.eye(k)) / scale[:, None]
    instrument_scale = np.linalg.norm(instrument_root, axis=0)
    instrument_map = (
        np.sqrt(n)
        * solve_triangular(instrument_root / instrument_scale, np.eye(m))
        / instrument_scale[:, None]
    )
    return MomentBasis(centre, regressor_map, instrument_map)


def basis_change(old: MomentBasis, new: MomentBasis) -> tuple[FloatArray, FloatArray]:
    """Return D (k + 1, k + 1) and E (m, m) with w_new = D' w_old and z_new = E' z_old."""
    k = len(old.centre)
    change = np.zeros((k + 1, 1 + new.regressor_map.shape[1]))
    change[0, 0] = 1.0
    regressors = _equilibrated_solve(
        old.regressor_map, np.column_stack([old.centre - new.centre, new.regressor_map])
    )
    change[1:, 0], change[1:, 1:] = regressors[:, 0], regressors[:, 1:]
    return change, _equilibrated_solve(old.instrument_map, new.instrument_map)


def inverse_map(matrix: FloatArray) -> FloatArray:
    """Return the inverse of a map of columns of the data to coordinates."""
    return _equilibrated_solve(matrix, np.eye(len(matrix)))


def _equilibrated_solve(matrix: FloatArray, right: FloatArray) -> FloatArray:
    """Solve with rows brought to one length: they are in the units of the columns of the data."""
    lengths = np.linalg.norm(matrix, axis=1)[:, None]
    matrix, right = matrix / lengths, right / lengths
    if np.array_equal(matrix, np.triu(matrix)):
        return np.asarray(solve_triangular(matrix, right), dtype=np.float64)
    return np.asarray(solve(matrix, right), dtype=np.float64)
