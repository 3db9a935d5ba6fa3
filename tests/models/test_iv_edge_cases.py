"""Inputs that once gave wrong numbers, raw errors or wasted work."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.iolib.summary2 import summary_col

import qbeconometrics as qb
from qbeconometrics.exceptions import (
    FormulaError,
    ImproperPosteriorError,
    InputError,
    NumericalWarning,
    OptionError,
    QBEconometricsError,
    UnknownKeywordError,
)
from qbeconometrics.priors import Flat, Normal


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    n = 200
    z1, z2, error = rng.standard_normal((3, n))
    x = 5 + z1 + z2 + error + rng.standard_normal(n)
    return pd.DataFrame({"y": x + error, "x": x, "z1": z1, "z2": z2})


def model_of(frame, formula="y ~ [x ~ z1 + z2]", **keywords):
    return qb.QuasiBayesIV.from_formula(formula, frame, **keywords)


def test_summary_col_has_the_names(frame):
    text = summary_col([model_of(frame).fit(quasi_likelihood="two-step", draws=10)]).as_text()
    assert "Intercept" in text
    assert "x" in text


def test_weight_frame_is_matched_by_label(frame):
    model = model_of(frame)
    names = model.instrument_names
    weight = pd.DataFrame(np.diag([1.0, 2.0, 30.0]), index=names, columns=names)
    turned = weight.loc[names[::-1], names[::-1]]
    fits = [
        model.fit(quasi_likelihood="two-step", weight_matrix=w, draws=5).params
        for w in (weight, turned)
    ]
    assert np.allclose(*fits)
    wrong = weight.rename(index={"z1": "w"})
    with pytest.raises(OptionError, match="labelled by the instruments"):
        model.fit(quasi_likelihood="two-step", weight_matrix=wrong, draws=5)


@pytest.mark.parametrize("offset", [3e7, 1e8])
def test_default_prior_far_from_zero(frame, offset):
    """Moving a column changes the intercept alone."""
    moved = model_of(frame.assign(x=frame.x + offset)).fit(rng=0)
    still = model_of(frame).fit(rng=0)
    assert moved.params["x"] == pytest.approx(still.params["x"], abs=0.1 * still.bse["x"])


def test_flat_slope_is_named(frame):
    with pytest.raises(ImproperPosteriorError, match="flat prior of x"):
        model_of(frame, prior={"x": Flat()}).quasi_posterior()


@pytest.mark.parametrize("kind", ["two-step", "cue-nodet", "cue"])
def test_singleton_dummy_is_explained(frame, kind):
    data = frame.assign(alone=(np.arange(200) == 7) * 1.0)
    with pytest.raises(QBEconometricsError, match="row 7"):
        model_of(data, "y ~ alone + [x ~ z1 + z2]").fit(quasi_likelihood=kind, draws=50, rng=0)


def test_dummy_of_identical_rows_is_improper(frame):
    data = frame.assign(pair=0.0)
    data.loc[198, "pair"] = 1.0
    data.loc[199] = data.loc[198]
    with pytest.raises(ImproperPosteriorError, match="row 198"):
        model_of(data, "y ~ pair + x").quasi_posterior()


def test_dummy_of_two_different_rows_is_accepted(frame):
    data = frame.assign(pair=(frame.index >= 198) * 1.0)
    model_of(data, "y ~ pair + x").quasi_posterior()


@pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.TailWarning")
def test_fall_back_warns():
    rng = np.random.default_rng(21)
    x = np.column_stack([np.ones(300), rng.standard_normal((300, 3)), np.zeros(300)])
    y = x.sum(axis=1) + rng.standard_normal(300)
    x[-2:, -1] = 1.0
    x[-1], y[-1] = x[-2], y[-2] + 1e-7
    with pytest.warns(NumericalWarning, match="replaced by 'da-exact'"):
        res = qb.QuasiBayesIV(y, x).fit("da-approx", quasi_likelihood="cue-nodet", rng=0, draws=200)
    assert any("replaced by 'da-exact'" in note for note in res.record.notes)


def test_prior_covariance_columns_are_checked(frame):
    cov = pd.DataFrame(np.eye(2), index=["Intercept", "x"], columns=["Intercept", "w"])
    with pytest.raises(InputError, match="w"):
        model_of(frame, prior=Normal(0, cov=cov))


def test_j_stat_options_are_checked(frame):
    with pytest.raises(OptionError, match="cov_kwds"):
        model_of(frame).j_stat(cov_kwds="centered")


def test_prior_numbers_in_quotes():
    with pytest.raises(OptionError, match="Normal mean"):
        Normal("0", "10")


def test_one_pass_over_the_rows(frame):
    model = model_of(frame)
    model.fit(rng=0, draws=1000)
    assert not ("_second_order" in vars(model) and "_fourth_order" in vars(model))


@pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.WeakInstrumentWarning")
def test_two_step_forms_no_fourth_order_sums(frame):
    model = model_of(frame)
    str(model.fit(quasi_likelihood="two-step", draws=10, chains=1).summary())
    assert "_fourth_order" not in vars(model)


def test_prediction_of_the_model_is_checked(frame):
    with pytest.raises(QBEconometricsError, match="predict needs 2 params"):
        model_of(frame).predict([1.0, 2.0, 3.0])


def test_endogenous_regressor_among_the_instruments_is_refused(frame):
    with pytest.raises(FormulaError, match=r"'x' endogenous, but it is a combination"):
        model_of(frame.assign(z1=frame.x), "y ~ [x ~ z1 + z2]")


def other_notes(res):
    """Notes but for the one that every fit with endogenous regressors has."""
    return [note for note in res.record.notes if not note.startswith("Identification: ")]


def test_constant_among_the_instruments_alone_is_noted(frame):
    model = qb.QuasiBayesIV(frame.y, frame[["x"]], frame[["z1", "z2"]].assign(one=1.0))
    res = model.fit(quasi_likelihood="two-step", draws=10)
    assert any("no intercept is estimated" in note for note in res.record.notes)
    res = model_of(frame).fit(quasi_likelihood="two-step", draws=10)
    assert other_notes(res) == []


def test_data_and_draws_cannot_be_written_to(frame):
    model = model_of(frame)
    res = model.fit(draws=10, quasi_likelihood="two-step")
    for array in (model.endog, model.exog, model.instrument, res.draws):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0


@pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.TailWarning")
def test_heavy_tails_are_noted():
    data = qb.datasets.load("ajr2001").query("baseco == 1")
    heavy = model_of(data, "logpgp95 ~ [avexpr ~ logem4]").fit(rng=0)
    assert any(note.startswith("Heavy tails: the posterior sd of") for note in heavy.record.notes)


def test_light_tails_are_not_noted(frame):
    assert other_notes(model_of(frame).fit(rng=0)) == []


def test_new_data_of_another_kind_are_refused(frame):
    res = model_of(frame).fit(draws=10, quasi_likelihood="two-step")
    with pytest.raises(InputError, match="type that it had in the data of the fit"):
        res.predict(pd.DataFrame({"x": [True]}))


@pytest.mark.parametrize(("word", "ours"), [("seed", "rng"), ("n_jobs", "cores")])
def test_words_of_other_packages_are_known(frame, word, ours):
    with pytest.raises(UnknownKeywordError, match=f"'{word}'. Did you mean '{ours}'"):
        model_of(frame).fit(**{word: 1})
