"""Confidence intervals from the path of averaged stochastic gradient iterates.

No covariance is estimated: the fluctuations of the running average stand for it, and the critical
values are those of the ratio of a Brownian motion to the root of the integral of its bridge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qbeconometrics.exceptions import InputError, OptionError

FloatArray = NDArray[np.float64]

# Two-sided critical values by alpha (Abadir and Paruolo 1997, table I).
CRITICAL_VALUES = {0.20: 3.875, 0.10: 5.323, 0.05: 6.747, 0.02: 8.613}


@dataclass(slots=True)
class RandomScaling:
    """Running average of iterates and the random scaling of its error, in constant memory.

    Attributes
    ----------
    average : ndarray, shape (k,)
        Mean of the iterates so far.
    steps : int
        Their number, T.
    centred : ndarray, shape (k, k)
        Sum over s of s^2 (average_s - average_T)(average_s - average_T)'.
    first : ndarray, shape (k,)
        Sum over s of s^2 (average_s - average_T).

    Notes
    -----
    Following Lee, Liao, Seo and Shin (2022). Valid for stochastic gradient descent with steps
    proportional to s^-a, 1/2 < a < 1; not for steps that adapt themselves to past gradients.

    References
    ----------
    Abadir, K. M. and Paruolo, P. (1997). Two mixed normal densities from cointegration analysis.
    Econometrica 65, 671-680.

    Lee, S., Liao, Y., Seo, M. H. and Shin, Y. (2022). Fast and robust online inference with
    stochastic gradient descent via random scaling. Proceedings of the AAAI Conference on Artificial
    Intelligence 36, 7381-7389. arXiv:2106.03156.

    Examples
    --------
    >>> path = RandomScaling.of_size(1)
    >>> for iterate in ([1.0], [2.0], [6.0]):
    ...     path.update(iterate)
    >>> path.average, path.covariance().round(4)
    (array([3.]), array([[0.4815]]))
    """

    average: FloatArray
    steps: int
    centred: FloatArray
    first: FloatArray

    @classmethod
    def of_size(cls, k: int) -> RandomScaling:
        """Return the state before the first of iterates of length `k`."""
        return cls(np.zeros(k), 0, np.zeros((k, k)), np.zeros(k))

    def update(self, iterate: ArrayLike) -> None:
        """Add the next iterate, shape (k,)."""
        new = np.asarray(iterate, dtype=np.float64)
        if new.shape != self.average.shape:
            raise InputError(f"an iterate has shape {new.shape}, not {self.average.shape}")
        before = self.steps * (self.steps + 1) * (2 * self.steps + 1) / 6.0
        self.steps += 1
        move = (self.average - new) / self.steps
        self.average = self.average - move
        # All deviations so far shift by the same amount; the newest is zero.
        cross = np.outer(self.first, move)
        self.centred = self.centred + cross + cross.T + before * np.outer(move, move)
        self.first = self.first + before * move

    def covariance(self) -> FloatArray:
        """Return the random scaling over T, (k, k): no covariance, but the square of a scale."""
        return np.asarray(self.centred / float(max(self.steps, 1)) ** 3)

    def conf_int(self, alpha: float = 0.05) -> FloatArray:
        """Return the intervals of level 1 - alpha, shape (k, 2).

        Parameters
        ----------
        alpha : {0.05, 0.02, 0.1, 0.2}

        Raises
        ------
        OptionError
            If there is no critical value for `alpha`.
        """
        if alpha not in CRITICAL_VALUES:
            raise OptionError(
                f"alpha={alpha!r} has no tabulated critical value; choose one of "
                f"{', '.join(map(str, CRITICAL_VALUES))}"
            )
        half = CRITICAL_VALUES[alpha] * np.sqrt(np.diag(self.covariance()))
        return np.column_stack([self.average - half, self.average + half])
