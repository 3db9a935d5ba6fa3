"""The gradient of continuously updated local projections, written for reading."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.kernels.reference.projection import ProjectionTarget

FloatArray = NDArray[np.float64]


def projection_gradient(target: ProjectionTarget, point: FloatArray) -> tuple[float, FloatArray]:
    """Twin of the compiled function of the same name; see there."""
    k = target.n_params
    x, smoothing = point[:k], point[k:]
    here = target.evaluate_point(x)
    gradient = np.zeros(len(point))
    with np.errstate(all="ignore"):
        prior = target.log_prior(x, smoothing, normalised=True)
    if here is None or not np.isfinite(prior):
        return -np.inf, gradient
    inverse = np.linalg.inv(here.covariance)
    v = inverse @ here.moment
    by_covariance = (np.outer(v, v) - inverse) / 2.0
    weights = np.column_stack([np.ones(len(v)), target.estimate - x[target.places]])
    # Both triangles: entry (l, i) of the terms (c, a) is entry (i, l) of the terms (a, c).
    lower = np.tril(target.terms)
    terms = lower + np.swapaxes(np.swapaxes(np.tril(lower, -1), 0, 1), 2, 3)
    by_weight = 2.0 * np.einsum("il,lc,acil->ia", by_covariance, weights, terms)
    np.add.at(gradient, target.places, v[:, None] * target.jacobian - by_weight[:, 1:])
    gradient[:k] -= target.prior_rows.T @ (target.prior_rows @ x - target.prior_target)
    for r, (rank, unit) in enumerate(target.paths):
        own = target.rough_path == r
        rough = target.rough_rows[own] @ x + target.rough_offset[own]
        gradient[:k] -= smoothing[r] / unit * (target.rough_rows[own].T @ rough)
        gradient[k + r] = 0.5 * rank / smoothing[r] - 0.5 * float(rough @ rough) / unit
    return here.likelihood + prior, gradient
