"""Results of two effects on each other: files, text and pictures."""

import numpy as np
import pytest

import qbeconometrics as qb
from qbeconometrics.exceptions import DataNeededError, WeakIdentificationWarning

FORMULA = "y1 + y2 ~ x1 + x2"


@pytest.fixture(scope="module")
def data():
    return qb.simulate.bidirectional(5_000)


@pytest.fixture(scope="module")
def fitted(data):
    return qb.OnlineBidirectional.from_formula(FORMULA, data, n_features=30, rng=0).fit()


@pytest.fixture(scope="module")
def streamed(data):
    options = {"n_features": 30, "optimiser": "sgd", "update": "score", "rng": 0}
    stream = qb.OnlineBidirectional.from_formula(FORMULA, **options).partial_fit(data)
    return stream.result(cov_type="random-scaling")


@pytest.mark.parametrize("kind", ["fitted", "streamed"])
def test_files_bring_back_everything_but_rows(kind, data, request, tmp_path):
    res = request.getfixturevalue(kind)
    res.save(tmp_path / "effects.npz")
    loaded = qb.load(tmp_path / "effects.npz")
    assert str(loaded.summary()) == str(res.summary())
    assert loaded.conf_int().equals(res.conf_int())
    assert loaded.baselines.equals(res.baselines)
    assert loaded.robust_set() == res.robust_set()
    x = data[["x1", "x2"]].head()
    np.testing.assert_array_equal(loaded.predict(x), res.predict(data.head()))
    with pytest.raises(DataNeededError, match="quasi_posterior"):
        loaded.quasi_posterior()


def test_summary_has_the_numbers(fitted, streamed):
    text = str(fitted.summary(alpha=0.1))
    for value in (fitted.b12, fitted.bse["b21"], *fitted.conf_int(0.1).loc["b21"]):
        assert f"{value:.4f}" in text
    for words in ("[0.05", "0.95]", "single-equation OLS", "Rigobon, 4 regimes", "cross-fitted"):
        assert words in text
    assert f"{fitted.llf:.2f}" in text
    text = str(streamed.summary())
    assert "random-scaling" in text
    assert "P>|z|" not in text
    assert streamed.pvalues.isna().all()
    assert "\\begin{tabular}" in fitted.to_latex()
    assert "<table" in fitted._repr_html_()


def test_log_likelihood_prefers_the_features_that_fit(data):
    fits = {
        name: qb.OnlineBidirectional.from_formula(
            FORMULA, data, features=name, n_features=40, rng=0
        ).fit(baselines=False)
        for name in ("linear", "fourier")
    }
    assert fits["fourier"].llf > fits["linear"].llf + 500.0


def test_robust_set_is_printed_where_standard_errors_are_not():
    weak = qb.simulate.bidirectional(3_000, variances="common")
    model = qb.OnlineBidirectional.from_formula(FORMULA, weak, n_features=30, rng=0)
    with pytest.warns(WeakIdentificationWarning, match="rank statistic"):
        res = model.fit(baselines=False)
    assert res.weakly_identified
    assert res.bse.isna().all()
    assert res.conf_int().isna().all(axis=None)
    text = " ".join(str(res.summary()).split())
    low, high = res.robust_set().b12[0]
    assert f"b12 in ({low:.4g}, {high:.4g})" in text
    assert "n/a" in text


def test_pictures(fitted, streamed):
    axes = fitted.plot()
    assert len(axes) == 5
    assert axes[0].get_xlabel() == "b12: y2 on y1"
    line = axes[1].get_lines()[0]
    dependence = fitted.partial_dependence("x1")
    np.testing.assert_array_equal(line.get_ydata(), dependence["y1"])
    assert axes[2].get_ylabel() == "error variance"
    # The estimate is drawn, and lies within what is shown.
    low, high = axes[0].get_xlim()
    assert low < fitted.b12 < high
    curve = streamed.plot_learning_curve().get_lines()[0]
    np.testing.assert_array_equal(curve.get_ydata(), streamed.learning_curve["b12"])
    with pytest.raises(DataNeededError, match="partial_fit"):
        fitted.plot_learning_curve()
