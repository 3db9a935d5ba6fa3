"""A user's moments and the rows they stand for: checked once, and joined to a covariance rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qbeconometrics.diagnostics.overidentification import JStatistic, nonlinear_j_statistic
from qbeconometrics.exceptions import NumericalError
from qbeconometrics.inputs.moment_arrays import MomentArrays
from qbeconometrics.models.row_weights import Dependence, RowsOfModel, resolve_dependence
from qbeconometrics.moments.covariance import CovarianceRule, parse_covariance
from qbeconometrics.moments.nonlinear import MomentFunction, check_moment_function
from qbeconometrics.moments.row_covariance import (
    RowCovariance,
    check_residual_moments,
    row_covariance,
)
from qbeconometrics.posterior.nonlinear import (
    NonlinearPosterior,
    build_nonlinear_posterior,
    check_nonlinear_propriety,
)
from qbeconometrics.posterior.parameter_search import first_step_covariance, first_step_estimate
from qbeconometrics.posterior.quasi_posterior import check_weight
from qbeconometrics.posterior.resolved_prior import ResolvedPrior

FloatArray = NDArray[np.float64]


class UserMoments:
    """What a model knows of its moment function; a part of `QuasiBayesGMM`."""

    arrays: MomentArrays
    prior: ResolvedPrior
    start_params: FloatArray
    _first_step_weight: Any

    def momcond(self, params: FloatArray) -> FloatArray:
        """Return the moments (n, m) at `params` (k,)."""
        raise NotImplementedError

    def jac(self, params: FloatArray) -> FloatArray:
        """Return the derivative (m, k) of the mean of the moments."""
        raise NotImplementedError

    @property
    def exog_names(self) -> list[str]:
        """Names of the parameters."""
        raise NotImplementedError

    @property
    def nobs(self) -> int:
        """Observations."""
        return self.arrays.n

    @property
    def _has_jac(self) -> bool:
        raise NotImplementedError

    @cached_property
    def _function(self) -> MomentFunction:
        return check_moment_function(
            self.momcond,
            self.jac if self._has_jac else None,
            start=self.start_params,
            n=self.arrays.n,
        )

    @cached_property
    def _first_step(self) -> FloatArray:
        """Covariance (m, m) whose inverse is the weight of the first step."""
        function, weight = self._function, self._first_step_weight
        if weight is None:
            return first_step_covariance(function, self.start_params, self.arrays.instrument)
        checked = check_weight(weight, function.m, "first_step_weight", "moments")
        return np.asarray(np.linalg.inv(checked), dtype=np.float64)

    @cached_property
    def _one_step(self) -> FloatArray:
        """The first-step estimate (k,)."""
        return first_step_estimate(
            self._function, start=self.start_params, prior=self.prior, first_step=self._first_step
        )

    def _moments_at(self, params: FloatArray) -> FloatArray:
        with np.errstate(all="ignore"):
            found = self._function.evaluate(params)
        if found is None:
            raise NumericalError(f"the moments are not finite at params={params}")
        return found[0]

    def _dependence(self, rule: CovarianceRule) -> Dependence | None:
        """Weights of pairs of rows; None if the rule takes rows as independent."""
        if not rule.is_dependent:
            return None
        function = self._function
        rows = RowsOfModel(
            function.n,
            function.m,
            function.k,
            labels=self.arrays.row_labels,
            kept=self.arrays.kept,
            first_step="first-step",
            what_moments="moments",
            what_fewer="moments",
        )
        return resolve_dependence(rule, rows, lambda: self._moments_at(self._one_step))

    @property
    def _residual_instrument(self) -> FloatArray | None:
        """What residuals are multiplied by under "nonrobust"."""
        return self.arrays.exog if self.arrays.instrument is None else self.arrays.instrument

    def _covariance(self, rule: CovarianceRule, dependence: Dependence | None) -> RowCovariance:
        """How S is formed from the moments of all rows."""
        function, instrument = self._function, self._residual_instrument
        if rule.cov_type == "nonrobust":
            for params in (self.start_params, self._one_step):
                check_residual_moments(self._moments_at(params), instrument)
        return row_covariance(
            rule,
            n=function.n,
            n_params=function.k,
            weights=None if dependence is None else dependence.weights,
            instrument=instrument,
        )

    def _build(
        self,
        rule: CovarianceRule,
        quasi_likelihood: str,
        learning_rate: float,
        weight_matrix: ArrayLike | str | None,
    ) -> tuple[NonlinearPosterior, Dependence | None]:
        """Join checked options to the log quasi-posterior."""
        check_nonlinear_propriety(self.prior, quasi_likelihood)
        weight = None
        if weight_matrix is not None:
            weight = check_weight(weight_matrix, self._function.m, "weight_matrix", "moments")
        dependence = self._dependence(rule)
        posterior = build_nonlinear_posterior(
            self._function,
            start=self.start_params,
            rule=rule,
            quasi_likelihood=quasi_likelihood,
            learning_rate=learning_rate,
            prior=self.prior,
            first_step=self._first_step,
            weight_matrix=weight,
            covariance=self._covariance(rule, dependence),
            one_step=self._one_step,
        )
        return posterior, dependence

    def j_stat(
        self,
        weight: str = "two-step",
        cov_type: str = "HC0",
        cov_kwds: Mapping[str, Any] | None = None,
        centered: bool | None = None,
    ) -> JStatistic:
        """Hansen's J; see `qbeconometrics.diagnostics.overidentification`.

        Parameters
        ----------
        weight : {"two-step", "cue"}
        cov_type, cov_kwds
            As in `fit`.
        centered : bool, optional
            Overrides ``cov_kwds["centered"]``.
        """
        rule = parse_covariance(cov_type, cov_kwds)
        if centered is not None:
            rule = replace(rule, centered=centered)
        return nonlinear_j_statistic(
            self._function,
            start=self.start_params,
            rule=rule,
            prior=self.prior,
            first_step=self._first_step,
            weight=weight,
            covariance=self._covariance(rule, self._dependence(rule)),
            one_step=self._one_step,
        )
