"""What results of a linear model with endogenous regressors say about identification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from qbeconometrics.diagnostics.concentrated_moments import ConcentratedMoments, concentrate
from qbeconometrics.diagnostics.marginal_likelihood import QuasiMarginalLikelihood
from qbeconometrics.diagnostics.robust_sets import robust_pvalue, robust_set
from qbeconometrics.exceptions import OptionError
from qbeconometrics.moments.covariance import (
    COV_TYPES,
    DEPENDENT_COV_TYPES,
    SYNONYMS,
    CovarianceRule,
)
from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.results.posterior_results import PosteriorResults
from qbeconometrics.results.prior_sensitivity import prior_sensitivity
from qbeconometrics.results.quasi_bayes_factor import (
    QuasiBayesFactor,
    marginal_likelihood_of,
    quasi_bayes_factor,
)


class IdentificationResults(PosteriorResults):
    """Weak-instrument robust sets and specification tests; a part of `IVResults`."""

    def robust_set(
        self,
        param: str,
        alpha: float = 0.05,
        cov_type: str | None = None,
        cov_kwds: Mapping[str, Any] | None = None,
        statistic: str = "ar",
    ) -> list[tuple[float, float]]:
        """Values of an endogenous coefficient that an Anderson-Rubin test does not reject.

        The prior plays no part. See `qbeconometrics.diagnostics.robust_sets.robust_set`.

        Parameters
        ----------
        param : str
            An endogenous regressor.
        alpha : float
            One minus the level.
        cov_type, cov_kwds : optional
            Default: those of the fit. "nonrobust" is the F test, the others are the S statistic.
        statistic : {"ar", "clr"}
            "clr", the conditional likelihood ratio, needs "nonrobust" and one endogenous regressor.

        Returns
        -------
        list of tuple of float
            Intervals, possibly none and possibly infinite.
        """
        moments = concentrated_of_record(self.record, cov_type, cov_kwds)
        if moments is not None:
            return robust_set(moments, param, alpha=alpha, statistic=statistic)
        return self.model.robust_set(
            param, alpha=alpha, statistic=statistic, **self._covariance(cov_type, cov_kwds)
        )

    def robust_pvalue(
        self,
        values: Mapping[str, float] | float,
        cov_type: str | None = None,
        cov_kwds: Mapping[str, Any] | None = None,
    ) -> float:
        """P-value of the Anderson-Rubin test that the endogenous coefficients have these values.

        Parameters
        ----------
        values : dict of str to float, or float
            Of every endogenous regressor; a number if there is one.
        cov_type, cov_kwds : optional
            As in `robust_set`.
        """
        moments = concentrated_of_record(self.record, cov_type, cov_kwds)
        if moments is not None:
            return robust_pvalue(moments, values)
        return self.model.robust_pvalue(values, **self._covariance(cov_type, cov_kwds))

    def overid_tests(self) -> pd.DataFrame:
        """Sargan, Basmann and J with both conventions of centring; see the model's method."""
        return self.model.overid_tests(**self._covariance(None, None))

    def c_stat(self, suspects: str | Sequence[str], centered: bool | None = None) -> Any:
        """Test that the `suspects` among the instruments are valid; see the model's method."""
        return self.model.c_stat(suspects, centered=centered, **self._covariance(None, None))

    def endogeneity_test(self) -> pd.DataFrame:
        """Wu-Hausman, Durbin and robust score tests; see the model's method."""
        return self.model.endogeneity_test(**self._covariance(None, None))

    def prior_sensitivity(
        self,
        scales: Sequence[float] = (0.5, 1.0, 2.0, 4.0),
        alpha: float = 0.05,
        method: str = "auto",
        rng: Any = 0,
    ) -> pd.DataFrame:
        """Posterior summaries with every prior sd times each of `scales`.

        See `qbeconometrics.results.prior_sensitivity.prior_sensitivity`.

        Parameters
        ----------
        scales : sequence of float
        alpha : float
            One minus the probability of the equal-tailed intervals.
        method : {"auto", "reweight", "refit"}
            "auto" reweights the draws where that is good enough, and samples anew, from the moment
            statistic, where not; the column ``method`` says which.
        rng : int, SeedSequence, BitGenerator, Generator or None
            For sampling anew.

        Returns
        -------
        DataFrame
            Indexed by ``scale`` and ``parameter``.

        Examples
        --------
        >>> import qbeconometrics as qb
        >>> data = qb.datasets.load("mroz1987").query("inlf == 1")
        >>> model = qb.QuasiBayesIV.from_formula("lwage ~ exper + [educ ~ motheduc]", data)
        >>> res = model.fit(quasi_likelihood="two-step", draws=100, rng=0)
        >>> table = res.prior_sensitivity([0.1, 1.0])
        >>> table["method"].unique().tolist()
        ['exact']
        """
        return prior_sensitivity(self, scales, alpha=alpha, method=method, rng=rng)

    def quasi_marginal_likelihood(
        self, method: str = "importance", proposals: int = 20_000, rng: Any = 0
    ) -> QuasiMarginalLikelihood:
        """Log of the integral of the quasi-likelihood over the prior, with its standard error.

        Parameters
        ----------
        method : {"importance", "bridge"}
            Importance sampling from Student-t laws and the prior, or bridge sampling between those
            and the draws. A normal quasi-posterior is integrated exactly.
        proposals : int
        rng : int, SeedSequence, BitGenerator, Generator or None

        Returns
        -------
        QuasiMarginalLikelihood
            With ``log_value``, ``se``, ``method``, ``ess`` and ``pareto_k``.

        Notes
        -----
        The quasi-likelihood is taken as the normal density of root n times the moment mean, with
        covariance S ("two-step": at the first-step estimate; "cue-nodet": without determinant, and
        then it is no density). It is not a density of the data: what is compared is how well the
        moments are met, given normal moments, after the integral over the prior. The literature
        uses such integrals to choose between models and between moments (Hong and Preston 2012;
        Inoue and Shintani 2018).

        The value depends on the width of the prior however many the data: a coefficient that is
        added with a prior ten times wider costs log 10, so that the weak default prior favours
        small models. Give priors that you would defend before comparing. The value also depends on
        the units of the outcome and of the instruments; these cancel in `quasi_bayes_factor`.

        References
        ----------
        Hong, H. and Preston, B. (2012). Bayesian averaging, prediction and nonnested model
        selection. Journal of Econometrics 167, 358-369.

        Inoue, A. and Shintani, M. (2018). Quasi-Bayesian model selection. Quantitative Economics 9,
        1265-1297.
        """
        return marginal_likelihood_of(self, method=method, proposals=proposals, rng=rng)

    def quasi_bayes_factor(
        self,
        other: PosteriorResults,
        method: str = "importance",
        proposals: int = 20_000,
        rng: Any = 0,
    ) -> QuasiBayesFactor:
        """Quasi-Bayes factor in favour of this fit against another one.

        Both need the same outcome, rows, instruments and options; the regressors and the priors may
        differ. To ask whether an instrument is valid, let it enter the equation of one of the fits:
        that frees its moment. The caveats of `quasi_marginal_likelihood` apply.

        Parameters
        ----------
        other : PosteriorResults
        method, proposals, rng
            As in `quasi_marginal_likelihood`.

        Returns
        -------
        QuasiBayesFactor
            With ``log_value``, ``se`` and ``probability``.

        Examples
        --------
        Is the father's schooling a valid instrument, given the mother's?

        >>> import qbeconometrics as qb
        >>> data = qb.datasets.load("mroz1987").query("inlf == 1")
        >>> prior = {"fatheduc": qb.priors.Normal(0, 0.05)}
        >>> valid = qb.QuasiBayesIV.from_formula("lwage ~ [educ ~ motheduc + fatheduc]", data)
        >>> free = qb.QuasiBayesIV.from_formula(
        ...     "lwage ~ fatheduc + [educ ~ motheduc]", data, prior=prior
        ... )
        >>> fits = [one.fit(quasi_likelihood="two-step", rng=0) for one in (valid, free)]
        >>> fits[0].quasi_bayes_factor(fits[1]).probability > 0.5
        True
        """
        return quasi_bayes_factor(self, other, method=method, proposals=proposals, rng=rng)

    def _covariance(
        self, cov_type: str | None, cov_kwds: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Arguments for the model: those given, else those of the fit."""
        if cov_type is not None:
            return {"cov_type": cov_type, "cov_kwds": cov_kwds}
        record = self.record
        if record.cov_type == "cluster":
            raise OptionError(
                "results hold no rows, hence no clusters: call the method of the same name of the "
                "model, with cov_type='cluster' and cov_kwds={'groups': ...}"
            )
        # The bandwidth of "andrews" is selected anew, from the same rows.
        known = ("centered", "kernel", "maxlags")
        kept = {name: value for name, value in record.cov_kwds.items() if name in known}
        return {"cov_type": record.cov_type, "cov_kwds": kept}


def concentrated_of_record(
    record: FitRecord, cov_type: str | None, cov_kwds: Mapping[str, Any] | None
) -> ConcentratedMoments | None:
    """Moments of the endogenous coefficients from the sums that a fit kept; None if it did not.

    Parameters
    ----------
    record : FitRecord
    cov_type : str or None
        None: that of the fit.
    cov_kwds : dict or None
        None: those of the fit, if the covariance is the same.
    """
    if cov_type is None and cov_kwds is not None:
        raise OptionError("cov_kwds is given without cov_type: name the covariance too")
    moments = record.moments
    if moments is None or cov_kwds is not None:
        return None
    name = record.cov_type if cov_type is None else SYNONYMS.get(cov_type, cov_type)
    same_sums = moments.dependence == (name if name in DEPENDENT_COV_TYPES else None)
    if name not in COV_TYPES or (
        name != "nonrobust" and not (same_sums and moments.fourth is not None)
    ):
        return None
    centered = name == record.cov_type and bool(record.cov_kwds.get("centered", False))
    return concentrate(
        moments,
        endogenous=[record.param_names.index(one) for one in record.endogenous_names],
        names=record.endogenous_names,
        # Kernel and groups are in the sums already.
        rule=CovarianceRule(name, centered),
    )
