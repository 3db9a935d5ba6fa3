"""What results of a linear model with endogenous regressors say about identification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from qbeconometrics.diagnostics.concentrated_moments import ConcentratedMoments, concentrate
from qbeconometrics.diagnostics.robust_sets import robust_pvalue, robust_set
from qbeconometrics.exceptions import OptionError
from qbeconometrics.moments.covariance import (
    COV_TYPES,
    DEPENDENT_COV_TYPES,
    SYNONYMS,
    CovarianceRule,
)
from qbeconometrics.posterior.quasi_posterior import QuasiPosterior
from qbeconometrics.posterior.resolved_prior import ResolvedPrior
from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.results.prior_results import PriorResults
from qbeconometrics.results.rebuilt_posterior import rebuild_linear_posterior


class IdentificationResults(PriorResults):
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

    def _rebuild_posterior(self, prior: ResolvedPrior) -> QuasiPosterior:
        return rebuild_linear_posterior(self, prior)

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
        None: those of the fit, if `cov_type` is too; else not centred.
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
    centered = cov_type is None and bool(record.cov_kwds.get("centered", False))
    return concentrate(
        moments,
        endogenous=[record.param_names.index(one) for one in record.endogenous_names],
        names=record.endogenous_names,
        # Kernel and groups are in the sums already.
        rule=CovarianceRule(name, centered),
    )
