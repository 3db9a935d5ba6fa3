"""Rows that are one series in order of time, and rows that are not."""

import datetime

import numpy as np
import pandas as pd
import pytest

from qbeconometrics.exceptions import InputError
from qbeconometrics.inputs.time_order import check_time_order

DAYS = pd.date_range("2020-01-01", periods=40, freq="D")

REGULAR = {
    "no labels": None,
    "one row": pd.Index([5]),
    "range": pd.RangeIndex(10),
    "years": pd.Index(np.arange(1950, 1990)),
    "numbers with gaps": pd.Index([1, 2, 5, 9]),
    "fractions": pd.Index([0.5, 1.0, 1.5]),
    "text": pd.Index(["b", "a", "c"]),
    "booleans": pd.Index([True, False, True]),
    "days": DAYS,
    "weeks": pd.date_range("2020-01-05", periods=30, freq="7D"),
    "hours": pd.date_range("2020-01-05", periods=30, freq="6h"),
    "business days": pd.bdate_range("2020-01-01", periods=30),
    "month starts": pd.date_range("2019-01-01", periods=30, freq="MS"),
    "month ends": pd.PeriodIndex(pd.period_range("2019-01", periods=30, freq="M")).to_timestamp(
        how="end"
    ),
    "any day of the month": pd.DatetimeIndex(
        ["2020-01-31", "2020-02-28", "2020-03-05", "2020-04-30"]
    ),
    "quarters": pd.date_range("2019-01-01", periods=30, freq="QS"),
    "years as dates": pd.date_range("1950-01-01", periods=30, freq="YS"),
    "time zone": pd.date_range("2020-03-20", periods=30, freq="D", tz="Europe/Berlin"),
    "periods": pd.period_range("2000Q1", periods=12, freq="Q"),
    "every other period": pd.period_range("2000-01", periods=24, freq="M")[::2],
    "differences of time": pd.timedelta_range("1D", periods=5),
    "dates as objects": pd.Index([datetime.date(2020, 1, day) for day in (1, 2, 3)], dtype=object),
}


@pytest.mark.parametrize("labels", REGULAR.values(), ids=REGULAR)
def test_regular(labels):
    check_time_order(labels, None)


DISORDER = {
    "numbers": (pd.Index([3, 1, 2]), "labelled 1 comes after 3"),
    "twice": (pd.Index([1, 2, 2]), "labelled 2 comes after 2"),
    "nan": (pd.Index([1.0, np.nan, 3.0]), "labelled nan comes after 1.0"),
    "backwards": (DAYS[::-1], "'2020-02-08 00:00:00' comes after '2020-02-09 00:00:00'"),
    "panel": (DAYS.append(DAYS), "'2020-01-01 00:00:00' comes after '2020-02-09 00:00:00'"),
    "periods": (pd.period_range("2000Q1", periods=3, freq="Q")[[0, 2, 1]], "'2000Q2' comes after"),
    "levels": (pd.MultiIndex.from_product([["a", "b"], [1, 2]]), "index has 2 levels"),
}


@pytest.mark.parametrize(("labels", "words"), DISORDER.values(), ids=DISORDER)
def test_disorder(labels, words):
    with pytest.raises(InputError, match=words):
        check_time_order(labels, None)


GAPS = {
    "day": (DAYS.delete(5), "'2020-01-05 00:00:00' to '2020-01-07 00:00:00'"),
    "two gaps": (DAYS.delete([5, 20]), "'2020-01-05 00:00:00' to '2020-01-07 00:00:00'"),
    "holiday": (pd.bdate_range("2020-01-01", periods=30).delete(8), "'2020-01-10 00:00:00' to"),
    "month": (pd.date_range("2019-01-01", periods=30, freq="MS").delete(3), "'2019-03-01"),
    "quarter": (pd.period_range("2000Q1", periods=12, freq="Q").delete(4), "'2000Q4' to '2001Q2'"),
    "too near": (DAYS.insert(3, DAYS[2] + pd.Timedelta("1h")), "step is another"),
    "dates as objects": (
        pd.Index([datetime.date(2020, 1, day) for day in (1, 2, 3, 5)], dtype=object),
        "'2020-01-03 00:00:00' to '2020-01-05 00:00:00'",
    ),
}


@pytest.mark.parametrize(("labels", "words"), GAPS.values(), ids=GAPS)
def test_gaps(labels, words):
    with pytest.raises(InputError, match=f"{words}(?s:.*)reset_index"):
        check_time_order(labels, None)


def test_rows_dropped_at_the_ends():
    kept = np.array([False, True, True, True, False])
    check_time_order(pd.RangeIndex(1, 4), kept)
    check_time_order(None, kept)


@pytest.mark.parametrize(
    ("labels", "words"), [(pd.Index(list("abde")), "'b' and 'd'"), (None, "1 and 4")]
)
def test_rows_dropped_between(labels, words):
    kept = np.array([True, True, False, False, True, True])
    with pytest.raises(InputError, match=rf"2 row\(s\).*rows labelled {words}.*Fill"):
        check_time_order(labels, kept)
