"""QuasiBayesIV as a user meets it: immutable models, equal inputs, statsmodels' manners."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from statsmodels.base.model import Model, Results
from statsmodels.iolib.summary2 import summary_col

import qbeconometrics as qb
from qbeconometrics.exceptions import (
    ConvergenceWarning,
    InputError,
    OptionError,
    QBEconometricsWarning,
    WeakInstrumentWarning,
)

# A few hundred draws do not always satisfy the checks of convergence.
pytestmark = pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.ConvergenceWarning")
QUIET = {"draws": 400, "tune": 200, "cores": 1}
# A second run may add up rows in another order; draws are of order one.
ROUNDING = 1e-9


@pytest.fixture
def frame():
    rng = np.random.default_rng(31)
    n = 250
    frame = pd.DataFrame(rng.standard_normal((n, 3)), columns=["near", "far", "age"])
    frame["region"] = rng.choice(["north", "south", "west"], n)
    frame["income"] = np.exp(rng.standard_normal(n))
    error = rng.standard_normal(n)
    frame["educ"] = frame["near"] + frame["far"] + error + rng.standard_normal(n)
    frame["wage"] = 1 + 0.5 * frame["educ"] + 0.2 * frame["age"] + error
    return frame


FORMULA = "wage ~ age + [educ ~ near + far]"


@pytest.fixture
def model(frame):
    return qb.QuasiBayesIV.from_formula(FORMULA, frame)


def snapshot(model):
    """Bytes of every array that a fit reads."""
    design, prior = model.design, model.prior
    arrays = {
        name: getattr(holder, name)
        for holder in (design, prior)
        for name in holder.__slots__
        if isinstance(getattr(holder, name), np.ndarray)
    }
    arrays |= {"model.endog": model.endog, "model.exog": model.exog}
    arrays["model.instrument"] = model.instrument
    return {name: (array.shape, array.tobytes()) for name, array in arrays.items()}


@pytest.mark.parametrize("sampler", ["auto", "rwm", "da", "da-exact", "da-approx"])
def test_fit_leaves_the_model_unchanged(model, sampler):
    before = snapshot(model)
    res = model.fit(sampler, rng=0, **QUIET)
    res.summary()
    assert snapshot(model) == before
    assert np.array_equal(model.fit(sampler, rng=0, **QUIET).draws, res.draws)


def test_concurrent_fits_equal_serial_fits(frame):
    """Four threads meet a model whose caches are empty."""
    jobs = [
        {"rng": 0},
        {"rng": 1, "cov_type": "nonrobust"},
        {"rng": 2, "quasi_likelihood": "two-step"},
        {"rng": 3, "sampler": "rwm", "cov_kwds": {"centered": True}},
    ]
    serial_model, shared = (qb.QuasiBayesIV.from_formula(FORMULA, frame) for _ in range(2))
    serial = [serial_model.fit(**QUIET, **job).draws for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda job: shared.fit(**QUIET, **job).draws, jobs))
    for first, second in zip(serial, together, strict=True):
        assert np.array_equal(first, second)


class TestRandomState:
    def test_an_int_repeats(self, model):
        assert np.array_equal(model.fit(rng=5, **QUIET).draws, model.fit(rng=5, **QUIET).draws)

    def test_a_seed_sequence_repeats(self, model):
        rng = np.random.SeedSequence(5)
        assert np.array_equal(model.fit(rng=rng, **QUIET).draws, model.fit(rng=rng, **QUIET).draws)

    def test_a_generator_goes_on(self, model):
        rng = np.random.default_rng(5)
        first, second = (model.fit(rng=rng, **QUIET).draws for _ in range(2))
        assert not np.array_equal(first, second)
        again = model.fit(rng=np.random.default_rng(5), **QUIET).draws
        assert np.array_equal(first, again)

    def test_none_differs(self, model):
        assert not np.array_equal(model.fit(**QUIET).draws, model.fit(**QUIET).draws)

    def test_cores_do_not_matter(self, model):
        one, many = (model.fit(rng=5, draws=400, tune=200, cores=cores) for cores in (1, 8))
        assert np.array_equal(one.draws, many.draws)


class TestEqualInputs:
    def test_formula_and_arrays(self, frame, model):
        exog = frame[["age", "educ"]].assign(Intercept=1.0)[["Intercept", "age", "educ"]]
        instrument = exog[["Intercept", "age"]].join(frame[["near", "far"]])
        arrays = qb.QuasiBayesIV(frame["wage"], exog, instrument)
        assert arrays.exog_names == model.exog_names
        expected, result = model.fit(rng=1, **QUIET), arrays.fit(rng=1, **QUIET)
        assert np.max(np.abs(result.draws - expected.draws)) < ROUNDING
        assert np.max(np.abs(result.mode - expected.mode)) < ROUNDING

    def test_brackets_and_bar(self, frame, model):
        bar = qb.QuasiBayesIV.from_formula("wage ~ age + educ | age + near + far", frame)
        expected, result = model.fit(rng=1, **QUIET), bar.fit(rng=1, **QUIET)
        assert np.max(np.abs(result.draws - expected.draws)) < ROUNDING
        assert bar.endogenous_names == model.endogenous_names == ["educ"]

    def test_missing_rows_are_dropped_and_counted(self, frame):
        gaps = frame.copy()
        for row, name in ((3, "wage"), (8, "educ"), (8, "near"), (20, "far"), (21, "income")):
            gaps.loc[row, name] = np.nan
        model = qb.QuasiBayesIV.from_formula(FORMULA, gaps)
        complete = qb.QuasiBayesIV.from_formula(FORMULA, gaps.drop(index=[3, 8, 20]))
        res = model.fit(rng=1, **QUIET)
        assert model.n_dropped == res.record.n_dropped == 3
        assert res.nobs == 247
        assert np.array_equal(res.draws, complete.fit(rng=1, **QUIET).draws)
        with pytest.raises(InputError, match="'wage'"):
            qb.QuasiBayesIV.from_formula(FORMULA, gaps, missing="raise")

    def test_order_of_rows(self, frame, model):
        turned = frame.sample(frac=1, random_state=np.random.default_rng(2))
        other = qb.QuasiBayesIV.from_formula(FORMULA, turned).fit(rng=1)
        res = model.fit(rng=1)
        error = res.mcse()["mean"] * 5
        assert (np.abs(other.params - res.params) < error).all()
        assert np.allclose(other.mode, res.mode, atol=1e-5)

    @pytest.mark.parametrize("kind", ["cue", "cue-nodet", "two-step"])
    @pytest.mark.parametrize("factor", [1e-6, 1e6])
    def test_units(self, frame, model, kind, factor):
        """The same draws in other units, prior included."""
        scaled = frame.assign(educ=frame["educ"] * factor, far=frame["far"] / factor)
        other = qb.QuasiBayesIV.from_formula(FORMULA, scaled)
        options = {"rng": 1, "quasi_likelihood": kind, "sampler": "rwm", **QUIET}
        if kind == "two-step":
            options["sampler"] = "auto"
        expected, result = model.fit(**options), other.fit(**options)
        assert np.max(np.abs(result.draws * [1, 1, factor] - expected.draws)) < 1e-7

    @pytest.mark.parametrize("weight", [None, "identity"])
    def test_order_of_columns(self, frame, model, weight):
        other = qb.QuasiBayesIV.from_formula("wage ~ educ + age | far + near + age", frame)
        options = {"quasi_likelihood": "two-step", "weight_matrix": weight, "draws": 10}
        expected, result = model.fit(**options), other.fit(**options)
        assert np.allclose(result.params[expected.params.index], expected.params, rtol=ROUNDING)
        assert np.allclose(result.bse[expected.bse.index], expected.bse, rtol=ROUNDING)

    def test_order_of_columns_of_the_mode(self, frame, model):
        other = qb.QuasiBayesIV.from_formula("wage ~ educ + age | far + near + age", frame)
        expected, result = model.fit(rng=0, **QUIET), other.fit(rng=0, **QUIET)
        assert np.allclose(result.mode[expected.mode.index], expected.mode, atol=1e-5)


class TestPrediction:
    def test_on_new_frames_through_the_formula(self, frame):
        model = qb.QuasiBayesIV.from_formula(
            "wage ~ C(region) + np.log(income) + [educ ~ near + far]", frame
        )
        res = model.fit(quasi_likelihood="two-step", draws=10)
        new = pd.DataFrame(
            {"region": ["west", "north"], "income": [2.0, 3.0], "educ": [1.0, -1.0]}, index=[7, 9]
        )
        b = res.params
        expected = [
            b["Intercept"] + b["C(region)[T.west]"] + b["np.log(income)"] * np.log(2) + b["educ"],
            b["Intercept"] + b["np.log(income)"] * np.log(3) - b["educ"],
        ]
        predicted = res.predict(new)
        assert list(predicted.index) == [7, 9]
        assert np.allclose(predicted, expected, rtol=1e-12)
        with pytest.raises(InputError, match="east"):
            res.predict(new.assign(region=["east", "north"]))

    def test_by_arrays(self, frame):
        model = qb.QuasiBayesIV(frame["wage"], frame[["educ"]], frame[["near"]])
        res = model.fit(quasi_likelihood="two-step", draws=10)
        assert np.allclose(res.predict([[2.0]]), 2 * res.params["educ"])
        assert np.allclose(model.predict(res.params), frame["educ"] * res.params["educ"])
        with pytest.raises(OptionError, match="transform=False"):
            model._prediction_matrix(frame)


class TestManners:
    def test_classes_of_statsmodels(self, model):
        res = model.fit(quasi_likelihood="two-step", draws=10)
        assert isinstance(model, Model)
        assert isinstance(res, Results)
        assert res.model is model
        assert model.k_constant == 1
        assert model.formula == FORMULA

    def test_summary_col(self, model):
        fits = [model.fit(quasi_likelihood=kind, rng=0, **QUIET) for kind in ("two-step", "cue")]
        text = summary_col(fits, model_names=["fixed", "updated"]).as_text()
        assert "fixed" in text
        assert f"{fits[0].params['educ']:.4f}" in text
        assert f"({fits[1].bse['educ']:.4f})" in text

    def test_docstring_names_every_argument_of_fit(self):
        text = qb.QuasiBayesIV.fit.__doc__
        for name in ("sampler", "rng", "cov_kwds", "weight_matrix", "sampler_kwds", "progressbar"):
            assert name in text

    def test_labels(self, model):
        res = model.fit(quasi_likelihood="two-step", draws=10)
        names = ["Intercept", "age", "educ"]
        assert list(res.params.index) == list(res.bse.index) == names
        assert list(res.conf_int().index) == names
        assert model.instrument_names == ["Intercept", "age", "near", "far"]


def test_each_warning_comes_once_and_is_noted():
    rng = np.random.default_rng(41)
    z, error, noise = rng.standard_normal((3, 80))
    x = 0.15 * z + error + noise
    data = pd.DataFrame({"y": x + error, "x": x, "z": z})
    model = qb.QuasiBayesIV.from_formula("y ~ [x ~ z]", data)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        res = model.fit("rwm", draws=40, tune=40, rng=0)
        ours = [w for w in caught if issubclass(w.category, QBEconometricsWarning)]
        issued = len(caught)
        text = " ".join(res.summary().as_text().split())
        res.summary()
    assert len(caught) == issued == len(ours)
    categories = {w.category for w in ours}
    assert {ConvergenceWarning, WeakInstrumentWarning} <= categories
    sentences = [" ".join(str(w.message).split()) for w in ours]
    assert len(set(sentences)) == len(sentences)
    assert {w.filename for w in ours} == {__file__}
    for sentence in sentences:
        assert text.count(sentence) == 1
