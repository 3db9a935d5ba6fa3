"""The quasi-posterior of a user's moment function: first step, modes, scaled coordinates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import ImproperPosteriorError, NumericalError
from qbeconometrics.moments.basis import MomentBasis
from qbeconometrics.moments.cost import ProblemSize
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.moments.nonlinear import MomentFunction
from qbeconometrics.moments.row_covariance import RowCovariance
from qbeconometrics.posterior.function_target import FunctionTarget
from qbeconometrics.posterior.local_normal import local_surrogate
from qbeconometrics.posterior.mode import Mode
from qbeconometrics.posterior.mode_search import distinct_modes
from qbeconometrics.posterior.parameter_search import (
    ParameterSearch,
    covariance_root,
    first_step_estimate,
    refined_mode,
    regular_modes,
)
from qbeconometrics.posterior.resolved_prior import ResolvedPrior
from qbeconometrics.posterior.surrogate import NormalSurrogate

FloatArray = NDArray[np.float64]

DISPERSED_STARTS = 10
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
    covariance: RowCovariance | None = None,
    one_step: FloatArray | None = None,
) -> NonlinearPosterior:
    """Find the modes, and join all into one log density.

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
    covariance : callable, optional
        How S is formed from the moments of all rows; by default by `rule`, which is then "HC0" or
        "HC1".
    one_step : ndarray, shape (k,), optional
        The first-step estimate, if it is known.

    Returns
    -------
    NonlinearPosterior

    Raises
    ------
    NumericalError
        If S is singular, or the moments do not determine the parameters.
    """
    if one_step is None:
        one_step = first_step_estimate(function, start=start, prior=prior, first_step=first_step)
    # A user's function may overflow on the way; what is not finite is dealt with.
    with np.errstate(all="ignore"):
        search = ParameterSearch(function, rule, prior, learning_rate, dispersed_starts, covariance)
        fixed_root = None
        if weight_matrix is not None:
            S = np.asarray(np.linalg.inv(weight_matrix), dtype=np.float64)
            fixed_root = covariance_root(S, "inverse of the weight_matrix")
        elif quasi_likelihood == "two-step" or rule.is_dependent:
            S = _covariance_at(function, search.covariance, one_step)
            root = covariance_root(S, "covariance of the moments at the first-step estimate")
            fixed_root = root if quasi_likelihood == "two-step" else None
        determinant = quasi_likelihood == "cue"
        modes = search.all(one_step, start, fixed_root=fixed_root, determinant=determinant)
        if fixed_root is None:
            # Rounding may leave a singular S a factor.
            S = _covariance_at(function, search.covariance, modes[0].point)
            covariance_root(S, "covariance of the moments at the mode")
        return _at_modes(search, modes, fixed_root=fixed_root, determinant=determinant)


def _at_modes(search: ParameterSearch, modes: list[Mode], **options: Any) -> NonlinearPosterior:
    """Move to coordinates centred at the best regular mode in which it is nearly round."""
    function = search.function
    modes, root = regular_modes(search, modes, **options)
    modes[0] = refined_mode(search, modes[0], root, **options)
    basis = MomentBasis(modes[0].point, root, np.eye(function.m))
    target = search.target(basis, search.prior, **options)
    scaled = [replace(mode, point=basis.to_scaled(mode.point)) for mode in modes]
    # Coordinates and back may lead out of the box by a rounding error.
    scaled = [mode for mode in scaled if target.point(mode.point) is not None]
    distinct = distinct_modes(target, scaled)
    at_mode, target.relative_step = local_surrogate(target, distinct[0].point)
    size = ProblemSize(function.n, function.k, function.m, target.form)
    return NonlinearPosterior(target, basis, search.prior, size, tuple(distinct), at_mode)


def _covariance_at(
    function: MomentFunction, covariance: RowCovariance, params: FloatArray
) -> FloatArray:
    with np.errstate(all="ignore"):
        found = function.evaluate(params)
    if found is None:
        raise NumericalError(f"the moments are not finite at params={params}")
    return covariance(found[0], found[1])


def nonlinear_moments_exist(prior: ResolvedPrior, quasi_likelihood: str) -> tuple[bool, bool]:
    """Return whether the quasi-posterior is known to have a mean and a variance.

    Under Student-t priors they are those of the prior, since the criterion may stay bounded.
    """
    has_term = ~np.isnan(prior.df)
    if quasi_likelihood == "two-step" or not has_term.any():
        return True, True
    decay = prior.df[has_term].min()
    return bool(decay > 1), bool(decay > 2)
