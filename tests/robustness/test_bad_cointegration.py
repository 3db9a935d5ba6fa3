"""Bad series and options of an error-correction model are refused, with what is wrong named."""

import numpy as np
import pandas as pd
import pytest

import qbeconometrics as qb

N = 60


@pytest.fixture
def series():
    steps = np.random.default_rng(3).standard_normal((N, 3))
    index = pd.period_range("2000Q1", periods=N, freq="Q")
    return pd.DataFrame(steps.cumsum(axis=0), columns=["gdp", "cons", "inv"], index=index)


def with_value(value):
    def change(y):
        y.iloc[7, 1] = value
        return y

    return change


BAD_SERIES = {
    "nan": (with_value(np.nan), "InputError", "'cons' is missing.*2001Q4.*cannot have gaps"),
    "inf": (with_value(np.inf), "InputError", "'cons' is infinite.*2001Q4"),
    "one": (lambda y: y[["gdp"]], "InputError", "two series or more"),
    "one dimension": (lambda y: y["gdp"].to_numpy(), "InputError", "two series or more"),
    "three dimensions": (lambda y: y.to_numpy()[None], "InputError", "3 dimensions"),
    "words": (lambda y: y.assign(cons="a"), "InputError", "'cons' of endog.*not numeric|'cons'"),
    "none": (lambda y: None, "InputError", "endog"),
    "no rows": (lambda y: y.iloc[:0], "InputError", "zero rows"),
    "constant": (lambda y: y.assign(cons=2.0), "InputError", "'cons' has the value 2.*'ci'"),
    "same names": (lambda y: y.set_axis(["a", "b", "a"], axis=1), "InputError", "2 columns.*'a'"),
    "copy": (lambda y: y.assign(copy=y["gdp"]), "RankError", "copy' is a linear combination of"),
    "identity": (
        lambda y: y.assign(total=y.sum(axis=1) + 5.0), "RankError", "L1.total'.*L1.gdp'.*L1.inv'",
    ),
    "disorder": (lambda y: y.iloc[::-1], "InputError", "in order of time.*2014Q3"),
    "gap": (lambda y: y.drop(y.index[9]), "InputError", "evenly spaced.*2002Q1"),
    "few rows": (
        lambda y: y.iloc[:11], "RankError", "11 rows.*k_ar_diff=1.*too few for 3 series.*at least",
    ),
    "two rows": (lambda y: y.iloc[:1], "RankError", "1 rows.*too few"),
    "huge": (lambda y: y * 1e120, "InputError", "squares cannot be computed"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_SERIES)
def test_bad_series(case, series, refused):
    make, error, words = BAD_SERIES[case]
    with refused(error, words):
        qb.QuasiBayesVECM(make(series))


BAD_OPTIONS = {
    "rank": ({"coint_rank": 4}, "OptionError", "coint_rank=4 is more than.*series, 3"),
    "negative rank": ({"coint_rank": -1}, "OptionError", "coint_rank=-1"),
    "rank of half": ({"coint_rank": 0.5}, "OptionError", "coint_rank=0.5"),
    "lags": ({"k_ar_diff": -1}, "OptionError", "k_ar_diff=-1"),
    "terms": ({"deterministic": "ct"}, "OptionError", "deterministic='ct'.*'co'"),
    "both constants": ({"deterministic": "coci"}, "OptionError", "within.*outside"),
    "no text": ({"deterministic": None}, "OptionError", "deterministic=None"),
    "seasons": ({"seasons": -4}, "OptionError", "seasons=-4"),
    "prior": ({"prior_observations": 0.0}, "OptionError", "prior_observations=0.0.*proper"),
    "no number": ({"prior_observations": "1"}, "OptionError", "prior_observations='1'"),
    "unknown": ({"rank": 1}, "UnknownKeywordError", "'rank'.*coint_rank"),
    "exog_coint": ({"exog_coint": np.ones(N)}, "UnknownKeywordError", "exog_coint"),
    "short exog": ({"exog": np.ones(N - 1)}, "InputError", "59"),
    "missing exog": ({"exog": np.r_[np.ones(N - 1), np.nan]}, "InputError", "exog is missing"),
    "constant twice": (
        {"exog": np.ones(N), "deterministic": "co"}, "RankError", "'exog1'.*'const'",
    ),
    "seasons and constant": (
        {"exog": np.tile(np.eye(4), (15, 1)), "seasons": 4}, "RankError", "'exog",
    ),
    "rank above": ({"coint_rank": True}, "OptionError", "coint_rank=True"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_bad_options(case, series, refused):
    options, error, words = BAD_OPTIONS[case]
    with refused(error, words):
        qb.QuasiBayesVECM(series, **options)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"draws": 0}, "OptionError", "draws=0"),
        ({"chains": 1.5}, "OptionError", "chains=1.5"),
        ({"cores": 0}, "OptionError", "cores=0"),
        ({"parameterization": "euler"}, "OptionError", "parameterization='euler'.*'polar'"),
        ({"target_accept": 1.0}, "OptionError", "target_accept=1.0"),
        ({"progressbar": "yes"}, "OptionError", "progressbar='yes'"),
        ({"rng": np.random.RandomState(0)}, "OptionError", "RandomState|default_rng"),
        ({"seed": 1}, "UnknownKeywordError", "Did you mean 'rng'"),
        ({"sampler": "hmc"}, "UnknownKeywordError", "'sampler'"),
    ],
)  # fmt: skip
def test_bad_fits(options, error, words, series, refused):
    model = qb.QuasiBayesVECM(series)
    for method in (model.fit, model.compare_ranks):
        with refused(error, words):
            method(**options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ranks": [0, 4]}, "ranks=4"),
        ({"ranks": []}, "one rank or more"),
        ({"ranks": [1, 1]}, "each once"),
        ({"ranks": 1}, "list of ranks"),
        ({"proposals": 10}, "proposals=10"),
    ],
)
def test_bad_comparisons(options, words, series, refused):
    with refused("OptionError", words):
        qb.QuasiBayesVECM(series).compare_ranks(**options)


def test_nothing_to_estimate(series, refused):
    with refused("OptionError", "no coefficients"):
        qb.QuasiBayesVECM(series, coint_rank=0, k_ar_diff=0).fit()


@pytest.mark.parametrize(
    "make",
    [
        lambda y: y.to_numpy(),
        lambda y: np.asfortranarray(y.to_numpy()),
        lambda y: y.to_numpy().tolist(),
        lambda y: y.reset_index(drop=True),
        lambda y: np.ma.masked_array(y.to_numpy()),
    ],
)
def test_equivalent_series(make, series, short_fit):
    before = series.copy()
    expected = short_fit(qb.QuasiBayesVECM(series, deterministic="ci"))
    found = short_fit(qb.QuasiBayesVECM(make(series), deterministic="ci"))
    np.testing.assert_array_equal(found.draws, expected.draws)
    pd.testing.assert_frame_equal(series, before)
