"""The normal approximation that freezes S: exact for a fixed weight and a normal prior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular

from qbeconometrics.exceptions import NumericalError
from qbeconometrics.kernels._linear_moments import LinearMomentTarget

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class NormalSurrogate:
    """N(mean, precision^-1) in scaled coordinates.

    Attributes
    ----------
    mean : ndarray, shape (k,)
    precision : ndarray, shape (k, k)
    root : ndarray, shape (k, k)
        Lower factor of the covariance matrix.
    """

    mean: FloatArray
    precision: FloatArray
    root: FloatArray


def normal_surrogate(
    target: LinearMomentTarget, point: FloatArray, *, with_prior: bool = True
) -> NormalSurrogate:
    """Return the normal law of the quasi-posterior with S frozen at `point` (k,).

    Student-t terms of the prior are left out.

    Raises
    ------
    NumericalError
        If S or the precision is not positive definite at `point`.
    """
    arrays = target.arrays
    root, log_determinant = target.covariance_root(point)
    if not np.isfinite(log_determinant):
        raise NumericalError("the covariance of the moments is singular")
    B = solve_triangular(root, arrays["jacobian"], lower=True)
    h = solve_triangular(root, arrays["intercept"], lower=True)
    precision = B.T @ B
    linear = B.T @ h
    if with_prior:
        precision = precision + arrays["prior_precision"]
        linear = linear + arrays["prior_precision"] @ arrays["prior_mean"]
    try:
        factor = cho_factor(precision, lower=True)
    except np.linalg.LinAlgError as error:
        raise NumericalError(
            "the moments do not determine the coefficients at this point; give a normal prior"
        ) from error
    covariance = cho_solve(factor, np.eye(len(linear)))
    covariance_root: FloatArray = cholesky((covariance + covariance.T) / 2, lower=True)
    return NormalSurrogate(cho_solve(factor, linear), precision, covariance_root)
