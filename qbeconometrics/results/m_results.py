"""Results of M-estimation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import NumericalError, OptionError, check_choice
from qbeconometrics.losses import Loss
from qbeconometrics.results.calibrated import CalibratedResults
from qbeconometrics.results.prediction import prediction_matrix

FloatArray = NDArray[np.float64]

PREDICTIONS = ("mean", "linear")
# Numbers that a prediction over all draws holds at a time.
BLOCK_NUMBERS = 4_000_000


class MResults(CalibratedResults):
    """Results of M-estimation.

    Parameters
    ----------
    model : QuasiBayesM
        The model that was fitted.
    record : FitRecord
        Draws, names and sentences of the fit.
    """

    title = "Quasi-Bayesian M-Estimation Results"

    @property
    def mode_bse(self) -> pd.Series:
        """Standard errors of the normal approximation at the mode.

        For the Q-posterior under a flat prior and learning rate 1 those of the sandwich, with the
        weight S of the fit between two slopes of the mean score; for a Gibbs posterior those of the
        curvature.
        """
        assert self.record.mode_cov is not None
        return self._label(np.sqrt(np.diag(self.record.mode_cov)))

    def predict(
        self, exog: Any = None, transform: bool = True, which: str | None = None
    ) -> pd.Series | FloatArray:
        """Posterior mean of the fitted values at new regressors.

        Parameters
        ----------
        exog : array_like, DataFrame or dict
            As in ``PosteriorResults.predict``.
        transform : bool
            Whether the formula is applied to `exog`.
        which : {"mean", "linear"}, optional
            "mean" (default) is what the loss fits: the probability of one for the logistic loss,
            exp(x'theta) for Poisson, x'theta itself (a quantile, say) for losses of a residual; it
            is averaged over the draws. "linear" is x'theta, and the default for the hinge loss,
            where its sign is the class.

        Returns
        -------
        Series or ndarray
            One number a row; a Series if the rows are labelled. Rows with missing values are NaN.

        Raises
        ------
        InputError
            If `exog` is missing or its columns do not match.
        OptionError
            If `which` is unknown, or "mean" where the loss has none.
        NumericalError
            If the posterior mean does not exist.
        """
        loss = self.model.loss
        if prediction_kind(loss, which) == "linear" or loss.on_outcome_scale:
            return super().predict(exog, transform)
        if not self.record.moments_exist[0]:
            raise NumericalError(
                "The posterior mean does not exist, so there is no mean prediction. "
                "Give res.median to model.predict instead."
            )
        matrix, labels = prediction_matrix(
            exog, model=self.model, param_names=self.record.param_names, transform=transform
        )
        predicted = _mean_over_draws(loss, matrix, self.record.draws)
        return predicted if labels is None else pd.Series(predicted, index=labels)


def _mean_over_draws(loss: Loss, matrix: FloatArray, draws: FloatArray) -> FloatArray:
    """Average the fitted values (rows,) over draws (chain, draw, k), some rows at a time."""
    pooled = draws.reshape(-1, draws.shape[2])
    predicted = np.empty(len(matrix))
    rows = max(1, BLOCK_NUMBERS // len(pooled))
    for start in range(0, len(matrix), rows):
        fitted = loss.mean(matrix[start : start + rows] @ pooled.T)
        assert fitted is not None
        predicted[start : start + rows] = fitted.mean(axis=1)
    return predicted


def prediction_kind(loss: Loss, which: str | None) -> str:
    """Return "mean" or "linear"; None is "mean" where the loss has one.

    Raises
    ------
    OptionError
    """
    has_mean = loss.mean(np.zeros(1)) is not None
    default = "mean" if has_mean else "linear"
    which = check_choice(default if which is None else which, PREDICTIONS, "which")
    if which == "mean" and not has_mean:
        raise OptionError(
            f"which='mean': the {loss.label} loss fits no mean; use which='linear', whose sign is "
            "the class"
        )
    return which


def fitted_values(loss: Loss, index: FloatArray, which: str | None) -> FloatArray:
    """Return what the loss fits where the index is x'theta (n,)."""
    if prediction_kind(loss, which) == "linear":
        return index
    fitted = loss.mean(index)
    assert fitted is not None
    return fitted
