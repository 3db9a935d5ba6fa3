"""Results of probabilistic principal components: loadings, shares and the covariance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from statsmodels.iolib.summary import Summary

from qbeconometrics.diagnostics.convergence import check_probability
from qbeconometrics.exceptions import InputError
from qbeconometrics.results.component_record import ComponentRecord
from qbeconometrics.results.component_summary import build_component_summary
from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.results.posterior_results import PosteriorResults
from qbeconometrics.results.reliability import Finding
from qbeconometrics.results.trajectories import divergence_findings

FloatArray = NDArray[np.float64]


class ComponentResults(PosteriorResults):
    """Results of probabilistic principal components.

    Parameters
    ----------
    model : ProbabilisticPCA
        The model that was fitted.
    record : FitRecord
        Draws of the lengths, in descending order, of the noise variance, and of the share of the
        variance that the components explain.
    components : ComponentRecord
        Draws of the axes, and the variables.
    """

    title = "Probabilistic Principal Components"

    def __init__(self, model: Any, record: FitRecord, components: ComponentRecord) -> None:
        self.components = components
        super().__init__(model, record)

    @property
    def vectors(self) -> FloatArray:
        """Draws of the principal axes Q, shape (chain, draw, p, k)."""
        return self.components.vectors

    @property
    def lengths(self) -> FloatArray:
        """Draws of the lengths of loadings, shape (chain, draw, k), in descending order."""
        return self.record.draws[..., :-2]

    @property
    def loadings(self) -> FloatArray:
        """Draws of Q diag(l), shape (chain, draw, p, k); signs are those nearest to their mean."""
        return self.vectors * self.lengths[..., None, :]

    def loadings_table(self, alpha: float = 0.05) -> pd.DataFrame:
        """Posterior means and equal-tailed intervals of the loadings.

        Parameters
        ----------
        alpha : float
            One minus the probability of the intervals.

        Returns
        -------
        DataFrame
            One row a variable; columns (component, "mean" | "lower" | "upper").

        Raises
        ------
        OptionError
            If `alpha` is not between 0 and 1.
        """
        alpha = check_probability(alpha, "alpha")
        p, k = self.components.reference.shape
        pooled = self.loadings.reshape(-1, p, k)
        low, high = np.quantile(pooled, [alpha / 2, 1.0 - alpha / 2], axis=0)
        values = np.stack([pooled.mean(axis=0), low, high], axis=-1).reshape(p, 3 * k)
        columns = pd.MultiIndex.from_product([range(1, k + 1), ["mean", "lower", "upper"]])
        return pd.DataFrame(values, index=list(self.components.column_names), columns=columns)

    def explained_shares(self, alpha: float = 0.05) -> pd.DataFrame:
        """Share of the total variance that each component explains, and its interval.

        Parameters
        ----------
        alpha : float
            One minus the probability of the equal-tailed intervals.

        Returns
        -------
        DataFrame
            One row a component; columns "mean", "lower" and "upper".

        Raises
        ------
        OptionError
            If `alpha` is not between 0 and 1.
        """
        alpha = check_probability(alpha, "alpha")
        squares = self.lengths.reshape(-1, self.lengths.shape[-1]) ** 2
        noise = self.record.draws[..., -2].reshape(-1, 1)
        total = squares.sum(axis=1, keepdims=True) + len(self.components.column_names) * noise
        shares = squares / total
        low, high = np.quantile(shares, [alpha / 2, 1.0 - alpha / 2], axis=0)
        return pd.DataFrame(
            {"mean": shares.mean(axis=0), "lower": low, "upper": high},
            index=range(1, squares.shape[1] + 1),
        )

    def covariance_mean(self) -> pd.DataFrame:
        """Posterior mean of W W' + s^2 I."""
        p, k = self.components.reference.shape
        wide = self.loadings.reshape(-1, p, k).transpose(1, 0, 2).reshape(p, -1)
        mean = wide @ wide.T / (wide.shape[1] // k)
        mean += np.eye(p) * self.record.draws[..., -2].mean()
        names = list(self.components.column_names)
        return pd.DataFrame(mean, index=names, columns=names)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Not for components.

        Raises
        ------
        InputError
        """
        raise InputError("components have no regressors: see covariance_mean and loadings_table")

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
        return build_component_summary(self, check_probability(alpha, "alpha"))

    def findings(self) -> list[Finding]:
        """What makes the results unreliable: warning class and sentence, in the summary too."""
        return super().findings() + divergence_findings(self.record)

    def _stored_parts(self) -> dict[str, Any]:
        return {"record": self.record, "components": self.components}
