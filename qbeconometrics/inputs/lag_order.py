"""How many lags: information criteria of a vector autoregression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError, check_choice

from .lags import lag
from .projection_design import TRENDS, lagged_variables, trend_columns
from .projection_series import ProjectionSeries

FloatArray = NDArray[np.float64]

CRITERIA = ("aic", "bic")
# Each equation has at most this share of the rows in coefficients.
LARGEST_SHARE = 1 / 3


@dataclass(frozen=True, slots=True, eq=False)
class LagOrder:
    """An order and where it comes from.

    Attributes
    ----------
    order : int
    criterion : str
    values : ndarray, shape (largest + 1,)
        The criterion at 0 lags, 1 lag, ...
    """

    order: int
    criterion: str
    values: FloatArray

    @property
    def sentence(self) -> str:
        """For the summary."""
        return (
            f"Lags: {self.order} by {self.criterion.upper()} of a vector autoregression of all "
            f"that is lagged, among 0 to {len(self.values) - 1}."
        )


def select_lags(series: ProjectionSeries, criterion: str, trend: str = "c") -> LagOrder:
    """Choose the order of a vector autoregression of outcomes, shock, instruments and controls.

    Parameters
    ----------
    series : ProjectionSeries
    criterion : {"aic", "bic"}
        log det of the residuals' covariance plus 2/T, or log(T)/T, times the coefficients, over
        the same T rows at all orders (Lutkepohl 2005, New Introduction to Multiple Time Series
        Analysis).
    trend : {"n", "c", "ct", "ctt"}

    Returns
    -------
    LagOrder
        At most 12 (n/100)^(1/4) lags (Schwert 1989, Journal of Business & Economic Statistics 7),
        and no more than leave each equation two thirds of its rows.

    Raises
    ------
    OptionError
        If the criterion is not known.
    InputError
        If there are too few rows for any lag.

    Examples
    --------
    >>> from qbeconometrics.inputs.projection_series import check_projection_series
    >>> rng = np.random.default_rng(0)
    >>> y = np.zeros(300)
    >>> for t in range(2, 300):
    ...     y[t] = 0.5 * y[t - 1] + 0.3 * y[t - 2] + rng.normal()
    >>> select_lags(check_projection_series(y, rng.normal(size=300)), "bic").order
    2
    """
    check_choice(criterion, CRITERIA, "lags")
    check_choice(trend, tuple(TRENDS), "trend")
    variables = np.column_stack(list(lagged_variables(series).values()))
    n, K = variables.shape
    fixed = np.array(trend_columns(n, trend)).reshape(-1, n).T
    known = int(np.sum(~np.isnan(variables).any(axis=1)))
    largest = min(
        int(12 * (known / 100) ** 0.25), int((LARGEST_SHARE * known - fixed.shape[1]) / K)
    )
    if largest < 1:
        raise InputError(
            f"lags={criterion!r} needs more rows: {known} are complete, for a vector "
            f"autoregression of {K} variables. Give the number of lags."
        )
    past = [
        np.column_stack([lag(column, period) for column in variables.T])
        for period in range(1, largest + 1)
    ]
    every = np.column_stack([fixed, *past, variables])
    every = every[~np.isnan(every).any(axis=1)]
    T, start = len(every), fixed.shape[1]
    if start + largest * K + K >= T:
        raise InputError(
            f"lags={criterion!r} needs more rows: missing values leave {T} that have {largest} "
            "lags. Give the number of lags."
        )
    # The triangle of [regressors, outcomes]: its lower right corner at any order is a residual.
    R = np.asarray(np.linalg.qr(every / np.sqrt(T), mode="r"))
    outcomes = R[:, -K:]
    penalty = 2.0 if criterion == "aic" else float(np.log(T))
    values = np.empty(largest + 1)
    for order in range(largest + 1):
        left = outcomes[start + order * K :]
        values[order] = np.linalg.slogdet(left.T @ left)[1] + penalty / T * order * K**2
    return LagOrder(int(np.argmin(values)), criterion, values)
