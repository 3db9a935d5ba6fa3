"""Quasi-Bayesian linear regression with instruments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import patsy
from numpy.typing import ArrayLike

from qbeconometrics.exceptions import FormulaError, InputError, refuse_unknown_keywords
from qbeconometrics.inputs.design import LinearDesign, check_linear_design
from qbeconometrics.inputs.formula import FormulaBlocks, build_blocks
from qbeconometrics.inputs.formula_checks import as_frame
from qbeconometrics.inputs.side_columns import complete_side_rows, side_columns
from qbeconometrics.inputs.weights import check_weight_type
from qbeconometrics.models.identification_tests import IdentifiedModel
from qbeconometrics.models.moment_sources import is_dask_frame
from qbeconometrics.moments.covariance import CovarianceRule, parse_covariance
from qbeconometrics.moments.linear import LinearMomentStatistic, ScaledRows
from qbeconometrics.priors import PriorLike
from qbeconometrics.results.iv_results import IVResults

if TYPE_CHECKING:
    from qbeconometrics.models.moment_statistic import LinearMoments

# A profile is some eighty minimisations of about fifty evaluations.
PROFILE_EVALUATIONS = 4_000

ROW_KEYWORDS = ("weights", "weight_type", "absorb")


class QuasiBayesIV(IdentifiedModel):
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

    weights : array_like, shape (n,), optional
        One positive weight a row. What it means is for `weight_type` to say.
    weight_type : {"analytic", "frequency", "probability"}, optional
        Needed with `weights`; Stata's "aweight", "fweight" and "pweight" are understood.

        * "analytic": the row is a mean of that many observations, so its error variance is
          inverse to the weight. Rows are multiplied by the root of the weight; n, and with it the
          degrees of freedom, is the number of rows. Scaling all weights changes nothing. S under
          "nonrobust" takes the variances to be as stated; under the other rules the moments are
          those of weighted rows.
        * "frequency": the row stands for that many equal rows. Everything, n, S and degrees of
          freedom, is as if they were written out. Whole numbers. Refused with "HAC", which needs
          one row a period; clusters hold all copies of a row.
        * "probability": the inverse of the probability that the row was sampled. Moments and S are
          those of "analytic", n is the number of rows, and "nonrobust" is refused.
    absorb : array_like, shape (n,) or (n, 2), optional
        One or two fixed effects, taken out of all columns (weighted, if there are weights) before
        the moments are formed. The constant goes with them. "HC1" and the degrees of freedom
        count their rank; the summary says how many rows they fit exactly. The default prior is on
        the scale of what is left. Predictions leave them out.

    Raises
    ------
    InputError
        If the data cannot be used; the message names the column or row.
    OptionError
        If `weight_type` is missing or unknown.

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
        weights: ArrayLike | None = None,
        weight_type: str | None = None,
        absorb: Any = None,
        **unknown: Any,
    ):
        known = ("endog", "exog", "instrument", "prior", "missing", *ROW_KEYWORDS)
        refuse_unknown_keywords(unknown, known, "QuasiBayesIV")
        design = check_linear_design(
            endog,
            exog,
            instrument,
            missing=missing,
            weights=weights,
            weight_type=check_weight_type(weights, weight_type),
            absorb=absorb,
        )
        self._prepare(design, prior, kept=design.kept, n_dropped=design.n_dropped)

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: Any,
        prior: PriorLike = None,
        missing: str = "drop",
        eval_env: patsy.EvalEnvironment | int = 0,
        weights: Any = None,
        weight_type: str | None = None,
        absorb: Any = None,
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
        weights : str, Series or array_like, optional
            A column of `data`, a Series with its labels, or one value for each of its rows. Rows
            without a weight are treated as `missing` says.
        weight_type : {"analytic", "frequency", "probability"}, optional
            As in `QuasiBayesIV`.
        absorb : str, list of str, Series, DataFrame or array_like, optional
            One or two columns of levels of fixed effects, given like `weights`.

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
        known = ("prior", "missing", "eval_env", *ROW_KEYWORDS)
        refuse_unknown_keywords(unknown, known, "QuasiBayesIV.from_formula")
        kind = check_weight_type(weights, weight_type)
        if not isinstance(eval_env, patsy.EvalEnvironment):
            eval_env = patsy.EvalEnvironment.capture(int(eval_env) + 1)
        if is_dask_frame(data):
            if weights is not None or absorb is not None:
                raise InputError(
                    "weights and absorb need the rows in memory: they are not for Dask data frames"
                )
            from qbeconometrics.models.moment_statistic import LinearMoments

            statistic = LinearMoments(formula, missing=missing, eval_env=eval_env)
            return cls.from_moments(statistic.update_from(data), prior=prior)
        frame = as_frame(data)
        given = {"weights": weights, "absorb": absorb}
        beside = {
            role: side_columns(values, role, frame)
            for role, values in given.items()
            if values is not None
        }
        usable = complete_side_rows(beside, missing)
        blocks = build_blocks(formula, data, missing=missing, eval_env=eval_env, usable=usable)
        kept_beside = {role: table[blocks.kept] for role, table in beside.items()}
        design = check_linear_design(
            blocks.endog, blocks.exog, blocks.instrument, weight_type=kind, **kept_beside
        )
        _refuse_endogenous_instruments(formula, blocks, design)
        model = cls.__new__(cls)
        model._prepare(
            design,
            prior,
            recipe=blocks.recipe,
            kept=blocks.kept,
            n_dropped=blocks.n_dropped,
            # For the columns of groups, which are named only when a fit is asked for.
            frame=frame.copy(deep=False),
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

    def moments_of_criterion(
        self, cov_type: str = "HC0", cov_kwds: Mapping[str, Any] | None = None
    ) -> tuple[LinearMomentStatistic, ScaledRows | None, CovarianceRule]:
        """Sums, rows and rule from which the continuously updated criterion is computed."""
        rule = parse_covariance(cov_type, cov_kwds)
        statistic, rows = self._moments(
            rule, self._dependence(rule), "cue-nodet", "auto", PROFILE_EVALUATIONS
        )
        return statistic, rows, rule


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
