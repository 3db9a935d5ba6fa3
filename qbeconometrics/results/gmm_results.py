"""Results of user-written moment conditions."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from qbeconometrics.exceptions import NumericalError, OptionError, QBEconometricsError
from qbeconometrics.posterior.resolved_prior import ResolvedPrior
from qbeconometrics.posterior.target import Posterior
from qbeconometrics.results.calibrated import CalibratedResults
from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.results.iv_results import IVResults
from qbeconometrics.results.prior_results import PriorResults
from qbeconometrics.results.reliability import LARGEST_RHAT


class LinearGMMResults(IVResults):
    """Results of linear moments; see `IVResults`."""

    title = "Quasi-Bayesian GMM Results"


class GMMResults(CalibratedResults, PriorResults):
    """Results of user-written moment conditions.

    Parameters
    ----------
    model : QuasiBayesGMM
        The model that was fitted.
    record : FitRecord
        Draws, names and sentences of the fit.
    cov_kwds : dict, optional
        As given to the fit: the record has no groups, which are rows.
    """

    title = "Quasi-Bayesian GMM Results"

    def __init__(
        self, model: Any, record: FitRecord, cov_kwds: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(model, record)
        self._cov_kwds = dict(cov_kwds or {})

    @property
    def mode_bse(self) -> pd.Series:
        """Standard errors of the normal approximation at the mode.

        Roots of the diagonal of (learning_rate n G'S^-1 G + P0)^-1, with G the derivative of the
        mean moment and P0 the precision of a normal prior: the standard errors of efficient GMM if
        the prior is flat and the learning rate 1.
        """
        assert self.record.mode_cov is not None
        return self._label(np.sqrt(np.diag(self.record.mode_cov)))

    @property
    def modes(self) -> pd.DataFrame:
        """Local maxima found from dispersed starts: one row each, best first.

        Columns are the parameters and ``log_density``, the log quasi-posterior up to a constant
        that is the same in all rows.
        """
        record = self.record
        assert record.modes is not None
        table = pd.DataFrame(record.modes, columns=list(record.param_names))
        table["log_density"] = record.mode_log_density
        return table

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
        """
        kept = self.record.j
        same = centered is None or centered == self.record.cov_kwds.get("centered")
        if kept is not None and weight == "two-step" and same:
            if isinstance(kept, str):
                raise NumericalError(kept)
            return kept
        return self.model.j_stat(
            weight=weight,
            cov_type=self.record.cov_type,
            cov_kwds=self._cov_kwds,
            centered=centered,
        )

    def _rebuild_posterior(self, prior: ResolvedPrior) -> Posterior:
        record = self.record
        # Models are immutable: the copy shares what does not depend on the width of the prior.
        model = copy.copy(self.model)
        model.prior = prior
        posterior: Posterior = model.quasi_posterior(
            quasi_likelihood=record.quasi_likelihood,
            cov_type=record.cov_type,
            cov_kwds=self._cov_kwds,
            learning_rate=record.learning_rate,
        )
        return posterior

    def predict(self, exog: Any = None, transform: bool = True) -> Any:
        """Not available: moment conditions do not say what to predict."""
        raise OptionError(
            "moment conditions do not define a prediction; compute it from res.draws or res.params"
        )

    def head_statistics(self) -> tuple[list[tuple[str, str]], list[str]]:
        """Moments, J and modes for the head of the summary, and notes on them."""
        rows, notes = self._j_statistic
        modes = self.modes
        notes = [*notes, *self._mode_notes()]
        return [("Moments", str(self.record.n_moments)), *rows, ("Modes", str(len(modes)))], notes

    def _stored_parts(self) -> dict[str, Any]:
        """The record with J, which needs the rows."""
        record = self.record
        if record.j is None and record.n_moments != len(record.param_names):
            try:
                record = replace(record, j=self.j_stat())
            except QBEconometricsError as error:
                record = replace(record, j=str(error))
        return {"record": record}

    def _mode_notes(self) -> list[str]:
        modes = self.modes
        if len(modes) < 2:
            return []
        heights = ", ".join(f"{value:.1f}" for value in modes["log_density"])
        found = f"{len(modes)} modes were found from dispersed starts, with log density {heights}"
        largest = float(np.nanmax(self.rhat())) if len(self.draws) > 1 else np.nan
        if np.isnan(largest):
            return [f"{found}; see res.modes."]
        verdict = "agree" if largest <= LARGEST_RHAT else "do not agree"
        return [f"{found}; the chains {verdict} (largest R-hat {largest:.3f}). See res.modes."]

    @cached_property
    def _j_statistic(self) -> tuple[list[tuple[str, str]], list[str]]:
        """Row of the summary's head, and a note if J could not be computed."""
        if self.record.n_moments == len(self.record.param_names):
            return [("J", "exactly identified")], []
        if self.record.j is None and not hasattr(self.model, "j_stat"):
            return [], []
        try:
            statistic = self.j_stat()
        except QBEconometricsError as error:
            return [], [f"J could not be computed: {error}"]
        degrees = int(statistic.df)
        return [(f"J (df {degrees})", f"{statistic.value:.4g} (p = {statistic.pvalue:.3f})")], []
