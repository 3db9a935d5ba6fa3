"""Lags in formulas: what they stand for, and what cannot be read."""

import numpy as np
import pandas as pd
import pytest

from qbeconometrics.exceptions import FormulaError
from qbeconometrics.inputs.lags import expand_lags, has_lags, lag


def test_a_lag_takes_the_row_before():
    series = pd.Series([1.0, 2.0, 4.0], index=pd.period_range("2000Q1", periods=3, freq="Q"))
    np.testing.assert_array_equal(lag(series, 2), [np.nan, np.nan, 1.0])
    np.testing.assert_array_equal(lag(series.to_numpy(), 5), [np.nan] * 3)
    np.testing.assert_array_equal(lag(series, 0), series)


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("x", "x"),
        ("lag(x)", "lag(x, 1)"),
        ("lag( x , 2 )", "lag(x, 2)"),
        ("lag(x, 0, 1)", "(lag(x, 0) + lag(x, 1))"),
        ("s:lag(x, 1, 2)", "s:(lag(x, 1) + lag(x, 2))"),
        ("np.log(lag(x, 3)) + z", "np.log(lag(x, 3)) + z"),
        ("lag(np.log(x), 1, 2)", "(lag(np.log(x), 1) + lag(np.log(x), 2))"),
        ('lag(Q("a) b"), 1)', 'lag(Q("a) b"), 1)'),
        ("flag(x, 1, 4) + a.lag(x, 1, 4)", "flag(x, 1, 4) + a.lag(x, 1, 4)"),
        ("(lag(x, 1) + z)", "(lag(x, 1) + z)"),
        ("lag(lag(x, 1), 1, 2)", "(lag(lag(x, 1), 1) + lag(lag(x, 1), 2))"),
    ],
)
def test_ranges_are_written_out(text, expanded):
    assert expand_lags(text) == expanded
    assert has_lags(text) == ("lag(" in expanded.replace("flag", "").replace("a.lag", ""))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lag(x, -1)", "leads are no controls"),
        ("lag(x, 1.5)", "whole numbers"),
        ("lag(x, p)", "whole numbers"),
        ("lag(x, True)", "whole numbers"),
        ("lag(x, 4, 1)", "ends before it begins"),
        ("lag()", "wrong arguments"),
        ("lag(x, 1, 2, 3)", "wrong arguments"),
        ("lag(x, last=3)", "wrong arguments"),
        ("lag(x, 1", "never closed"),
        ("np.log(lag(x, 1, 4))", "cannot stand within another function"),
    ],
)
def test_what_cannot_be_read(text, words):
    with pytest.raises(FormulaError, match=words):
        expand_lags(text)


def test_two_columns_cannot_be_lagged_at_once():
    with pytest.raises(FormulaError, match="one column"):
        lag(np.ones((5, 2)))
