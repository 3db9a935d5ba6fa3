"""Series, formulas and designs of local projections: dates, lags, leads, rows, bad input."""

import numpy as np
import pandas as pd
import pytest

from qbeconometrics.exceptions import FormulaError, InputError, OptionError, RankError
from qbeconometrics.inputs.projection_design import build_projection_design, parse_horizons
from qbeconometrics.inputs.projection_formula import read_projection_formula
from qbeconometrics.inputs.projection_series import check_projection_series
from qbeconometrics.inputs.projection_text import split_projection_formula
from qbeconometrics.inputs.time_words import frequency_word

N = 60
MONTHS = pd.period_range("1990-01", periods=N, freq="M")


@pytest.fixture
def frame():
    rng = np.random.default_rng(3)
    columns = {name: rng.normal(size=N) for name in ("ip", "cpi", "shock", "z", "rate")}
    columns["slack"] = (rng.normal(size=N) > 0).astype(float)
    return pd.DataFrame(columns, index=MONTHS)


@pytest.mark.parametrize(
    ("formula", "parts"),
    [
        ("y ~ x", ("y", "x", None, "1")),
        ("y ~ x | w", ("y", "x", None, "w")),
        ("a + b ~ x | lag(a, 1, 4) + C(m)", ("a + b", "x", None, "lag(a, 1, 4) + C(m)")),
        ("y ~ [x ~ z1 + z2] | w", ("y", "x", "z1 + z2", "w")),
        ("y ~ [x ~ z]", ("y", "x", "z", "1")),
        ("y ~ I(a | b) | w", ("y", "I(a | b)", None, "w")),
    ],
)
def test_grammar(formula, parts):
    text = split_projection_formula(formula)
    assert (text.outcomes, text.shock, text.instruments, text.controls) == parts


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("y", "one ~"),
        ("y ~ x ~ z", "one ~"),
        ("~ x", "nothing left of ~"),
        ("y ~ | w", "nothing between"),
        ("y ~ x |", "nothing right of"),
        ("y ~ x | w | v", "one bar"),
        ("y ~ w + [x ~ z]", "right of the bar"),
        ("y ~ x | [w ~ z]", "between ~ and"),
        ("y ~ [x + z]", "must hold one ~"),
        ("y ~ (x", "never closed"),
        (3, "must be a string"),
    ],
)
def test_grammar_is_refused(formula, words):
    with pytest.raises(FormulaError, match=words):
        split_projection_formula(formula)


def test_a_formula_gives_the_series(frame):
    series = read_projection_formula(
        "np.log(cpi + 9) + ip ~ [shock ~ z] | lag(ip, 1, 2) + rate:lag(cpi, 1) + C(slack)",
        frame,
        state="slack",
    )
    assert series.outcome_names == ("np.log(cpi + 9)", "ip")
    np.testing.assert_allclose(series.outcomes[:, 0], np.log(frame["cpi"] + 9))
    controls = pd.DataFrame(series.controls, columns=series.control_names)
    # One missing control makes the whole row missing.
    np.testing.assert_array_equal(controls["lag(ip, 2)"][2:], frame["ip"][:-2])
    np.testing.assert_array_equal(
        controls["rate:lag(cpi, 1)"][2:], (frame["rate"] * frame["cpi"].shift(1))[2:]
    )
    assert np.isnan(series.controls[:2]).all()
    assert "C(slack)[T.1.0]" in series.control_names
    assert series.has_lags
    np.testing.assert_array_equal(series.state, frame["slack"])


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("ip ~ shock | rate - 1", "trend='n'"),
        ("ip ~ shock + rate", "2 shocks"),
        ("ipp ~ shock", "Did you mean 'ip'"),
        ("ip ~ shock | lag(ratee)", "Did you mean 'rate'"),
        ("ip * cpi ~ shock", "single columns"),
        ("ip ~ C(slack)", "In the shock.*categorical"),
        ("ip ~ [shock ~ z*rate]", "single columns"),
        ("ip ~ shock | nope(ip)", "not known"),
    ],
)
def test_formulas_that_cannot_be_used(frame, formula, words):
    with pytest.raises(FormulaError, match=words):
        read_projection_formula(formula, frame)


def test_a_column_named_as_the_function(frame):
    with pytest.raises(FormulaError, match="Rename it"):
        read_projection_formula("ip ~ shock | lag(ip)", frame.rename(columns={"rate": "lag"}))


@pytest.mark.parametrize(
    "labels",
    [
        MONTHS,
        MONTHS.to_timestamp(),
        MONTHS.to_timestamp(how="end"),
        pd.RangeIndex(N),
        pd.Index(np.arange(1950, 1950 + N)),
        pd.Index([str(date.date()) for date in MONTHS.to_timestamp()]),
        pd.Index([f"row {i}" for i in range(N)]),
    ],
    ids=["periods", "dates", "month ends", "range", "years", "text dates", "text"],
)
def test_time_axes_that_are_in_order(frame, labels):
    series = read_projection_formula("ip ~ shock | lag(ip)", frame.set_index(labels))
    np.testing.assert_array_equal(series.controls[1:, 0], frame["ip"][:-1])


YEARS = pd.Index(np.arange(1950, 1950 + N))


@pytest.mark.parametrize(
    ("labels", "rows", "words"),
    [
        (MONTHS, [0, 1, 2, 4, 5], "'1990-03' to '1990-05'"),
        (MONTHS.to_timestamp(), [0, 1, 2, 4, 5], "'1990-03-01 00:00:00' to '1990-05-01"),
        (YEARS, [0, 1, 3, 4], "1951 to 1953"),
        (MONTHS, [0, 1, 3, 2, 4], "'1990-03' comes after '1990-04'"),
        (YEARS, [2, 1, 0], "1951 comes after 1952"),
        (MONTHS, [0, 1, 1, 2], "'1990-02' comes after '1990-02'"),
        (pd.Index([str(d.date()) for d in MONTHS.to_timestamp()]), [0, 2, 1], "comes after"),
    ],
)
def test_gaps_and_disorder_name_the_dates(frame, labels, rows, words):
    spoiled = frame.set_index(labels).iloc[rows]
    with pytest.raises(InputError, match=words):
        read_projection_formula("ip ~ shock", spoiled)
    with pytest.raises(InputError, match="A local projection needs"):
        check_projection_series(spoiled["ip"], spoiled["shock"])


def test_leads_lags_and_trend_by_definition(frame):
    series = check_projection_series(
        frame[["ip", "cpi"]], frame["shock"], frame["rate"], frame[["z"]]
    )
    design = build_projection_design(series, horizon=range(1, 4), lags=2, trend="ctt")
    assert design.leads.shape == (N, 2, 3)
    np.testing.assert_array_equal(design.leads[:-3, 1, 2], frame["cpi"][3:])
    assert np.isnan(design.leads[-1]).all()
    names = list(design.control_names)
    assert names[:3] == ["const", "trend", "trend squared"]
    lagged = {f"lag({name}, {j})" for name in ("ip", "cpi", "shock", "z", "rate") for j in (1, 2)}
    assert set(names[3:]) == {"rate", *lagged}
    np.testing.assert_array_equal(design.controls[2:, names.index("lag(z, 2)")], frame["z"][:-2])
    # Two rows are lost to lags and three to leads.
    assert design.used.sum() == N - 5
    own = build_projection_design(series, horizon=range(1, 4), lags=2, sample="horizon")
    np.testing.assert_array_equal(own.kept.sum(axis=0)[0], [N - 3, N - 4, N - 5])


def test_a_variable_with_two_parts_to_play_is_lagged_once(frame):
    y = frame["ip"].to_numpy()
    series = check_projection_series(y, y.copy(), frame["rate"].to_numpy())
    design = build_projection_design(series, horizon=range(1, 3), lags=2)
    assert design.control_names == (
        "const", "w1", "lag(y, 1)", "lag(w1, 1)", "lag(y, 2)", "lag(w1, 2)",
    )  # fmt: skip


def test_kinds_of_responses(frame):
    y = frame["ip"].to_numpy()
    series = check_projection_series(frame["ip"], frame["shock"], instrument=frame["z"])
    difference = build_projection_design(series, horizon=4, response="long-difference")
    np.testing.assert_allclose(difference.leads[1:-4, 0, 4], y[5:] - y[:-5])
    cumulative = build_projection_design(series, horizon=4, response="cumulative")
    np.testing.assert_allclose(cumulative.leads[0, 0], np.cumsum(y[:5]))
    multiplier = build_projection_design(series, horizon=4, multiplier=True)
    np.testing.assert_allclose(
        multiplier.regressors[7, :, 0], np.cumsum(frame["shock"].to_numpy()[7:12])
    )


def test_states_are_dated_one_period_before(frame):
    series = check_projection_series(
        frame["ip"], frame["shock"], frame["rate"], frame["z"], frame["slack"]
    )
    design = build_projection_design(series, horizon=2, lags=1)
    before = frame["slack"].shift(1).to_numpy()
    np.testing.assert_array_equal(
        design.regressors[1:, 0], np.c_[before, 1 - before][1:] * frame[["shock"]].to_numpy()[1:]
    )
    names = list(design.control_names)
    assert names[:2] == ["const", "lag(slack, 1)"]
    place = names.index("lag(rate, 1) (slack=0)")
    np.testing.assert_array_equal(
        design.controls[1:, place], ((1 - before) * frame["rate"].shift(1))[1:]
    )
    assert design.instrument_names == ("z (slack=1)", "z (slack=0)")


def test_missing_values_are_dropped_after_lags_and_never_filled(frame):
    frame.loc[frame.index[:10], "z"] = np.nan
    frame.loc[frame.index[30], "ip"] = np.nan
    series = check_projection_series(frame["ip"], frame["shock"], instrument=frame["z"])
    design = build_projection_design(series, horizon=2, lags=1)
    lost = {*range(11), 28, 29, 30, 31, N - 2, N - 1}
    np.testing.assert_array_equal(np.flatnonzero(~design.used), sorted(lost))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"horizon": 58}, InputError, "too few rows: 2 of 60 .* for horizon 58 of 'ip'"),
        ({"horizon": 100}, InputError, "too few rows: 0 of 60"),
        ({"lags": 30}, InputError, "too few rows"),
        ({"horizon": -1}, OptionError, "horizon=-1"),
        ({"horizon": range(0, 9, 2)}, OptionError, "consecutive"),
        ({"horizon": 3.0}, OptionError, "horizon=3.0"),
        ({"horizon": True}, OptionError, "horizon=True"),
        ({"trend": "t"}, OptionError, "trend='t'"),
        ({"sample": "all"}, OptionError, "sample='all'"),
        ({"response": "levels"}, OptionError, "Did you mean 'level'"),
    ],
)
def test_designs_that_are_refused(frame, change, error, words):
    series = check_projection_series(frame["ip"], frame["shock"])
    with pytest.raises(error, match=words):
        build_projection_design(series, **{"horizon": 4, **change})


def test_dependent_columns_are_named(frame):
    frame["twice"], frame["one"] = 2 * frame["rate"], 1.0
    for controls, words in (
        (["rate", "twice"], "Control 'twice' is a linear combination of 'rate'"),
        (["one"], "Control 'one' is a linear combination of 'const'"),
        (["shock"], "Regressor 'shock' is a linear combination of 'shock'"),
    ):
        series = check_projection_series(frame["ip"], frame["shock"], frame[controls])
        with pytest.raises(RankError, match=words):
            build_projection_design(series, horizon=2)
    series = check_projection_series(frame["ip"], frame["shock"], frame["z"], frame["z"])
    with pytest.raises(RankError, match="Instrument 'z'"):
        build_projection_design(series, horizon=2)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("ip", np.inf, "endog 'ip' is infinite in 1 row"),
        ("shock", -np.inf, "Column 'shock' of shock is infinite"),
        ("slack", 1.5, "between 0 and 1"),
    ],
)
def test_values_that_are_refused(frame, column, value, words):
    frame.loc[frame.index[7], column] = value
    with pytest.raises(InputError, match=words):
        check_projection_series(frame["ip"], frame["shock"], state=frame["slack"])


def test_series_without_variation_and_odd_shapes(frame):
    constant = pd.Series(1.0, index=frame.index, name="c")
    with pytest.raises(InputError, match="shock 'c' has the value 1 in every row"):
        check_projection_series(frame["ip"], constant)
    with pytest.raises(InputError, match="one state only"):
        check_projection_series(frame["ip"], frame["shock"], state=constant)
    with pytest.raises(InputError, match="missing \\(NaN\\) in every row"):
        check_projection_series(constant * np.nan, frame["shock"])
    with pytest.raises(InputError, match="shock has 2 columns"):
        check_projection_series(frame["ip"], frame[["shock", "z"]])
    with pytest.raises(InputError, match="two columns named 'ip'"):
        check_projection_series(frame[["ip", "ip"]], frame["shock"])
    with pytest.raises(InputError, match="not aligned"):
        check_projection_series(frame["ip"], frame["shock"][::-1])
    with pytest.raises(InputError, match="60 rows but shock has 59"):
        check_projection_series(frame["ip"], frame["shock"].to_numpy()[1:])


def test_horizons():
    assert parse_horizons(0) == (0,)
    assert parse_horizons(range(2, 5)) == (2, 3, 4)


@pytest.mark.parametrize(
    ("labels", "word"),
    [
        (MONTHS, "months"),
        (MONTHS.to_timestamp(how="end"), "months"),
        (pd.period_range("2000Q1", periods=9, freq="Q"), "quarters"),
        (pd.date_range("2000-01-01", periods=9, freq="YS"), "years"),
        (pd.bdate_range("2000-01-03", periods=9), "days"),
        (pd.date_range("2000-01-03", periods=9, freq="7D"), "weeks"),
        (pd.Index(["2000-01-01", "2000-02-01", "2000-03-01"]), "months"),
        (pd.Index(["a", "b", "c"]), "periods"),
        (pd.RangeIndex(5), "periods"),
        (None, "periods"),
    ],
)
def test_frequency_in_words(labels, word):
    assert frequency_word(labels) == word
