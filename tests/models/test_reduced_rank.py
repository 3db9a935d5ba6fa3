"""QuasiBayesReducedRank: inputs, options, units and results."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.iolib.summary2 import summary_col

import qbeconometrics as qb
from qbeconometrics.exceptions import (
    FormulaError,
    InputError,
    NumericalError,
    OptionError,
    RankError,
    UnknownKeywordError,
)
from qbeconometrics.models.reduced_rank_fit import weighted_system
from qbeconometrics.moments.covariance import CovarianceRule, parse_covariance

# A few hundred draws do not satisfy the checks of convergence.
pytestmark = pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.ConvergenceWarning")

N = 120
SHORT = {"draws": 300, "tune": 300, "chains": 2, "rng": 3, "cores": 1}


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((N, 4))
    y = 1.0 + x[:, :3] @ np.outer([1.0, -0.5, 0.3], [0.6, 0.2, -0.4]) + 0.5 * x[:, 3:]
    y += rng.standard_normal((N, 3))
    data = pd.DataFrame(np.hstack([y, x]), columns=["a", "b", "c", "x1", "x2", "x3", "w"])
    data["state"] = np.arange(N) // 3
    return data


@pytest.fixture(scope="module")
def res(frame):
    return from_formula(frame).fit(**SHORT | {"draws": 1_000})


def from_formula(frame, formula="a + b + c ~ x1 + x2 + x3 | w", rank=1, **options):
    return qb.QuasiBayesReducedRank.from_formula(formula, frame, rank, **options)


def arrays(frame):
    return frame[["a", "b", "c"]].to_numpy(), frame[["x1", "x2", "x3"]].to_numpy()


def with_constant(frame):
    endog, exog = arrays(frame)
    return endog, np.column_stack([np.ones(len(exog)), exog])


def test_names_and_shapes(res, frame):
    model = res.model
    assert model.endog_names == "a + b + c"
    assert model.exog_names == ["Intercept", "w", "x1", "x2", "x3"]
    assert list(res.params.index[:6]) == [
        "a:Intercept",
        "a:w",
        "a:x1",
        "a:x2",
        "a:x3",
        "b:Intercept",
    ]
    assert res.coefficients.shape == res.projection.shape == (3, 3)
    assert res.coefficients.loc["x2", "b"] == res.params["b:x2"]
    assert res.loadings.shape == res.directions.shape == (3, 1)
    assert res.draws.shape == (2, 1_000, 15)
    assert (res.df_model, res.df_resid) == (5.0 + 3.0, N - 5.0)
    assert np.linalg.matrix_rank(res.draws[0, 0].reshape(3, 5)[:, 2:], tol=1e-10) == 1


def test_beside_other_results_in_statsmodels_tables(res):
    table = summary_col([res]).as_text()
    assert "c:x3" in table
    assert len(res.to_frame()) == 2_000


def test_factors_multiply_to_the_coefficients(res):
    spaces = res.spaces
    C = spaces.loadings[0, 0] @ spaces.spaces[0, 0].T
    C = C * spaces.endog_sds[:, None] / spaces.exog_sds
    np.testing.assert_allclose(res.draws[0, 0].reshape(3, 5)[:, 2:], C, rtol=1e-10)
    product = res.loadings @ (res.directions / res.exog_sds.to_numpy()[:, None]).T
    # Means of factors, not of products.
    np.testing.assert_allclose(product, res.coefficients.T, atol=0.05)
    assert np.trace(res.projection) == pytest.approx(1.0)
    angles = res.principal_angles()
    assert (angles["lower"] <= angles["median"]).all()
    assert (angles["upper"] < np.pi / 2).all()


def test_summary_predictions_and_storage(res, frame, tmp_path):
    text = res.summary().as_text()
    assert "Rank:" in text
    assert "1 of at most 3" in text
    assert "c:x3" in text
    predicted = res.predict(frame.head(4))
    own = frame.head(4).assign(Intercept=1.0)[["Intercept", "w", "x1", "x2", "x3"]]
    expected = own.to_numpy() @ res.params.to_numpy().reshape(3, 5).T
    np.testing.assert_allclose(predicted, expected, rtol=1e-12)
    assert list(predicted.columns) == ["a", "b", "c"]
    np.testing.assert_allclose(res.predict(own, transform=False), predicted, rtol=1e-12)
    np.testing.assert_allclose(res.model.predict(res.params)[:4], predicted, rtol=1e-12)
    assert res.prob("a:x1 > 0") > 0.9
    res.save(tmp_path / "rank.npz")
    loaded = qb.load(tmp_path / "rank.npz")
    assert loaded.summary().as_text() == text
    pd.testing.assert_frame_equal(loaded.loadings, res.loadings)


def test_unrestricted_coefficients_of_the_controls(frame):
    """At full rank with a wide prior, means and sds are those of least squares and HC0."""
    model = from_formula(frame, rank=3, prior_scale=1e4)
    found = model.fit(draws=3_000, tune=300, rng=1, cores=1)
    X = np.column_stack([np.ones(N), frame[["w", "x1", "x2", "x3"]]])
    inverse = np.linalg.inv(X.T @ X)
    for outcome in "abc":
        y = frame[outcome].to_numpy()
        beta = inverse @ X.T @ y
        scores = X * (y - X @ beta)[:, None]
        sd = np.sqrt(np.diag(inverse @ scores.T @ scores @ inverse))
        names = [f"{outcome}:{name}" for name in model.exog_names]
        error = found.mcse().loc[names]
        assert np.all(np.abs(found.params[names] - beta) < 4.0 * error["mean"] + 1e-6)
        assert np.all(np.abs(found.bse[names] - sd) < 4.0 * error["sd"] + 1e-6)


def test_formula_and_arrays_give_the_same_draws(frame):
    endog, exog = with_constant(frame)
    first = qb.QuasiBayesReducedRank(endog, exog, 2, controls=frame[["w"]].to_numpy()).fit(**SHORT)
    second = from_formula(frame, rank=2).fit(**SHORT | {"cores": 2})
    np.testing.assert_array_equal(first.draws, second.draws)
    assert first.model.exog_names == ["const", "w1", "x1", "x2", "x3"]


def test_units_do_not_matter(frame):
    """The law without units is the same, and what goes back has the units of the data."""
    scaled = frame.assign(x2=1e4 * frame["x2"] + 7.0, b=1e-3 * frame["b"], w=50.0 - 3 * frame["w"])
    models = [from_formula(data) for data in (frame, scaled)]
    first, second = (weighted_system(m.design, m._system, CovarianceRule(), 1.0) for m in models)
    np.testing.assert_allclose(second.fit.estimate, first.fit.estimate, rtol=1e-9)
    np.testing.assert_allclose(second.fit.precision, first.fit.precision, rtol=1e-8)
    for model, data in zip(models, (frame, scaled), strict=True):
        estimate = model._system.estimate()
        C, D = model._system.in_units(estimate[:, :3], estimate[:, 3:])
        X = np.column_stack([np.ones(N), data[["w", "x1", "x2", "x3"]]])
        expected = np.linalg.lstsq(X, data[["a", "b", "c"]])[0].T
        np.testing.assert_allclose(np.hstack([D, C]), expected, rtol=1e-8)


def test_missing_rows(frame):
    holes = frame.copy()
    holes.loc[3, "x2"] = np.nan
    holes.loc[5, "a"] = np.nan
    model = from_formula(holes)
    assert (model.n_dropped, model.design.nobs) == (2, N - 2)
    endog, exog = arrays(holes)
    with pytest.raises(InputError, match="endog 0 is missing"):
        qb.QuasiBayesReducedRank(endog, exog, 1)
    dropped = qb.QuasiBayesReducedRank(endog, exog, 1, missing="drop")
    assert dropped.n_dropped == 2
    assert dropped.k_constant == 0


@pytest.mark.parametrize(
    ("options", "label"),
    [
        ({"cov_type": "nonrobust"}, "nonrobust"),
        ({"cov_type": "HC1"}, "HC1"),
        ({"cov_type": "HAC", "cov_kwds": {"maxlags": 3}}, "HAC"),
        ({"cov_type": "cluster", "cov_kwds": {"groups": np.arange(N) // 3}}, "cluster"),
    ],
)
def test_covariances(frame, options, label):
    """The precision of the unrestricted estimate is that of the textbook sandwich."""
    model = from_formula(frame, "a + b ~ x1 + x2")
    rule = parse_covariance(**options)
    found = np.linalg.inv(weighted_system(model.design, model._system, rule, 1.0).fit.precision)
    X = np.column_stack([np.ones(N), frame[["x1", "x2"]]])
    Y = frame[["a", "b"]].to_numpy()
    inverse = np.linalg.inv(X.T @ X)
    u = Y - X @ inverse @ X.T @ Y
    scores = np.column_stack([u[:, [i]] * X for i in range(2)])
    if label == "nonrobust":
        meat = np.kron(u.T @ u / N, X.T @ X)
    elif label == "cluster":
        sums = scores.reshape(N // 3, 3, 6).sum(axis=1)
        meat = sums.T @ sums
    else:
        meat = scores.T @ scores * (N / (N - 3) if label == "HC1" else 1.0)
        for lag in range(1, 4 if label == "HAC" else 1):
            product = scores[lag:].T @ scores[:-lag]
            meat += (1.0 - lag / 4) * (product + product.T)
    outer = np.kron(np.eye(2), inverse)
    covariance = (outer @ meat @ outer)[np.ix_([1, 2, 4, 5], [1, 2, 4, 5])]
    sx, sy = X[:, 1:].std(axis=0), Y.std(axis=0)
    scale = np.kron(1.0 / sy, sx)
    np.testing.assert_allclose(found, covariance * np.outer(scale, scale), rtol=1e-8)
    assert model.fit(**SHORT, **options).record.cov_type == label


def test_groups_are_matched_to_the_rows_that_are_kept(frame):
    """A column by name, or values for all rows, in which a row was dropped."""
    holes = frame.copy()
    holes.loc[7, "x1"] = np.nan
    options = {**SHORT, "draws": 50, "tune": 50, "cov_type": "cluster"}
    by_name, by_value = (
        from_formula(holes, "a + b ~ x1 + x2").fit(**options, cov_kwds={"groups": groups})
        for groups in ("state", holes["state"].to_numpy())
    )
    np.testing.assert_array_equal(by_name.draws, by_value.draws)
    assert (by_name.nobs, by_name.model.n_dropped) == (N - 1, 1)
    assert by_name.record.cov_kwds["groups"] == "state"


def test_learning_rate_multiplies_the_precision(frame):
    model = from_formula(frame)
    first, second = (
        weighted_system(model.design, model._system, CovarianceRule(), rate) for rate in (1.0, 0.5)
    )
    np.testing.assert_allclose(second.fit.precision, 0.5 * first.fit.precision, rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"rank": 4}, OptionError, "rank=4 must be at most 3"),
        ({"rank": 0}, OptionError, "rank=0 must be at least 1"),
        ({"rank": 1.5}, OptionError, "rank=1.5 must be a whole number"),
        ({"prior_scale": -1}, OptionError, "prior_scale=-1 must be a positive"),
        ({"prior_scale": "wide"}, OptionError, "prior_scale='wide'"),
        ({"missing": "ignore"}, OptionError, "missing='ignore'"),
        ({"ranks": 2}, UnknownKeywordError, "Did you mean 'rank'"),
    ],
)
def test_wrong_arguments(frame, change, error, words):
    with pytest.raises(error, match=words):
        qb.QuasiBayesReducedRank(*arrays(frame), **{"rank": 1, **change})


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"quasi_likelihood": "cue"}, OptionError, "cannot be integrated out"),
        ({"quasi_likelihood": "ml"}, OptionError, "quasi_likelihood='ml'"),
        ({"parameterization": "polr"}, OptionError, "Did you mean 'polar'"),
        ({"sampler": "rwm"}, UnknownKeywordError, "sampler"),
        ({"sampler_kwds": {"target": 0.9}}, UnknownKeywordError, "target_accept"),
        ({"sampler_kwds": 3}, OptionError, "must be a dict"),
        ({"learning_rate": "calibrate"}, OptionError, "learning_rate"),
        ({"draws": 0}, OptionError, "draws=0"),
        ({"progressbar": "yes"}, OptionError, "progressbar"),
        ({"cov_type": "cluster"}, OptionError, "groups"),
        ({"cov_type": "cluster", "cov_kwds": {"groups": np.arange(N) // 30}}, InputError, "4 clus"),
    ],
)
def test_wrong_options_of_a_fit(frame, change, error, words):
    with pytest.raises(error, match=words):
        from_formula(frame).fit(**{**SHORT, **change})


@pytest.mark.parametrize(
    ("formula", "error", "words"),
    [
        ("a + b ~ x1", InputError, "one regressor"),
        ("a:b ~ x1 + x2", FormulaError, "columns joined by"),
        ("a + b ~ [x1 ~ x2]", FormulaError, "brackets"),
        ("a + bb ~ x1 + x2", FormulaError, "column 'bb' is not in data"),
        ("a + b ~ x1 + x2 | x2", InputError, "'x2' is in exog and in controls"),
        ("a + b ~ x1 + x2 + a", InputError, "'a' is in endog and in exog"),
        ("a + b ~ x1 + x2 + I(2 * x1)", RankError, "I\\(2 \\* x1\\).*equals 2 times"),
        ("a + I(a + x1) ~ x1 + x2", RankError, "exact linear combination"),
        ("a + b ~ x1 + x2 + I(1 + w) | w", RankError, "exact linear combination"),
        ("C(state) + b ~ x1 + x2", FormulaError, "is categorical"),
        ("b + C(state) ~ x1 + x2", FormulaError, "is a category"),
        ("a + I(0 * b) ~ x1 + x2", InputError, "has the value 0 in every row"),
        ("a + b ~ 1", FormulaError, "gives no column"),
    ],
)
def test_wrong_formulas(frame, formula, error, words):
    with pytest.raises(error, match=words):
        from_formula(frame, formula)


def test_without_an_intercept(frame):
    model = from_formula(frame, "a + b ~ x1 + x2 + x3 - 1")
    assert model.exog_names == ["x1", "x2", "x3"]
    assert model.fit(**SHORT).params.shape == (6,)


def test_too_few_rows_for_the_covariance(frame):
    model = from_formula(frame.head(14))
    with pytest.raises(InputError, match="14 rows but 15 moments"):
        model.fit(**SHORT)
    assert model.fit(**SHORT, cov_type="nonrobust").nobs == 14


def test_a_dummy_of_one_row_is_named(frame):
    data = frame.assign(only=(np.arange(N) == 5).astype(float))
    with pytest.raises(NumericalError, match="'only'"):
        from_formula(data, "a + b ~ x1 + x2 + only").fit(**SHORT)


def test_ranks_are_compared_one_by_one(frame):
    model = from_formula(frame)
    options = {**SHORT, "proposals": 500}
    some = model.compare_ranks([1], **options)
    assert list(some.index) == [1]
    both = model.compare_ranks((0, 1), **options)
    assert both.loc[1, "log_quasi_marginal_likelihood"] == some.iloc[0, 0]
    assert both["probability"].sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ranks": [4]}, "at most 3"),
        ({"ranks": [1, 1]}, "each once"),
        ({"ranks": []}, "one rank or more"),
        ({"ranks": "1"}, "must be a list"),
        ({"ranks": [0.5]}, "whole number"),
        ({"proposals": 3}, "proposals=3"),
        ({"rank": 1}, "Did you mean 'ranks'"),
        ({"ranks": [1], "draws": 1}, "draws=1 must be at least 2"),
    ],
)
def test_wrong_ranks(frame, change, words):
    with pytest.raises(OptionError, match=words):
        from_formula(frame).compare_ranks(**{**SHORT, **change})
