"""The quasi-posterior of a user's moment function: first step, modes, scaled coordinates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import ImproperPosteriorError, NumericalError
from qbeconometrics.moments.basis import MomentBasis
from qbeconometrics.moments.cost import ProblemSize
from qbeconometrics.moments.covariance import CovarianceRule, moment_covariance
from qbeconometrics.moments.nonlinear import MomentFunction
from qbeconometrics.posterior.function_target import FunctionTarget
from qbeconometrics.posterior.local_normal import local_surrogate
from qbeconometrics.posterior.mode import Mode
from qbeconometrics.posterior.mode_search import climb, distinct_modes
from qbeconometrics.posterior.resolved_prior import ResolvedPrior, no_prior
from qbeconometrics.posterior.surrogate import NormalSurrogate

FloatArray = NDArray[np.float64]

DISPERSED_STARTS = 10
SINGULAR = 1e-12
# Modes whose log density is this far below the best hold no noticeable mass.
NEGLIGIBLE_MODE = 7.0


@dataclass(frozen=True, slots=True)
class NonlinearPosterior:
    """A log density in scaled coordinates x, with params = centre + R x.

    Attributes
    ----------
    target : FunctionTarget
    basis : MomentBasis
        Centred at the best mode.
    prior : ResolvedPrior
    size : ProblemSize
    modes : tuple of Mode
        In scaled coordinates, best first.
    at_mode : NormalSurrogate
        At the best mode.
    log_constant : float
    """

    target: FunctionTarget
    basis: MomentBasis
    prior: ResolvedPrior
    size: ProblemSize
    modes: tuple[Mode, ...]
    at_mode: NormalSurrogate
    log_constant: float = 0.0

    @property
    def exactly_normal(self) -> bool:
        """Never known of moments of unknown form."""
        return False

    @property
    def log_concave(self) -> bool:
        """Never known of moments of unknown form."""
        return False

    def find_mode(self) -> Mode:
        """Return the best of the modes found."""
        return self.modes[0]

    def surrogate_at(self, point: FloatArray) -> NormalSurrogate:
        """Return the normal law of the linearised moments at `point` (k,)."""
        return local_surrogate(self.target, point)[0]

    @property
    def other_modes(self) -> FloatArray:
        """Points (modes, k) where chains should start too."""
        best = self.modes[0].log_density
        points = [m.point for m in self.modes[1:] if m.log_density > best - NEGLIGIBLE_MODE]
        return np.array(points).reshape(-1, self.target.n_params)


def check_nonlinear_propriety(prior: ResolvedPrior, quasi_likelihood: str) -> None:
    """Refuse a flat prior where the weight moves with the parameters.

    Raises
    ------
    ImproperPosteriorError
    """
    if prior.is_proper or quasi_likelihood == "two-step":
        return
    raise ImproperPosteriorError(
        f"the flat prior of {', '.join(prior.flat)} is refused with quasi_likelihood="
        f"{quasi_likelihood!r}: the criterion stays bounded as parameters grow, so the "
        "quasi-posterior need not integrate, and nonlinear moments give no scale for a default. "
        "Give prior=priors.Normal(...) or priors.Uniform(low, high), or use "
        "quasi_likelihood='two-step'."
    )


def default_start(prior: ResolvedPrior) -> FloatArray:
    """Return the centre of the prior, zero where it is flat."""
    start = prior.mean.copy()
    located = ~np.isnan(prior.loc)
    start[located] = prior.loc[located]
    if prior.lower is not None and prior.upper is not None:
        boxed = np.isfinite(prior.lower)
        start[boxed] = (prior.lower[boxed] + prior.upper[boxed]) / 2.0
    return start


def build_nonlinear_posterior(
    function: MomentFunction,
    *,
    start: FloatArray,
    rule: CovarianceRule,
    quasi_likelihood: str,
    learning_rate: float,
    prior: ResolvedPrior,
    first_step: FloatArray,
    weight_matrix: FloatArray | None = None,
    dispersed_starts: int = DISPERSED_STARTS,
) -> NonlinearPosterior:
    """Estimate the first step, find the modes, and join all into one log density.

    Parameters
    ----------
    function : MomentFunction
    start : ndarray, shape (k,)
        Parameters where all moments are finite.
    rule : CovarianceRule
    quasi_likelihood : str
        "cue", "cue-nodet" or "two-step".
    learning_rate : float
    prior : ResolvedPrior
    first_step : ndarray, shape (m, m)
        Covariance whose inverse is the weight of the first step.
    weight_matrix : ndarray, shape (m, m), optional
        For "two-step"; None is the inverse of S at the first-step estimate.
    dispersed_starts : int
        Points, besides the first-step estimate, from which modes are searched for.

    Returns
    -------
    NonlinearPosterior

    Raises
    ------
    NumericalError
        If S is singular, or the moments do not determine the parameters.
    """
    # A user's function may overflow on the way; what is not finite is dealt with.
    with np.errstate(all="ignore"):
        search = _Search(function, rule, prior, learning_rate, dispersed_starts)
        free = replace(no_prior([""] * function.k), lower=prior.lower, upper=prior.upper)
        one_step = search.best(
            start, fixed_root=_root(first_step, "first-step weight"), determinant=False, prior=free
        )
        fixed_root = None
        if quasi_likelihood == "two-step":
            S = _covariance_at(function, rule, one_step)
            if weight_matrix is not None:
                S = np.asarray(np.linalg.inv(weight_matrix), dtype=np.float64)
            fixed_root = _root(S, "covariance of the moments at the first-step estimate")
        determinant = quasi_likelihood == "cue"
        modes = search.all(one_step, start, fixed_root=fixed_root, determinant=determinant)
        return _at_modes(search, modes, fixed_root=fixed_root, determinant=determinant)


class _Search:
    """Climbs in coordinates along the parameters, scaled by their standard errors."""

    def __init__(
        self,
        function: MomentFunction,
        rule: CovarianceRule,
        prior: ResolvedPrior,
        learning_rate: float,
        dispersed_starts: int,
    ):
        self.function, self.rule, self.prior = function, rule, prior
        self.learning_rate, self.dispersed_starts = learning_rate, dispersed_starts
        k = function.k
        self.lower = np.full(k, -np.inf) if prior.lower is None else prior.lower
        self.upper = np.full(k, np.inf) if prior.upper is None else prior.upper

    def target(self, basis: MomentBasis, prior: ResolvedPrior, **options: Any) -> FunctionTarget:
        return FunctionTarget(
            self.function, self.rule, prior, basis, learning_rate=self.learning_rate, **options
        )

    def climb(
        self, start: FloatArray, prior: ResolvedPrior | None = None, **options: Any
    ) -> Mode | None:
        """Return the mode reached from `start`; its point holds parameters."""
        prior = replace(self.prior if prior is None else prior, lower=None, upper=None)
        k = self.function.k
        plain = self.target(_diagonal_basis(start, np.ones(k)), prior, **options)
        try:
            scale = np.linalg.norm(local_surrogate(plain, np.zeros(k))[0].root, axis=1)
        except NumericalError:
            scale = np.maximum(np.abs(start), 1.0)
        # Along flat directions a standard error may be absurd.
        scale = np.minimum(scale, np.maximum(10.0 * np.abs(start), 10.0))
        basis = _diagonal_basis(start, scale)
        target = self.target(basis, prior, **options)
        lower, upper = (self.lower - start) / scale, (self.upper - start) / scale
        mode = climb(target, np.zeros(k), lower, upper)
        if mode is None:
            return None
        params = np.clip(basis.to_params(mode.point), self.lower, self.upper)
        return Mode(params, mode.log_density, mode.converged)

    def best(self, start: FloatArray, **options: Any) -> FloatArray:
        """Return the parameters reached from `start`."""
        mode = self.climb(start, **options)
        if mode is None:
            raise NumericalError(
                f"the criterion is not finite at params={start}; give other start_params"
            )
        return mode.point

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
        target = self.target(_diagonal_basis(centre, np.ones(k)), prior, **options)
        try:
            root = 5.0 * local_surrogate(target, np.zeros(k))[0].root
        except NumericalError:
            root = np.diag(np.maximum(np.abs(centre), 1.0))
        draw = _prior_sampler(self.prior)
        points = []
        for i in range(self.dispersed_starts):
            point = centre + root @ rng.standard_normal(k)
            drawn = draw(rng)
            if i % 2:
                point = np.where(np.isnan(drawn), point, drawn)
            points.append(np.clip(point, self.lower, self.upper))
        return points


def _prior_sampler(prior: ResolvedPrior) -> Callable[[np.random.Generator], FloatArray]:
    """Return a function that draws parameters; NaN where the prior is flat."""
    precision = prior.precision
    normal = np.diag(precision) > 0
    covariance = np.linalg.pinv(precision)
    mean = prior.mean
    student = ~np.isnan(prior.df)
    boxed = np.zeros(len(mean), dtype=bool)
    if prior.lower is not None:
        boxed = np.isfinite(prior.lower)

    def draw(rng: np.random.Generator) -> FloatArray:
        point = np.full(len(mean), np.nan)
        normals = rng.multivariate_normal(mean, covariance, method="eigh")
        point[normal] = normals[normal]
        if student.any():
            standard = rng.standard_t(prior.df[student])
            point[student] = prior.loc[student] + prior.scale[student] * standard
        if prior.lower is not None and prior.upper is not None:
            point[boxed] = rng.uniform(prior.lower[boxed], prior.upper[boxed])
        return point

    return draw


def _at_modes(search: _Search, modes: list[Mode], **options: Any) -> NonlinearPosterior:
    """Move to coordinates centred at the best regular mode in which it is nearly round."""
    function = search.function
    modes, root = _regular(search, modes, **options)
    basis = MomentBasis(modes[0].point, root, np.eye(function.m))
    target = search.target(basis, search.prior, **options)
    scaled = [replace(mode, point=basis.to_scaled(mode.point)) for mode in modes]
    # Coordinates and back may lead out of the box by a rounding error.
    scaled = [mode for mode in scaled if target.point(mode.point) is not None]
    distinct = distinct_modes(target, scaled)
    at_mode, target.relative_step = local_surrogate(target, distinct[0].point)
    size = ProblemSize(function.n, function.k, function.m, target.form)
    return NonlinearPosterior(target, basis, search.prior, size, tuple(distinct), at_mode)


def _regular(search: _Search, modes: list[Mode], **options: Any) -> tuple[list[Mode], FloatArray]:
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
        basis = _diagonal_basis(mode.point, np.ones(search.function.k))
        target = search.target(basis, prior, **options)
        try:
            root = local_surrogate(target, np.zeros(search.function.k))[0].root
        except NumericalError as error:
            problem = error
        else:
            return ordered[i:], root
    raise problem


def _diagonal_basis(centre: FloatArray, scale: FloatArray) -> MomentBasis:
    return MomentBasis(centre.copy(), np.diag(scale), np.eye(1))


def _covariance_at(
    function: MomentFunction, rule: CovarianceRule, params: FloatArray
) -> FloatArray:
    with np.errstate(all="ignore"):
        found = function.evaluate(params)
    if found is None:
        raise NumericalError(f"the moments are not finite at the first-step estimate {params}")
    return moment_covariance(found[0], found[1], rule, function.k)


def _root(S: FloatArray, name: str) -> FloatArray:
    """Return the lower factor of `S` (m, m)."""
    scale = np.sqrt(np.diag(S))
    if not (np.isfinite(S).all() and (scale > 0).all()):
        raise NumericalError(f"the {name} is singular: some moment is zero in every row")
    eigenvalues = np.linalg.eigvalsh(S / np.outer(scale, scale))
    if not eigenvalues[0] > SINGULAR * eigenvalues[-1]:
        raise NumericalError(f"the {name} is singular: some moments are combinations of others")
    return np.asarray(np.linalg.cholesky(S), dtype=np.float64)


def first_step_covariance(
    function: MomentFunction, start: FloatArray, instrument: FloatArray | None
) -> FloatArray:
    """Return the default of the first step, whose inverse is its weight.

    Z'Z/n of the instruments, once for each residual, where the number of moments allows it and Z'Z
    is regular; else the mean squares of the moments at the start.

    Returns
    -------
    ndarray, shape (m, m)
    """
    if instrument is not None and function.m % instrument.shape[1] == 0:
        product = instrument.T @ instrument / len(instrument)
        if np.linalg.matrix_rank(instrument) == instrument.shape[1]:
            return np.asarray(
                np.kron(np.eye(function.m // instrument.shape[1]), product), dtype=float
            )
    with np.errstate(all="ignore"):
        found = function.evaluate(start)
    squares = np.ones(function.m) if found is None else np.mean(found[0] ** 2, axis=0)
    return np.diag(np.where(squares > 0, squares, 1.0))


def nonlinear_moments_exist(prior: ResolvedPrior, quasi_likelihood: str) -> tuple[bool, bool]:
    """Return whether the quasi-posterior is known to have a mean and a variance.

    Under Student-t priors they are those of the prior, since the criterion may stay bounded.
    """
    has_term = ~np.isnan(prior.df)
    if quasi_likelihood == "two-step" or not has_term.any():
        return True, True
    decay = prior.df[has_term].min()
    return bool(decay > 1), bool(decay > 2)
