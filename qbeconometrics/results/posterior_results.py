"""Results classes: labelled posterior summaries of one fit."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri
from statsmodels.base.model import Results
from statsmodels.iolib.summary import Summary

from qbeconometrics.diagnostics import convergence
from qbeconometrics.diagnostics.credible_intervals import eti, hdi
from qbeconometrics.diagnostics.multivariate_ess import MultivariateEss, multivariate_ess
from qbeconometrics.exceptions import NumericalError, check_choice
from qbeconometrics.results import probability
from qbeconometrics.results.exported import Exported
from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.results.pictured import Pictured
from qbeconometrics.results.prediction import prediction_matrix
from qbeconometrics.results.reliability import (
    Finding,
    convergence_findings,
    sampler_findings,
)
from qbeconometrics.results.summary_tables import build_summary

FloatArray = NDArray[np.float64]


class PosteriorResults(Pictured, Exported, Results):  # type: ignore[misc]
    """Posterior draws of one fit and what is read from them.

    Parameters
    ----------
    model : Model
        The model that was fitted. Only its names and methods are used: results hold no rows.
    record : FitRecord
        Draws, names and sentences of the fit.

    Notes
    -----
    Where the quasi-posterior is exactly normal (sampler ``"independent"``), ``params``, ``bse``,
    ``cov_params``, ``median``, ``quantile``, ``conf_int`` and ``prob`` of a single inequality are
    computed from its mean and covariance; elsewhere from the draws, pooled over chains. Where the
    posterior mean or variance does not exist, ``params`` or ``bse`` are NaN: use ``median`` and
    ``conf_int``.
    """

    title = "Quasi-Bayesian Regression Results"

    def __init__(self, model: Any, record: FitRecord) -> None:
        self.record = record
        super().__init__(model, self._label(_posterior_mean(record)))

    # -- location and spread ------------------------------------------------------------------

    @cached_property
    def bse(self) -> pd.Series:
        """Posterior standard deviations; NaN where the variance does not exist."""
        return self._label(_posterior_sd(self.record))

    @cached_property
    def median(self) -> pd.Series:
        """Posterior medians."""
        return self._label(self._quantiles([0.5])[0])

    @property
    def mode(self) -> pd.Series:
        """Where the quasi-posterior is highest."""
        return self._label(self.record.mode)

    @property
    def draws(self) -> FloatArray:
        """All draws, shape (chain, draw, parameter)."""
        return self.record.draws

    def cov_params(self) -> pd.DataFrame:
        """Posterior covariance matrix of the coefficients."""
        record, names = self.record, list(self.record.param_names)
        k = len(names)
        if not all(record.moments_exist) or record.draws[..., 0].size < 2:
            covariance = np.full((k, k), np.nan)
        elif record.exact_cov is not None:
            covariance = record.exact_cov.copy()
        else:
            covariance = np.cov(record.draws.reshape(-1, k), rowvar=False).reshape(k, k)
        return pd.DataFrame(covariance, index=names, columns=names)

    def quantile(self, q: float | Sequence[float] | FloatArray) -> pd.Series | pd.DataFrame:
        """Posterior quantiles.

        Parameters
        ----------
        q : float or sequence of float
            Probabilities strictly between 0 and 1.

        Returns
        -------
        Series or DataFrame
            A Series over parameters for a number; for a sequence a DataFrame with one row a
            probability and one column a parameter, as in pandas.

        Raises
        ------
        OptionError
            If a probability is not between 0 and 1.
        """
        if np.ndim(q) == 0:
            level = convergence.check_probability(q, "q")  # type: ignore[arg-type]
            return self._label(self._quantiles([level])[0]).rename(level)
        levels = [convergence.check_probability(value, "q") for value in q]  # type: ignore[union-attr]
        return pd.DataFrame(
            self._quantiles(levels), index=levels, columns=list(self.record.param_names)
        )

    def conf_int(self, alpha: float = 0.05, method: str = "eti") -> pd.DataFrame:
        """Credible intervals.

        Parameters
        ----------
        alpha : float
            One minus the probability of the interval.
        method : {"eti", "hdi"}
            Equal-tailed, or the narrowest single interval. They are the same where the
            quasi-posterior is exactly normal.

        Returns
        -------
        DataFrame
            Columns 0 and 1, one row a parameter.

        Raises
        ------
        OptionError
            If `alpha` is not between 0 and 1 or `method` is unknown.
        """
        alpha = convergence.check_probability(alpha, "alpha")
        check_choice(method, ["eti", "hdi"], "method")
        if self.record.exact:
            ends = self._quantiles([alpha / 2, 1 - alpha / 2]).T
        else:
            ends = (eti if method == "eti" else hdi)(self.record.draws, 1 - alpha)
        return pd.DataFrame(ends, index=list(self.record.param_names))

    def prob(self, statement: str) -> float:
        """Posterior probability of linear inequalities.

        Parameters
        ----------
        statement : str
            Such as ``"educ > 0.1"`` or ``"0 < educ < 0.2 and exper + 2*expersq > 0"``. All parts
            must hold. A name with odd characters may be quoted: ``Q("C(region)[T.2]")``.

        Returns
        -------
        float
            Share of the draws; for one inequality under an exactly normal quasi-posterior the
            normal probability.

        Raises
        ------
        InputError
            If a name is no parameter.
        OptionError
            If the statement is an equality or not linear.
        """
        record = self.record
        found = probability.parse_inequalities(statement, record.param_names)
        if record.exact_mean is not None and record.exact_cov is not None and len(found) == 1:
            return probability.normal_probability(
                found[0], mean=record.exact_mean, covariance=record.exact_cov
            )
        return probability.probability_from_draws(found, record.draws)

    # -- the chains ---------------------------------------------------------------------------

    def ess(self) -> pd.DataFrame:
        """Effective sample sizes of each parameter, columns ``bulk`` and ``tail``."""
        return self._ess.copy()

    def rhat(self) -> pd.Series:
        """Rank-normalised split R-hat; NaN for a constant parameter and for a single chain."""
        return self._rhat.copy()

    def mess(self) -> float:
        """Multivariate effective sample size; NaN where it cannot be had (see the summary)."""
        return self._multivariate_ess.value

    def mcse(self) -> pd.DataFrame:
        """Monte Carlo standard errors, columns ``mean``, ``sd``, ``median``; 0 where exact.

        NaN for mean and sd where the posterior variance does not exist.
        """
        draws, names = self.record.draws, list(self.record.param_names)
        if self.record.exact:
            return pd.DataFrame(0.0, index=names, columns=["mean", "sd", "median"])
        columns = {
            "mean": convergence.mean_mcse(draws),
            "sd": convergence.sd_mcse(draws),
            "median": convergence.quantile_mcse(draws, 0.5),
        }
        table = pd.DataFrame(columns, index=names)
        if not all(self.record.moments_exist):
            table[["mean", "sd"]] = np.nan
        return table

    @property
    def sampler_stats(self) -> dict[str, Any]:
        """Acceptance rates (one number a chain), seconds, evaluations."""
        return dict(self.record.sampler_stats)

    # -- statsmodels' vocabulary --------------------------------------------------------------

    @property
    def nobs(self) -> int:
        """Number of observations."""
        return self.record.nobs

    @property
    def df_model(self) -> float:
        """Number of coefficients, the constant not counted."""
        return float(len(self.record.param_names) - int(getattr(self.model, "k_constant", 0)))

    @property
    def df_resid(self) -> float:
        """Observations less coefficients, absorbed ones among them."""
        return float(self.record.nobs - len(self.record.param_names) - self.record.df_absorbed)

    @property
    def tvalues(self) -> pd.Series:
        """NaN: a posterior has no t statistics. Use ``prob`` or ``conf_int``."""
        return self._label(np.full(len(self.record.param_names), np.nan))

    @property
    def pvalues(self) -> pd.Series:
        """NaN: a posterior has no p-values. Use ``prob``, such as ``prob("educ > 0")``."""
        return self._label(np.full(len(self.record.param_names), np.nan))

    @property
    def llf(self) -> float:
        """Not available: a quasi-posterior has no likelihood."""
        raise AttributeError(
            "There is no log likelihood: a quasi-posterior is built from moment conditions, "
            "not from a density of the data."
        )

    def predict(
        self,
        exog: ArrayLike | pd.DataFrame | Mapping[str, Any] | None = None,
        transform: bool = True,
    ) -> pd.Series | FloatArray:
        """Posterior mean of ``exog @ beta``.

        Parameters
        ----------
        exog : array_like, DataFrame or dict
            With a formula: new data that hold its variables. Otherwise (or with
            ``transform=False``) a frame that has the regressors among its columns, matched by
            name, or an array with the regressors in order.
        transform : bool
            Whether the formula is applied to `exog`.

        Returns
        -------
        Series or ndarray
            One number a row; a Series if the rows are labelled. Rows with missing values are NaN.

        Raises
        ------
        InputError
            If `exog` is missing or its columns do not match.
        NumericalError
            If the posterior mean does not exist.
        """
        if not self.record.moments_exist[0]:
            raise NumericalError(
                "The posterior mean does not exist, so there is no mean prediction. "
                "Multiply the regressors by res.median instead."
            )
        matrix, index = prediction_matrix(
            exog, model=self.model, param_names=self.record.param_names, transform=transform
        )
        predicted = matrix @ np.asarray(self.params)
        return predicted if index is None else pd.Series(predicted, index=index)

    # -- for readers and other programs -------------------------------------------------------

    def summary(self, alpha: float = 0.05) -> Summary:
        """Tables of the fit, for print, notebook and LaTeX.

        Parameters
        ----------
        alpha : float
            One minus the probability of the equal-tailed intervals.

        Returns
        -------
        statsmodels.iolib.summary.Summary
        """
        return build_summary(self, alpha=convergence.check_probability(alpha, "alpha"))

    def findings(self) -> list[Finding]:
        """What makes the results unreliable: warning class and sentence, in the summary too."""
        found = sampler_findings(self.record)
        if not self.record.exact:
            found += convergence_findings(
                draws=self.record.draws,
                param_names=self.record.param_names,
                ess=self._ess.to_numpy(),
                rhat=self._rhat.to_numpy(),
            )
        return found

    def warn_if_unreliable(self, stacklevel: int = 2) -> None:
        """Issue a warning for each finding.

        Parameters
        ----------
        stacklevel : int
            Whose line is shown: 2 is the caller of the method that calls this one.
        """
        for finding in self.findings():
            warnings.warn(finding.sentence, finding.category, stacklevel=stacklevel + 1)

    def head_statistics(self) -> tuple[list[tuple[str, str]], list[str]]:
        """Further rows for the head of the summary, and notes on what is missing there."""
        return [], []

    def __repr__(self) -> str:
        chains, draws, k = self.record.draws.shape
        return (
            f"<{type(self).__name__}: {self.record.model_name} of {self.record.endog_name!r}, "
            f"{k} parameter{'s' * (k != 1)}, {self.record.nobs} observations, "
            f"{chains} x {draws} draws by {self.record.sampler!r}>"
        )

    @cached_property
    def _ess(self) -> pd.DataFrame:
        draws = self.record.draws
        columns = {"bulk": convergence.bulk_ess(draws), "tail": convergence.tail_ess(draws)}
        return pd.DataFrame(columns, index=list(self.record.param_names))

    @cached_property
    def _rhat(self) -> pd.Series:
        return self._label(convergence.rhat(self.record.draws))

    @cached_property
    def _multivariate_ess(self) -> MultivariateEss:
        return multivariate_ess(self.record.draws)

    def _label(self, values: ArrayLike) -> pd.Series:
        return pd.Series(np.array(values, dtype=float), index=list(self.record.param_names))

    def _quantiles(self, levels: Sequence[float]) -> FloatArray:
        """Shape (level, parameter)."""
        record = self.record
        if record.exact_mean is not None and record.exact_cov is not None:
            sd = np.sqrt(np.diag(record.exact_cov))
            return np.asarray(record.exact_mean + np.outer(ndtri(np.asarray(levels)), sd))
        pooled = record.draws.reshape(-1, len(record.param_names))
        return np.quantile(pooled, levels, axis=0)


def _posterior_mean(record: FitRecord) -> FloatArray:
    if not record.moments_exist[0]:
        return np.full(len(record.param_names), np.nan)
    return record.draws.mean(axis=(0, 1)) if record.exact_mean is None else record.exact_mean


def _posterior_sd(record: FitRecord) -> FloatArray:
    if not all(record.moments_exist) or record.draws[..., 0].size < 2:
        return np.full(len(record.param_names), np.nan)
    if record.exact_cov is not None:
        return np.asarray(np.sqrt(np.diag(record.exact_cov)))
    pooled = record.draws.reshape(-1, len(record.param_names))
    return np.asarray(pooled.std(axis=0, ddof=1))
