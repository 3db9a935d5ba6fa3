"""The Q-posterior of a loss: the scores of the rows as moments."""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qbeconometrics.exceptions import NumericalError
from qbeconometrics.losses import Loss
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.moments.nonlinear import DIFFERENCE_STEPS, MomentFunction
from qbeconometrics.posterior.function_target import FunctionTarget
from qbeconometrics.posterior.local_normal import local_surrogate
from qbeconometrics.posterior.mode import Mode
from qbeconometrics.posterior.mode_search import descend_simplex
from qbeconometrics.posterior.nonlinear import (
    DISPERSED_STARTS,
    NonlinearPosterior,
    build_nonlinear_posterior,
)
from qbeconometrics.posterior.quasi_posterior import check_weight
from qbeconometrics.posterior.resolved_prior import ResolvedPrior
from qbeconometrics.posterior.score_slope import default_window, score_slope

FloatArray = NDArray[np.float64]

# Reciprocal condition number of the derivative below which the window is widened, and how often.
SINGULAR = 1e-10
WIDENINGS = 20


class ScoreMoments(MomentFunction):
    """Moments score(y_i, x_i'theta) x_i, the gradients of the loss of each row.

    A point is unusable where a score is NaN or infinite.

    Parameters
    ----------
    loss : Loss
    endog : ndarray, shape (n,)
    exog : ndarray, shape (n, k)
    estimate : ndarray, shape (k,)
        Coefficients from whose residuals the window about the jumps of a score is chosen.
    """

    __slots__ = ("_endog", "_exog", "_loss", "_window")

    def __init__(self, loss: Loss, endog: FloatArray, exog: FloatArray, estimate: FloatArray):
        n, k = exog.shape
        super().__init__(self._moments, self._derivative, n=n, k=k, m=k)
        self._loss, self._endog, self._exog = loss, endog, exog
        self._window = 0.0 if loss.has_curvature else default_window(loss, endog, exog @ estimate)

    def _moments(self, params: FloatArray) -> FloatArray:
        score = self._loss.score(self._endog, self._exog @ params)
        return self._exog * score[:, None]

    # Errors of a user's loss come with their own words, so nothing is caught here.
    def evaluate(self, params: FloatArray) -> tuple[FloatArray, FloatArray] | None:
        """Return moments (n, k) and their mean (k,); None where unusable."""
        moments = self._moments(params)
        mean: FloatArray = self._weights @ moments
        return (moments, mean) if math.isfinite(mean.sum()) else None

    def jacobian(
        self, params: FloatArray, relative_step: float = DIFFERENCE_STEPS[0]
    ) -> FloatArray | None:
        """Return the derivative (k, k) of the mean moment, an estimate where the score jumps."""
        derivative = self._derivative(params)
        return derivative if math.isfinite(derivative.sum()) else None

    def _derivative(self, params: FloatArray) -> FloatArray:
        loss, endog, exog = self._loss, self._endog, self._exog
        index = exog @ params
        window = self._window
        derivative = np.full((self.k, self.k), np.nan)
        for _ in range(WIDENINGS if loss.jumps else 1):
            slope = score_slope(loss, endog, index, window)
            derivative = exog.T @ (exog * (slope / self.n)[:, None])
            if not loss.jumps or _is_regular(derivative):
                break
            window *= 2.0
        return derivative


def _is_regular(derivative: FloatArray) -> bool:
    scale = np.sqrt(np.diag(derivative))
    if not (scale > 0.0).all():
        return False
    return bool(np.linalg.eigvalsh(derivative / np.outer(scale, scale))[0] > SINGULAR)


def build_q_posterior(
    loss: Loss,
    endog: FloatArray,
    exog: FloatArray,
    *,
    estimate: FloatArray,
    rule: CovarianceRule,
    quasi_likelihood: str,
    learning_rate: float,
    prior: ResolvedPrior,
    weight_matrix: ArrayLike | str | None,
) -> NonlinearPosterior:
    """Build the quasi-posterior with the scores as moments.

    Following Frazier, Drovandi and Kohn (arXiv 2311.15485).

    Parameters
    ----------
    loss : Loss
    endog : ndarray, shape (n,)
    exog : ndarray, shape (n, k)
    estimate : ndarray, shape (k,)
        The minimiser of the mean loss.
    rule, quasi_likelihood, learning_rate, prior, weight_matrix
        As of `build_nonlinear_posterior`.

    Raises
    ------
    NumericalError, OptionError
    """
    function = ScoreMoments(loss, endog, exog, estimate)
    weight = None
    if weight_matrix is not None:
        weight = check_weight(weight_matrix, function.m, "weight_matrix", "moments")
    try:
        posterior = build_nonlinear_posterior(
            function,
            start=estimate,
            rule=rule,
            quasi_likelihood=quasi_likelihood,
            learning_rate=learning_rate,
            prior=prior,
            first_step=exog.T @ exog / len(exog),
            weight_matrix=weight,
            dispersed_starts=0 if _has_one_root(loss, prior) else DISPERSED_STARTS,
        )
        return _with_searched_mode(posterior, estimate) if loss.jumps else posterior
    except NumericalError as error:
        raise NumericalError(
            f"the scores of the {loss.label} loss do not determine the coefficients, or their "
            "covariance is singular, at the minimiser of the mean loss: too few rows lie near it "
            "or on one side of it, as with a tau near 0 or 1 or a small delta. Use "
            "posterior='gibbs'"
        ) from error


def _has_one_root(loss: Loss, prior: ResolvedPrior) -> bool:
    """Whether a search from dispersed points has nothing to find.

    The mean score of a convex loss has one root; a second mode, where the criterion is flat and the
    prior high, is found by the check of the tails. A step function leads no climb anywhere.
    """
    return loss.jumps or (loss.convex and prior.is_normal and prior.is_proper)


def _with_searched_mode(posterior: NonlinearPosterior, estimate: FloatArray) -> NonlinearPosterior:
    """Take the best of the estimate, the local law's mean there, and a search of values only."""
    target, basis = posterior.target, posterior.basis
    at_estimate = basis.to_scaled(estimate)
    candidates = [posterior.modes[0].point, at_estimate]
    with np.errstate(all="ignore"):
        with contextlib.suppress(NumericalError):
            candidates.append(local_surrogate(target, at_estimate)[0].mean)
        found = [_mode_at(target, point) for point in candidates]
        best = max(found, key=lambda mode: mode.log_density)
        searched = descend_simplex(target, best.point)
        if searched.log_density > best.log_density:
            best = replace(searched, converged=True)
        at_mode, target.relative_step = local_surrogate(target, best.point)
    return replace(posterior, modes=(best,), at_mode=at_mode)


def _mode_at(target: FunctionTarget, position: FloatArray) -> Mode:
    point = target.point(position)
    return Mode(position, -np.inf if point is None else point.log_density, point is not None)
