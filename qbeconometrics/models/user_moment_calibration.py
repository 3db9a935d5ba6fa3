"""The quasi-posterior of moments that a user wrote as a problem of calibration."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.calibration.cloud_problem import CloudProblem
from qbeconometrics.calibration.replicated_covariance import ReplicatedCovariance
from qbeconometrics.calibration.replicated_first_step import FirstStep, roots_at_first_steps
from qbeconometrics.calibration.replications import Bootstrap
from qbeconometrics.calibration.user_criteria import UserCriteria
from qbeconometrics.exceptions import CalibrationWarning, OptionError, refuse_unknown_keywords
from qbeconometrics.models.bootstrap_arguments import BootstrapArguments
from qbeconometrics.models.calibrated_region import Functional, scaled_functional
from qbeconometrics.models.calibration_report import Calibrated, missing_replications
from qbeconometrics.models.fit_options import check_quasi_likelihood
from qbeconometrics.models.moment_calibration import (
    COLLINEAR,
    FARTHEST,
    FIT_OPTIONS,
    MomentOptions,
    loss_in_words,
    remedy_in_words,
)
from qbeconometrics.models.row_weights import Dependence
from qbeconometrics.models.user_moments import UserMoments
from qbeconometrics.moments.covariance import parse_covariance
from qbeconometrics.posterior.nonlinear import (
    NonlinearPosterior,
    build_nonlinear_posterior,
    check_nonlinear_propriety,
)
from qbeconometrics.posterior.parameter_search import first_step_covariance
from qbeconometrics.posterior.prior_draws import log_prior_kernel
from qbeconometrics.posterior.quasi_posterior import check_weight, scale_prior
from qbeconometrics.posterior.resolved_prior import no_prior

FloatArray = NDArray[np.float64]


def user_moment_options(model: UserMoments, fit_kwds: Mapping[str, Any]) -> MomentOptions:
    """Check `fit_kwds` for a model with moments that the user wrote.

    Raises
    ------
    OptionError
        If the quasi-posterior is none whose learning rate can be calibrated; it says what can.
    ImproperPosteriorError
        If it has no finite integral.
    """
    refuse_unknown_keywords(fit_kwds, FIT_OPTIONS, "fit_kwds")
    weight = fit_kwds.get("weight_matrix")
    name = check_quasi_likelihood(fit_kwds.get("quasi_likelihood"), weight)
    if weight is not None:
        weight = check_weight(weight, model._function.m, "weight_matrix", "moments")
    rule = parse_covariance(fit_kwds.get("cov_type", "HC0"), fit_kwds.get("cov_kwds"))
    check_nonlinear_propriety(model.prior, name)
    if name != "two-step" and rule.cov_type == "HAC":
        raise OptionError(
            f"with user-written moments and quasi_likelihood={name!r} the learning rate is not "
            "calibrated under cov_type='HAC': S of a replication would be summed over its own "
            "blocks at every position. Use quasi_likelihood='two-step'"
        )
    return MomentOptions(name, rule, weight)


@dataclass(frozen=True, slots=True, eq=False)
class _Estimate:
    """The minimum of the criterion of the data alone that the first step leads to.

    Attributes
    ----------
    posterior : NonlinearPosterior
        Without prior, but for its box; its centre is the minimum, where it has curvature one.
    moments : ndarray, shape (n, m)
    mean : ndarray, shape (m,)
    slope : ndarray, shape (m, k)
        Of the mean moment, in scaled coordinates.
    inverse_weight : ndarray, shape (m, m)
    """

    posterior: NonlinearPosterior
    moments: FloatArray
    mean: FloatArray
    slope: FloatArray
    inverse_weight: FloatArray


def calibrated_user_moments(
    model: UserMoments,
    options: MomentOptions,
    bootstrap: BootstrapArguments,
    *,
    region: str,
    functional: Functional | None,
    recentre: bool,
    memory_limit: int,
) -> Calibrated:
    """Return the replications of the quasi-posterior of a model.

    Raises
    ------
    NumericalError
        If S is singular, or nearly no replication has an estimate.

    Warns
    -----
    CalibrationWarning
        If the criterion falls until far from the first-step estimate, or to an edge of the prior.
    """
    rule = options.rule
    dependence = model._dependence(rule)
    drawn = bootstrap.draw_like(model, rule, dependence)
    found = _minimum(model, options, dependence)
    function, basis = model._function, found.posterior.basis
    covariance = ReplicatedCovariance(
        rule,
        drawn,
        n_params=function.k,
        scale=np.sqrt(np.mean(found.moments**2, axis=0)),
        instrument=model._residual_instrument if rule.cov_type == "nonrobust" else None,
        subtracted=found.mean if recentre else None,
    )
    values = scaled_functional(
        functional, region, model.exog_names, basis.centre, basis.regressor_map
    )
    roots, usable = _fixed_roots(model, options, found, drawn, covariance, memory_limit)
    missing_replications(drawn.replications, len(usable), COLLINEAR)
    criteria = UserCriteria(function, basis, drawn, covariance, roots, usable, memory_limit)
    # A replication that lacks an instrument or a regressor has no curvature.
    criteria, minimiser, curvature = criteria.linearised(found.slope)
    problem = CloudProblem(
        criteria,
        _score_product(model, options, found, dependence),
        minimiser,
        curvature,
        scale_prior(model.prior, basis),
        lambda positions: log_prior_kernel(model.prior, basis.to_params(positions)),
        determinant=options.quasi_likelihood == "cue",
        memory_limit=memory_limit,
        functional=values,
    )
    return Calibrated(
        problem,
        basis.regressor_map,
        model.exog_names,
        loss=loss_in_words(options, recentre),
        bootstrap=drawn.kind,
        remedy=remedy_in_words(options),
        missing=missing_replications(drawn.replications, problem.replications, COLLINEAR),
    )


def _minimum(
    model: UserMoments, options: MomentOptions, dependence: Dependence | None
) -> _Estimate:
    function, prior, rule = model._function, model.prior, options.rule
    two_step = options.quasi_likelihood == "two-step"
    weight = options.weight_matrix
    box = replace(no_prior(model.exog_names), lower=prior.lower, upper=prior.upper)
    assert not isinstance(weight, str)
    posterior = build_nonlinear_posterior(
        function,
        start=model.start_params,
        rule=rule,
        quasi_likelihood="two-step" if two_step else "cue-nodet",
        learning_rate=1.0,
        prior=box,
        first_step=model._first_step,
        weight_matrix=weight,
        covariance=model._covariance(rule, dependence),
        one_step=model._one_step,
        # Updated criteria may fall below far out, where one row is all of S: the minimum that
        # counts is the one that the first step leads to.
        dispersed_starts=0,
    )
    basis, target = posterior.basis, posterior.target
    _warn_of_no_minimum(model, posterior)
    moments = model._moments_at(basis.centre)
    derivative = target.scaled_jacobian(basis.centre, target.relative_step)
    point = target.point(np.zeros(function.k))
    # Both were finite where the coordinates were made.
    assert derivative is not None
    assert point is not None
    root = np.tril(point.root)
    return _Estimate(
        posterior,
        moments,
        moments.mean(axis=0),
        derivative / np.sqrt(target.factor),
        root @ root.T,
    )


def _warn_of_no_minimum(model: UserMoments, posterior: NonlinearPosterior) -> None:
    basis, prior = posterior.basis, model.prior
    mode = posterior.find_mode()
    distance = basis.to_scaled(model._one_step)
    edge = False
    if prior.lower is not None and prior.upper is not None:
        edge = bool(((basis.centre <= prior.lower) | (basis.centre >= prior.upper)).any())
    if edge or not mode.converged or np.abs(distance).max() > FARTHEST:
        where = (
            "is smallest at an edge of the prior" if edge else "has no minimum near the first step"
        )
        warnings.warn(
            f"the criterion {where}: what the regions are to cover is where the search ended, "
            f"params={basis.centre}. The moments hardly determine the parameters; use "
            "quasi_likelihood='two-step', or fewer parameters",
            CalibrationWarning,
            stacklevel=4,
        )


def _fixed_roots(
    model: UserMoments,
    options: MomentOptions,
    found: _Estimate,
    drawn: Bootstrap,
    covariance: ReplicatedCovariance,
    memory_limit: int,
) -> tuple[FloatArray | None, NDArray[np.intp]]:
    """Inverses of lower factors of S, None where it moves, and the replications that have one."""
    everyone = np.arange(drawn.replications)
    if options.quasi_likelihood != "two-step":
        return None, everyone
    if options.weight_matrix is not None:
        root = np.linalg.inv(np.linalg.cholesky(found.inverse_weight))
        return np.broadcast_to(root, (drawn.replications, *root.shape)), everyone
    target = found.posterior.target
    given = model._first_step_weight
    k = model._function.k
    infinite = np.full(k, np.inf)

    def first_weight(row_weights: FloatArray) -> FloatArray:
        if given is not None:
            return model._first_step
        instrument = model.arrays.instrument
        return first_step_covariance(model._function, model.start_params, instrument, row_weights)

    first = FirstStep(
        model._function,
        model._one_step,
        np.linalg.norm(found.posterior.basis.regressor_map, axis=1),
        -infinite if model.prior.lower is None else model.prior.lower,
        infinite if model.prior.upper is None else model.prior.upper,
        target.relative_step,
        first_weight,
    )
    return roots_at_first_steps(first, drawn, covariance, memory_limit)


def _score_product(
    model: UserMoments,
    options: MomentOptions,
    found: _Estimate,
    dependence: Dependence | None,
) -> FloatArray:
    weighted = np.linalg.solve(found.inverse_weight, found.slope)
    own = model._covariance(options.rule, dependence)(found.moments, found.mean)
    return np.asarray(model._function.n * weighted.T @ own @ weighted)
