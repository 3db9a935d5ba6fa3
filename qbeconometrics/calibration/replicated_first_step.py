"""First steps of bootstrap replications of moments that a user wrote, and S there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from qbeconometrics.calibration.replicated_covariance import ReplicatedCovariance, is_regular
from qbeconometrics.calibration.replicated_moments import groups_of_replications
from qbeconometrics.calibration.replications import Bootstrap
from qbeconometrics.moments.nonlinear import MomentFunction

FloatArray = NDArray[np.float64]

# Steps of the search of one replication.
MOST_STEPS = 100
# What the last step promises to take off the criterion, which is in units of a chi-square.
TOLERANCE = 1e-16
# Below this it is taken on trust.
TRUSTED = 1e-8
# The same for the search within a box, as scipy has it.
WITHIN_BOX = {"ftol": 1e-14, "xtol": 1e-12, "gtol": 1e-12}
# Halved steps are at least this share of one; where none helps, what it promises is negligible.
SMALLEST_SHARE = 1e-4
NEGLIGIBLE = 1e-2

Residuals = Callable[[FloatArray], FloatArray]


class _LeavesBoxError(Exception):
    """A step out of the box of the prior."""


@dataclass(frozen=True, slots=True, eq=False)
class FirstStep:
    """What the first step of a replication starts from.

    Attributes
    ----------
    function : MomentFunction
    start : ndarray, shape (k,)
        The first-step estimate of the data.
    scale : ndarray, shape (k,)
        Standard errors, or what is near them.
    lower, upper : ndarray, shape (k,)
        The box of the prior; infinite without one.
    relative_step : float
        Of the differences that stand in for derivatives.
    covariance : callable
        Weights of rows (n,) -> inverse of the weight of the first step (m, m).
    """

    function: MomentFunction
    start: FloatArray
    scale: FloatArray
    lower: FloatArray
    upper: FloatArray
    relative_step: float
    covariance: Callable[[FloatArray], FloatArray]

    def estimate(self, weights: FloatArray, subtracted: FloatArray | None) -> FloatArray | None:
        """Return the parameters (k,) that minimise the criterion of rows drawn by `weights` (n,).

        None where they are not found. A user's derivative is not used: it is that of the mean over
        all rows, and not over those that were drawn.
        """
        inverse = self.covariance(weights)
        if not is_regular(inverse[None])[0]:
            return None
        size = weights.sum()
        root = np.sqrt(size) * np.linalg.inv(np.linalg.cholesky(inverse))

        def white(params: FloatArray) -> FloatArray:
            with np.errstate(all="ignore"):
                found = self.function.evaluate(params)
            if found is None:
                return np.full(len(root), np.nan)
            mean = weights @ found[0] / size
            return np.asarray(root @ (mean if subtracted is None else mean - subtracted))

        def slope(params: FloatArray) -> FloatArray:
            steps = self.relative_step * np.maximum(np.abs(params), 0.1)
            columns = []
            for step in np.diag(steps):
                # The function need not be defined outside the box.
                above = np.minimum(params + step, self.upper)
                below = np.maximum(params - step, self.lower)
                columns.append((white(above) - white(below)) / (above - below).max())
            return np.column_stack(columns)

        try:
            return self._descent(white, slope)
        except _LeavesBoxError:
            return self._within_box(white, slope)

    def _descent(self, white: Residuals, slope: Residuals) -> FloatArray | None:
        """Steps of BFGS, halved until the criterion falls, from the curvature of Gauss and Newton.

        Gauss and Newton alone are slow where moments do not hold and bend.
        """
        params, residuals, derivative = self.start, white(self.start), slope(self.start)
        if not (np.isfinite(residuals).all() and np.isfinite(derivative).all()):
            return None
        gradient = derivative.T @ residuals
        inverse = np.asarray(np.linalg.pinv(derivative.T @ derivative, hermitian=True))
        before = np.inf
        for _ in range(MOST_STEPS):
            step = -inverse @ gradient
            promised = -float(gradient @ step)
            if promised < TOLERANCE:
                return self._inside(params + step)
            if promised < TRUSTED:
                # Too little to be seen in the criterion; the gradient is more precise.
                if promised > 0.5 * before:
                    return params
                tried = self._inside(params + step)
                found = white(tried)
            else:
                share, tried, found = self._halved(white, params, step, residuals)
                if share <= SMALLEST_SHARE:
                    # Moments that jump are as small as they get.
                    return params if promised < NEGLIGIBLE else None
            before = promised
            derivative = slope(tried)
            if not np.isfinite(derivative).all():
                return None
            change = derivative.T @ found - gradient
            inverse = _updated(inverse, tried - params, change)
            params, residuals, gradient = tried, found, gradient + change
        return None

    def _halved(
        self, white: Residuals, params: FloatArray, step: FloatArray, residuals: FloatArray
    ) -> tuple[float, FloatArray, FloatArray]:
        """Return the share of a step that takes something off, where it leads and what is there."""
        share = 1.0
        while True:
            tried = self._inside(params + share * step)
            found = white(tried)
            if found @ found < residuals @ residuals or share <= SMALLEST_SHARE:
                return share, tried, found
            share /= 2.0

    def _inside(self, params: FloatArray) -> FloatArray:
        if ((params < self.lower) | (params > self.upper)).any():
            raise _LeavesBoxError
        return params

    def _within_box(self, white: Residuals, slope: Residuals) -> FloatArray | None:
        try:
            found = least_squares(
                white,
                self.start,
                slope,
                (self.lower, self.upper),
                x_scale=self.scale,
                **WITHIN_BOX,
                max_nfev=MOST_STEPS,
            )
        except (ValueError, np.linalg.LinAlgError):
            # Moments that are not finite where the derivative is taken.
            return None
        return np.asarray(found.x) if found.status > 0 else None


def _updated(inverse: FloatArray, step: FloatArray, change: FloatArray) -> FloatArray:
    """Return the inverse curvature of BFGS (k, k) after a step and the change of the gradient."""
    along = float(step @ change)
    if along <= 0.0:
        return inverse
    project = np.eye(len(step)) - np.outer(step, change) / along
    return np.asarray(project @ inverse @ project.T + np.outer(step, step) / along)


def roots_at_first_steps(
    first: FirstStep, drawn: Bootstrap, covariance: ReplicatedCovariance, memory_limit: int
) -> tuple[FloatArray, NDArray[np.intp]]:
    """Return inverses of lower factors of S of replications at their own first steps.

    Returns
    -------
    roots : ndarray, shape (B, m, m)
    usable : ndarray of int, shape (B,)
        The replications that have one; others are left out.
    """
    found, usable = [], []
    for part in groups_of_replications(first.function.n, drawn.replications, memory_limit):
        places = range(part.start, part.stop)
        for b, weights in zip(places, drawn.weights(part), strict=True):
            params = first.estimate(weights, covariance.subtracted)
            if params is None:
                continue
            with np.errstate(all="ignore"):
                at = first.function.evaluate(params)
                if at is None:
                    continue
                S = covariance.of_one(b, at[0], weights)
            if covariance.is_regular(S[None])[0]:
                found.append(np.linalg.inv(np.linalg.cholesky(S)))
                usable.append(b)
    m = first.function.m
    return np.array(found).reshape(-1, m, m), np.array(usable, dtype=np.intp)
