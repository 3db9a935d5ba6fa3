"""Effective sample size of all parameters together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular

from qbeconometrics.diagnostics.convergence import is_constant, three_dimensional

FloatArray = NDArray[np.float64]

# A squared pivot of a correlation matrix below this many roundings a row counts as zero.
SINGULAR_ROUNDINGS = 10.0


@dataclass(frozen=True, slots=True)
class MultivariateEss:
    """Effective sample size of a vector.

    Attributes
    ----------
    value : float
        The size, or NaN.
    reason : str
        Why the value is NaN; empty otherwise.
    """

    value: float
    reason: str = ""


def multivariate_ess(draws: ArrayLike) -> MultivariateEss:
    """Multivariate effective sample size, pooled over chains.

    With p parameters and N draws in all it is N (det Lambda / det Sigma)^(1/p). Lambda is the
    covariance of the draws and Sigma the batch-means estimate of their long-run covariance, with
    batches of floor(sqrt(n)) draws in each chain of n; both are taken about the grand mean, so
    that chains which disagree lower the size. Where n is not a multiple of the batch size, the
    first draws of a chain are left out of Sigma.

    Parameters
    ----------
    draws : array_like
        Shape (chain, draw, parameter), or (chain, draw) for a single parameter.

    Returns
    -------
    MultivariateEss
        NaN, with the reason, if there are not more batches than parameters or a covariance is
        singular.

    Notes
    -----
    Vats, Flegal and Jones (2019, Biometrika 106(2), 321-337).

    Examples
    --------
    >>> draws = np.random.default_rng(0).standard_normal((4, 2500, 3))
    >>> 8500 < multivariate_ess(draws).value < 11500
    True
    """
    array, _ = three_dimensional(draws)
    n_chains, n_draws, n_parameters = array.shape
    batch_size = int(np.sqrt(n_draws))
    n_batches = n_chains * (n_draws // batch_size) if batch_size else 0
    if n_batches <= n_parameters:
        return MultivariateEss(
            np.nan, f"{n_batches} batches do not suffice for {n_parameters} parameters"
        )
    if not np.isfinite(array).all():
        return MultivariateEss(np.nan, "some draws are not finite")
    pooled = array.reshape(-1, n_parameters)
    centred = pooled - pooled.mean(axis=0)
    scale = np.sqrt((centred**2).mean(axis=0))
    if np.any(is_constant(array)):
        return MultivariateEss(np.nan, "a parameter is constant")
    # The ratio of determinants does not depend on the units, so a correlation scale is safe.
    covariance = (centred / scale).T @ (centred / scale) / (len(pooled) - 1)
    factor = _factor(covariance)
    if factor is None:
        return MultivariateEss(np.nan, "the covariance of the draws is singular")
    long_run = _batch_means_covariance((array - pooled.mean(axis=0)) / scale, batch_size)
    half = solve_triangular(factor, long_run, lower=True)
    relative = _factor(solve_triangular(factor, half.T, lower=True))
    if relative is None:
        return MultivariateEss(np.nan, "the batch-means covariance is singular")
    log_ratio = 2.0 * np.log(np.diag(relative)).sum()
    return MultivariateEss(float(len(pooled) * np.exp(-log_ratio / n_parameters)))


def _batch_means_covariance(array: FloatArray, batch_size: int) -> FloatArray:
    n_chains, n_draws, n_parameters = array.shape
    per_chain = n_draws // batch_size
    used = array[:, n_draws - per_chain * batch_size :]
    means = used.reshape(n_chains * per_chain, batch_size, n_parameters).mean(axis=1)
    means = means - means.mean(axis=0)
    return np.asarray(batch_size * (means.T @ means) / (len(means) - 1))


def _factor(matrix: FloatArray) -> FloatArray | None:
    """Lower Cholesky factor, or None if the matrix is singular to working precision."""
    diagonal = np.diag(matrix)
    if not (np.isfinite(matrix).all() and (diagonal > 0.0).all()):
        return None
    try:
        factor: FloatArray = np.asarray(np.linalg.cholesky(matrix), dtype=np.float64)
    except np.linalg.LinAlgError:
        return None
    smallest = SINGULAR_ROUNDINGS * len(matrix) * np.finfo(np.float64).eps
    return factor if (np.diag(factor) ** 2 > smallest * diagonal).all() else None
