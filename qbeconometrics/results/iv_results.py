"""Results of instrumental-variable regressions."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import pandas as pd

from qbeconometrics.diagnostics.criterion_profile import criterion_profile
from qbeconometrics.diagnostics.overidentification import JStatistic, j_statistic
from qbeconometrics.exceptions import InputError, NumericalError, OptionError, QBEconometricsError
from qbeconometrics.moments.covariance import CovarianceRule, parse_covariance
from qbeconometrics.results.calibrated import CalibratedResults
from qbeconometrics.results.first_stage_report import FirstStageReport
from qbeconometrics.results.identification import IdentificationResults
from qbeconometrics.results.iv_pictures import (
    PROFILE_POINTS,
    first_stage_picture,
    profile_grid,
    profile_picture,
)
from qbeconometrics.results.reliability import (
    Finding,
    InstrumentStrength,
    instrument_strength,
    weak_instrument_findings,
)

# Larger sums, which only the continuously updated J and profile need, are left out of files.
MOST_STORED_BYTES = 2**26


class IVResults(CalibratedResults, IdentificationResults):
    """Results of an instrumental-variable regression.

    Parameters
    ----------
    model : QuasiBayesIV
        The model that was fitted.
    record : FitRecord
        Draws, names and sentences of the fit.
    """

    title = "Quasi-Bayesian IV Regression Results"

    def first_stage(self) -> FirstStageReport:
        """Strength of the instruments under the covariance of the fit.

        Returns
        -------
        FirstStageReport
            A DataFrame with one row an endogenous regressor, which has a ``summary()``.
        """
        return FirstStageReport.of(self._first_stage, cov_type=self.record.cov_type)

    def j_stat(self, weight: str = "two-step", centered: bool | None = None) -> Any:
        """Test of the over-identifying restrictions under the covariance of the fit.

        Parameters
        ----------
        weight : {"two-step", "cue"}
            Which criterion is minimised; prior and determinant are left out.
        centered : bool, optional
            Whether the moments are centred in the weight; None follows the fit.

        Returns
        -------
        object
            With ``value``, ``df`` and ``pvalue``.

        Raises
        ------
        OptionError
            If a fit with a fixed weight, whose rows may be correlated, did not keep what "cue"
            needs.
        DataNeededError
            If results that were loaded from a file did not keep it.
        """
        if self._moments_suffice(weight):
            return self._j_from_moments(weight, centered)
        return self.model.j_stat(
            weight=weight,
            cov_type=self.record.cov_type,
            cov_kwds=self.record.cov_kwds,
            centered=centered,
        )

    def criterion_profile(self, param: str, points: int = PROFILE_POINTS) -> pd.DataFrame:
        """Criterion n g'S^-1 g of a parameter, minimised over the others; no prior.

        Parameters
        ----------
        param : str
        points : int

        Returns
        -------
        DataFrame
            Columns ``cue`` (S updated with the coefficients) and ``two-step``, one row a value of
            the parameter, over its posterior.

        Raises
        ------
        InputError
            If `param` is no parameter.
        OptionError, DataNeededError
            As by ``j_stat("cue")``.
        """
        grid = profile_grid(self, param, points)
        place = self.record.param_names.index(param)
        if self._moments_suffice("cue"):
            statistic, rows, rule = self.record.moments, None, self._rule_of_moments("cue")
        else:
            statistic, rows, rule = self.model.moments_of_criterion(
                self.record.cov_type, self.record.cov_kwds
            )
        assert statistic is not None
        columns = {
            weight: criterion_profile(
                statistic, rows, rule=rule, place=place, grid=grid.to_numpy(), weight=weight
            )
            for weight in ("cue", "two-step")
        }
        return pd.DataFrame(columns, index=grid)

    def plot_profile(
        self, param: str, alpha: float = 0.05, points: int = PROFILE_POINTS, ax: Any = None
    ) -> Any:
        """Draw `criterion_profile` with the critical value of chi-squared(1) above its minimum.

        Under weak identification the continuously updated criterion is flat on some side.

        Parameters
        ----------
        param : str
        alpha : float
            Level of the critical value.
        points : int
        ax : Axes, optional

        Returns
        -------
        Axes
        """
        return profile_picture(self, param, alpha, points, ax)

    def plot_first_stage(self, regressor: str | None = None, ax: Any = None) -> Any:
        """Draw an endogenous regressor against what the excluded instruments say of it.

        Controls are partialled out of both; white dots are means of bins of about as many rows.

        Parameters
        ----------
        regressor : str, optional
            Needed if there are several.
        ax : Axes, optional

        Returns
        -------
        Axes

        Raises
        ------
        DataNeededError
            If the results were loaded from a file: rows are drawn.
        """
        return first_stage_picture(self, regressor, ax)

    def findings(self) -> list[Finding]:
        """What makes the results unreliable: warning class and sentence, in the summary too."""
        return super().findings() + weak_instrument_findings(self._strength[0])

    def head_statistics(self) -> tuple[list[tuple[str, str]], list[str]]:
        """J and first-stage F for the head of the summary, and notes on what is missing there."""
        rows, notes = self._j_statistic
        strength, reason = self._strength
        if strength is not None:
            label = strength.statistic[0].upper() + strength.statistic[1:]
            rows = [*rows, (label, f"{strength.value:.4g}")]
        return rows, [*notes, *([reason] if reason else [])]

    def _stored_parts(self) -> dict[str, Any]:
        """The record, without sums that would make the file large."""
        moments = self.record.moments
        if moments is None or moments.fourth is None or moments.fourth.nbytes <= MOST_STORED_BYTES:
            return {"record": self.record}
        return {"record": replace(self.record, moments=replace(moments, fourth=None))}

    def _moments_suffice(self, weight: str) -> bool:
        """Whether J is computed from the sums of the record, without asking the model."""
        moments, cov_type = self.record.moments, self.record.cov_type
        if moments is None:
            return False
        # Under correlated rows nothing but the sums has the groups.
        return weight != "cue" or moments.fourth is not None or cov_type not in ("HC0", "HC1")

    def _j_from_moments(self, weight: str, centered: bool | None) -> JStatistic:
        rule = self._rule_of_moments(weight, centered)
        assert self.record.moments is not None
        return j_statistic(self.record.moments, None, rule=rule, weight=weight)

    def _rule_of_moments(self, weight: str, centered: bool | None = None) -> CovarianceRule:
        """The rule that the sums of the record are for."""
        moments = self.record.moments
        assert moments is not None
        options = {"centered": self.record.cov_kwds["centered"] if centered is None else centered}
        # Kernel and groups are in the sums already.
        rule = replace(parse_covariance("HC0", options), cov_type=self.record.cov_type)
        if weight == "cue" and moments.fourth is None and rule.is_dependent:
            raise OptionError(
                "weight='cue' needs sums that a fit with quasi_likelihood='two-step' does not keep "
                f"under cov_type={rule.cov_type!r}; call j_stat of the model with the same "
                "cov_type and cov_kwds"
            )
        return rule

    @cached_property
    def _first_stage(self) -> pd.DataFrame:
        if isinstance(self.record.strength, str):
            kind = NumericalError if self.record.endogenous_names else InputError
            raise kind(self.record.strength)
        if self.record.strength is not None:
            return self.record.strength
        table: pd.DataFrame = self.model.first_stage(
            cov_type=self.record.cov_type, cov_kwds=self.record.cov_kwds
        )
        return table

    @cached_property
    def _j_statistic(self) -> tuple[list[tuple[str, str]], list[str]]:
        """Row of the summary's head, and a note if J could not be computed."""
        surplus = len(self.record.instrument_names) - len(self.record.param_names)
        if surplus == 0:
            exactly = [("J", "exactly identified")] if self.record.endogenous_names else []
            return exactly, []
        if self.record.moments is None and not hasattr(self.model, "j_stat"):
            return [], []
        try:
            statistic = self.j_stat()
        except QBEconometricsError as error:
            return [], [f"J could not be computed: {error}"]
        degrees = int(statistic.df)
        return [(f"J (df {degrees})", f"{statistic.value:.4g} (p = {statistic.pvalue:.3f})")], []

    @cached_property
    def _strength(self) -> tuple[InstrumentStrength | None, str]:
        """First-stage F (None without endogenous regressors), and why it is missing."""
        if not self.record.endogenous_names:
            return None, ""
        if self.record.strength is None and not hasattr(self.model, "first_stage"):
            return None, ""
        try:
            return instrument_strength(self._first_stage), ""
        except QBEconometricsError as error:
            return None, f"The first stage could not be computed: {error}"
