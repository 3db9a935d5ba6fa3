"""Results against direct computations from the draws."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.base.model import Results
from statsmodels.iolib.summary2 import summary_col

from qbeconometrics.diagnostics import convergence
from qbeconometrics.diagnostics.credible_intervals import hdi
from qbeconometrics.exceptions import (
    ConvergenceWarning,
    InputError,
    NumericalError,
    NumericalWarning,
    OptionError,
    WeakInstrumentWarning,
)
from qbeconometrics.results import IVResults, PosteriorResults

# Sums in another order.
ROUNDING = 1e-12
COVARIANCE = np.array([[0.5, 0.2, 0.0], [0.2, 0.4, -0.1], [0.0, -0.1, 0.3]])
FORMULA_NAMES = ("Intercept", "exper", "np.log(educ)")


@pytest.fixture
def fitted(record_factory, model_factory):
    record = record_factory()
    return IVResults(model_factory(record.param_names), record)


@pytest.fixture
def exact(record_factory, model_factory):
    mean = np.array([1.0, -2.0, 0.1])
    names = ("Intercept", "exper", "educ")
    record = record_factory(
        names=names,
        centre=mean,
        spread=np.sqrt(np.diag(COVARIANCE)),
        draws=500,
        exact_mean=mean,
        exact_cov=COVARIANCE,
        sampler="independent",
        sampler_stats={},
    )
    return IVResults(model_factory(names), record)


def test_moments_equal_those_of_the_draws(fitted):
    pooled = fitted.draws.reshape(-1, 4)
    assert isinstance(fitted, PosteriorResults)
    assert isinstance(fitted, Results)
    np.testing.assert_allclose(fitted.params, pooled.mean(axis=0), rtol=ROUNDING)
    np.testing.assert_allclose(fitted.bse, pooled.std(axis=0, ddof=1), rtol=ROUNDING)
    np.testing.assert_allclose(fitted.cov_params(), np.cov(pooled.T), rtol=1e-10)
    np.testing.assert_allclose(fitted.median, np.median(pooled, axis=0), rtol=ROUNDING)
    for labelled in (fitted.params, fitted.bse, fitted.median, fitted.mode, fitted.rhat()):
        assert list(labelled.index) == ["Intercept", "exper", "expersq", "educ"]
    assert list(fitted.cov_params().columns) == list(fitted.cov_params().index)


def test_quantiles_and_intervals(fitted):
    pooled = fitted.draws.reshape(-1, 4)
    one = fitted.quantile(0.2)
    np.testing.assert_allclose(one, np.quantile(pooled, 0.2, axis=0), rtol=ROUNDING)
    assert one.name == 0.2
    several = fitted.quantile([0.1, 0.9])
    assert list(several.index) == [0.1, 0.9]
    np.testing.assert_allclose(several["educ"], np.quantile(pooled[:, 3], [0.1, 0.9]))
    interval = fitted.conf_int(0.2)
    assert list(interval.columns) == [0, 1]
    np.testing.assert_allclose(interval.to_numpy().T, several, rtol=ROUNDING)
    narrow = fitted.conf_int(0.2, method="hdi")
    np.testing.assert_array_equal(narrow, hdi(fitted.draws, 0.8))
    assert (narrow[1] - narrow[0] <= interval[1] - interval[0]).all()


def test_diagnostics_are_labelled(fitted):
    ess = fitted.ess()
    assert list(ess.columns) == ["bulk", "tail"]
    np.testing.assert_array_equal(ess["bulk"], convergence.bulk_ess(fitted.draws))
    np.testing.assert_array_equal(fitted.rhat(), convergence.rhat(fitted.draws))
    np.testing.assert_array_equal(fitted.mcse()["mean"], convergence.mean_mcse(fitted.draws))
    np.testing.assert_array_equal(fitted.mcse()["sd"], convergence.sd_mcse(fitted.draws))
    # Independent draws; the batch estimate has a relative sd of some 2 %.
    assert fitted.mess() == pytest.approx(4000, rel=0.15)
    # What is handed out is a copy.
    ess.iloc[0, 0] = -1.0
    assert fitted.ess().iloc[0, 0] > 0


def test_exact_normal_posterior(exact):
    mean, sd = np.array([1.0, -2.0, 0.1]), np.sqrt(np.diag(COVARIANCE))
    np.testing.assert_array_equal(exact.params, mean)
    np.testing.assert_array_equal(exact.cov_params(), COVARIANCE)
    np.testing.assert_allclose(exact.bse, sd, rtol=ROUNDING)
    np.testing.assert_allclose(exact.median, mean, rtol=ROUNDING)
    lower, upper = stats.norm.interval(0.9, loc=mean, scale=sd)
    for method in ("eti", "hdi"):
        interval = exact.conf_int(0.1, method=method)
        np.testing.assert_allclose(interval[0], lower, rtol=ROUNDING)
        np.testing.assert_allclose(interval[1], upper, rtol=ROUNDING)
    np.testing.assert_allclose(exact.quantile(0.95), upper, rtol=ROUNDING)
    assert (exact.mcse() == 0).all(axis=None)
    weights = np.array([1.0, 0.5, 0.0])
    known = stats.norm.sf(0.2, weights @ mean, np.sqrt(weights @ COVARIANCE @ weights))
    assert exact.prob("Intercept + exper/2 > 0.2") == pytest.approx(known, rel=ROUNDING)
    draws = exact.draws
    both = np.mean((draws[..., 0] > 1) & (draws[..., 2] > 0))
    assert exact.prob("Intercept > 1 and educ > 0") == both
    assert exact.findings() == []


def test_prob_counts_draws(fitted):
    educ = fitted.draws[..., 3]
    assert fitted.prob("educ > 0.1") == np.mean(educ > 0.1)
    assert fitted.prob("0.1 < educ < 0.2") == np.mean((educ > 0.1) & (educ < 0.2))
    with pytest.raises(InputError, match="Did you mean 'educ'"):
        fitted.prob("edu > 0")
    with pytest.raises(OptionError, match="equality"):
        fitted.prob("educ = 0")


def test_moments_that_do_not_exist(record_factory, model_factory):
    record = record_factory(moments_exist=(True, False))
    results = PosteriorResults(model_factory(record.param_names), record)
    assert np.isfinite(results.params).all()
    assert np.isnan(results.bse).all()
    assert np.isnan(results.cov_params()).all(axis=None)
    assert np.isfinite(results.mcse()["median"]).all()
    assert np.isnan(results.mcse()[["mean", "sd"]]).all(axis=None)
    record = record_factory(moments_exist=(False, False))
    results = PosteriorResults(model_factory(record.param_names), record)
    assert np.isnan(results.params).all()
    assert np.isfinite(results.conf_int()).all(axis=None)
    with pytest.raises(NumericalError, match="mean does not exist"):
        results.predict(np.ones((1, 4)))


def test_statsmodels_vocabulary(fitted):
    assert fitted.nobs == 3010
    assert (fitted.df_model, fitted.df_resid) == (3, 3006)
    assert fitted.tvalues.isna().all()
    assert list(fitted.pvalues.index) == list(fitted.params.index)
    assert not hasattr(fitted, "llf")
    with pytest.raises(AttributeError, match="no log likelihood"):
        _ = fitted.llf
    assert "IVResults: QuasiBayesIV of 'lwage', 4 parameters" in repr(fitted)
    stored = fitted.sampler_stats
    stored["seconds"] = -1
    assert fitted.sampler_stats["seconds"] == 0.25


def test_summary_col(fitted):
    text = summary_col([fitted, fitted], stars=True, model_names=["a", "b"]).as_text()
    assert f"{fitted.params['educ']:.4f}" in text
    assert f"({fitted.bse['educ']:.4f})" in text
    # Without p-values there are no stars but those of the legend.
    assert "*" not in text.split("Standard errors")[0]


def test_predict_without_formula(fitted):
    rng = np.random.default_rng(1)
    exog = rng.standard_normal((5, 4))
    expected = exog @ fitted.params.to_numpy()
    np.testing.assert_allclose(fitted.predict(exog), expected, rtol=ROUNDING)
    np.testing.assert_allclose(fitted.predict(exog[0]), expected[:1], rtol=ROUNDING)
    frame = pd.DataFrame(exog, columns=list(fitted.params.index), index=list("abcde"))
    # Columns are matched by name, and others are ignored.
    shuffled = frame[["educ", "Intercept", "expersq", "exper"]].assign(other="text")
    predicted = fitted.predict(shuffled)
    np.testing.assert_allclose(predicted, expected, rtol=ROUNDING)
    assert list(predicted.index) == list("abcde")
    np.testing.assert_allclose(fitted.predict(frame.loc["b"]), expected[1:2], rtol=ROUNDING)
    frame.loc["c", "educ"] = np.nan
    assert list(fitted.predict(frame).isna()) == [False, False, True, False, False]


def test_predict_through_the_formula(record_factory, model_factory):
    record = record_factory(
        names=FORMULA_NAMES, centre=np.array([1.0, 0.5, 2.0]), spread=np.ones(3) * 0.1
    )
    model = model_factory(FORMULA_NAMES)
    model.formula = "lwage ~ exper + np.log(educ)"
    results = IVResults(model, record)
    frame = pd.DataFrame({"exper": [1.0, np.nan, 3.0], "educ": [2.0, 3.0, 4.0]}, index=[7, 8, 9])
    predicted = results.predict(frame)
    assert list(predicted.index) == [7, 8, 9]
    design = np.column_stack([np.ones(2), [1.0, 3.0], np.log([2.0, 4.0])])
    np.testing.assert_allclose(predicted.loc[[7, 9]], design @ results.params, rtol=ROUNDING)
    assert np.isnan(predicted.loc[8])
    np.testing.assert_allclose(results.predict({"exper": [1.0], "educ": [2.0]}), predicted.loc[[7]])
    ready = pd.DataFrame(design, columns=list(FORMULA_NAMES))
    np.testing.assert_allclose(
        results.predict(ready, transform=False), predicted.loc[[7, 9]], rtol=ROUNDING
    )


@pytest.mark.parametrize(
    ("exog", "match"),
    [
        (None, "needs exog"),
        (np.ones((2, 3)), r"shape \(2, 3\).*4 regressors"),
        (np.ones((2, 2, 4)), "shape"),
        (np.ones(3), r"shape \(1, 3\)"),
        ([["a", "b", "c", "d"]], "numbers"),
        (pd.DataFrame({"Intercept": [1.0], "exper": 1.0, "expersq": 1.0, "edu": 1.0}), "'educ'"),
        (
            pd.DataFrame({"Intercept": [1.0], "exper": "x", "expersq": 1.0, "educ": 1.0}),
            "'exper' is not numeric",
        ),
    ],
)
def test_predict_names_what_is_wrong(fitted, exog, match):
    with pytest.raises(InputError, match=match):
        fitted.predict(exog)


@pytest.mark.parametrize("alpha", [0, 1, -0.1, "a", np.nan, None])
def test_wrong_levels_are_refused(fitted, alpha):
    for call in (fitted.conf_int, fitted.summary):
        with pytest.raises(OptionError, match="alpha="):
            call(alpha)
    with pytest.raises(OptionError, match="q="):
        fitted.quantile(alpha)
    with pytest.raises(OptionError, match="q="):
        fitted.quantile([0.5, alpha])
    with pytest.raises(OptionError, match="Did you mean 'hdi'"):
        fitted.conf_int(method="hpdi")


def test_first_stage_and_j_use_the_covariance_of_the_fit(record_factory, model_factory):
    record = record_factory(cov_type="HC1", cov_kwds={"centered": True})
    model = model_factory(record.param_names)
    results = IVResults(model, record)
    first = results.first_stage()
    assert first.loc["educ", "effective_f"] == 14.3
    results.first_stage()
    results.summary()
    results.warn_if_unreliable()
    assert model.calls.count(("first_stage", "HC1", {"centered": True})) == 1
    assert results.j_stat(weight="cue", centered=False).df == 1
    assert model.calls[-1] == ("j_stat", "cue", "HC1", {"centered": True}, False)


def caught(results):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        results.warn_if_unreliable()
    return found


def test_good_chains_do_not_warn(fitted):
    assert caught(fitted) == []


def test_disagreeing_chains_warn_once_and_name_the_worst(record_factory, model_factory):
    record = record_factory()
    shifted = record.draws.copy()
    shifted[..., 1] += 0.02 * np.arange(4)[:, None]
    shifted[..., 3] += 0.05 * np.arange(4)[:, None]
    bad = record_factory(draws=len(shifted[0]))
    bad.draws[...] = shifted
    results = IVResults(model_factory(bad.param_names), bad)
    (warning,) = caught(results)
    assert warning.category is ConvergenceWarning
    text = str(warning.message)
    assert "for 'exper' (above 1.01 for 2 of 4 parameters)" in text
    assert "(below 400 for 2 of 4 parameters)" in text
    assert warning.filename == __file__
    assert text in " ".join(results.summary().notes)


def test_few_draws_stuck_chains_and_constants(record_factory, model_factory):
    few = record_factory(draws=50)
    (warning,) = caught(IVResults(model_factory(few.param_names), few))
    assert "for 4 of 4 parameters" in str(warning.message)
    three = record_factory(draws=3)
    (warning,) = caught(IVResults(model_factory(three.param_names), three))
    assert "too few usable draws" in str(warning.message)
    stuck = record_factory(spread=np.zeros(4))
    (warning,) = caught(IVResults(model_factory(stuck.param_names), stuck))
    assert "No parameter moved" in str(warning.message)
    # A coefficient that the prior fixes is no fault of the chains, even in short runs.
    fixed = record_factory(spread=np.array([0.7, 0.01, 0.0, 0.05]))
    results = IVResults(model_factory(fixed.param_names), fixed)
    assert caught(results) == []
    assert np.isnan(results.rhat()["expersq"])


def test_weak_instruments_warn(record_factory, model_factory):
    record = record_factory(endogenous_names=("educ", "exper"))
    model = model_factory(record.param_names, (31.0, 4.27), ("educ", "exper"))
    (warning,) = caught(IVResults(model, record))
    assert warning.category is WeakInstrumentWarning
    assert "the effective F is 4.27 for 'exper'" in str(warning.message)


@pytest.mark.parametrize(
    ("sampler", "rate", "match"),
    [
        ("rwm", [0.3, 0.02], "Chain 1 accepted 2.0%"),
        ("da", [0.95, 0.5], "Chain 0 accepted 95.0%"),
        ("da-exact", [0.95, 0.9], None),
    ],
)
def test_acceptance_rates_warn(record_factory, model_factory, sampler, rate, match):
    record = record_factory(
        chains=2, sampler=sampler, sampler_stats={"acceptance_rate": np.array(rate)}
    )
    found = caught(IVResults(model_factory(record.param_names), record))
    assert [w.category for w in found] == ([ConvergenceWarning] if match else [])
    assert not match or match in str(found[0].message)


def test_evaluations_that_are_not_finite_warn(record_factory, model_factory):
    record = record_factory(sampler_stats={"nonfinite": np.array([90, 60]), "evaluations": 10_000})
    (warning,) = caught(IVResults(model_factory(record.param_names), record))
    assert warning.category is NumericalWarning
    assert "150 of 10000" in str(warning.message)


def test_single_parameter_and_single_chain(record_factory, model_factory):
    record = record_factory(names=("x",), centre=[1.0], spread=[0.2], chains=1, draws=500)
    results = IVResults(model_factory(("x",)), record)
    assert results.cov_params().shape == (1, 1)
    assert results.rhat().isna().all()
    predicted = results.predict(np.array([1.0, 2.0]))
    np.testing.assert_allclose(predicted, results.params["x"] * np.array([1, 2]))
    assert caught(results) == []
    assert "at least two chains" in str(results.summary())


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"param_names": ("a",)}, r"draws have the shape \(4, 1000, 4\)"),
        ({"draws": 0}, r"\(4, 0, 4\)"),
        ({"mode": np.zeros(3)}, "mode has the shape"),
        ({"log_density": np.zeros((4, 7))}, "log_density has the shape"),
        ({"exact_mean": np.zeros(4)}, "given together"),
    ],
)
def test_records_that_do_not_fit_together_are_refused(record_factory, changes, match):
    with pytest.raises(InputError, match=match):
        record_factory(**changes)


def test_results_hold_no_rows(record_factory, model_factory):
    # The whole record is draws, log densities and names.
    record = record_factory()
    size = len(pickle.dumps(record))
    assert size < record.draws.nbytes + record.log_density.nbytes + 4000
