"""Where the risk, or a Gibbs posterior, has its minimum or mode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from qbeconometrics.exceptions import NumericalError
from qbeconometrics.losses import Absolute, Hinge, Loss, Quantile
from qbeconometrics.moments.basis import MomentBasis
from qbeconometrics.posterior.linear_programs import hinge_estimate, quantile_regression
from qbeconometrics.posterior.mode import Mode
from qbeconometrics.posterior.resolved_prior import no_prior
from qbeconometrics.posterior.risk_target import RiskTarget
from qbeconometrics.posterior.score_slope import default_window

FloatArray = NDArray[np.float64]

NEWTON_STEPS = 100
# Of a step, in standard deviations at the mode.
STEP_TOLERANCE = 1e-9
LOOSE_TOLERANCE = 1e-4
HALVINGS = 40
# Of the windows over which a loss with kinks is averaged, each a share of the one before.
WINDOWS = 8
SHRINKAGE = 0.25
# Added to a curvature that is nearly singular, as a share of its mean diagonal.
RIDGE = 1e-8


def find_risk_mode(target: RiskTarget, start: FloatArray) -> Mode:
    """Climb the log density from `start` (k,) by Newton's method.

    A loss with kinks is first averaged over windows that shrink.

    Raises
    ------
    NumericalError
        If the loss is not finite at the start.
    """
    with np.errstate(all="ignore"):
        if target.attempt(start) is None:
            raise NumericalError(
                f"the loss {target.loss.label!r} is NaN or infinite at the start of the search"
            )
        if not target.loss.jumps:
            return _polish(target, _newton(target, start, lambda x: _derivatives(target, x)))
        window = default_window(target.loss, target.endog, target.index(start))
        mode = Mode(start, _log_density(target, start), False)
        for _ in range(WINDOWS):
            mode = _newton(target, mode.point, _smoothed(target, window))
            window *= SHRINKAGE
        return replace(mode, converged=True)


def _newton(
    target: RiskTarget,
    start: FloatArray,
    derivatives: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
) -> Mode:
    """Damped Newton steps, each of which raises the log density until it hardly can."""
    point, value, converged = start, _log_density(target, start), False
    for _ in range(NEWTON_STEPS):
        gradient, curvature = derivatives(point)
        ridge = RIDGE * np.trace(curvature) / len(point)
        try:
            root = np.linalg.cholesky(curvature + ridge * np.eye(len(point)))
        except np.linalg.LinAlgError:
            break
        white = np.linalg.solve(root, gradient)
        step = -np.linalg.solve(root.T, white)
        size = float(np.linalg.norm(white))
        if size < LOOSE_TOLERANCE:
            # So near, differences of the log density are rounding, but the gradient is not.
            point, converged = point + step, True
            if size < STEP_TOLERANCE:
                break
            continue
        for halving in range(HALVINGS):
            candidate = point + 0.5**halving * step
            found = _log_density(target, candidate)
            if found > value:
                point, value = candidate, found
                break
        else:
            break
    return Mode(point, _log_density(target, point), converged)


def _derivatives(target: RiskTarget, point: FloatArray) -> tuple[FloatArray, FloatArray]:
    gradient = -target.log_density_and_gradient(point)[1]
    return gradient, target.precision(point) + target.prior_derivatives(point)[1]


def _smoothed(
    target: RiskTarget, window: float
) -> Callable[[FloatArray], tuple[FloatArray, FloatArray]]:
    def derivatives(point: FloatArray) -> tuple[FloatArray, FloatArray]:
        curvature = target.precision(point, window) + target.prior_derivatives(point)[1]
        return target.smoothed_gradient(point, window), curvature

    return derivatives


def _polish(target: RiskTarget, mode: Mode) -> Mode:
    """Go on by BFGS where Newton's method stopped early, as with a loss that is not convex."""
    if mode.converged:
        return mode

    def negative(point: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = target.log_density_and_gradient(point)
        return (-value, -gradient) if np.isfinite(value) else (1e300, np.zeros_like(point))

    found = minimize(negative, mode.point, jac=True, method="BFGS", options={"gtol": 1e-8})
    if -found.fun < mode.log_density:
        return mode
    return _newton(target, found.x, lambda x: _derivatives(target, x))


def _log_density(target: RiskTarget, point: FloatArray) -> float:
    found = target.attempt(point)
    return -np.inf if found is None else found.log_density


def m_estimate(
    loss: Loss, endog: FloatArray, exog: FloatArray, basis: MomentBasis, start: FloatArray
) -> tuple[FloatArray, bool]:
    """Return the coefficients (k,) that minimise the mean loss, and whether the search converged.

    Parameters
    ----------
    loss : Loss
    endog : ndarray, shape (n,)
    exog : ndarray, shape (n, k)
    basis : MomentBasis
        Well-conditioned coordinates.
    start : ndarray, shape (k,)
        Coefficients.
    """
    # Columns of similar length suit the linear programs.
    lengths = np.linalg.norm(exog, axis=0) / np.sqrt(len(exog))
    if isinstance(loss, (Quantile, Absolute)):
        tau = loss.tau if isinstance(loss, Quantile) else 0.5
        spread = float(np.abs(endog).max())
        return quantile_regression(endog / spread, exog / lengths, tau) * spread / lengths, True
    if isinstance(loss, Hinge):
        return hinge_estimate(loss.sign(endog), exog / lengths) / lengths, True
    prior = no_prior([""] * exog.shape[1])
    target = RiskTarget(loss, endog, exog, prior, basis, learning_rate=1.0)
    mode = find_risk_mode(target, basis.to_scaled(start))
    return basis.to_params(mode.point), mode.converged
