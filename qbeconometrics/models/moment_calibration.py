"""The quasi-posterior of linear moments as a problem of calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qbeconometrics.calibration.moment_problem import MomentProblem
from qbeconometrics.calibration.replicated_moments import MomentRows, two_step_criteria
from qbeconometrics.exceptions import (
    NumericalError,
    OptionError,
    refuse_unknown_keywords,
)
from qbeconometrics.models.bootstrap_arguments import BootstrapArguments
from qbeconometrics.models.calibrated_region import Functional, scaled_functional
from qbeconometrics.models.calibration_report import Calibrated
from qbeconometrics.models.fit_options import aligned_weight, check_quasi_likelihood
from qbeconometrics.models.iv_without_rows import QuasiBayesIVFromMoments
from qbeconometrics.models.linear_moments import LinearMomentsModel
from qbeconometrics.models.row_weights import Dependence
from qbeconometrics.moments.basis import MomentBasis
from qbeconometrics.moments.covariance import CovarianceRule, parse_covariance
from qbeconometrics.moments.linear import ScaledRows
from qbeconometrics.moments.row_covariance import row_covariance
from qbeconometrics.posterior.quasi_posterior import fixed_covariance, scale_prior

FloatArray = NDArray[np.float64]

FIT_OPTIONS = ("quasi_likelihood", "cov_type", "cov_kwds", "weight_matrix")
# The fewest replications with an estimate that say anything.
FEWEST = 20


@dataclass(frozen=True, slots=True, eq=False)
class MomentOptions:
    """Checked options of the fit whose learning rate is asked for."""

    rule: CovarianceRule
    weight_matrix: ArrayLike | str | None


def moment_options(model: LinearMomentsModel, fit_kwds: Mapping[str, Any]) -> MomentOptions:
    """Check `fit_kwds` for a model with linear moments.

    Raises
    ------
    OptionError
        If the quasi-posterior is none whose learning rate can be calibrated; it says what can.
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
    weight_matrix = fit_kwds.get("weight_matrix")
    given = fit_kwds.get("quasi_likelihood")
    name = check_quasi_likelihood(given, weight_matrix if given is not None else None)
    if name != "two-step":
        raise OptionError(
            f"the learning rate of quasi_likelihood={name!r} is not calibrated; that of a fixed "
            "weight is: fit_kwds={'quasi_likelihood': 'two-step'}, with or without weight_matrix"
        )
    if not model.prior.is_normal:
        raise OptionError(
            "the learning rate of moments is calibrated under normal and flat priors, under "
            "which replications have exact draws; other priors need another prior= in the model"
        )
    rule = parse_covariance(fit_kwds.get("cov_type", "HC0"), fit_kwds.get("cov_kwds"))
    return MomentOptions(rule, weight_matrix)


def calibrated_moments(
    model: LinearMomentsModel,
    options: MomentOptions,
    bootstrap: BootstrapArguments,
    *,
    region: str,
    functional: Functional | None,
    recentre: bool,
    memory_limit: int,
) -> Calibrated:
    """Return the replications of the two-step quasi-posterior of a model.

    Raises
    ------
    NumericalError
        If S is singular, or nearly no replication has an estimate.
    """
    rule = options.rule
    dependence = model._dependence(rule)
    drawn = bootstrap.draw_like(model, rule, dependence)
    model._refuse_singular_covariance(rule, dependence)
    statistic, _ = model._moments(rule, dependence, "two-step", "auto", 1)
    weight = aligned_weight(options.weight_matrix, model.instrument_names)
    S = fixed_covariance(statistic, rule, weight)
    n, k, rows = statistic.n, statistic.k, model._rows
    moment, slope = statistic.cross[:, 0] / n, statistic.cross[:, 1:] / n
    weighted = np.linalg.solve(S, slope)
    curvature = n * slope.T @ weighted
    minimum = np.asarray(np.linalg.solve(slope.T @ weighted, weighted.T @ moment))
    # x = minimum + inverse y, in which the criterion of the data has curvature one.
    factor = np.linalg.cholesky((curvature + curvature.T) / 2.0)
    inverse = np.linalg.inv(factor).T
    n_params = k + model.design.df_absorbed
    given = MomentRows(
        rows,
        rule,
        n_params,
        fixed=None if weight is None else S,
        subtracted=moment - slope @ minimum if recentre else None,
    )
    found = two_step_criteria(given, drawn, memory_limit)
    missing = drawn.replications - len(found.minimiser)
    if drawn.replications - missing < FEWEST:
        raise NumericalError(
            f"only {drawn.replications - missing} of {drawn.replications} replications of the "
            "data have an estimate: instruments, regressors or moments are collinear in the "
            'others. bootstrap="multiplier" keeps all rows; else use fewer instruments.'
        )
    gradient = slope @ inverse
    at_estimate = _covariance_at(rows, rule, dependence, n_params, minimum)
    product = np.linalg.solve(S, gradient)
    root = model._basis.regressor_map @ inverse
    estimate = model._basis.to_params(minimum)
    prior = scale_prior(model.prior, MomentBasis(estimate, root, np.eye(k)))
    problem = MomentProblem(
        inverse.T @ found.curvature @ inverse,
        (found.minimiser - minimum) @ factor,
        n * product.T @ at_estimate @ product,
        prior.precision,
        prior.mean,
        scaled_functional(functional, region, model.exog_names, estimate, root),
    )
    kind = "two-step" if weight is None else "given"
    return Calibrated(
        problem,
        root,
        model.exog_names,
        loss=f"moments: (n/2) g'Wg, {kind} W, cov_type {rule.cov_type}"
        + (", recentred" if recentre else ""),
        bootstrap=drawn.kind,
        remedy="The inverse of S as weight does not have this trouble."
        if weight is not None
        else 'region="marginal" calibrates one of them.',
        missing=missing,
    )


def _covariance_at(
    rows: ScaledRows,
    rule: CovarianceRule,
    dependence: Dependence | None,
    n_params: int,
    point: FloatArray,
) -> FloatArray:
    """S (m, m) of the data at a point."""
    residual = rows.residual - rows.regressor @ point
    if rule.cov_type == "nonrobust":
        variance = residual.var() if rule.centered else np.mean(residual**2)
        return np.asarray(variance * rows.instrument.T @ rows.instrument / len(residual))
    moments = rows.instrument * residual[:, None]
    form = row_covariance(
        rule,
        n=len(residual),
        n_params=n_params,
        weights=None if dependence is None else dependence.weights,
    )
    return form(moments, moments.mean(axis=0))
