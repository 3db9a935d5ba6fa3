"""The GMM criterion as a function of one coefficient, minimised over the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import null_space
from scipy.optimize import minimize

from qbeconometrics.diagnostics.overidentification import J_WEIGHTS
from qbeconometrics.exceptions import check_choice
from qbeconometrics.kernels._gradient import log_density_and_gradient
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.moments.linear import LinearMomentStatistic, ScaledRows
from qbeconometrics.posterior.quasi_posterior import build_quasi_posterior
from qbeconometrics.posterior.resolved_prior import no_prior
from qbeconometrics.posterior.surrogate import normal_surrogate

FloatArray = NDArray[np.float64]

UNUSABLE = 1e300


def criterion_profile(
    statistic: LinearMomentStatistic,
    rows: ScaledRows | None,
    *,
    rule: CovarianceRule,
    place: int,
    grid: FloatArray,
    weight: str = "cue",
) -> FloatArray:
    """Return n gbar' S^-1 gbar on a grid of one coefficient; no prior, no determinant.

    Parameters
    ----------
    statistic, rows, rule
        As in `overidentification.j_statistic`.
    place : int
        Which coefficient.
    grid : ndarray, shape (points,)
        In ascending order.
    weight : {"cue", "two-step"}
        S updated with the coefficients, or fixed at the two-stage least squares estimate.

    Returns
    -------
    ndarray, shape (points,)
        Each point is minimised from the solution at its neighbour, outwards from the two-step
        estimate: a local minimum, like any found so.
    """
    check_choice(weight, J_WEIGHTS, "weight")
    posterior = build_quasi_posterior(
        statistic,
        rows,
        rule=rule,
        quasi_likelihood="cue-nodet" if weight == "cue" else "two-step",
        learning_rate=1.0,
        prior=no_prior([""] * statistic.k),
    )
    target, basis = posterior.target, posterior.basis
    direction = basis.regressor_map[place]
    along = direction / (direction @ direction)
    across = null_space(direction[None, :])
    start = normal_surrogate(target, np.zeros(statistic.k)).mean
    centre = float(basis.to_params(start)[place])
    values = np.full(len(grid), np.nan)
    first = int(np.searchsorted(grid, centre))
    for order in (range(first, len(grid)), range(first - 1, -1, -1)):
        inside = across.T @ start
        for j in order:
            base = along * (grid[j] - basis.centre[place])

            def negative(y: FloatArray, base: FloatArray = base) -> tuple[float, FloatArray]:
                value, slope = log_density_and_gradient(target, base + across @ y)
                if not np.isfinite(value):
                    return UNUSABLE, np.zeros_like(y)
                return -value, -(across.T @ slope)

            if not len(inside):
                values[j] = 2.0 * negative(inside)[0]
                continue
            found = minimize(negative, inside, jac=True, method="BFGS", options={"gtol": 1e-6})
            inside, values[j] = found.x, 2.0 * float(found.fun)
    values[values >= UNUSABLE] = np.nan
    return values
