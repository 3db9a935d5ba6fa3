"""Moments of the endogenous coefficients alone, the exogenous regressors partialled out.

In ``y = X1 b + D theta + u`` with instruments ``X1, Z2`` the controls are projected off ``y``,
``D`` and ``Z2``. With e(theta) = M1 (y - D theta) and Z the (orthonormal) rest of the instruments,

    g(theta) = mean of z e(theta),        S(theta) = covariance of sqrt(n) g(theta),

both of them functions of v = (1, -theta): g is linear in v, S quadratic. Every test of theta that
is robust to weak instruments is a function of these, and v = (0, -delta) is the point at infinity
in the direction delta.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from qbeconometrics.exceptions import InputError
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.moments.dependence import RowWeights, pair_product
from qbeconometrics.moments.linear import (
    BLOCK_NUMBERS,
    LinearMomentStatistic,
    ScaledRows,
    covariance_statistic,
    unpack_symmetric,
)

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ConcentratedMoments:
    """What the tests of the endogenous coefficients know of the data; its size is free of n.

    Attributes
    ----------
    names : tuple of str
        Endogenous regressors, p of them.
    centre : ndarray, shape (p,)
        Two-stage least squares estimate: v = (1, centre - theta).
    cross : ndarray, shape (l, p + 1)
        Z'[u, D]/n with Z'Z = n I, where u is the residual at the centre.
    gram : ndarray, shape (p + 1, p + 1)
        [u, D]'M1 [u, D]/n.
    covariance : ndarray, shape (p + 1, p + 1, l, l), or None
        S = sum v_a v_b covariance[a, b]; None under "nonrobust".
    n, n_controls : int
    cov_type : str
    """

    names: tuple[str, ...]
    centre: FloatArray
    cross: FloatArray
    gram: FloatArray
    covariance: FloatArray | None
    n: int
    n_controls: int
    cov_type: str

    @property
    def n_excluded(self) -> int:
        """Number of excluded instruments, l."""
        return int(self.cross.shape[0])

    @property
    def n_endogenous(self) -> int:
        """Number of endogenous regressors, p."""
        return int(self.cross.shape[1]) - 1

    @property
    def df_resid(self) -> int:
        """Rows less controls and excluded instruments, n - q - l."""
        return self.n - self.n_controls - self.n_excluded

    def homogeneous(self, theta: FloatArray) -> FloatArray:
        """Return v (points, p + 1) of coefficients `theta` (points, p)."""
        theta = np.atleast_2d(theta)
        return np.column_stack([np.ones(len(theta)), self.centre - theta])

    def fitted_and_rest(self) -> tuple[FloatArray, FloatArray]:
        """Return [u, D]'P_Z [u, D]/n and [u, D]'(M1 - P_Z)[u, D]/n, each (p + 1, p + 1)."""
        fitted = self.cross.T @ self.cross
        return fitted, self.gram - fitted

    def criterion(self, points: FloatArray) -> FloatArray:
        """Return n g'S^-1 g at `points` (points, p + 1), NaN where S is not positive definite.

        Under "nonrobust" S is the variance of the residual times the identity.
        """
        points = np.atleast_2d(np.asarray(points, dtype=np.float64))
        g = points @ self.cross.T
        if self.covariance is None:
            variance = np.einsum("ia,ab,ib->i", points, self.gram, points)
            return np.asarray(self.n * np.sum(g**2, axis=1) / variance)
        pairs = (points[:, :, None] * points[:, None, :]).reshape(len(points), -1)
        L = self.n_excluded
        S = (pairs @ self.covariance.reshape(-1, L * L)).reshape(-1, L, L)
        return self.n * quadratic_forms(S, g)


def quadratic_forms(S: FloatArray, g: FloatArray) -> FloatArray:
    """Return g'S^-1 g of each S (points, l, l) and g (points, l); NaN unless S is positive."""
    try:
        white = np.linalg.solve(np.linalg.cholesky(S), g[..., None])[..., 0]
        return np.asarray(np.sum(white**2, axis=-1))
    except np.linalg.LinAlgError:
        if len(S) == 1:
            return np.full(1, np.nan)
        return np.concatenate([quadratic_forms(S[i : i + 1], g[i : i + 1]) for i in range(len(S))])


@dataclass(frozen=True, slots=True)
class _Projection:
    """How the concentrated columns come from the scaled ones.

    [u, D] = W columns and Z = Z_w rows, for W (n, k + 1) and Z_w (n, m) of the statistic.
    """

    columns: FloatArray
    rows: FloatArray
    n_controls: int


def _project(statistic: LinearMomentStatistic, endogenous: Sequence[int]) -> _Projection:
    k, m = statistic.k, statistic.m
    regressors = np.zeros((k + 1, k))
    regressors[1:] = np.linalg.solve(statistic.basis.regressor_map, np.eye(k))
    exogenous = [j for j in range(k) if j not in endogenous]
    # Z_w root^-T has orthonormal columns; root is the identity unless statistics were merged.
    root = np.linalg.cholesky(statistic.instrument_product / statistic.n)
    cross = solve_triangular(root, statistic.cross, lower=True) / statistic.n
    wanted = np.column_stack([np.eye(k + 1)[:, 0], regressors[:, list(endogenous)]])
    controls = regressors[:, exogenous]
    # The controls are in the span of the instruments: these are their coordinates there.
    coordinates = cross @ controls
    scale = np.linalg.norm(coordinates, axis=0)
    basis, triangle = np.linalg.qr(coordinates / scale, mode="complete")
    q = len(exogenous)
    if q:
        slopes = solve_triangular(triangle[:q], basis[:, :q].T @ (cross @ wanted))
        wanted = wanted - controls @ (slopes / scale[:, None])
    else:
        basis = np.eye(m)
    return _Projection(wanted, solve_triangular(root.T, basis[:, q:]), q)


def concentrate(
    statistic: LinearMomentStatistic,
    *,
    endogenous: Sequence[int],
    names: Sequence[str],
    rule: CovarianceRule,
    rows: ScaledRows | None = None,
    weights: RowWeights | None = None,
) -> ConcentratedMoments:
    """Partial the controls out of the moments.

    Parameters
    ----------
    statistic : LinearMomentStatistic
        Of independent rows if `rows` are given.
    endogenous : sequence of int
        Positions of the endogenous regressors.
    names : sequence of str
        Their names.
    rule : CovarianceRule
    rows : ScaledRows, optional
        S is formed from them if given, else from the fourth-order sums of `statistic`.
    weights : RowWeights, optional
        Of pairs of `rows`, for "HAC" and "cluster".

    Returns
    -------
    ConcentratedMoments

    Raises
    ------
    InputError
        If no regressor is endogenous.
    """
    if not endogenous:
        raise InputError(
            "no regressor is endogenous: robust sets and tests are of endogenous regressors, which "
            "are those outside the span of the instruments"
        )
    projection = _project(statistic, endogenous)
    columns, z = projection.columns, projection.rows
    covariance = None
    if rule.cov_type != "nonrobust":
        if rows is None:
            covariance = _covariance_from_statistic(statistic, rule, projection)
        else:
            covariance = _covariance_from_rows(rows, rule, weights, projection)
            covariance *= statistic.small_sample_factor(rule)
    return ConcentratedMoments(
        names=tuple(names),
        centre=statistic.basis.centre[list(endogenous)],
        cross=z.T @ (statistic.cross / statistic.n) @ columns,
        gram=columns.T @ (statistic.row_product / statistic.n) @ columns,
        covariance=covariance,
        n=statistic.n,
        n_controls=projection.n_controls + statistic.df_absorbed,
        cov_type=rule.cov_type,
    )


def _covariance_from_statistic(
    statistic: LinearMomentStatistic, rule: CovarianceRule, projection: _Projection
) -> FloatArray:
    columns, z = projection.columns, projection.rows
    width, L = columns.shape[1], z.shape[1]
    tensor = covariance_statistic(statistic, rule)
    first, second = np.tril_indices(statistic.k + 1)
    covariance = np.empty((width, width, L, L))
    for a in range(width):
        for b in range(a + 1):
            # T is stored once for each pair of columns of W, so pairs off the diagonal count twice.
            pair = columns[first, a] * columns[second, b] + columns[second, a] * columns[first, b]
            pair[first == second] /= 2.0
            full = unpack_symmetric(pair @ tensor, statistic.m)
            covariance[a, b] = covariance[b, a] = z.T @ full @ z
    return covariance


def _covariance_from_rows(
    rows: ScaledRows, rule: CovarianceRule, weights: RowWeights | None, projection: _Projection
) -> FloatArray:
    width, L = projection.columns.shape[1], projection.rows.shape[1]
    n = len(rows.residual)

    def scores(block: slice) -> FloatArray:
        w = rows.residual[block, None] * projection.columns[0]
        w = w + rows.regressor[block] @ projection.columns[1:]
        z = rows.instrument[block] @ projection.rows
        return np.asarray((w[:, :, None] * z[:, None, :]).reshape(len(w), -1))

    if weights is not None:
        whole = scores(slice(None))
        if rule.centered:
            whole = whole - whole.mean(axis=0)
        product = pair_product(weights, whole) / n
    else:
        product = np.zeros((width * L, width * L))
        total = np.zeros(width * L)
        step = max(256, BLOCK_NUMBERS // (width * L))
        for start in range(0, n, step):
            part = scores(slice(start, start + step))
            product += part.T @ part
            total += part.sum(axis=0)
        product /= n
        if rule.centered:
            product -= np.outer(total, total) / n**2
    covariance = product.reshape(width, L, width, L).transpose(0, 2, 1, 3)
    return np.asarray((covariance + covariance.transpose(1, 0, 2, 3)) / 2.0)
