"""Results of local projections: responses by horizon, bands, and what is read off paths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from statsmodels.iolib.summary import Summary

from qbeconometrics.diagnostics.convergence import bulk_ess, check_probability, rhat, tail_ess
from qbeconometrics.diagnostics.path_functionals import half_lives, peak_places
from qbeconometrics.exceptions import InputError, OptionError, check_choice
from qbeconometrics.plots import plot_paths
from qbeconometrics.results.calibrated import CalibratedResults
from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.results.lp_summary import build_lp_summary, path_panels
from qbeconometrics.results.path_record import PathRecord, leading_parameters
from qbeconometrics.results.path_tables import (
    beside_robust_sets,
    interval_table,
    path_table,
    ratio_table,
)
from qbeconometrics.results.reliability import (
    Finding,
    convergence_findings,
    weak_instrument_findings,
)

FloatArray = NDArray[np.float64]

RELATIONS = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}


class LPResults(CalibratedResults):
    """Results of local projections.

    Parameters
    ----------
    model : QuasiBayesLP
        The model that was fitted.
    record : FitRecord
        Draws, names and sentences of the fit.
    paths : PathRecord
        Responses, states and horizons.

    Notes
    -----
    Bands, and what is not linear in the responses (peaks, half-lives, ratios), come from whole
    drawn paths: quantiles of sums are not sums of quantiles.
    """

    title = "Quasi-Bayesian Local Projections"

    def __init__(self, model: Any, record: FitRecord, paths: PathRecord) -> None:
        self.paths = paths
        super().__init__(model, record)

    # -- responses and bands ------------------------------------------------------------------

    @property
    def irf(self) -> pd.DataFrame:
        """Responses by horizon, as plotted: `irf_table` at alpha = 0.10 with sup-t bands."""
        return self.irf_table()

    def irf_table(
        self, alpha: float = 0.10, method: str = "sup-t", family: str = "path"
    ) -> pd.DataFrame:
        """Responses by horizon with pointwise intervals and simultaneous bands.

        Parameters
        ----------
        alpha : float
            One minus the probability of intervals and bands.
        method : {"sup-t", "quantile", "bonferroni", "sidak"}
            See `qbeconometrics.diagnostics.simultaneous_bands.simultaneous_band`.
        family : {"path", "all"}
            What a band holds at once: the path of one response in one state, or all of them.

        Returns
        -------
        DataFrame
            Columns ``mean``, ``sd``, ``median``, ``lower``, ``upper`` (equal-tailed),
            ``band_lower``, ``band_upper``; one row a horizon, responses and states as outer
            levels where there are several.
        """
        record = self.paths_only.record
        return self._table(
            self._pooled, alpha, method, family, mean=record.exact_mean, covariance=record.exact_cov
        )

    def simultaneous_band(
        self, alpha: float = 0.10, method: str = "sup-t", family: str = "path"
    ) -> pd.DataFrame:
        """Bands that hold whole paths with probability 1 - alpha; columns 0 and 1.

        Parameters
        ----------
        alpha, method, family
            As in `irf_table`. For "sup-t" and "quantile" ``attrs`` holds the critical values and
            the calibrated pointwise probabilities, one a band.
        """
        table = self.irf_table(alpha, method, family)
        band = table[["band_lower", "band_upper"]].set_axis([0, 1], axis=1)
        band.attrs = dict(table.attrs)
        return band

    def cumulative(
        self, alpha: float = 0.10, method: str = "sup-t", family: str = "path"
    ) -> pd.DataFrame:
        """Responses added up from the first horizon on, from cumulated draws.

        Parameters
        ----------
        alpha, method, family
            As in `irf_table`, which says what the columns are.

        Raises
        ------
        OptionError
            If the responses are cumulative already.
        """
        if self.paths.kind in ("cumulative", "multiplier"):
            raise OptionError(f"the responses are {self.paths.kind} already; see irf_table")
        P, H = self.paths.n_paths, len(self.paths.horizons)
        C = np.kron(np.eye(P), np.tril(np.ones((H, H))))
        record = self.paths_only.record
        mean = None if record.exact_mean is None else C @ record.exact_mean
        covariance = None if record.exact_cov is None else C @ record.exact_cov @ C.T
        return self._table(
            self._pooled @ C.T, alpha, method, family, mean=mean, covariance=covariance
        )

    def ratio(
        self, numerator: str, denominator: str, alpha: float = 0.10, method: str = "quantile"
    ) -> pd.DataFrame:
        """Cumulated response of one variable over that of another, such as a multiplier.

        Parameters
        ----------
        numerator, denominator : str
            Names of two responses of the same fit.
        alpha, method
            As in `irf_table`. A ratio may have no mean: read the median.

        Returns
        -------
        DataFrame
            Columns ``median``, ``lower``, ``upper``, ``band_lower``, ``band_upper`` by horizon.
        """
        alpha = check_probability(alpha, "alpha")
        above, below = (self._paths_of(name) for name in (numerator, denominator))
        ratios = np.cumsum(above, axis=2) / np.cumsum(below, axis=2)
        return ratio_table(ratios, self.paths, alpha=alpha, method=method)

    # -- numbers read off paths ---------------------------------------------------------------

    def peak(self, alpha: float = 0.10, kind: str = "abs") -> pd.DataFrame:
        """Value and horizon of the peak of each path.

        Parameters
        ----------
        alpha : float
        kind : {"abs", "max", "min"}
            Largest absolute value, maximum or minimum.

        Returns
        -------
        DataFrame
            One row a path; median and equal-tailed interval of ``value`` and ``horizon``.
        """
        paths = self._cube
        places = peak_places(paths, kind)
        values = np.take_along_axis(paths, places[..., None], axis=2)[..., 0]
        horizons = np.asarray(self.paths.horizons, dtype=float)[places]
        parts = {"value": values, "horizon": horizons}
        return pd.concat(
            {name: self._interval(part, alpha) for name, part in parts.items()}, axis=1
        )

    def half_life(self, alpha: float = 0.10) -> pd.DataFrame:
        """Periods from the peak of each path until it has come down to half of it.

        Returns
        -------
        DataFrame
            Median and interval among the draws whose path comes down within the horizons, and
            ``share_reached``, how many these are.
        """
        lives = half_lives(self._cube)
        reached = ~np.isnan(lives)
        table = self._interval(lives, alpha)
        table["share_reached"] = reached.mean(axis=0)
        return table

    def area(
        self, alpha: float = 0.10, first: int | None = None, last: int | None = None
    ) -> pd.DataFrame:
        """Sum of each path over horizons from `first` to `last`.

        Returns
        -------
        DataFrame
            One row a path: median and equal-tailed interval.
        """
        inside = self.paths.horizons_between(first, last)
        return self._interval(self._cube[..., inside].sum(axis=2), alpha)

    def prob_path(
        self,
        relation: str,
        value: float = 0.0,
        *,
        horizons: Iterable[int] | None = None,
        response: str | None = None,
        state: str | None = None,
    ) -> float:
        """Posterior probability that a response is, say, negative at every horizon of a range.

        Parameters
        ----------
        relation : {"<", "<=", ">", ">="}
        value : float
        horizons : iterable of int, optional
            All by default.
        response, state : str, optional
            Needed if there are several.

        Returns
        -------
        float
            Share of the drawn paths; for other statements see `prob`.

        Examples
        --------
        >>> import numpy as np
        >>> import qbeconometrics as qb
        >>> rng = np.random.default_rng(0)
        >>> shock = rng.normal(size=300)
        >>> y = shock + 0.5 * np.append(0.0, shock[:-1]) + rng.normal(size=300)
        >>> res = qb.QuasiBayesLP(y, shock, horizon=3).fit(rng=0)
        >>> res.prob_path(">", horizons=[0, 1])
        1.0
        """
        check_choice(relation, tuple(RELATIONS), "relation")
        paths = self._paths_of(response)[:, self.paths.state_place(state)]
        places = self.paths.horizon_places(horizons)
        return float(RELATIONS[relation](paths[:, places], value).all(axis=1).mean())

    # -- instruments --------------------------------------------------------------------------

    def first_stage(self) -> pd.DataFrame:
        """Strength of the instruments, one row a horizon, under the covariance of the fit."""
        if self.paths.strength is None:
            raise InputError("There is no first stage: the shock is its own instrument.")
        return self.paths.strength.copy()

    def robust_set(self, param: str, alpha: float = 0.10) -> list[tuple[float, float]]:
        """Anderson-Rubin set of a coefficient such as ``"ip[12]"``; see the model's method."""
        sets: list[tuple[float, float]] = self.model.robust_set(
            param, alpha, cov_type=self.record.cov_type, cov_kwds=self.record.cov_kwds
        )
        return sets

    def robust_sets(self, alpha: float = 0.10) -> pd.DataFrame:
        """Anderson-Rubin sets of all responses beside their credible intervals.

        Parameters
        ----------
        alpha : float

        Returns
        -------
        DataFrame
            Rows as in `irf`; ``lower`` and ``upper`` are credible; ``robust_lower`` and
            ``robust_upper`` are the ends of ``robust_set``, a list of intervals.

        Raises
        ------
        OptionError
            If there are states.
        """
        sets = [self.robust_set(name, alpha) for name in self.paths_only.record.param_names]
        return beside_robust_sets(self.irf_table(alpha), sets)

    # -- for readers --------------------------------------------------------------------------

    @property
    def smoothing(self) -> FloatArray | None:
        """Draws of the smoothing parameters (chain, draw, path), or None."""
        return self.paths.smoothing

    def summary(self, alpha: float = 0.10, method: str = "sup-t") -> Summary:
        """Tables of the responses by horizon, with pointwise intervals and bands.

        Parameters
        ----------
        alpha, method
            As in `irf_table`.
        """
        return build_lp_summary(self.paths_only, check_probability(alpha, "alpha"), method)

    def plot(
        self,
        alpha: float = 0.10,
        method: str = "sup-t",
        *,
        compare: Mapping[str, Any] | None = None,
        titles: Mapping[str, str] | None = None,
        response_label: str = "",
        figure: Any = None,
    ) -> Any:
        """Draw the responses with pointwise intervals and simultaneous bands.

        Parameters
        ----------
        alpha, method
            As in `irf_table`.
        compare : mapping of label to array_like or result of statsmodels, optional
            Other estimates: by horizon, one column for each response, or a single path; or results
            of ``LocalProjections(...).fit()`` or ``VAR(...).fit(...).irf(...)``, read by the names
            of their variables. A vector autoregression is orthogonalised in its order, its impulse
            the instrument or the shock, and scaled so that the shock rises by one.
        titles : mapping of response to str, optional
        response_label : str
        figure : matplotlib Figure, optional

        Returns
        -------
        matplotlib.figure.Figure
        """
        level = f"{100 * (1 - check_probability(alpha, 'alpha')):g} %"
        return plot_paths(
            path_panels(self, alpha, method, compare or {}, titles or {}),
            horizon_label=f"{self.paths.frequency.capitalize()} after the shock",
            centre_label="posterior median",
            interval_label=f"{level} pointwise",
            band_label=f"{level} {method} band",
            response_label=response_label,
            figure=figure,
        )

    def findings(self) -> list[Finding]:
        """What makes the results unreliable: warning class and sentence, in the summary too."""
        found = super().findings()
        smoothing = self.paths.smoothing
        if smoothing is not None:
            names = [f"smoothing of {' '.join(path).strip()}" for path in self.paths.path_names()]
            found += convergence_findings(
                draws=smoothing,
                param_names=names[: smoothing.shape[2]],
                ess=np.column_stack([bulk_ess(smoothing), tail_ess(smoothing)]),
                rhat=np.atleast_1d(rhat(smoothing)),
            )
        found += weak_instrument_findings(self.paths.weakest_stage())
        return [*found, *self.paths.cautions]

    def predict(self, exog: Any = None, transform: bool = True) -> Any:
        """Not available: responses are differences between predictions."""
        raise OptionError("local projections trace responses and do not predict; see irf")

    def _stored_parts(self) -> dict[str, Any]:
        return {**super()._stored_parts(), "paths": self.paths}

    @cached_property
    def paths_only(self) -> LPResults:
        """These results without the controls' coefficients, if they were sampled."""
        n = len(self.paths.active)
        if len(self.record.param_names) == n:
            return self
        return type(self)(self.model, leading_parameters(self.record, n), self.paths)

    @cached_property
    def _pooled(self) -> FloatArray:
        """All draws of the responses, shape (N, response coefficient)."""
        draws = self.paths_only.record.draws
        return draws.reshape(-1, draws.shape[2])

    @property
    def _cube(self) -> FloatArray:
        """All draws, shape (N, path, horizon)."""
        return self._pooled.reshape(len(self._pooled), self.paths.n_paths, -1)

    def _paths_of(self, response: str | None) -> FloatArray:
        """Draws of one response, shape (N, state, horizon)."""
        states = len(self.paths.states)
        start = self.paths.response_place(response) * states
        return self._cube[:, start : start + states]

    def _interval(self, values: FloatArray, alpha: float) -> pd.DataFrame:
        return interval_table(values, check_probability(alpha, "alpha"), self.paths.path_index())

    def _table(self, draws: FloatArray, alpha: float, method: str, family: str, **law: Any) -> Any:
        self._warn_of_level(alpha)
        return path_table(draws, self.paths, alpha=alpha, method=method, family=family, **law)
