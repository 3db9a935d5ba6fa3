"""Draws of a posterior, moved so that their covariance is the sandwich."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def symmetric_power(matrix: FloatArray, power: float) -> FloatArray:
    """Return a power of a symmetric positive definite matrix (k, k)."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * values**power) @ vectors.T)


def adjustment(curvature: FloatArray, score_product: FloatArray) -> FloatArray:
    """Return Omega = Q^-1 P^(1/2) Q^(1/2), with Omega Q^-1 Omega' = Q^-1 P Q^-1.

    Parameters
    ----------
    curvature : ndarray, shape (k, k)
        Q, of the log posterior.
    score_product : ndarray, shape (k, k)
        P, the variance of the summed score.
    """
    root = symmetric_power(score_product, 0.5) @ symmetric_power(curvature, 0.5)
    return np.asarray(np.linalg.solve(curvature, root))


def open_faced_sandwich(
    draws: FloatArray, estimate: FloatArray, curvature: FloatArray, score_product: FloatArray
) -> FloatArray:
    """Return draws (M, k) with the adjustment of Shaby (2014) applied about the estimate.

    The draws keep their shape as far as a linear map lets them. `curvature` belongs to the rate at
    which they were drawn.

    Notes
    -----
    Following Shaby (2014, Journal of Computational and Graphical Statistics 23, 853-876).
    """
    return np.asarray(estimate + (draws - estimate) @ adjustment(curvature, score_product).T)


def location_scale(draws: FloatArray, estimate: FloatArray, sandwich: FloatArray) -> FloatArray:
    """Return draws (M, k) moved and scaled to have the estimate for mean and `sandwich` (k, k).

    Their own mean and covariance are taken out, so that the rate at which they were drawn matters
    for their shape only. A bound that the draws respect may be crossed.

    Notes
    -----
    Following the abstract of Tamano and Tomo (arXiv 2511.15320); the symmetric root is our choice,
    another one rotates the draws.
    """
    own = np.atleast_2d(np.cov(draws, rowvar=False))
    scale = symmetric_power(sandwich, 0.5) @ symmetric_power(own, -0.5)
    return np.asarray(estimate + (draws - draws.mean(axis=0)) @ scale.T)
