"""Results of two effects on each other."""

from __future__ import annotations

import os
import warnings
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from statsmodels.base.model import Results
from statsmodels.iolib.summary import Summary

from qbeconometrics.diagnostics.convergence import check_probability
from qbeconometrics.diagnostics.overidentification import JStatistic
from qbeconometrics.diagnostics.rank_test import RankTest
from qbeconometrics.exceptions import (
    DataNeededError,
    InputError,
    WeakIdentificationWarning,
)
from qbeconometrics.online.closed_form import LABEL_AMBIGUOUS
from qbeconometrics.online.identification import RobustSet, robust_pvalues, robust_set
from qbeconometrics.online.total_effects import total_effects
from qbeconometrics.results.bidirectional_functions import FunctionsOfRegressors
from qbeconometrics.results.bidirectional_pictures import BidirectionalPictures
from qbeconometrics.results.bidirectional_record import BidirectionalRecord
from qbeconometrics.results.bidirectional_summary import build_bidirectional_summary
from qbeconometrics.results.storage import save_results

FloatArray = NDArray[np.float64]

PARAMS = ("b12", "b21")


class OnlineBidirectionalResults(FunctionsOfRegressors, BidirectionalPictures, Results):  # type: ignore[misc]
    """Estimates of y1 = b12 y2 + f1(x) + e1, y2 = b21 y1 + f2(x) + e2.

    Parameters
    ----------
    model : OnlineBidirectional
    record : BidirectionalRecord

    Notes
    -----
    The effects are those with abs(b12 b21) < 1: exchanging the two errors gives the same law with
    the effects 1/b21 and 1/b12 (`other_label`).

    Where the data hardly identify the effects (`weakly_identified`), standard errors and intervals
    are NaN and `robust_set` says what is known. Where b12 b21 is within three standard errors of
    -1 (`label_ambiguous`) the two labels cannot be told apart, and they are NaN too.
    """

    def __init__(self, model: Any, record: BidirectionalRecord) -> None:
        self.record = record
        self._robust_sets: dict[float, RobustSet] = {}
        super().__init__(model, self._label(record.estimate.params))

    def __repr__(self) -> str:
        first, second = self.record.endog_names
        return (
            f"<OnlineBidirectionalResults: {second} on {first} {self.b12:.4g}, {first} on "
            f"{second} {self.b21:.4g}, {self.record.method}, {self.nobs:,} rows>"
        )

    # -- effects ------------------------------------------------------------------------------

    @property
    def b12(self) -> float:
        """Effect of y2 on y1."""
        return float(self.record.estimate.params[0])

    @property
    def b21(self) -> float:
        """Effect of y1 on y2."""
        return float(self.record.estimate.params[1])

    @property
    def nobs(self) -> int:
        """Rows that the estimate averages over."""
        return self.record.nobs

    @property
    def llf(self) -> float:
        """Gaussian quasi-log-likelihood of the rows of the estimate.

        Means and variances had not seen the rows, unless the method is "two-pass": the larger value
        speaks for its features or bandwidth.
        """
        return self.record.log_likelihood * self.nobs

    @property
    def other_label(self) -> pd.Series:
        """The effects if the two errors are exchanged, (1/b21, 1/b12)."""
        return self._label(np.array(self.record.estimate.other))

    def cov_params(self) -> pd.DataFrame:
        """Covariance of the effects; NaN where it is not to be trusted.

        Under "random-scaling" it holds the squares of scales, which are no variances.
        """
        covariance = self.record.covariance if self.trusted else np.full((2, 2), np.nan)
        return pd.DataFrame(covariance, index=list(PARAMS), columns=list(PARAMS))

    @property
    def bse(self) -> pd.Series:
        """Standard errors; NaN where they are not to be trusted."""
        return self._label(np.sqrt(np.diag(self.cov_params())))

    @property
    def tvalues(self) -> pd.Series:
        """Effects over standard errors."""
        return self.params / self.bse

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided, of the normal law; NaN under "random-scaling", whose law is another."""
        if self.record.path is not None:
            return self._label(np.full(2, np.nan))
        return self._label(2.0 * ndtr(-np.abs(self.tvalues.to_numpy())))

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Confidence intervals; NaN where they are not to be trusted.

        Parameters
        ----------
        alpha : float
            One minus the level; under "random-scaling" one of 0.2, 0.1, 0.05 and 0.02.

        Returns
        -------
        DataFrame
            Columns 0 and 1, rows b12 and b21.

        Raises
        ------
        OptionError
        """
        alpha = check_probability(alpha, "alpha")
        if self.record.path is not None and self.trusted:
            limits = self.record.path.conf_int(alpha)
        else:
            half = float(ndtri(1.0 - alpha / 2.0)) * self.bse.to_numpy()
            center = self.params.to_numpy()
            limits = np.column_stack([center - half, center + half])
        return pd.DataFrame(limits, index=list(PARAMS), columns=[0, 1])

    def total_effects(self) -> pd.DataFrame:
        """Effects of unit shocks once both variables have answered each other.

        Returns
        -------
        DataFrame
            One row a variable and a shock; columns "effect" and "bse". The multiplier
            1/(1 - b12 b21) is the effect of a shock on its own variable.
        """
        found = total_effects(self.record.estimate.params, self.cov_params())
        rows = [(y, f"e({e})") for y in self.record.endog_names for e in self.record.endog_names]
        return pd.DataFrame(
            {"effect": found.params.ravel(), "bse": found.bse.ravel()},
            index=pd.MultiIndex.from_tuples(rows, names=["variable", "shock"]),
        )

    # -- identification -----------------------------------------------------------------------

    @property
    def weakly_identified(self) -> bool:
        """Whether the rank statistic is at most 10 times its df, or there is no solution."""
        return self.record.identification.weakly_identified

    @property
    def label_ambiguous(self) -> bool:
        """Whether b12 b21 is less than three standard errors above -1."""
        return self.record.estimate.status == LABEL_AMBIGUOUS

    @property
    def trusted(self) -> bool:
        """Whether standard errors are given."""
        return not (self.weakly_identified or self.label_ambiguous)

    @property
    def kappa(self) -> float:
        """Identification strength E exp(g1 - g2) E exp(g2 - g1) - 1: zero if g1 - g2 is constant.

        The variances of the effects are in proportion to 1 / kappa. The estimate is biased
        upwards by some multiple of the number of features over the rows.
        """
        forward, backward = self.record.variance_ratios
        return forward * backward - 1.0

    @property
    def rank_test(self) -> RankTest:
        """Kleibergen-Paap test that the moments leave the effects unidentified."""
        return self.record.identification.rank

    def robust_set(self, alpha: float = 0.05) -> RobustSet:
        """Effects that the test of the two moments does not reject, however weak they are.

        Parameters
        ----------
        alpha : float
            One minus the level of the joint set, of which both projections are given.

        Returns
        -------
        RobustSet
            ``b12`` and ``b21``, lists of intervals.

        Raises
        ------
        OptionError
        """
        alpha = check_probability(alpha, "alpha")
        if alpha not in self._robust_sets:
            self._robust_sets[alpha] = robust_set(self.record.tested, alpha=alpha)
        return self._robust_sets[alpha]

    def robust_pvalue(self, b12: float, b21: float) -> float:
        """p-value of both effects at once, which holds however weak the identification is."""
        values = [b12, b21]
        if not all(isinstance(b, (int, float, np.number)) and np.isfinite(b) for b in values):
            raise InputError(f"b12={b12!r} and b21={b21!r} must be finite numbers")
        return float(robust_pvalues(self.record.tested, values)[0])

    def j_stat(self) -> JStatistic:
        """Test that e1 and e2 are uncorrelated whatever x is, by the constant and x.

        Returns
        -------
        JStatistic
            With ``value``, ``df`` and ``pvalue``. A common shock is rejected.

        Raises
        ------
        DataNeededError
            For a stream, which keeps two moments only, and where there is no estimate.
        """
        if self.record.overidentification is None:
            raise DataNeededError(
                "the over-identification test needs rows in memory, and an estimate: use fit"
            )
        return self.record.overidentification

    # -- learning and comparison ---------------------------------------------------------------

    @property
    def learning_curve(self) -> pd.DataFrame:
        """Effects and mean quasi-log-likelihood after so many rows of a stream.

        Raises
        ------
        DataNeededError
            For rows in memory, whose heads are not learned row by row.
        """
        if self.record.curve is None:
            raise DataNeededError("there is a learning curve of partial_fit only")
        return self.record.curve.copy()

    @cached_property
    def baselines(self) -> pd.DataFrame:
        """This estimate beside what single equations, Lewbel's and Rigobon's estimators say.

        Columns "b12", "bse_b12", "b21", "bse_b21". The baselines are there for rows in memory.
        """
        own = [self.b12, self.bse["b12"], self.b21, self.bse["b21"]]
        first = pd.DataFrame(
            [own], index=["this estimate"], columns=["b12", "bse_b12", "b21", "bse_b21"]
        )
        others = self.record.baselines
        return first if others is None else pd.concat([first, others])

    def quasi_posterior(self, prior: Any = None, **fit: Any) -> Any:
        """Draw from the quasi-posterior of both effects, given the two moments.

        Parameters
        ----------
        prior : Prior or dict of str to Prior, optional
            Of "b12" and "b21", restricted to abs(b12 b21) < 1. By default normal about zero, with
            2.5 times the ratio of the residuals' standard deviations; flat priors are refused.
        **fit
            Arguments of ``QuasiBayesGMM.fit``, such as `draws` and `rng`.

        Returns
        -------
        GMMResults

        Raises
        ------
        ImproperPosteriorError
            If a prior is flat.
        """
        return self.model._quasi_posterior(self.record, prior, fit)

    def summary(self, alpha: float = 0.05) -> Summary:
        """Tables of the estimate, for print, notebook and LaTeX.

        Parameters
        ----------
        alpha : float
            One minus the level of intervals and robust set.

        Returns
        -------
        statsmodels.iolib.summary.Summary
        """
        return build_bidirectional_summary(self, check_probability(alpha, "alpha"))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the results to a file that `qbeconometrics.load` reads, without the data.

        Parameters
        ----------
        path : str or path-like
            Replaced at once if it exists; numbers and JSON, no pickle.
        """
        save_results(self, path, {"record": self.record})

    def to_latex(self, alpha: float = 0.05) -> str:
        """Return the summary as LaTeX (needs the package booktabs)."""
        return str(self.summary(alpha=alpha).as_latex())

    def _repr_html_(self) -> str:
        return str(self.summary().as_html())

    def warn_if_unreliable(self) -> None:
        """Warn if standard errors are withheld."""
        for reason in self.reasons():
            warnings.warn(reason, WeakIdentificationWarning, stacklevel=3)

    def reasons(self) -> list[str]:
        """Why standard errors are withheld, in sentences; none if they are not."""
        if self.weakly_identified:
            why = "; ".join(self.record.identification.reasons)
            return [
                f"The effects are weakly identified: {why}. Standard errors are not given; read "
                "robust_set()."
            ]
        if self.label_ambiguous:
            one, other = self.other_label
            return [
                "b12 b21 is within three standard errors of -1, where exchanging the errors gives "
                f"an estimate as likely, b12 = {one:.4g}, b21 = {other:.4g}. Standard errors are "
                "not given."
            ]
        return []

    @staticmethod
    def _label(values: FloatArray) -> pd.Series:
        return pd.Series(values, index=list(PARAMS))
