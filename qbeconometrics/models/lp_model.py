"""What a model of local projections holds, and what it says without sampling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from statsmodels.base.model import Model

from qbeconometrics.diagnostics.anderson_rubin import anderson_rubin_set
from qbeconometrics.exceptions import InputError, OptionError, suggestion
from qbeconometrics.inputs.projection_design import build_projection_design
from qbeconometrics.inputs.projection_series import ProjectionSeries
from qbeconometrics.models.lp_arguments import check_model_options, settle_covariance
from qbeconometrics.models.lp_fit import (
    ProjectionPosterior,
    first_stage_by_horizon,
    two_step_posterior,
)
from qbeconometrics.moments.projection import LongRunRule, partialled_block, projection_moments
from qbeconometrics.posterior.projection_law import path_layout
from qbeconometrics.priors import PriorLike
from qbeconometrics.results.path_record import coefficient_names


class ProjectionModel(Model):  # type: ignore[misc]
    """Design, moments and coefficients of `QuasiBayesLP`, and the strength of its instruments."""

    def _prepare(
        self,
        series: ProjectionSeries,
        *,
        lags: int,
        lag_augmentation: bool,
        horizon: object,
        response: str,
        multiplier: bool,
        trend: str,
        sample: str,
        partial_out: bool,
        prior: PriorLike,
        formula: str | None,
    ) -> None:
        check_model_options(
            partial_out=partial_out,
            multiplier=multiplier,
            lag_augmentation=lag_augmentation,
            response=response,
            has_instrument=series.instrument is not None,
        )
        self.design = build_projection_design(
            series,
            horizon=horizon,
            lags=lags,
            response=response,
            multiplier=multiplier,
            trend=trend,
            sample=sample,
        )
        self.lag_augmentation, self.partial_out = lag_augmentation, partial_out
        self.formula, self.prior = formula, prior
        self.response = "multiplier" if multiplier else response
        self.moments = projection_moments(self.design)
        design = self.design
        names = coefficient_names(design.response_names, design.state_names, design.horizons)
        self.layout = path_layout(
            self.moments,
            names,
            responses=len(design.response_names),
            states=len(design.state_names),
        )
        used = design.used
        super().__init__(series.outcomes[used], series.shock[used], missing="none", hasconst=False)
        self.data.xnames, self.data.ynames = list(names), self.endog_names
        self.k_constant = 0
        # A prior that does not fit is an error here, not when the model is fitted.
        self._posterior(self._rule(None, None), 1.0, 1)

    @property
    def endog_names(self) -> str:
        """Names of the responses, joined by " + "."""
        return " + ".join(self.design.response_names)

    @property
    def exog_names(self) -> list[str]:
        """Names of the coefficients."""
        return list(self.layout.names)

    def _rule(self, cov_type: str | None, cov_kwds: Mapping[str, Any] | None) -> LongRunRule:
        return settle_covariance(
            self.design, self.moments, cov_type, cov_kwds, augmented=self.lag_augmentation
        )

    def _posterior(
        self, rule: LongRunRule, learning_rate: float, weight_iterations: int
    ) -> ProjectionPosterior:
        return two_step_posterior(
            self.moments,
            self.layout,
            rule,
            self.prior,
            learning_rate=learning_rate,
            weight_iterations=weight_iterations,
        )

    def first_stage(
        self, cov_type: str | None = None, cov_kwds: Mapping[str, Any] | None = None
    ) -> pd.DataFrame:
        """Strength of the instruments, one row a horizon; see `QuasiBayesIV.first_stage`.

        The rows differ where the shock is cumulated or each horizon has its own sample.

        Raises
        ------
        InputError
            If the shock is its own instrument.
        """
        if not self.design.has_instrument:
            raise InputError("There is no first stage: the shock is its own instrument.")
        rule = self._rule(cov_type, cov_kwds)
        return first_stage_by_horizon(self.design, self.moments, rule)

    def robust_set(
        self,
        param: str,
        alpha: float = 0.10,
        cov_type: str | None = None,
        cov_kwds: Mapping[str, Any] | None = None,
    ) -> list[tuple[float, float]]:
        """Anderson-Rubin confidence set of one coefficient.

        Parameters
        ----------
        param : str
            Such as ``"ip[12]"``.
        alpha, cov_type, cov_kwds
            As in `fit`.

        Returns
        -------
        list of tuple of float
            Intervals, possibly none and possibly infinite; they hold their level pointwise however
            weak the instruments are.

        Raises
        ------
        OptionError
            If there is no such coefficient, or there are states.
        """
        if param not in self.layout.names:
            raise OptionError(
                f"{param!r} is not a coefficient.{suggestion(param, self.layout.names)}"
            )
        if len(self.design.state_names) > 1:
            raise OptionError("an Anderson-Rubin set is for regressions with one shock, no states")
        rule = self._rule(cov_type, cov_kwds)
        place = self.layout.names.index(param)
        if not self.layout.active[place]:
            value = float(self.moments.estimate[place, 0])
            return [(value, value)]
        y, x, z = partialled_block(self.design, place)
        return anderson_rubin_set(
            y, x[:, 0], z, weights=rule.weights, alpha=alpha, factor=float(rule.factor[place]) ** 2
        )

    def predict(self, params: ArrayLike, exog: ArrayLike | None = None) -> np.ndarray:
        """Not available: responses are differences between predictions."""
        raise OptionError("local projections trace responses and do not predict")
