"""Bad pairs of outcomes, options and streams are refused, with what is wrong named."""

import warnings

import numpy as np
import pandas as pd
import pytest

import qbeconometrics as qb
from qbeconometrics.exceptions import DataNeededError, QBEconometricsWarning
from qbeconometrics.inputs.outcome_pair import read_pair

N = 1_200
FORMULA = "y1 + y2 ~ x1 + x2"
X = ["x1", "x2"]


def estimator(**changes):
    return qb.OnlineBidirectional(**{"n_features": 8, "rng": 0, **changes})


def of_formula(formula=FORMULA, data=None, **changes):
    return qb.OnlineBidirectional.from_formula(formula, data, n_features=8, rng=0, **changes)


def columns(data):
    return data["y1"], data["y2"], data[X]


@pytest.fixture(scope="module")
def simulated():
    data = qb.simulate.bidirectional(N)
    # Multiples of 1/64, which float32 holds.
    return (data * 64).round() / 64


@pytest.fixture
def data(simulated):
    return simulated.copy()


@pytest.fixture
def streamed(data):
    return estimator().partial_fit(*columns(data))


@pytest.fixture(scope="module")
def results(simulated):
    return estimator().fit(*columns(simulated), baselines=False)


def changed(**new):
    return lambda d: columns(d.assign(**new))


def with_value(column, value):
    def change(d):
        d.loc[7, column] = value
        return columns(d)

    return change


# What `fit` and `partial_fit` answer alike.
BAD_ROWS = {
    "nan": (with_value("y2", np.nan), "y2 is missing.*row label 7.*from_formula"),
    "nan in x": (with_value("x2", np.nan), "Column 'x2' of x is missing.*row label 7"),
    "inf": (with_value("y1", np.inf), "y1 is infinite.*row label 7"),
    "inf in x": (with_value("x1", -np.inf), "'x1' of x is infinite.*row label 7"),
    "words": (changed(x1="a"), "'x1' of x has dtype .*not numeric"),
    "words in y": (changed(y1="a"), "y1 'y1' has dtype .*not numeric"),
    "category": (changed(x1=pd.Categorical(["a", "b"] * (N // 2))), "'x1'.*categorical.*C\\("),
    "object": (lambda d: (d["y1"].to_numpy(object), d["y2"], d[X]), "y1 has dtype object"),
    "complex": (lambda d: (d["y1"] + 0j, d["y2"], d[X]), "y1 'y1' has dtype complex128"),
    "no x": (lambda d: (d["y1"], d["y2"], None), "give y1, y2 and x.*from_formula"),
    "no y2": (lambda d: (d["y1"], None, d[X]), "give y1, y2 and x"),
    "frame alone": (lambda d: (d, None, None), "give y1, y2 and x, or build.*from_formula"),
    "no columns": (lambda d: (d["y1"], d["y2"], d[[]]), "x has zero columns"),
    "no rows": (lambda d: columns(d.iloc[:0]), "y1 has zero rows"),
    "two in y1": (lambda d: (d[["y1", "y2"]], d["y2"], d[X]), "y1 has 2 columns.*go to x"),
    "three dimensions": (lambda d: (d["y1"], d["y2"], d[X].to_numpy()[None]), "3 dimensions"),
    "short": (lambda d: (d["y1"][:-1], d["y2"], d[X]), f"y1 has {N - 1} rows but y2 has {N}"),
    "short x": (lambda d: (d["y1"], d["y2"], d[X][:-1]), f"y1 has {N} rows but x has {N - 1}"),
    "disorder": (lambda d: (d["y1"], d["y2"][::-1], d[X]), "y2 holds the same labels in another"),
    "other index": (lambda d: (d["y1"], d["y2"], d[X].set_axis(range(5, N + 5))), "not aligned"),
    "same names": (lambda d: (d["y1"], d["y2"], d[["x1", "x1"]]), "x has 2 columns named 'x1'"),
    "same outcome": (lambda d: (d["y1"], d["y1"], d[X]), "both named 'y1'"),
    "outcome in x": (lambda d: (d["y1"], d["y2"], d[["x1", "y2"]]), "'y2' is an outcome and a"),
    "outcome twice": (changed(y2=lambda d: d["y1"]), "y2 is a linear function of the outcome y1"),
    "outcome scaled": (changed(y2=lambda d: 3.0 - 2.0 * d["y1"]), "y2 is a linear function .*y1"),
    "outcome disguised": (
        changed(x2=lambda d: 1e3 + d["y2"]), "x2 is a linear function of the outcome y2.*from x",
    ),
    "x is the outcome": (changed(y1=lambda d: d["x1"]), "x1 is a linear function .*outcome y1"),
    "constant": (changed(x2=1.0), "x2 does not vary.*drop it"),
    "zeros": (changed(x2=0.0), "x2 does not vary.*drop it"),
    "constant y": (changed(y2=5.0), "y2 does not vary.*an outcome must"),
    "rounding": (changed(y1=lambda d: d["y1"] + 1e13), "y1 does not vary.*of its mean.*rounding"),
    "huge y": (changed(y1=lambda d: d["y1"] * 1e40), "y1 has a standard deviation of .*Rescale"),
    "tiny y": (changed(y2=lambda d: d["y2"] * 1e-40), "y2 has a standard deviation of .*Rescale"),
    "beyond squares": (changed(x1=lambda d: d["x1"] * 1e120), "'x1'.*squares cannot be computed"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows(case, data, refused):
    make, words = BAD_ROWS[case]
    rows = make(data)
    for method in ("fit", "partial_fit"):
        model = estimator()
        with refused("InputError", words):
            getattr(model, method)(*rows)
        assert model.n_rows_ == 0
        with refused("InputError", "no row has come"):
            model.result()
        assert not hasattr(model, "n_features_in_")


BAD_FITS = {
    "method": ({"method": "one-pass"}, "OptionError", "method='one-pass'.*'cross-fitted'"),
    "one fold": ({"folds": 1}, "OptionError", "folds=1.*at least 2"),
    "half a fold": ({"folds": 2.5}, "OptionError", "folds=2.5"),
    "folds of truth": ({"folds": True}, "OptionError", "folds=True"),
    "many folds": ({"folds": 100}, "InputError", "folds=100 heads of 9 features.*12 rows.*need 18"),
    "splits": ({"splits": 0}, "OptionError", "splits=0"),
    "cov_type": ({"cov_type": "HC1"}, "OptionError", "'HC0', 'nonrobust'\\.$"),
    "no cov_type": ({"cov_type": None}, "OptionError", "cov_type=None"),
    "random scaling": ({"cov_type": "random-scaling"}, "OptionError", "holds for partial_fit with"),
    "baselines": ({"baselines": "no"}, "OptionError", "baselines='no'.*True or False"),
    "unknown": ({"fold": 2}, "UnknownKeywordError", "'fold'.*Did you mean 'folds'"),
    "draws": ({"draws": 100}, "UnknownKeywordError", "fit has no keyword 'draws'"),
}


@pytest.mark.parametrize("case", BAD_FITS)
def test_bad_fits(case, data, refused):
    options, error, words = BAD_FITS[case]
    with refused(error, words):
        estimator().fit(*columns(data), **options)


BAD_PARAMETERS = {
    "features": ({"features": "rff"}, "OptionError", "features='rff'.*'fourier'"),
    "none": ({"n_features": 0}, "OptionError", "n_features=0.*at least 1"),
    "half": ({"n_features": 20.0}, "OptionError", "n_features=20.0"),
    "text": ({"n_features": "20"}, "OptionError", "n_features='20'"),
    "truth": ({"n_features": True}, "OptionError", "n_features=True"),
    "degree": ({"degree": 0}, "OptionError", "degree=0"),
    "bandwidth": ({"bandwidth": 0.0}, "OptionError", "bandwidth=0.0.*positive"),
    "bandwidth nan": ({"bandwidth": np.nan}, "OptionError", "bandwidth=nan"),
    "bandwidth text": ({"bandwidth": "median"}, "OptionError", "bandwidth='median'"),
    "optimiser": ({"optimiser": "lbfgs"}, "OptionError", "optimiser='lbfgs'.*'adagrad'"),
    "rate": ({"learning_rate": -0.1}, "OptionError", "learning_rate=-0.1.*positive"),
    "rate inf": ({"learning_rate": np.inf}, "OptionError", "learning_rate=inf"),
    "rate text": ({"learning_rate": "fast"}, "OptionError", "learning_rate='fast'"),
    "rate list": ({"learning_rate": [0.1]}, "OptionError", r"learning_rate=\[0.1\]"),
    "update": ({"update": "newton"}, "OptionError", "update='newton'.*'closed-form'"),
    "optimizer": ({"optimizer": "adam"}, "UnknownKeywordError", "'optimizer'"),
}


@pytest.mark.parametrize("case", BAD_PARAMETERS)
def test_bad_parameters(case, refused):
    options, error, words = BAD_PARAMETERS[case]
    with refused(error, words):
        qb.OnlineBidirectional(**options)
    model = estimator()
    before = model.get_params()
    with refused(error, words):
        model.set_params(**{"bandwidth": 0.7, **options})
    assert model.get_params() == before


def test_words_of_others(refused):
    with refused("UnknownKeywordError", "Did you mean 'rng'"):
        qb.OnlineBidirectional(seed=1)
    with refused("UnknownKeywordError", "Did you mean 'rng'"):
        of_formula(random_state=1)


@pytest.mark.parametrize(
    ("rng", "words"),
    [(np.random.RandomState(0), "default_rng"), ("a", "rng='a'"), (-1, "rng=-1")],
)
def test_bad_random_states(rng, words, data, refused):
    for method in ("fit", "partial_fit"):
        with refused("OptionError", words):
            getattr(estimator(rng=rng), method)(*columns(data))


BAD_FORMULAS = {
    "one": ("y1 ~ x1", "1 outcomes on the left, y1"),
    "three": ("y1 + y2 + x2 ~ x1", "3 outcomes"),
    "twice": ("y1 + y1 ~ x1", "1 outcomes"),
    "constant alone": ("y1 + y2 ~ 1", "gives no column"),
    "bar": ("y1 + y2 ~ x1 | x2", "has a bar"),
    "brackets": ("y1 + y2 ~ x1 + [x2 ~ x1]", "brackets, which stand for instruments"),
    "no column": ("y1 + y2 ~ x1 + x9", "column 'x9' is not in data"),
    "no function": ("y1 + y2 ~ lag(x1)", "'lag'.*not known"),
    "across rows": ("y1 + y2 ~ x1 + np.cumsum(x2)", "cumsum.*other rows|np.cumsum"),
    "syntax": ("y1 + y2 ~ x1 + (", "never closed"),
}


@pytest.mark.parametrize("case", BAD_FORMULAS)
def test_bad_formulas(case, data, refused):
    formula, words = BAD_FORMULAS[case]
    with refused("FormulaError", words):
        of_formula(formula, data)
    with refused("FormulaError", words):
        of_formula(formula).partial_fit(data)


def test_formulas_and_their_data(data, refused):
    with refused("InputError", "formula must be text"):
        of_formula(3, data)
    with refused("OptionError", "missing='ignore'.*'drop'"):
        of_formula(missing="ignore")
    for missing in ("raise", "none"):
        with refused("InputError", "'x1' is missing.*row label 3.*missing='drop'"):
            of_formula(data=data.assign(x1=data["x1"].where(data.index != 3)), missing=missing)
    with refused("InputError", "Every row has a missing value.*'x2'"):
        of_formula(data=data.assign(x2=np.nan))
    with refused("InputError", "data must be a DataFrame.*ndarray"):
        of_formula(data=data.to_numpy())
    with pytest.raises(DataNeededError, match="give y1, y2 and x, or data to from_formula"):
        of_formula().fit()
    with refused("InputError", "give one data frame, which 'y1 \\+ y2"):
        of_formula(data=data).fit(*columns(data))
    with refused("InputError", "x1 is a linear function of the outcome y1"):
        of_formula("y1 + y2 ~ x1 + x2", data.assign(x1=data["y1"])).fit()


def test_no_error_is_left(data, refused):
    exact = data.assign(y1=1.0 + data["x1"] - 2.0 * data["x2"])
    with refused("InputError", "y1 is a function of x but for .*there is no error.*Remove from x"):
        estimator(features="linear").fit(*columns(exact))
    identity = data.assign(y2=data["y1"] + data["x1"])
    with refused("InputError", "y1 is a function of y2 and x but for .*no two errors"):
        estimator(features="linear").fit(*columns(identity))


def test_fewer_rows_than_features(data, refused):
    with refused("InputError", "35 rows are too few.*9 features.*18 rows, and need 18|35 rows"):
        estimator(n_features=9).fit(*columns(data[:35]))
    with refused("InputError", "1 rows are too few"):
        estimator().fit(*columns(data[:1]))


class TestResults:
    def test_regressors(self, results, data, refused):
        with pytest.raises(DataNeededError, match="give exog"):
            results.predict()
        for exog, words in (
            (data["x1"], "1 columns; needed are 2: x1, x2"),
            (data[X[::-1]], "x2, x1; needed are x1, x2, in this order"),
            (data[X] * np.nan, "'x1' of exog is missing.*Remove these rows\\.$"),
            ([["a", "b"]], "not numeric"),
        ):
            for method in (results.predict, results.conditional_variance):
                with refused("InputError", words):
                    method(exog)

    def test_levels(self, results, refused):
        for alpha in (0.0, 1.0, 2, "5 %", None):
            for method in (results.conf_int, results.summary, results.robust_set):
                with refused("OptionError", "alpha="):
                    method(alpha)
        with refused("InputError", "b12=nan"):
            results.robust_pvalue(np.nan, 0.0)

    def test_dependence(self, results, streamed, refused):
        with refused("InputError", "column='x3' is none of x"):
            results.partial_dependence("x3")
        for grid, words in (
            ("a", "grid has dtype"),
            ([], "grid has zero rows"),
            ([0.0, np.nan], "grid must be finite numbers"),
            (np.ones((2, 2)), "grid must be .* in one dimension"),
        ):
            with refused("InputError", words):
                results.partial_dependence("x1", grid=grid)
        with refused("OptionError", "kind='sd'.*'variance'"):
            results.partial_dependence("x1", kind="sd")
        with pytest.raises(DataNeededError, match="learning curve of partial_fit"):
            _ = results.learning_curve
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", QBEconometricsWarning)
            found = streamed.result()
        with pytest.raises(DataNeededError, match="needs rows in memory"):
            found.j_stat()

    def test_quasi_posteriors(self, results, refused):
        flat, normal = qb.priors.Flat(), qb.priors.Normal(0.0, 1.0)
        for options, error, words in (
            ({"prior": {"b21": flat}}, "ImproperPosteriorError", "flat prior of b21 is refused"),
            ({"prior": flat}, "ImproperPosteriorError", "flat prior of b12, b21"),
            ({"prior": {"b13": normal}}, "InputError", "'b13', which is not a coefficient"),
            ({"cov_type": "HAC"}, "OptionError", "cov_type='HAC'"),
            ({"learning_rate": "calibrate"}, "OptionError", "learning_rate must be a number"),
            ({"seed": 1}, "UnknownKeywordError", "Did you mean 'rng'"),
        ):
            with refused(error, words):
                results.quasi_posterior(**options)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_equivalent_rows(method, data):
    def found(y1, y2, x):
        model = estimator()
        answer = getattr(model, method)(y1, y2, x)
        return (answer if method == "fit" else model.result()).params.to_numpy()

    y1, y2, x = (part.to_numpy(copy=True) for part in columns(data))
    expected = found(y1, y2, x)
    frozen = [part.copy() for part in (y1, y2, x)]
    for part in frozen:
        part.flags.writeable = False
    labels = [f"p{i}" for i in range(N)]
    forms = {
        "frames": columns(data.set_axis(labels)),
        "columns": (y1[:, None], data[["y2"]], data[X]),
        "same labels throughout": columns(data.set_axis(np.zeros(N, dtype=int))),
        "nullable": columns(data.astype("Float64")),
        "float32": tuple(part.astype(np.float32) for part in (y1, y2, x)),
        "read-only": tuple(frozen),
        "Fortran": (y1, y2, np.asfortranarray(x)),
        "strided": (np.repeat(y1, 2)[::2], y2, np.repeat(x, 2, axis=1)[:, ::2]),
        "lists": (y1.tolist(), y2.tolist(), x.tolist()),
    }
    for name, rows in forms.items():
        np.testing.assert_array_equal(found(*rows), expected, err_msg=name)
    for part, before in zip((y1, y2, x), frozen, strict=True):
        np.testing.assert_array_equal(part, before)


def test_rows_with_a_missing_value_are_dropped_and_counted():
    rows = read_pair([1.0, np.nan, 3.0], [1.0, 2.0, np.nan], [[1.0], [2.0], [3.0]], missing="drop")
    assert rows.n_dropped == 2
    np.testing.assert_array_equal(rows.values, [[1.0, 1.0, 1.0]])
