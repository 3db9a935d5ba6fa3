"""Tests of instruments and of endogenous coefficients, as methods of the linear models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from qbeconometrics.diagnostics.concentrated_moments import ConcentratedMoments, concentrate
from qbeconometrics.diagnostics.overidentification import JStatistic, j_statistic
from qbeconometrics.diagnostics.robust_sets import robust_pvalue, robust_set
from qbeconometrics.diagnostics.specification_tests import (
    CStatistic,
    c_statistic,
    endogeneity_tests,
)
from qbeconometrics.exceptions import (
    IdentificationError,
    InputError,
    OptionError,
    QBEconometricsError,
    suggestion,
)
from qbeconometrics.models.first_stage import first_stage_of_design
from qbeconometrics.models.identification_notes import identification_notes
from qbeconometrics.models.linear_moments import LinearMomentsModel
from qbeconometrics.models.plausible_exogeneity import exclusion_sensitivity
from qbeconometrics.models.row_weights import Dependence
from qbeconometrics.moments.covariance import CovarianceRule, parse_covariance
from qbeconometrics.posterior.quasi_posterior import QuasiPosterior
from qbeconometrics.results.exclusion_sensitivity import ExclusionSensitivity
from qbeconometrics.results.first_stage_report import FirstStageReport
from qbeconometrics.sampling.run import Sample

CovKwds = Mapping[str, Any] | None

# A minimisation takes about so many evaluations with their gradients.
J_EVALUATIONS = 100


def _rule(cov_type: str, cov_kwds: CovKwds, centered: bool | None = None) -> CovarianceRule:
    rule = parse_covariance(cov_type, cov_kwds)
    if centered is None:
        return rule
    parse_covariance("HC0", {"centered": centered})
    return replace(rule, centered=centered)


class IdentifiedModel(LinearMomentsModel):
    """Linear moments with endogenous regressors; not used directly."""

    def first_stage(self, cov_type: str = "HC0", cov_kwds: CovKwds = None) -> FirstStageReport:
        """Strength of the instruments; see `qbeconometrics.diagnostics.instrument_strength`.

        Parameters
        ----------
        cov_type, cov_kwds
            As in `fit`. Lags that are selected from the data are those of the fit, selected from
            the two-stage least squares moments.

        Returns
        -------
        FirstStageReport
            A DataFrame with one row an endogenous regressor and ``partial_r2``, ``f``,
            ``f_robust``, ``effective_f``, ``cragg_donald_f``, ``kleibergen_paap_f`` and more; it
            has a ``summary()``.

        Raises
        ------
        InputError
            If no regressor is endogenous.
        """
        rule = parse_covariance(cov_type, cov_kwds)
        table = self._first_stage(rule, self._dependence(rule))
        return FirstStageReport.of(table, cov_type=rule.cov_type)

    def _first_stage(self, rule: CovarianceRule, dependence: Dependence | None) -> pd.DataFrame:
        weights = dependence.weights if dependence else None
        return first_stage_of_design(self.design, rule, weights)

    def _strength(self, rule: CovarianceRule, dependence: Dependence | None) -> pd.DataFrame | str:
        """First stage for the record of a fit, or the reason why there is none."""
        try:
            return self._first_stage(rule, dependence)
        except QBEconometricsError as error:
            return str(error)

    def j_stat(
        self,
        weight: str = "two-step",
        cov_type: str = "HC0",
        cov_kwds: CovKwds = None,
        centered: bool | None = None,
    ) -> JStatistic:
        """Hansen's J; see `qbeconometrics.diagnostics.overidentification.j_statistic`.

        Under ``cov_type="nonrobust"`` with the fixed weight it is Sargan's statistic.

        Parameters
        ----------
        weight : {"two-step", "cue"}
        cov_type, cov_kwds
            As in `fit`.
        centered : bool, optional
            Overrides ``cov_kwds["centered"]``: False divides by S of the moments as they are (the
            default of linearmodels' IVGMM), True by S with their mean taken off (that of its
            IVGMMCUE). With independent rows J_centered = J / (1 - J/n) at one estimate.
        """
        rule = _rule(cov_type, cov_kwds, centered)
        criterion = "two-step" if weight == "two-step" else "cue-nodet"
        statistic, rows = self._moments(
            rule, self._dependence(rule), criterion, "auto", J_EVALUATIONS
        )
        return j_statistic(statistic, rows, rule=rule, weight=weight)

    def overid_tests(self, cov_type: str = "HC0", cov_kwds: CovKwds = None) -> pd.DataFrame:
        """Tests of the over-identifying restrictions, with both conventions of centring.

        Parameters
        ----------
        cov_type, cov_kwds
            As in `fit`, for the J statistics; "centered" is ignored, since both are given.

        Returns
        -------
        DataFrame
            Rows ``sargan``, ``basmann`` (both for homoskedastic errors), ``j_uncentered``,
            ``j_centered`` (two-step), ``cue_uncentered`` and ``cue_centered``; columns
            ``statistic``, ``df`` and ``pvalue``.

        Raises
        ------
        IdentificationError
            If the model is exactly identified.
        """
        n, k = self.design.nobs, self.design.exog.shape[1]
        m = self.design.instrument.shape[1]
        if m == k:
            raise IdentificationError(
                "the model is exactly identified: there are no over-identifying restrictions"
            )
        sargan = self.j_stat(cov_type="nonrobust", centered=False)
        basmann = sargan.value * (n - m - self.design.df_absorbed) / (n - sargan.value)
        tests = {"sargan": sargan, "basmann": JStatistic.of(basmann, sargan.df)}
        for weight, name in (("two-step", "j"), ("cue", "cue")):
            for centered, word in ((False, "uncentered"), (True, "centered")):
                tests[f"{name}_{word}"] = self.j_stat(weight, cov_type, cov_kwds, centered)
        table = pd.DataFrame.from_dict(tests, orient="index", columns=["statistic", "df", "pvalue"])
        return table.rename_axis("test")

    def c_stat(
        self,
        suspects: str | Sequence[str],
        cov_type: str = "HC0",
        cov_kwds: CovKwds = None,
        centered: bool | None = None,
    ) -> CStatistic:
        """Test that the suspect instruments are valid, given that the others are.

        Parameters
        ----------
        suspects : str or sequence of str
            Instruments; an exogenous regressor may be among them, and is then taken as endogenous.
        cov_type, cov_kwds
            As in `fit`.
        centered : bool, optional
            Overrides ``cov_kwds["centered"]``.

        Returns
        -------
        CStatistic
            With ``value``, ``df``, ``pvalue`` and the two J; see
            `qbeconometrics.diagnostics.specification_tests.c_statistic`.

        Examples
        --------
        >>> import qbeconometrics as qb
        >>> data = qb.datasets.load("mroz1987").query("inlf == 1")
        >>> model = qb.QuasiBayesIV.from_formula(
        ...     "lwage ~ exper + [educ ~ motheduc + fatheduc + huseduc]", data
        ... )
        >>> model.c_stat("huseduc").df
        1
        """
        names = [suspects] if isinstance(suspects, str) else list(suspects)
        for name in names:
            if name not in self.instrument_names:
                raise InputError(
                    f"{name!r} is not an instrument.{suggestion(name, self.instrument_names)} "
                    f"Instruments: {', '.join(self.instrument_names)}."
                )
        if not names:
            raise OptionError("suspects is empty: name at least one instrument")
        rule = _rule(cov_type, cov_kwds, centered)
        statistic, _ = self._moments(rule, self._dependence(rule), "two-step", "auto", 1)
        positions = [self.instrument_names.index(name) for name in names]
        return c_statistic(statistic, suspects=positions, rule=rule)

    def endogeneity_test(self, cov_type: str = "HC0", cov_kwds: CovKwds = None) -> pd.DataFrame:
        """Test that the endogenous regressors are exogenous: Wu-Hausman, Durbin, robust score.

        See `qbeconometrics.diagnostics.specification_tests.endogeneity_tests`.

        Parameters
        ----------
        cov_type, cov_kwds
            As in `fit`, for the robust score.

        Returns
        -------
        DataFrame
            Rows ``wu_hausman``, ``durbin``, ``robust_score``; columns ``statistic``, ``df``,
            ``df_denom``, ``pvalue``.
        """
        rule = parse_covariance(cov_type, cov_kwds)
        dependence = self._dependence(rule)
        return endogeneity_tests(
            self.design.endog,
            self.design.exog,
            self.design.instrument,
            endogenous=self.design.endogenous,
            rule=rule,
            weights=dependence.weights if dependence else None,
            df_absorbed=self.design.df_absorbed,
        )

    def robust_set(
        self,
        param: str,
        alpha: float = 0.05,
        cov_type: str = "HC0",
        cov_kwds: CovKwds = None,
        statistic: str = "ar",
    ) -> list[tuple[float, float]]:
        """Values of an endogenous coefficient that an Anderson-Rubin test does not reject.

        See `qbeconometrics.diagnostics.robust_sets.robust_set`.

        Parameters
        ----------
        param : str
        alpha : float
            One minus the level.
        cov_type, cov_kwds
            As in `fit`; "nonrobust" is the F test, the others are the S statistic.
        statistic : {"ar", "clr"}
            "clr", the conditional likelihood ratio, needs "nonrobust" and one endogenous regressor.

        Returns
        -------
        list of tuple of float
            Intervals, possibly none and possibly infinite.

        Examples
        --------
        >>> import qbeconometrics as qb
        >>> data = qb.datasets.load("ajr2001").query("baseco == 1")
        >>> model = qb.QuasiBayesIV.from_formula("logpgp95 ~ [avexpr ~ logem4]", data)
        >>> [(low, high)] = model.robust_set("avexpr", cov_type="nonrobust")
        >>> round(low, 3), round(high, 3)
        (0.701, 1.432)
        """
        rule = parse_covariance(cov_type, cov_kwds)
        moments = self._concentrated(rule, self._dependence(rule))
        return robust_set(moments, param, alpha=alpha, statistic=statistic)

    def robust_pvalue(
        self,
        values: Mapping[str, float] | float,
        cov_type: str = "HC0",
        cov_kwds: CovKwds = None,
    ) -> float:
        """P-value of the Anderson-Rubin test that the endogenous coefficients have these values.

        Parameters
        ----------
        values : dict of str to float, or float
            Of every endogenous regressor; a number if there is one.
        cov_type, cov_kwds
            As in `robust_set`.
        """
        rule = parse_covariance(cov_type, cov_kwds)
        return robust_pvalue(self._concentrated(rule, self._dependence(rule)), values)

    def plausibly_exogenous(
        self,
        param: str,
        tau: Sequence[float],
        instruments: Sequence[str] | str | None = None,
        alpha: float = 0.05,
        *,
        quasi_likelihood: str = "two-step",
        cov_type: str = "HC0",
        cov_kwds: CovKwds = None,
        learning_rate: float = 1.0,
        draws: int = 2000,
        tune: int = 1000,
        chains: int = 4,
        rng: Any = None,
    ) -> ExclusionSensitivity:
        """Interval of a coefficient where instruments may have small effects of their own.

        Each of the instruments enters the equation with a coefficient that is N(0, tau^2) before
        the data (following the plausibly exogenous priors of Conley, Hansen and Rossi 2012).

        Parameters
        ----------
        param : str
            The coefficient.
        tau : sequence of float
            Prior sds of the direct effects, in units of the outcome per unit of the instrument; 0
            is the usual fit.
        instruments : str or sequence of str, optional
            Excluded instruments that may have an effect; default all.
        alpha : float
            One minus the probability of the intervals.
        quasi_likelihood : {"two-step", "cue"}
            "two-step" is exact: no draws are made with a normal prior. With "cue" the effects are
            integrated out with S as if they were zero, which neglects their share in the variance
            of the residual.
        cov_type, cov_kwds, learning_rate, draws, tune, chains, rng
            As in `fit`.

        Returns
        -------
        ExclusionSensitivity
            With ``to_frame()`` and ``plot(ax=None)``.

        References
        ----------
        Conley, T. G., Hansen, C. B. and Rossi, P. E. (2012). Plausibly exogenous. Review of
        Economics and Statistics 94, 260-272.

        Examples
        --------
        >>> import qbeconometrics as qb
        >>> data = qb.datasets.load("ajr2001").query("baseco == 1")
        >>> model = qb.QuasiBayesIV.from_formula("logpgp95 ~ [avexpr ~ logem4]", data)
        >>> model.plausibly_exogenous("avexpr", [0, 0.1, 0.2]).to_frame()["sd"].round(2).tolist()
        [0.18, 0.24, 0.35]
        """
        return exclusion_sensitivity(
            self,
            param,
            tau,
            instruments=instruments,
            alpha=alpha,
            quasi_likelihood=quasi_likelihood,
            cov_type=cov_type,
            cov_kwds=cov_kwds,
            learning_rate=learning_rate,
            draws=draws,
            tune=tune,
            chains=chains,
            rng=rng,
        )

    def _concentrated(
        self, rule: CovarianceRule, dependence: Dependence | None
    ) -> ConcentratedMoments:
        """Moments of the endogenous coefficients, from the rows."""
        return concentrate(
            self._second_order,
            endogenous=self.design.endogenous,
            names=self.endogenous_names,
            rule=rule,
            rows=None if rule.cov_type == "nonrobust" else self._rows,
            weights=dependence.weights if dependence else None,
        )

    def _identification_notes(
        self,
        posterior: QuasiPosterior,
        drawn: Sample,
        rule: CovarianceRule,
        dependence: Dependence | None,
        quasi_likelihood: str,
    ) -> list[str]:
        return identification_notes(
            self,
            posterior,
            drawn,
            rule=rule,
            dependence=dependence,
            fixed_weight=quasi_likelihood == "two-step",
        )
