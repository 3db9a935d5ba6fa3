"""The learning rate that predicts the next row best, following Grünwald and van Ommen (2017)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qbeconometrics import losses
from qbeconometrics.calibration.loss_problem import LossProblem
from qbeconometrics.calibration.rivals.sequential import sequential_losses
from qbeconometrics.exceptions import NumericalError

FloatArray = NDArray[np.float64]

# Losses that are minus a log likelihood, up to a scale and a constant.
LIKELIHOODS = (losses.Squared, losses.Logistic, losses.Poisson)
# Rates tried, as multiples of that of the likelihood.
GRID = 2.0 ** -np.arange(0.0, 10.5, 0.5)
SINGULAR = 1e-12


@dataclass(frozen=True, slots=True)
class SafeBayes:
    """What was found.

    Attributes
    ----------
    rate : float
    rates : ndarray, shape (21,)
        Those tried, the largest first.
    cumulative : ndarray, shape (21,)
        Sum over rows of the expected loss under the posterior of the rows before.
    """

    rate: float
    rates: FloatArray
    cumulative: FloatArray

    @property
    def at_end(self) -> bool:
        """Whether the rate is the smallest that was tried."""
        return self.rate == self.rates[-1]


def safe_bayes(
    problem: LossProblem, prior_draws: FloatArray | None, seed: np.random.SeedSequence
) -> SafeBayes:
    """Minimise the posterior-expected loss of each row given those before it (R-SafeBayes).

    The first k + 1 rows only train. The result depends on the order of the rows. The largest rate
    is that of the likelihood: 1, or for the squared loss one over the residual variance of all
    rows, which is our choice of a scale. Closed form for squared loss and a normal prior; else by
    particles that take in row after row.

    Parameters
    ----------
    problem : LossProblem
        Of one replication, the rows in their order.
    prior_draws : ndarray, shape (particles, k), or None
        In the coordinates of the problem; None under a prior that cannot be drawn from.
    seed : SeedSequence

    Raises
    ------
    NumericalError
        If the first rows and the prior do not determine the coefficients.

    Notes
    -----
    Following Grünwald and van Ommen (2017, Bayesian Analysis 12, 1069-1103).
    """
    first = problem.n_params + 1
    if len(problem.endog) <= first:
        raise NumericalError(
            f"SafeBayes predicts the rows after the first {first}, and there are "
            f"{len(problem.endog)}"
        )
    squared = isinstance(problem.loss, losses.Squared)
    rates = GRID / float(np.mean((problem.endog - problem.offset) ** 2)) if squared else GRID
    if squared and not len(problem.student[2]):
        cumulative = normal_losses(problem, rates, first)
    elif prior_draws is None:
        raise NumericalError(
            f"SafeBayes with the {problem.loss.label} loss starts from the prior, which is flat in "
            "some direction; give a proper prior"
        )
    else:
        cumulative = np.array(
            [sequential_losses(problem, rate, first, prior_draws, seed) for rate in rates]
        )
    return SafeBayes(float(rates[np.argmin(cumulative)]), rates, cumulative)


def normal_losses(problem: LossProblem, rates: FloatArray, first: int) -> FloatArray:
    """Return the summed expected squared loss of rows after the first, at each rate."""
    residuals, rows = problem.endog - problem.offset, problem.columns.T
    start = rows[:first]
    precision = problem.prior_precision + rates[:, None, None] * (start.T @ start)
    if np.linalg.cond(precision[0]) > 1.0 / SINGULAR:
        raise NumericalError(
            f"SafeBayes starts from the first {first} rows, which do not determine the "
            "coefficients under this prior; give a proper prior, or other rows first"
        )
    pull = problem.prior_precision @ problem.prior_mean
    covariance = np.linalg.inv(precision)
    mean = np.einsum(
        "gkl,gl->gk", covariance, pull + rates[:, None] * (start.T @ residuals[:first])
    )
    total = np.zeros(len(rates))
    for row, residual in zip(rows[first:], residuals[first:], strict=True):
        along = covariance @ row
        spread = along @ row
        error = residual - mean @ row
        total += 0.5 * (error**2 + spread)
        gain = along * (rates / (1.0 + rates * spread))[:, None]
        mean = mean + gain * error[:, None]
        covariance = covariance - gain[:, :, None] * along[:, None, :]
    return total
