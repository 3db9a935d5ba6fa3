"""What an estimate of two effects on each other leaves: numbers, fitted heads, no rows but few."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.diagnostics.overidentification import JStatistic
from qbeconometrics.online.effect_moments import EffectMoments
from qbeconometrics.online.heads import Heads
from qbeconometrics.online.identification import Identification
from qbeconometrics.online.inference import EffectEstimate
from qbeconometrics.online.random_scaling import RandomScaling

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BidirectionalRecord:
    """Everything that the results are computed from.

    Attributes
    ----------
    endog_names : tuple of str, length 2
    exog_names : tuple of str
    formula : str or None
    method : {"cross-fitted", "two-pass", "one-pass"}
    features, training : str
        Words for the features, and for how the heads were fitted.
    nobs : int
        Rows that the estimate averages over.
    n_read, n_dropped : int
        Rows that were read and had no missing value; rows left out because of one.
    estimate : EffectEstimate
    moments : EffectMoments
        That the estimate solves.
    tested : EffectMoments
        For the rank test and the robust set: of heads that were fitted to earlier rows.
    identification : Identification
    variance_ratios : tuple of float
        Means of exp(g1 - g2) and exp(g2 - g1).
    cov_type : {"HC0", "nonrobust", "random-scaling"}
    covariance : ndarray, shape (2, 2)
        Of the estimate, whether or not it is to be trusted.
    path : RandomScaling or None
        Averages of gradient steps, for "random-scaling".
    log_likelihood : float
        Mean of the rows, at heads and effects that had not seen them unless by "two-pass".
    overidentification : JStatistic or None
    by_fold : ndarray, shape (folds, 2)
        Estimates of each fold's rows alone.
    heads : Heads
    reference : ndarray, shape (rows, k)
        Rows of x that partial dependence averages over.
    curve : DataFrame or None
        The learning curve of a stream.
    baselines : DataFrame or None
    seconds : float or None
        Of the fit; of a stream None.
    fitted : str
        When, in ISO format.
    """

    endog_names: tuple[str, ...]
    exog_names: tuple[str, ...]
    formula: str | None
    method: str
    features: str
    training: str
    nobs: int
    n_read: int
    n_dropped: int
    estimate: EffectEstimate
    moments: EffectMoments
    tested: EffectMoments
    identification: Identification
    variance_ratios: tuple[float, float]
    cov_type: str
    covariance: FloatArray
    path: RandomScaling | None
    log_likelihood: float
    overidentification: JStatistic | None
    by_fold: FloatArray
    heads: Heads
    reference: FloatArray
    curve: pd.DataFrame | None
    baselines: pd.DataFrame | None
    seconds: float | None
    fitted: str = field(default_factory=lambda: datetime.now().isoformat(timespec="seconds"))

    @property
    def model_name(self) -> str:
        """Name of the model class."""
        return "OnlineBidirectional"
