"""Adjustment coefficients, short-run terms and covariances, exactly, given cointegrating spaces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.moments.triangular import solve_upper
from qbeconometrics.posterior.cointegration import CointegrationLaw

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ErrorCorrectionDraws:
    """Draws in the units of the data; the leading axes are those of the spaces.

    Attributes
    ----------
    beta : ndarray, shape (..., n, r)
        Some basis of the space.
    alpha : ndarray, shape (..., m, r)
        Such that alpha beta' is the matrix of levels.
    short_run : ndarray, shape (..., m, q)
    sigma_u : ndarray, shape (..., m, m)
    """

    beta: FloatArray
    alpha: FloatArray
    short_run: FloatArray
    sigma_u: FloatArray


def draw_coefficients(
    law: CointegrationLaw, b: FloatArray, rng: np.random.Generator
) -> ErrorCorrectionDraws:
    """Draw what is left given b, all spaces at once.

    Sigma is inverse Wishart, by Bartlett's decomposition; alpha given Sigma, and Gamma given both,
    are matrix normal.

    Parameters
    ----------
    law : CointegrationLaw
    b : ndarray, shape (..., n, r)
        In the coordinates of the law, r from 0.
    rng : numpy.random.Generator

    Returns
    -------
    ErrorCorrectionDraws
    """
    lead, r, m, q = b.shape[:-2], b.shape[-1], law.series, law.regressors
    precision, half, residual = _given(law, b)
    root = np.linalg.cholesky(residual) @ _inverse_wishart_root(m, 2 * law.exponent, lead, rng)
    noise = rng.standard_normal((*lead, r, m)) @ root.swapaxes(-1, -2)
    loadings = _solved(precision.swapaxes(-1, -2), half + noise)
    noise = rng.standard_normal((*lead, q, m)) @ root.swapaxes(-1, -2)
    shift = solve_upper(law.short_run_root, np.eye(q)) @ noise
    return _in_units(law, b, loadings, shift, root @ root.swapaxes(-1, -2))


def mean_coefficients(law: CointegrationLaw, b: FloatArray) -> ErrorCorrectionDraws:
    """Means given b (..., n, r); the exponent of the law must exceed (m + 1) / 2."""
    precision, half, residual = _given(law, b)
    loadings = _solved(precision.swapaxes(-1, -2), half)
    df = 2.0 * law.exponent - law.series - 1.0
    return _in_units(law, b, loadings, np.zeros(()), residual / df)


def _given(law: CointegrationLaw, b: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """L with L L' = b'Mb, L^-1 b'R1'R0 (..., r, m), and the sum of squares of the residuals."""
    precision = np.asarray(np.linalg.cholesky(b.swapaxes(-1, -2) @ law.unrestricted @ b))
    half = _solved(precision, b.swapaxes(-1, -2) @ law.cross)
    return precision, half, law.outcome - half.swapaxes(-1, -2) @ half


def _in_units(
    law: CointegrationLaw,
    b: FloatArray,
    loadings: FloatArray,
    shift: FloatArray,
    sigma: FloatArray,
) -> ErrorCorrectionDraws:
    """Return to the data's units from alpha' (..., r, m), noise of Gamma' and Sigma."""
    short_run = law.short_run_changes - law.short_run_levels @ (b @ loadings) + shift
    scale = law.scale
    return ErrorCorrectionDraws(
        beta=law.to_levels @ b,
        alpha=scale[:, None] * loadings.swapaxes(-1, -2),
        short_run=scale[:, None] * short_run.swapaxes(-1, -2),
        sigma_u=(scale[:, None] * scale) * sigma,
    )


def normalized(beta: FloatArray, alpha: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the basis whose first r rows are the identity, and alpha that goes with it.

    Parameters
    ----------
    beta : ndarray, shape (..., n, r)
    alpha : ndarray, shape (..., m, r)
    """
    r = beta.shape[-1]
    top = beta[..., :r, :]
    # beta top^-1, by a solve with the transpose; alpha top'.
    solved = _solved(top.swapaxes(-1, -2), beta.swapaxes(-1, -2)).swapaxes(-1, -2)
    solved[..., :r, :] = np.eye(r)
    return solved, alpha @ top.swapaxes(-1, -2)


def _inverse_wishart_root(
    m: int, df: float, lead: tuple[int, ...], rng: np.random.Generator
) -> FloatArray:
    """F (..., m, m) with F F' inverse Wishart, of `df` degrees of freedom and scale I."""
    lower = np.tril(rng.standard_normal((*lead, m, m)), -1)
    place = np.arange(m)
    lower[..., place, place] = np.sqrt(rng.chisquare(df - place, (*lead, m)))
    # lower lower' is Wishart, and F' the inverse of lower.
    return np.asarray(np.linalg.inv(lower).swapaxes(-1, -2))


def _solved(matrix: FloatArray, right: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.solve(matrix, right), dtype=np.float64)
