"""The mode of the log quasi-posterior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from qbeconometrics.exceptions import NumericalError
from qbeconometrics.kernels._gradient import log_density_and_gradient
from qbeconometrics.kernels._linear_moments import LinearMomentTarget
from qbeconometrics.posterior.surrogate import normal_surrogate

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mode:
    """A local maximum.

    Attributes
    ----------
    point : ndarray, shape (k,)
        In scaled coordinates.
    log_density : float
    converged : bool
    """

    point: FloatArray
    log_density: float
    converged: bool


def find_mode(target: LinearMomentTarget, start: FloatArray | None = None) -> Mode:
    """Climb from the two-step estimate by BFGS with the analytic gradient.

    Parameters
    ----------
    target : LinearMomentTarget
    start : ndarray, shape (k,), optional
        Default: the mean of the normal law with S frozen at the two-stage least squares estimate.

    Raises
    ------
    NumericalError
        If the log density is not finite at the start.
    """
    if start is None:
        start = normal_surrogate(target, np.zeros(target.n_params)).mean
    value, _ = log_density_and_gradient(target, start)
    if not np.isfinite(value):
        raise NumericalError(
            "the quasi-posterior is not finite at the two-step estimate: the covariance of the "
            "moments is not positive definite there. Use fewer instruments; with two-way clusters, "
            "cluster one way"
        )

    def negative(point: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = log_density_and_gradient(target, point)
        return (-value, -gradient) if np.isfinite(value) else (1e300, np.zeros_like(point))

    found = minimize(negative, start, jac=True, method="BFGS", options={"gtol": 1e-6})
    gradient_size = float(np.max(np.abs(found.jac)))
    return Mode(found.x, -float(found.fun), bool(found.success or gradient_size < 1e-3))
