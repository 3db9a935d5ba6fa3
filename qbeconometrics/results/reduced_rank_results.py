"""Results of a reduced-rank regression: coefficients, and the space that they look at."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from qbeconometrics.diagnostics.convergence import check_probability
from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.results.posterior_results import PosteriorResults
from qbeconometrics.results.prediction import prediction_matrix
from qbeconometrics.results.reduced_rank_record import ReducedRankRecord
from qbeconometrics.stiefel.subspaces import principal_angles, procrustes, projections

FloatArray = NDArray[np.float64]


class ReducedRankResults(PosteriorResults):
    """Results of a reduced-rank regression.

    Parameters
    ----------
    model : QuasiBayesReducedRank
        The model that was fitted.
    record : FitRecord
        Draws, names and sentences of the fit.
    spaces : ReducedRankRecord
        Draws of the two factors.

    Notes
    -----
    ``params`` and what goes with it hold the elements of C, which is identified, and the
    coefficients of the controls, outcome by outcome, named "outcome:regressor". Of B only the
    column space is identified: see `projection` and `principal_angles`. `directions` and
    `loadings` are turned to agree with the leading singular vectors of the posterior mean.
    """

    title = "Quasi-Bayesian Reduced-Rank Regression Results"

    def __init__(self, model: Any, record: FitRecord, spaces: ReducedRankRecord) -> None:
        self.spaces = spaces
        super().__init__(model, record)

    @property
    def rank(self) -> int:
        """Rank of the coefficient matrix."""
        return self.spaces.rank

    @property
    def df_model(self) -> float:
        """Free coefficients, the constant not counted."""
        m, q = len(self.spaces.outcomes), len(self.spaces.regressors)
        others = len(self.spaces.controls) - int(self.model.k_constant)
        return float(self.rank * (m + q - self.rank) + m * others)

    @property
    def df_resid(self) -> float:
        """Observations less coefficients of one unrestricted equation."""
        return float(self.nobs - len(self.spaces.regressors) - len(self.spaces.controls))

    # -- the coefficient matrix and its factors -----------------------------------------------

    @property
    def coefficients(self) -> pd.DataFrame:
        """Posterior means of C: one row a regressor, one column an outcome."""
        spaces = self.spaces
        table = self.params.to_numpy().reshape(len(spaces.outcomes), -1)
        own = table[:, len(spaces.controls) :].T
        return pd.DataFrame(own, index=list(spaces.regressors), columns=list(spaces.outcomes))

    @property
    def projection(self) -> pd.DataFrame:
        """Posterior mean of B B' (q, q), for regressors divided by their standard deviations.

        Near an orthogonal projection where the data identify the space; near r / q times the
        identity where they do not.
        """
        names = list(self.spaces.regressors)
        mean = projections(self.spaces.spaces).mean(axis=(0, 1))
        return pd.DataFrame(mean, index=names, columns=names)

    def principal_angles(self, alpha: float = 0.05) -> pd.DataFrame:
        """Angles between the drawn spaces and the space of `directions`, in radians.

        Parameters
        ----------
        alpha : float
            One minus the probability of the intervals.

        Returns
        -------
        DataFrame
            Columns ``mean``, ``median``, ``lower``, ``upper``; one row an angle, the smallest
            first.
        """
        alpha = check_probability(alpha, "alpha")
        angles = principal_angles(self.spaces.spaces, self._reference)
        pooled = angles.reshape(-1, angles.shape[-1])
        lower, median, upper = np.quantile(pooled, [alpha / 2, 0.5, 1 - alpha / 2], axis=0)
        return pd.DataFrame(
            {"mean": pooled.mean(axis=0), "median": median, "lower": lower, "upper": upper},
            index=pd.RangeIndex(1, self.rank + 1, name="angle"),
        )

    @property
    def directions(self) -> pd.DataFrame:
        """Posterior means of B, for regressors divided by `exog_sds`, each draw turned.

        A factor is the sum of (regressor / `exog_sds`) times its column.
        """
        return self._factor_table(self._turned[0], self.spaces.regressors)

    @property
    def loadings(self) -> pd.DataFrame:
        """Posterior means of A in units of the outcomes, each draw turned along with B."""
        in_units = self.spaces.endog_sds[:, None] * self._turned[1]
        return self._factor_table(in_units, self.spaces.outcomes)

    @property
    def exog_sds(self) -> pd.Series:
        """Standard deviations that the controls leave of the regressors."""
        return pd.Series(self.spaces.exog_sds, index=list(self.spaces.regressors))

    # -- statsmodels' vocabulary --------------------------------------------------------------

    def predict(
        self,
        exog: ArrayLike | pd.DataFrame | Mapping[str, Any] | None = None,
        transform: bool = True,
    ) -> pd.DataFrame | FloatArray:
        """Posterior mean of the outcomes.

        Parameters
        ----------
        exog : array_like, DataFrame or dict
            With a formula: new data that hold its variables. Otherwise (or with
            ``transform=False``) a frame that has the columns ``model.exog_names`` (controls, then
            regressors), matched by name, or an array with these in order.
        transform : bool
            Whether the formula is applied to `exog`.

        Returns
        -------
        DataFrame or ndarray, shape (n_new, m)
            A DataFrame if the rows are labelled. Rows with missing values are NaN.

        Raises
        ------
        InputError
            If `exog` is missing or its columns do not match.
        """
        spaces = self.spaces
        matrix, index = prediction_matrix(
            exog,
            model=self.model,
            param_names=(*spaces.controls, *spaces.regressors),
            transform=transform,
        )
        predicted = matrix @ self.params.to_numpy().reshape(len(spaces.outcomes), -1).T
        if index is None:
            return np.asarray(predicted)
        return pd.DataFrame(predicted, index=index, columns=list(spaces.outcomes))

    def head_statistics(self) -> tuple[list[tuple[str, str]], list[str]]:
        """Rank and sizes for the head of the summary."""
        spaces = self.spaces
        most = min(len(spaces.outcomes), len(spaces.regressors))
        statistics = [
            ("Rank", f"{self.rank} of at most {most}"),
            ("Outcomes", str(len(spaces.outcomes))),
            ("Regressors", str(len(spaces.regressors))),
            ("Controls", str(len(spaces.controls))),
            ("Divergences", str(self.record.sampler_stats["divergences"])),
        ]
        return statistics, []

    def _stored_parts(self) -> dict[str, Any]:
        return {"record": self.record, "spaces": self.spaces}

    @cached_property
    def _reference(self) -> FloatArray:
        """Leading right singular vectors (q, r) of the mean of A B'."""
        spaces = self.spaces
        mean = np.einsum("cdik,cdjk->ij", spaces.loadings, spaces.spaces)
        found = np.linalg.svd(mean)[2][: self.rank].T
        largest = found[np.abs(found).argmax(axis=0), np.arange(self.rank)]
        return np.asarray(found * np.sign(largest))

    @cached_property
    def _turned(self) -> tuple[FloatArray, FloatArray]:
        """Means of B and A, each draw turned to agree with the reference."""
        B = procrustes(self.spaces.spaces, self._reference)
        turn = self.spaces.spaces.swapaxes(-1, -2) @ B
        return B.mean(axis=(0, 1)), (self.spaces.loadings @ turn).mean(axis=(0, 1))

    def _factor_table(self, values: FloatArray, names: tuple[str, ...]) -> pd.DataFrame:
        columns = [f"factor {j + 1}" for j in range(self.rank)]
        return pd.DataFrame(values, index=list(names), columns=columns)
