"""The quasi-posterior of linear moments as a problem of calibration."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.calibration.moment_problem import MomentProblem
from qbeconometrics.calibration.replicated_moments import MomentRows, two_step_criteria
from qbeconometrics.calibration.replications import Bootstrap
from qbeconometrics.calibration.sampled_moments import SampledMomentProblem
from qbeconometrics.calibration.updated_moments import (
    UpdatedCriteria,
    from_two_step,
    updated_criteria,
)
from qbeconometrics.exceptions import (
    CalibrationWarning,
    OptionError,
    refuse_unknown_keywords,
)
from qbeconometrics.models.bootstrap_arguments import BootstrapArguments
from qbeconometrics.models.calibrated_region import Functional, scaled_functional
from qbeconometrics.models.calibration_report import Calibrated, missing_replications
from qbeconometrics.models.fit_options import aligned_weight, check_quasi_likelihood
from qbeconometrics.models.iv_without_rows import QuasiBayesIVFromMoments
from qbeconometrics.models.linear_moments import TYPICAL_EVALUATIONS, LinearMomentsModel
from qbeconometrics.models.row_weights import Dependence
from qbeconometrics.moments.basis import MomentBasis
from qbeconometrics.moments.cost import statistic_numbers
from qbeconometrics.moments.covariance import CovarianceRule, parse_covariance
from qbeconometrics.moments.linear import scale_rows
from qbeconometrics.moments.row_covariance import row_covariance
from qbeconometrics.posterior.propriety import check_propriety
from qbeconometrics.posterior.quasi_posterior import (
    build_quasi_posterior,
    fixed_covariance,
    scale_prior,
)
from qbeconometrics.posterior.resolved_prior import no_prior

FloatArray = NDArray[np.float64]

FIT_OPTIONS = ("quasi_likelihood", "cov_type", "cov_kwds", "weight_matrix")
COLLINEAR = "instruments, regressors or moments are collinear"
# Standard errors of two-stage least squares beyond which a minimum counts as running off.
FARTHEST = 100.0


@dataclass(frozen=True, slots=True, eq=False)
class MomentOptions:
    """Checked options of the fit whose learning rate is asked for."""

    quasi_likelihood: str
    rule: CovarianceRule
    weight_matrix: NDArray[Any] | str | None


@dataclass(frozen=True, slots=True, eq=False)
class Minimum:
    """Where the criterion of the data alone is smallest, and the S that it is weighted by there.

    Attributes
    ----------
    point : ndarray, shape (k,)
        In the scaled coordinates of the model.
    S : ndarray, shape (m, m)
    """

    point: FloatArray
    S: FloatArray


def moment_options(model: LinearMomentsModel, fit_kwds: Mapping[str, Any]) -> MomentOptions:
    """Check `fit_kwds` for a model with linear moments.

    Raises
    ------
    OptionError
        If the quasi-posterior is none whose learning rate can be calibrated; it says what can.
    ImproperPosteriorError
        If it has no finite integral.
    """
    refuse_unknown_keywords(fit_kwds, FIT_OPTIONS, "fit_kwds")
    if isinstance(model, QuasiBayesIVFromMoments):
        raise OptionError(
            "a calibration draws rows anew, and a model from moments holds none: build it with "
            "the rows"
        )
    if model.design.effects is not None:
        raise OptionError(
            "a learning rate is not calibrated with absorbed fixed effects, which would have to "
            "be taken out anew in each replication: take them out before, or write dummies"
        )
    weight = aligned_weight(fit_kwds.get("weight_matrix"), model.instrument_names)
    name = check_quasi_likelihood(fit_kwds.get("quasi_likelihood"), weight)
    rule = parse_covariance(fit_kwds.get("cov_type", "HC0"), fit_kwds.get("cov_kwds"))
    m, k = model.instrument.shape[1], model.exog.shape[1]
    check_propriety(model.prior, quasi_likelihood=name, rule=rule, k=k, m=m)
    return MomentOptions(name, rule, weight)


def calibrated_moments(
    model: LinearMomentsModel,
    options: MomentOptions,
    bootstrap: BootstrapArguments,
    *,
    region: str,
    functional: Functional | None,
    recentre: bool,
    memory_limit: int,
    executor: Executor | None,
) -> Calibrated:
    """Return the replications of the quasi-posterior of a model.

    Raises
    ------
    NumericalError
        If S is singular, or nearly no replication has an estimate.
    OptionError
        If the statistics of the replications need more memory.

    Warns
    -----
    CalibrationWarning
        If the criterion falls until far from the two-stage least squares estimate.
    """
    rule, design = options.rule, model.design
    dependence = model._dependence(rule)
    drawn = bootstrap.draw_like(model, rule, dependence)
    model._refuse_singular_covariance(rule, dependence)
    found = (
        _two_step_minimum(model, options, dependence)
        if options.quasi_likelihood == "two-step"
        else _updated_minimum(model, options, dependence)
    )
    S, basis = found.S, _basis_at(model, found)
    rows = scale_rows(design.endog, design.exog, design.instrument, basis)
    moments = rows.instrument * rows.residual[:, None]
    n, k = rows.regressor.shape
    given = MomentRows(
        rows,
        rule,
        k + design.df_absorbed,
        fixed=None if options.weight_matrix is None else S,
        subtracted=moments.mean(axis=0) if recentre else None,
    )
    weighted = np.linalg.solve(S, rows.instrument.T @ rows.regressor / n)
    own = _covariance_at_estimate(given, moments, dependence)
    product = n * weighted.T @ own @ weighted
    prior = scale_prior(model.prior, basis)
    values = scaled_functional(
        functional, region, model.exog_names, basis.centre, basis.regressor_map
    )
    problem: MomentProblem | SampledMomentProblem
    if options.quasi_likelihood == "two-step" and model.prior.is_normal:
        criteria = two_step_criteria(given, drawn, memory_limit)
        problem = MomentProblem(
            criteria.curvature, criteria.minimiser, product, prior.precision, prior.mean, values
        )
    else:
        problem = SampledMomentProblem(
            _criteria_to_sample(given, drawn, options, memory_limit),
            product,
            prior,
            options.quasi_likelihood == "cue",
            executor,
            values,
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


def _two_step_minimum(
    model: LinearMomentsModel, options: MomentOptions, dependence: Dependence | None
) -> Minimum:
    statistic, _ = model._moments(options.rule, dependence, "two-step", "auto", 1)
    S = fixed_covariance(statistic, options.rule, options.weight_matrix)
    moment, slope = statistic.cross[:, 0], statistic.cross[:, 1:]
    weighted = np.linalg.solve(S, slope)
    return Minimum(np.asarray(np.linalg.solve(slope.T @ weighted, weighted.T @ moment)), S)


def _updated_minimum(
    model: LinearMomentsModel, options: MomentOptions, dependence: Dependence | None
) -> Minimum:
    statistic, rows = model._moments(
        options.rule, dependence, "cue-nodet", "auto", TYPICAL_EVALUATIONS
    )
    alone = build_quasi_posterior(
        statistic,
        rows,
        rule=options.rule,
        quasi_likelihood="cue-nodet",
        learning_rate=1.0,
        prior=no_prior(model.design.exog_names),
    )
    mode = alone.find_mode()
    if not mode.converged or np.abs(mode.point).max() > FARTHEST:
        warnings.warn(
            "the continuously updated criterion has no minimum near the two-stage least squares "
            "estimate: what the regions are to cover is where the search ended. Instruments are "
            "weak; use quasi_likelihood='two-step', or robust_set",
            CalibrationWarning,
            stacklevel=4,
        )
    root, _ = alone.target.covariance_root(mode.point)
    return Minimum(mode.point, root @ root.T)


def _basis_at(model: LinearMomentsModel, found: Minimum) -> MomentBasis:
    """Coordinates whose origin is the minimum, in which the criterion has curvature one."""
    basis, n = model._basis, len(model.design.endog)
    slope = model._second_order.cross[:, 1:] / n
    factor = np.linalg.cholesky(n * slope.T @ np.linalg.solve(found.S, slope))
    return MomentBasis(
        basis.to_params(found.point),
        basis.regressor_map @ np.linalg.inv(factor).T,
        basis.instrument_map,
    )


def _criteria_to_sample(
    given: MomentRows, drawn: Bootstrap, options: MomentOptions, memory_limit: int
) -> UpdatedCriteria:
    if options.quasi_likelihood == "two-step":
        return from_two_step(two_step_criteria(given, drawn, memory_limit))
    needed = 8 * drawn.replications * statistic_numbers(given.k, given.m)
    if needed > memory_limit and given.rule.cov_type != "nonrobust":
        raise OptionError(
            f"the statistics of {drawn.replications} replications take {needed} bytes, "
            f"more than memory_limit={memory_limit}: raise it to {needed}, use fewer "
            "replications, or quasi_likelihood='two-step'"
        )
    return updated_criteria(given, drawn, memory_limit)


def remedy_in_words(options: MomentOptions) -> str:
    """Return what to do where one rate does not suit all coefficients."""
    if options.weight_matrix is not None:
        return "The inverse of S as weight does not have this trouble."
    return 'region="marginal" calibrates one of them.'


def loss_in_words(options: MomentOptions, recentre: bool) -> str:
    """Return what the rate multiplies."""
    kind = options.quasi_likelihood if options.weight_matrix is None else "given"
    recentred = ", recentred" if recentre else ""
    return f"moments: (n/2) g'Wg, {kind} W, cov_type {options.rule.cov_type}{recentred}"


def _covariance_at_estimate(
    given: MomentRows, moments: FloatArray, dependence: Dependence | None
) -> FloatArray:
    """S (m, m) of the data at the origin, where the moments are (n, m)."""
    rule, rows = given.rule, given.rows
    if rule.cov_type == "nonrobust":
        residual = rows.residual
        variance = residual.var() if rule.centered else np.mean(residual**2)
        return np.asarray(variance * rows.instrument.T @ rows.instrument / given.n)
    form = row_covariance(
        rule,
        n=given.n,
        n_params=given.n_params,
        weights=None if dependence is None else dependence.weights,
    )
    return form(moments, moments.mean(axis=0))
