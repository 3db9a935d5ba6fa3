"""The data's frequency in words, for axes and summaries."""

from __future__ import annotations

import numpy as np
import pandas as pd

_DAYS = 86_400.0
# Median step in days up to which a series is of this frequency.
_STEPS = ((0.999, "periods"), (3.5, "days"), (8.0, "weeks"), (31.5, "months"), (93.0, "quarters"))


def frequency_word(labels: pd.Index | None) -> str:
    """Return "months", "quarters", "years", ..., or "periods" where labels are no dates.

    Examples
    --------
    >>> frequency_word(pd.period_range("2000Q1", periods=3, freq="Q"))
    'quarters'
    >>> frequency_word(pd.RangeIndex(3))
    'periods'
    """
    if labels is None or len(labels) < 2:
        return "periods"
    if isinstance(labels, pd.PeriodIndex):
        labels = labels.to_timestamp()
    elif labels.dtype == object or pd.api.types.is_string_dtype(labels.dtype):
        if labels.inferred_type not in ("date", "datetime", "datetime64", "string"):
            return "periods"
        try:
            labels = pd.DatetimeIndex(pd.to_datetime(labels, format="ISO8601"))
        except (ValueError, TypeError):
            return "periods"
    if not isinstance(labels, pd.DatetimeIndex):
        return "periods"
    seconds = np.diff(labels.tz_localize(None).to_numpy()) / np.timedelta64(1, "s")
    step = float(np.median(seconds)) / _DAYS
    return next((word for limit, word in _STEPS if step <= limit), "years")
