"""Quasi-Bayesian linear regression with instruments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import patsy
from numpy.typing import ArrayLike

from qbeconometrics.diagnostics.instrument_strength import first_stage
from qbeconometrics.diagnostics.overidentification import JStatistic, j_statistic
from qbeconometrics.exceptions import FormulaError, QBEconometricsError, refuse_unknown_keywords
from qbeconometrics.inputs.design import LinearDesign, check_linear_design
from qbeconometrics.inputs.formula import FormulaBlocks, build_blocks
from qbeconometrics.inputs.formula_checks import as_frame
from qbeconometrics.models.linear_moments import LinearMomentsModel
from qbeconometrics.models.moment_sources import is_dask_frame
from qbeconometrics.models.row_weights import Dependence
from qbeconometrics.moments.covariance import CovarianceRule, parse_covariance
from qbeconometrics.priors import PriorLike
from qbeconometrics.results.iv_results import IVResults

if TYPE_CHECKING:
    from qbeconometrics.models.moment_statistic import LinearMoments

# A minimisation takes about so many evaluations with their gradients.
J_EVALUATIONS = 100


class QuasiBayesIV(LinearMomentsModel):
    """Quasi-Bayesian linear regression with instruments.

    The posterior comes from the moment conditions E[z (y - x'theta)] = 0 instead of a likelihood
    (Chernozhukov & Hong 2003, Journal of Econometrics 115; Kim 2002, Journal of Econometrics 107).

    Parameters
    ----------
    endog : array_like, shape (n,)
        Outcome.
    exog : array_like, shape (n, k)
        All regressors, the constant among them. A regressor is endogenous if it is outside the
        span of `instrument`.
    instrument : array_like, shape (n, m), optional
        The exogenous regressors and the excluded instruments, as in statsmodels' IV2SLS. None: the
        regressors are their own instruments.
    prior : Prior, dict of str to Prior, or None
        See `qbeconometrics.priors`; None is a weak normal prior on the scale of the data.
    missing : {"none", "drop", "raise"}
        What to do with rows that have NaN: refuse ("none" and "raise") or drop and count.

    Raises
    ------
    InputError
        If the data cannot be used; the message names the column or row.

    Notes
    -----
    Identifying assumption: the instruments are uncorrelated with the error, and move the endogenous
    regressors. A model is immutable: fits of one model may run at the same time in threads.

    Examples
    --------
    >>> import qbeconometrics as qb
    >>> data = qb.datasets.load("mroz1987").query("inlf == 1")
    >>> model = qb.QuasiBayesIV.from_formula(
    ...     "lwage ~ exper + expersq + [educ ~ motheduc + fatheduc]", data
    ... )
    >>> res = model.fit(draws=500, rng=0)
    >>> round(float(res.params["educ"]), 1)
    0.1
    """

    results_class = IVResults

    def __init__(
        self,
        endog: ArrayLike,
        exog: ArrayLike,
        instrument: ArrayLike | None = None,
        prior: PriorLike = None,
        missing: str = "none",
        **unknown: Any,
    ):
        known = ("endog", "exog", "instrument", "prior", "missing")
        refuse_unknown_keywords(unknown, known, "QuasiBayesIV")
        design = check_linear_design(endog, exog, instrument, missing=missing)
        self._prepare(design, prior, kept=design.kept, n_dropped=design.n_dropped)

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: Any,
        prior: PriorLike = None,
        missing: str = "drop",
        eval_env: patsy.EvalEnvironment | int = 0,
        **unknown: Any,
    ) -> QuasiBayesIV:
        """Build a model from a formula and a data frame.

        Parameters
        ----------
        formula : str
            ``"y ~ x + [d ~ z1 + z2]"``: x exogenous, d endogenous, z1 and z2 excluded instruments;
            or ``"y ~ x + d | x + z1 + z2"``: regressors, then all instruments. Without brackets and
            bar the regressors are their own instruments. Each block is patsy's, with an implicit
            intercept; inside brackets the intercept only fixes the coding of categories.
        data : DataFrame, dict of columns, or Dask DataFrame
            A Dask DataFrame is reduced to its moment statistic by its own workers; see
            `LinearMoments` for covariances other than "HC0", "HC1" and "nonrobust".
        prior : Prior, dict of str to Prior, or None
        missing : {"drop", "raise", "none"}
            Rows with a missing value in any block are dropped and counted, or refused.
        eval_env : patsy.EvalEnvironment or int
            Where functions in the formula are looked up; 0 is the caller.

        Returns
        -------
        QuasiBayesIV

        Raises
        ------
        FormulaError
            If the formula cannot be read or names an unknown column.
        InputError
            If the data cannot be used.

        Examples
        --------
        >>> import qbeconometrics as qb
        >>> data = qb.datasets.load("card1995")
        >>> model = qb.QuasiBayesIV.from_formula("lwage ~ exper + [educ ~ nearc4]", data)
        >>> model.exog_names
        ['Intercept', 'exper', 'educ']
        """
        refuse_unknown_keywords(
            unknown, ("prior", "missing", "eval_env"), "QuasiBayesIV.from_formula"
        )
        if not isinstance(eval_env, patsy.EvalEnvironment):
            eval_env = patsy.EvalEnvironment.capture(int(eval_env) + 1)
        if is_dask_frame(data):
            from qbeconometrics.models.moment_statistic import LinearMoments

            statistic = LinearMoments(formula, missing=missing, eval_env=eval_env)
            return cls.from_moments(statistic.update_from(data), prior=prior)
        blocks = build_blocks(formula, data, missing=missing, eval_env=eval_env)
        design = check_linear_design(blocks.endog, blocks.exog, blocks.instrument)
        _refuse_endogenous_instruments(formula, blocks, design)
        model = cls.__new__(cls)
        model._prepare(
            design,
            prior,
            recipe=blocks.recipe,
            kept=blocks.kept,
            n_dropped=blocks.n_dropped,
            # For the columns of groups, which are named only when a fit is asked for.
            frame=as_frame(data).copy(deep=False),
        )
        return model

    @classmethod
    def from_moments(
        cls,
        statistic: LinearMoments,
        names: Mapping[str, Any] | None = None,
        prior: PriorLike = None,
        partial_out: bool = False,
        **unknown: Any,
    ) -> QuasiBayesIV:
        """Build a model from sums over rows that need not be in memory, or on one machine.

        Parameters
        ----------
        statistic : LinearMoments
        names : dict, optional
            "endog", "exog" and "instrument", in place of the statistic's names.
        prior : Prior, dict of str to Prior, or None
        partial_out : bool
            Whether the exogenous regressors are partialled out of everything, so that only the
            coefficients of endogenous ones are left, with the excluded instruments.

        Returns
        -------
        QuasiBayesIV
            Whose `fit` takes the covariance of the statistic by default and gives the results of
            the model with all rows. What needs rows is an error that says so: `predict` without
            exog, `first_stage` under other than homoskedastic errors.

        Raises
        ------
        InputError
            If the design cannot be used, as in `QuasiBayesIV`.

        Examples
        --------
        >>> import qbeconometrics as qb
        >>> data = qb.datasets.load("card1995")
        >>> stat = qb.LinearMoments("lwage ~ exper + [educ ~ nearc4]")
        >>> stat = stat.update(data[:1500]).update(data[1500:])
        >>> qb.QuasiBayesIV.from_moments(stat).fit(quasi_likelihood="two-step", rng=0).nobs
        3010
        """
        from qbeconometrics.models.iv_without_rows import QuasiBayesIVFromMoments

        refuse_unknown_keywords(
            unknown, ("statistic", "names", "prior", "partial_out"), "from_moments"
        )
        return QuasiBayesIVFromMoments.build(statistic, names, prior, partial_out)

    def first_stage(
        self, cov_type: str = "HC0", cov_kwds: Mapping[str, Any] | None = None
    ) -> pd.DataFrame:
        """Strength of the instruments; see `qbeconometrics.diagnostics.instrument_strength`.

        Parameters
        ----------
        cov_type, cov_kwds
            As in `fit`. Lags that are selected from the data are those of the fit, selected from
            the two-stage least squares moments.

        Returns
        -------
        DataFrame
            One row an endogenous regressor, with ``partial_r2``, ``f``, ``f_robust``,
            ``effective_f``, ``cragg_donald_f``, ``kleibergen_paap_f`` and more.

        Raises
        ------
        InputError
            If no regressor is endogenous.
        """
        rule = parse_covariance(cov_type, cov_kwds)
        return self._first_stage(rule, self._dependence(rule))

    def _first_stage(self, rule: CovarianceRule, dependence: Dependence | None) -> pd.DataFrame:
        design = self.design
        exogenous = [j for j in range(design.exog.shape[1]) if j not in design.endogenous]
        return first_stage(
            design.exog[:, list(design.endogenous)],
            design.exog[:, exogenous],
            design.instrument[:, list(design.excluded)],
            endogenous_names=self.endogenous_names,
            cov_type=rule.cov_type,
            centered=rule.centered,
            weights=dependence.weights if dependence else None,
        )

    def _recorded_strength(
        self, rule: CovarianceRule, dependence: Dependence | None
    ) -> pd.DataFrame | str | None:
        """First stage for the record of a fit, or the reason why there is none.

        Under independent rows the model is asked when it is needed.
        """
        if dependence is None:
            return None
        try:
            return self._first_stage(rule, dependence)
        except QBEconometricsError as error:
            return str(error)

    def j_stat(
        self,
        weight: str = "two-step",
        cov_type: str = "HC0",
        cov_kwds: Mapping[str, Any] | None = None,
        centered: bool | None = None,
    ) -> JStatistic:
        """Hansen's J; see `qbeconometrics.diagnostics.overidentification.j_statistic`.

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
            parse_covariance("HC0", {"centered": centered})
            rule = replace(rule, centered=centered)
        criterion = "two-step" if weight == "two-step" else "cue-nodet"
        statistic, rows = self._moments(
            rule, self._dependence(rule), criterion, "auto", J_EVALUATIONS
        )
        return j_statistic(statistic, rows, rule=rule, weight=weight)


def _refuse_endogenous_instruments(
    formula: str, blocks: FormulaBlocks, design: LinearDesign
) -> None:
    """Refuse a regressor left of ``~`` in brackets that the instruments hold after all."""
    if len(blocks.recipe.infos) < 2:
        return
    k = len(design.exog_names)
    in_brackets = range(k - len(blocks.recipe.infos[1].column_names) + 1, k)
    for j in in_brackets:
        if j not in design.endogenous:
            raise FormulaError(
                f"{formula!r} calls {design.exog_names[j]!r} endogenous, but it is a combination "
                "of the instruments. Take it out of the brackets, or the instrument that equals it."
            )
