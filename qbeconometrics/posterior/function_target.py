"""The log quasi-posterior of a user's moment function, point by point, in scaled coordinates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dtrsv
from scipy.linalg.lapack import dpotrf

from qbeconometrics.moments.basis import MomentBasis
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.moments.nonlinear import DIFFERENCE_STEPS, MomentFunction
from qbeconometrics.moments.row_covariance import RowCovariance, row_covariance
from qbeconometrics.posterior.resolved_prior import ResolvedPrior

FloatArray = NDArray[np.float64]

REMEMBERED_POINTS = 64


@dataclass(slots=True)
class Screened:
    """A point whose moments and prior are known, but not the covariance of the moments.

    Attributes
    ----------
    position : ndarray, shape (k,)
        In scaled coordinates.
    params : ndarray, shape (k,)
    moments : ndarray, shape (n, m)
    mean : ndarray, shape (m,)
        Mean moment.
    log_prior : float
    """

    position: FloatArray
    params: FloatArray
    moments: FloatArray
    mean: FloatArray
    log_prior: float


@dataclass(slots=True)
class Point:
    """A point with everything that a sampler needs to leave it.

    Attributes
    ----------
    position, params : ndarray, shape (k,)
    mean : ndarray, shape (m,)
    root : ndarray, shape (m, m)
        Lower factor of S; what stands above the diagonal is of no meaning.
    quadratic : float
        learning_rate n g'S^-1 g.
    log_likelihood, log_prior : float
    """

    position: FloatArray
    params: FloatArray
    mean: FloatArray
    root: FloatArray
    quadratic: float
    log_likelihood: float
    log_prior: float

    @property
    def log_density(self) -> float:
        """Log quasi-posterior."""
        return self.log_likelihood + self.log_prior


class FunctionTarget:
    """Log quasi-posterior at x, with params = centre + R x.

    Parameters
    ----------
    function : MomentFunction
    rule : CovarianceRule
    prior : ResolvedPrior
    basis : MomentBasis
        Of which only `centre` and `regressor_map` are used.
    learning_rate : float
    determinant : bool
        Whether -1/2 log det S is part of it.
    fixed_root : ndarray, shape (m, m), optional
        Lower factor of an S that does not depend on the parameters.
    covariance : callable, optional
        How S is formed from the moments; by default by `rule`, which is then "HC0" or "HC1".
    """

    # Of the differences that stand in for a derivative; set where they were found to work.
    relative_step = DIFFERENCE_STEPS[0]

    def __init__(
        self,
        function: MomentFunction,
        rule: CovarianceRule,
        prior: ResolvedPrior,
        basis: MomentBasis,
        *,
        learning_rate: float,
        determinant: bool,
        fixed_root: FloatArray | None = None,
        covariance: RowCovariance | None = None,
    ):
        if covariance is None:
            covariance = row_covariance(rule, n=function.n, n_params=function.k)
        self.covariance = covariance
        self.function, self.rule, self.prior, self.basis = function, rule, prior, basis
        self.determinant, self.fixed_root = determinant, fixed_root
        self.factor = learning_rate * function.n
        self._centre, self._map = basis.centre, basis.regressor_map
        self._student = ~np.isnan(prior.df)
        self._any_student = bool(self._student.any())
        self._prior_root = prior.root @ basis.regressor_map
        self._prior_target = prior.target - prior.root @ basis.centre
        self._any_normal = bool(np.any(prior.root))
        # Precision, and precision times mean, of the normal part of the prior.
        self.normal_prior = (
            (self._prior_root.T @ self._prior_root, self._prior_root.T @ self._prior_target)
            if self._any_normal
            else None
        )
        self._boxed = prior.lower is not None
        self._lower: Any = prior.lower
        self._upper: Any = prior.upper
        self._remembered: dict[bytes, Point] = {}

    def __getstate__(self) -> dict[str, Any]:
        # Points are remembered for speed only, and are large.
        return {**vars(self), "_remembered": {}}

    @property
    def form(self) -> str:
        """How S is formed, for the cost model."""
        return "function with jac" if self.function.has_jacobian else "function"

    @property
    def n_params(self) -> int:
        """Number of parameters."""
        return self.function.k

    @property
    def n_moments(self) -> int:
        """Number of moments."""
        return self.function.m

    @property
    def arrays(self) -> dict[str, FloatArray]:
        """The normal part of the prior in scaled coordinates."""
        precision = self._prior_root.T @ self._prior_root
        mean = np.asarray(np.linalg.lstsq(self._prior_root, self._prior_target)[0])
        return {"prior_precision": precision, "prior_mean": mean.astype(np.float64, copy=False)}

    def log_prior(self, position: FloatArray, params: FloatArray) -> float:
        """Return the log prior without its constant; minus infinity outside the box or region."""
        prior = self.prior
        value = 0.0
        if self._boxed and not ((params >= self._lower) & (params <= self._upper)).all():
            return -math.inf
        if prior.region is not None and not prior.region(params):
            return -math.inf
        if self._any_normal:
            distance = self._prior_root @ position - self._prior_target
            value -= 0.5 * float(distance @ distance)
        if self._any_student:
            used = self._student
            standard = (params[used] - prior.loc[used]) / prior.scale[used]
            df = prior.df[used]
            value -= float(np.sum(0.5 * (df + 1.0) * np.log1p(standard**2 / df)))
        return value

    def log_prior_gradient(self, position: FloatArray, params: FloatArray) -> FloatArray:
        """Gradient (k,) of the log prior by the position, inside the box."""
        prior = self.prior
        gradient = np.zeros(len(position))
        if self._any_normal:
            gradient -= self._prior_root.T @ (self._prior_root @ position - self._prior_target)
        if self._any_student:
            used = self._student
            standard = (params[used] - prior.loc[used]) / prior.scale[used]
            df = prior.df[used]
            slope = (df + 1.0) * standard / (df + standard**2) / prior.scale[used]
            gradient -= self._map[used].T @ slope
        return gradient

    def screen(self, position: FloatArray) -> Screened | bool | None:
        """Evaluate prior and moments: False outside the prior, None where unusable."""
        params = self._centre + self._map @ position
        log_prior = self.log_prior(position, params)
        if log_prior == -math.inf:
            return False
        found = self.function.evaluate(params)
        if found is None:
            return None
        return Screened(position, params, found[0], found[1], log_prior)

    def frozen_quadratic(self, root: FloatArray, mean: FloatArray) -> float:
        """Return learning_rate n g'S^-1 g for the factor of S at another point."""
        white = dtrsv(root, mean, lower=1)
        return self.factor * float(white @ white)

    def complete(self, screened: Screened) -> Point | None:
        """Add S and its factor; None where it has none."""
        s = screened
        log_likelihood = 0.0
        if self.fixed_root is not None:
            root = self.fixed_root
        else:
            S = self.covariance(s.moments, s.mean)
            # S is symmetric, so its transpose spares LAPACK a copy.
            root, info = dpotrf(S.T, lower=1, clean=0, overwrite_a=1)
            if info != 0:
                return None
            if self.determinant:
                log_likelihood = -float(np.log(root.diagonal()).sum())
        white = dtrsv(root, s.mean, lower=1)
        quadratic = self.factor * float(white @ white)
        log_likelihood -= 0.5 * quadratic
        # LAPACK reports success on NaN.
        if not math.isfinite(log_likelihood):
            return None
        return Point(s.position, s.params, s.mean, root, quadratic, log_likelihood, s.log_prior)

    def attempt(self, position: FloatArray) -> Point | bool | None:
        """Evaluate everything: False outside the prior, None where unusable."""
        screened = self.screen(position)
        return self.complete(screened) if isinstance(screened, Screened) else screened

    def point(self, position: FloatArray) -> Point | None:
        """Evaluate everything; None outside the prior and where unusable."""
        found = self.attempt(position)
        return found if isinstance(found, Point) else None

    def remember(self, point: Point) -> None:
        """Keep a point where a chain pauses, so that it need not be evaluated again."""
        if len(self._remembered) >= REMEMBERED_POINTS:
            self._remembered.clear()
        self._remembered[point.position.tobytes()] = point

    def recall(self, position: FloatArray) -> Point | None:
        """Return the point at `position`, from memory if it is there."""
        return self._remembered.get(position.tobytes()) or self.point(position.copy())

    def evaluate(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return log quasi-likelihood and log prior at `points` (points, k)."""
        likelihood, prior = np.full(len(points), -np.inf), np.full(len(points), -np.inf)
        with np.errstate(all="ignore"):
            for i, position in enumerate(np.asarray(points, dtype=float)):
                found = self.point(position)
                if found is not None:
                    likelihood[i], prior[i] = found.log_likelihood, found.log_prior
        return likelihood, prior

    def scaled_jacobian(self, params: FloatArray, relative_step: float) -> FloatArray | None:
        """Derivative (m, k) of sqrt(learning_rate n) times the mean moment by x."""
        derivative = self.function.jacobian(params, relative_step)
        if derivative is None:
            return None
        return math.sqrt(self.factor) * (derivative @ self._map)
