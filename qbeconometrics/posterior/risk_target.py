"""The log Gibbs posterior of a loss of a linear index, in scaled coordinates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.losses import Loss
from qbeconometrics.moments.basis import MomentBasis
from qbeconometrics.posterior.quasi_posterior import scale_prior
from qbeconometrics.posterior.resolved_prior import ResolvedPrior
from qbeconometrics.posterior.score_slope import score_slope

FloatArray = NDArray[np.float64]


@dataclass(slots=True)
class RiskPoint:
    """A point where the chain may stand.

    Attributes
    ----------
    position : ndarray, shape (k,)
        In scaled coordinates.
    log_likelihood : float
        -learning_rate n R_n.
    log_prior : float
    """

    position: FloatArray
    log_likelihood: float
    log_prior: float

    @property
    def log_density(self) -> float:
        """Log Gibbs posterior."""
        return self.log_likelihood + self.log_prior


class RiskTarget:
    """-learning_rate sum_i l(y_i, x_i'theta) + log prior at x, with theta = centre + R x.

    Parameters
    ----------
    loss : Loss
    endog : ndarray, shape (n,)
    exog : ndarray, shape (n, k)
    prior : ResolvedPrior
        Without a box.
    basis : MomentBasis
        Of which only `centre` and `regressor_map` are used.
    learning_rate : float
    """

    form = "function risk"

    def __init__(
        self,
        loss: Loss,
        endog: FloatArray,
        exog: FloatArray,
        prior: ResolvedPrior,
        basis: MomentBasis,
        *,
        learning_rate: float,
    ):
        self.loss, self.endog, self.learning_rate = loss, endog, learning_rate
        self._offset = exog @ basis.centre
        self._regressors = np.ascontiguousarray(exog @ basis.regressor_map)
        self._prior = scale_prior(prior, basis)
        self._any_normal = bool(np.any(prior.root))

    @property
    def n_params(self) -> int:
        """Number of parameters."""
        return self._regressors.shape[1]

    @property
    def n_moments(self) -> int:
        """Number of scores, one a parameter."""
        return self._regressors.shape[1]

    @property
    def arrays(self) -> dict[str, FloatArray]:
        """The normal part of the prior in scaled coordinates."""
        return {"prior_precision": self._prior.precision, "prior_mean": self._prior.mean}

    def index(self, position: FloatArray) -> FloatArray:
        """Return x'theta (n,) at `position` (k,)."""
        return self._offset + self._regressors @ position

    def log_prior(self, position: FloatArray) -> float:
        """Return the log prior without its constant."""
        value = 0.0
        if self._any_normal:
            distance = position - self._prior.mean
            value -= 0.5 * float(distance @ self._prior.precision @ distance)
        if self._prior.student is not None:
            rows, offset, df = self._prior.student
            standard = rows @ position + offset
            value -= 0.5 * float(np.sum((df + 1.0) * np.log1p(standard**2 / df)))
        return value

    def attempt(self, position: FloatArray) -> RiskPoint | None:
        """Evaluate a point; None where a loss is not finite."""
        total = float(self.loss.value(self.endog, self.index(position)).sum())
        if not math.isfinite(total):
            return None
        return RiskPoint(position, -self.learning_rate * total, self.log_prior(position))

    def remember(self, point: RiskPoint) -> None:
        """Nothing is kept: a point costs one evaluation a block."""

    def recall(self, position: FloatArray) -> RiskPoint | None:
        """Evaluate the point where a chain paused."""
        return self.attempt(position.copy())

    def evaluate(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return log quasi-likelihood and log prior at `points` (points, k)."""
        likelihood, prior = np.full(len(points), -np.inf), np.full(len(points), -np.inf)
        with np.errstate(all="ignore"):
            for i, position in enumerate(np.asarray(points, dtype=float)):
                found = self.attempt(position)
                if found is not None:
                    likelihood[i], prior[i] = found.log_likelihood, found.log_prior
        return likelihood, prior

    def log_density_and_gradient(self, position: FloatArray) -> tuple[float, FloatArray]:
        """Return the log density and its gradient (k,), a subgradient at kinks.

        NaN with a zero gradient where a loss is not finite.
        """
        found = self.attempt(position)
        if found is None:
            return math.nan, np.zeros(self.n_params)
        score = self.loss.score(self.endog, self.index(position))
        gradient = -self.learning_rate * (score @ self._regressors)
        return found.log_density, gradient - self.prior_derivatives(position)[0]

    def prior_derivatives(self, position: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return gradient (k,) and a positive curvature (k, k) of minus the log prior.

        The curvature of Student-t terms is that of the normal terms that touch them from above.
        """
        precision = self._prior.precision
        gradient = precision @ (position - self._prior.mean)
        if self._prior.student is not None:
            rows, offset, df = self._prior.student
            standard = rows @ position + offset
            weight = (df + 1.0) / (df + standard**2)
            gradient = gradient + rows.T @ (weight * standard)
            precision = precision + rows.T @ (weight[:, None] * rows)
        return gradient, precision

    def precision(self, position: FloatArray, window: float | None = None) -> FloatArray:
        """Return learning_rate times the curvature of the summed loss (k, k), never negative."""
        slope = score_slope(self.loss, self.endog, self.index(position), window)
        weight = self.learning_rate * np.maximum(slope, 0.0)
        return self._regressors.T @ (weight[:, None] * self._regressors)

    def smoothed_gradient(self, position: FloatArray, window: float) -> FloatArray:
        """Return the gradient (k,) of minus the log density with the loss averaged over a window.

        The mean of the score over index +- h is (value(index + h) - value(index - h)) / 2h.
        """
        index, value = self.index(position), self.loss.value
        mean = value(self.endog, index + window) - value(self.endog, index - window)
        risk = self.learning_rate / (2.0 * window) * (mean @ self._regressors)
        return risk + self.prior_derivatives(position)[0]
