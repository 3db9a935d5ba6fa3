"""The gradient of the log quasi-posterior of linear moments, written for reading.

Twin of the compiled gradient.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.kernels.reference.cholesky import unpack_symmetric
from qbeconometrics.kernels.reference.linear_moments import LinearMomentTarget

FloatArray = NDArray[np.float64]


def log_density_and_gradient(
    target: LinearMomentTarget, point: FloatArray
) -> tuple[float, FloatArray]:
    """Return the log density and its gradient (k,) in scaled coordinates.

    The derivative runs through S: with v = S^-1 g, dL/dS = (v v' - S^-1) / 2 (without S^-1 if the
    determinant is left out), and S is quadratic in phi = (1, -x).

    Returns
    -------
    value : float
        Minus infinity, with a zero gradient, where S is not positive definite.
    gradient : ndarray, shape (k,)

    Examples
    --------
    >>> target = LinearMomentTarget(
    ...     np.array([3.0]), np.array([[2.0]]), np.zeros((1, 1)), np.zeros(1),
    ...     determinant=True, proportional=(np.ones(1), None),
    ... )
    >>> log_density_and_gradient(target, np.array([2.0]))
    (-0.5, array([-2.]))
    """
    arrays = target.arrays
    k = target.n_params
    likelihood, prior = target.evaluate(point[None, :])
    if not np.isfinite(likelihood[0] + prior[0]):
        return -np.inf, np.zeros(k)
    root, _ = target.covariance_root(point)
    g = arrays["intercept"] - arrays["jacobian"] @ point
    inverse_root = np.linalg.inv(root)
    v = inverse_root.T @ (inverse_root @ g)
    gradient = arrays["jacobian"].T @ v + _prior_gradient(target, point)
    by_covariance = np.outer(v, v)
    if target.determinant:
        by_covariance -= inverse_root.T @ inverse_root
    return float(likelihood[0] + prior[0]), gradient + _covariance_gradient(
        target, point, g, by_covariance / 2
    )


def _prior_gradient(target: LinearMomentTarget, point: FloatArray) -> FloatArray:
    arrays = target.arrays
    gradient = -arrays["prior_precision"] @ (point - arrays["prior_mean"])
    if "student_rows" in arrays:
        value = arrays["student_rows"] @ point + arrays["student_offset"]
        df = arrays["student_df"]
        gradient = gradient - arrays["student_rows"].T @ ((df + 1) * value / (df + value**2))
    return gradient


def _covariance_gradient(
    target: LinearMomentTarget, point: FloatArray, g: FloatArray, by_covariance: FloatArray
) -> FloatArray:
    """Chain rule from dL/dS (m, m, symmetric) to dL/dx (k,)."""
    arrays = target.arrays
    phi = np.concatenate([[1.0], -point])
    k, m = target.n_params, target.n_moments
    if target.form == "statistic":
        twice = by_covariance * (2.0 - np.eye(m))  # off-diagonal elements stand twice in S
        by_pair = unpack_symmetric(arrays["statistic"] @ twice[np.tril_indices(m)])
        return -2.0 * (by_pair @ phi)[1:]
    if target.form == "rows":
        factor, centering = target.row_factor, target.centering
        z, x = arrays["instrument"], arrays["regressor"]
        residual = arrays["residual"] - x @ point
        weight = np.einsum("ij,ij->i", z @ by_covariance, z)
        gradient: FloatArray = -2.0 * factor * (x.T @ (residual * weight))
        return gradient + 2.0 * centering * arrays["jacobian"].T @ (by_covariance @ g)
    if "scale_matrix" not in arrays:
        return np.zeros(k)
    base_root = np.zeros((m, m))
    base_root[np.tril_indices(m)] = arrays["base_root"]
    by_scale = float(np.sum(by_covariance * (base_root @ base_root.T)))
    return -2.0 * by_scale * (arrays["scale_matrix"] @ phi)[1:]
