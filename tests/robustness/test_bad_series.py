"""Bad series are refused by local projections, with the column named."""

import numpy as np
import pandas as pd
import pytest

import qbeconometrics as qb

N = 80


@pytest.fixture
def series():
    """Outcome, shock, two controls and two instruments, by argument."""
    rng = np.random.default_rng(7)
    columns = rng.normal(size=(N, 6))
    columns[:, 1] += columns[:, 4] + columns[:, 5]
    columns[:, 0] += columns[:, 1]
    frame = pd.DataFrame(
        columns,
        columns=["ip", "rate", "oil", "tax", "news", "sign"],
        index=pd.period_range("2000-01", periods=N, freq="M"),
    )
    return {
        "endog": frame[["ip"]],
        "shock": frame[["rate"]],
        "controls": frame[["oil", "tax"]],
        "instrument": frame[["news", "sign"]],
    }


def column(role, name, make):
    def change(given):
        given[role] = given[role].assign(**{name: make(given)})

    return change


def replace(role, make):
    def change(given):
        given[role] = make(given[role])

    return change


BAD_SERIES = {
    "None": (replace("shock", lambda x: None), "InputError", "shock"),
    "ragged": (replace("controls", lambda x: [[1, 2], [1]]), "InputError", "controls"),
    "3-d": (replace("endog", lambda y: y.to_numpy()[None]), "InputError", "endog has 3 dimensions"),
    "zero columns": (
        replace("instrument", lambda z: z.iloc[:, :0]), "InputError", "instrument has zero columns",
    ),
    "short": (replace("endog", lambda y: y.iloc[1:]), "InputError", "79 rows but shock has 80"),
    "other labels": (
        replace("controls", lambda w: w.set_axis(w.index.shift(12))),
        "InputError",
        "row 0.*'2000-01'.*'2001-01'",
    ),
    "same outcome twice": (
        column("endog", "copy", lambda g: g["endog"]["ip"]),
        "InputError",
        "'copy' of endog is a duplicate of column 'ip'",
    ),
    "same names in endog": (
        replace("endog", lambda y: pd.concat([y, 2 * y], axis=1)), "InputError", "named 'ip'",
    ),
    "same name, other numbers": (
        replace("controls", lambda w: w.rename(columns={"oil": "rate"})),
        "InputError",
        "'rate' of controls holds other numbers than 'rate' of shock",
    ),
    "same name, other instrument": (
        replace("instrument", lambda z: z.rename(columns={"news": "tax"})),
        "InputError",
        "'tax' of instrument holds other numbers than 'tax' of controls",
    ),
    "duplicate control": (
        column("controls", "copy", lambda g: g["controls"]["oil"]), "RankError", "'copy'.*'oil'",
    ),
    "multiple": (
        column("controls", "twice", lambda g: 2 * g["controls"]["oil"]), "RankError",
        "'twice'.*'oil'",
    ),
    "collinear": (
        column("controls", "sum", lambda g: g["controls"].sum(axis=1)), "RankError",
        "'sum'.*'oil', 'tax'",
    ),
    "second constant": (column("controls", "three", lambda g: 3.0), "RankError", "three.*'const'"),
    "zero control": (column("controls", "zero", lambda g: 0.0), "RankError", "'zero' is zero"),
    "shock among controls": (
        column("controls", "copy", lambda g: g["shock"]["rate"]), "RankError", "'rate'.*'copy'",
    ),
    "constant endog": (replace("endog", lambda y: 0 * y), "InputError", "endog 'ip'.*every row"),
    "constant shock": (replace("shock", lambda x: 0 * x), "InputError", "shock 'rate'.*every row"),
    "collinear instruments": (
        column("instrument", "mix", lambda g: g["instrument"].sum(axis=1)), "RankError",
        "mix.*news.*sign",
    ),
    "instrument among controls": (
        column("controls", "copy", lambda g: g["instrument"]["news"]), "RankError",
        "'news'.*'copy'",
    ),
    "constant instrument": (
        replace("instrument", lambda z: z.assign(sign=1.0)), "RankError", "sign.*'const'",
    ),
    "shock among instruments": (
        column("instrument", "copy", lambda g: g["shock"]["rate"]), "RankError",
        "Shock 'rate' is a linear combination of controls and instruments.*Leave instrument out",
    ),
    "all missing": (
        replace("shock", lambda x: np.nan * x), "InputError", "'rate' is missing.*every row",
    ),
    "never complete": (
        column("controls", "tax", lambda g: g["controls"]["tax"].where(np.arange(N) % 2 == 0)),
        "InputError",
        "too few rows",
    ),
    "infinite instrument": (
        column("instrument", "news", lambda g: np.r_[np.inf, np.zeros(N - 1)]),
        "InputError",
        "'news' of instrument is infinite.*2000-01",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "error", "words"), BAD_SERIES.values(), ids=BAD_SERIES)
def test_bad_series_are_refused_by_name(series, change, error, words, refused):
    change(series)
    with refused(error, words):
        qb.QuasiBayesLP(**series, horizon=3)


def test_the_series_are_good_otherwise(series, short_fit):
    res = short_fit(qb.QuasiBayesLP(**series, horizon=3))
    assert np.isfinite(res.irf.to_numpy()).all()


@pytest.mark.parametrize("role", ["endog", "shock", "controls", "instrument"])
def test_missing_values_take_their_rows_and_those_that_reach_them(series, role):
    """One value dated t: row t, rows with it as a lag, and for outcomes those with it as a lead."""
    series[role] = series[role].copy()
    series[role].iloc[40, 0] = np.nan
    model = qb.QuasiBayesLP(**series, horizon=3)
    gone = set(np.flatnonzero(~model.design.used)) - {0, N - 3, N - 2, N - 1}
    assert gone == (set(range(37, 42)) if role == "endog" else {40, 41})


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"missing": "drop"}, "UnknownKeywordError", "'missing'"),
        ({"prior": {"ip[9]": qb.priors.Normal(0, 1)}}, "InputError", "'ip.9.'.*ip.0."),
        ({"prior": {"ip[3]": qb.priors.Normal(0, 1), "x": None}}, "InputError", "'x'"),
    ],
)
def test_bad_options(series, options, error, words, refused):
    with refused(error, words):
        qb.QuasiBayesLP(**series, horizon=3, **options)
