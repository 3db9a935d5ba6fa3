"""First step of user-written moments, and climbs to modes in the parameters themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import NumericalError
from qbeconometrics.moments.basis import MomentBasis
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.moments.nonlinear import MomentFunction
from qbeconometrics.moments.row_covariance import RowCovariance, row_covariance
from qbeconometrics.posterior.function_target import FunctionTarget
from qbeconometrics.posterior.local_normal import local_surrogate
from qbeconometrics.posterior.mode import Mode
from qbeconometrics.posterior.mode_search import climb, refine
from qbeconometrics.posterior.prior_draws import draw_prior
from qbeconometrics.posterior.resolved_prior import ResolvedPrior, no_prior

FloatArray = NDArray[np.float64]

SINGULAR = 1e-12


def first_step_covariance(
    function: MomentFunction,
    start: FloatArray,
    instrument: FloatArray | None,
    row_weights: FloatArray | None = None,
) -> FloatArray:
    """Return the default of the first step, whose inverse is its weight.

    Z'Z/n of the instruments, once for each residual, where the number of moments allows it and Z'Z
    is regular; else the mean squares of the moments at the start.

    Parameters
    ----------
    function : MomentFunction
    start : ndarray, shape (k,)
    instrument : ndarray, shape (n, q), or None
    row_weights : ndarray, shape (n,), optional
        How often a replication of the data draws each row; by default once.

    Returns
    -------
    ndarray, shape (m, m)
    """
    size = function.n if row_weights is None else row_weights.sum()
    if instrument is not None and function.m % instrument.shape[1] == 0:
        weighted = instrument.T if row_weights is None else instrument.T * row_weights
        product = weighted @ instrument / size
        # Of the rows of the data: a replication that lacks an instrument has no estimate.
        if np.linalg.matrix_rank(instrument) == instrument.shape[1]:
            return np.asarray(
                np.kron(np.eye(function.m // instrument.shape[1]), product), dtype=float
            )
    with np.errstate(all="ignore"):
        found = function.evaluate(start)
    squares = (
        np.ones(function.m)
        if found is None
        else np.average(found[0] ** 2, axis=0, weights=row_weights)
    )
    return np.diag(np.where(squares > 0, squares, 1.0))


def first_step_estimate(
    function: MomentFunction,
    *,
    start: FloatArray,
    prior: ResolvedPrior,
    first_step: FloatArray,
) -> FloatArray:
    """Return the parameters (k,) that minimise g'Wg, with W the inverse of `first_step` (m, m).

    Of the prior only the box is kept.

    Raises
    ------
    NumericalError
        If the weight is singular, or the moments are not finite at the start.
    """
    with np.errstate(all="ignore"):
        free = replace(no_prior([""] * function.k), lower=prior.lower, upper=prior.upper)
        search = ParameterSearch(function, CovarianceRule(), free, 1.0, 0)
        options = {
            "fixed_root": covariance_root(first_step, "first-step weight"),
            "determinant": False,
        }
        mode = search.climb(start, **options)
        if mode is None:
            raise NumericalError(
                f"the criterion is not finite at params={start}; give other start_params"
            )
        try:
            _, root = regular_modes(search, [mode], **options)
        except NumericalError:  # a derivative of deficient rank is judged where chains will run
            return mode.point
        return refined_mode(search, mode, root, **options).point


class ParameterSearch:
    """Climbs in coordinates along the parameters, scaled by their standard errors."""

    def __init__(
        self,
        function: MomentFunction,
        rule: CovarianceRule,
        prior: ResolvedPrior,
        learning_rate: float,
        dispersed_starts: int,
        covariance: RowCovariance | None = None,
    ):
        if covariance is None:
            covariance = row_covariance(rule, n=function.n, n_params=function.k)
        self.covariance = covariance
        self.function, self.rule, self.prior = function, rule, prior
        self.learning_rate, self.dispersed_starts = learning_rate, dispersed_starts
        k = function.k
        self.lower = np.full(k, -np.inf) if prior.lower is None else prior.lower
        self.upper = np.full(k, np.inf) if prior.upper is None else prior.upper

    def target(self, basis: MomentBasis, prior: ResolvedPrior, **options: Any) -> FunctionTarget:
        return FunctionTarget(
            self.function,
            self.rule,
            prior,
            basis,
            learning_rate=self.learning_rate,
            covariance=self.covariance,
            **options,
        )

    def climb(self, start: FloatArray, **options: Any) -> Mode | None:
        """Return the mode reached from `start`; its point holds parameters."""
        prior = replace(self.prior, lower=None, upper=None)
        k = self.function.k
        plain = self.target(diagonal_basis(start, np.ones(k)), prior, **options)
        try:
            scale = np.linalg.norm(local_surrogate(plain, np.zeros(k))[0].root, axis=1)
        except NumericalError:
            scale = np.maximum(np.abs(start), 1.0)
        # Along flat directions a standard error may be absurd.
        scale = np.minimum(scale, np.maximum(10.0 * np.abs(start), 10.0))
        basis = diagonal_basis(start, scale)
        target = self.target(basis, prior, **options)
        lower, upper = (self.lower - start) / scale, (self.upper - start) / scale
        mode = climb(target, np.zeros(k), lower, upper)
        if mode is None:
            return None
        params = np.clip(basis.to_params(mode.point), self.lower, self.upper)
        return Mode(params, mode.log_density, mode.converged)

    def all(self, one_step: FloatArray, start: FloatArray, **options: Any) -> list[Mode]:
        """Return the modes reached from the first step, the start and dispersed points."""
        first = self.climb(one_step, **options) or self.climb(start, **options)
        if first is None:
            raise NumericalError(
                "the covariance of the moments is singular at the first-step estimate "
                f"params={one_step}; look for moments that are copies of others, or give other "
                "start_params"
            )
        found = [first]
        for point in self._dispersed(first.point, **options):
            mode = self.climb(point, **options)
            if mode is not None and np.isfinite(mode.log_density):
                found.append(mode)
        return found

    def _dispersed(self, centre: FloatArray, **options: Any) -> list[FloatArray]:
        """Points drawn from the prior, and from a wide law about `centre` where it is flat."""
        rng = np.random.default_rng(0)
        k = self.function.k
        prior = replace(self.prior, lower=None, upper=None)
        target = self.target(diagonal_basis(centre, np.ones(k)), prior, **options)
        try:
            root = 5.0 * local_surrogate(target, np.zeros(k))[0].root
        except NumericalError:
            root = np.diag(np.maximum(np.abs(centre), 1.0))
        points = []
        for i in range(self.dispersed_starts):
            point = centre + root @ rng.standard_normal(k)
            drawn = draw_prior(self.prior, rng, 1)[0]
            if i % 2:
                point = np.where(np.isnan(drawn), point, drawn)
            points.append(np.clip(point, self.lower, self.upper))
        return points


def regular_modes(
    search: ParameterSearch, modes: list[Mode], **options: Any
) -> tuple[list[Mode], FloatArray]:
    """Drop better points without a normal approximation, such as where one row is everything.

    Returns
    -------
    modes : list of Mode
        Best first.
    root : ndarray, shape (k, k)
        Lower factor of the covariance at the first.
    """
    prior = replace(search.prior, lower=None, upper=None)
    ordered = sorted(modes, key=lambda mode: -mode.log_density)
    problem = NumericalError("no mode was found")
    for i, mode in enumerate(ordered):
        basis = diagonal_basis(mode.point, np.ones(search.function.k))
        target = search.target(basis, prior, **options)
        try:
            root = local_surrogate(target, np.zeros(search.function.k))[0].root
        except NumericalError as error:
            problem = error
        else:
            return ordered[i:], root
    raise problem


def refined_mode(search: ParameterSearch, mode: Mode, root: FloatArray, **options: Any) -> Mode:
    """Remove what the tolerance of the climb left, unless the mode is at the edge of the box."""
    at_edge = (mode.point <= search.lower) | (mode.point >= search.upper)
    if at_edge.any() or not mode.converged:
        return mode
    prior = replace(search.prior, lower=None, upper=None)
    basis = diagonal_basis(mode.point, np.ones(search.function.k))
    target = search.target(basis, prior, **options)
    moved = refine(target, replace(mode, point=np.zeros_like(mode.point)), root)
    params = basis.to_params(moved.point)
    inside = ((params >= search.lower) & (params <= search.upper)).all()
    return replace(moved, point=params) if inside else mode


def diagonal_basis(centre: FloatArray, scale: FloatArray) -> MomentBasis:
    return MomentBasis(centre.copy(), np.diag(scale), np.eye(1))


def covariance_root(S: FloatArray, name: str) -> FloatArray:
    """Return the lower factor of `S` (m, m)."""
    scale = np.sqrt(np.diag(S))
    if not (np.isfinite(S).all() and (scale > 0).all()):
        raise NumericalError(f"the {name} is singular: some moment is zero in every row")
    eigenvalues = np.linalg.eigvalsh(S / np.outer(scale, scale))
    if eigenvalues[0] < -SINGULAR * eigenvalues[-1]:
        raise NumericalError(
            f"the {name} is not positive definite, as may happen with two-way clusters: cluster "
            "one way, or use fewer moments"
        )
    if not eigenvalues[0] > SINGULAR * eigenvalues[-1]:
        raise NumericalError(f"the {name} is singular: some moments are combinations of others")
    return np.asarray(np.linalg.cholesky(S), dtype=np.float64)
