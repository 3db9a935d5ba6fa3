"""Fits of `QuasiBayesM`: results, predictions, priors, and what is refused."""

import json

import numpy as np
import pandas as pd
import pytest

import qbeconometrics as qb
from qbeconometrics import datasets, losses
from qbeconometrics.exceptions import (
    FormulaError,
    IdentificationError,
    ImproperPosteriorError,
    InputError,
    LossFunctionError,
    NumericalError,
    OptionError,
    UnknownKeywordError,
)
from qbeconometrics.priors import Flat, Normal, StudentT, Uniform

LABOUR = "inlf ~ educ + exper + kidslt6"
SHORT = {"draws": 60, "tune": 60, "chains": 2, "rng": 0, "progressbar": False}
pytestmark = pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def mroz():
    return datasets.load("mroz1987")


@pytest.fixture(scope="module")
def logit(mroz):
    model = qb.QuasiBayesM.from_formula(LABOUR, mroz, loss=losses.Logistic(), posterior="gibbs")
    return model.fit(**{**SHORT, "draws": 500})


RNG = np.random.default_rng(12)
X = np.column_stack([np.ones(90), RNG.normal(size=90)])
Y = X @ [1.0, 0.5] + RNG.standard_normal(90)
BINARY = (Y > 1).astype(float)


def test_results_are_those_of_every_model(logit):
    assert logit.conf_int().shape == (4, 2)
    assert logit.draws.shape == (2, 500, 4)
    assert logit.prob("educ > 0") > 0.99
    assert list(logit.mode_bse.index) == list(logit.params.index)
    tree = logit.to_datatree()
    assert tree.attrs["loss"] == "logistic"
    assert tree.attrs["quasi_likelihood"] == "gibbs"


def test_what_the_summary_says(logit, mroz):
    text = logit.summary().as_text()
    assert "Loss:" in text
    assert "logistic" in text
    assert "Covariance" not in text
    assert "the learning rate multiplies the sum of the losses log(1 + exp(eta))" in " ".join(
        text.split()
    )
    median = qb.QuasiBayesM.from_formula("lwage ~ educ", mroz, loss=losses.Quantile(0.5))
    text = " ".join(median.fit("rwm", **SHORT).summary().as_text().split())
    assert "quantile (tau = 0.5)" in text
    assert "HC0" in text
    assert "step function" in text


def test_predictions_of_the_logistic_loss(logit, mroz):
    new = mroz.head(7)
    predicted = logit.predict(new)
    linear = logit.predict(new, which="linear")
    matrix = np.column_stack([np.ones(7), new[["educ", "exper", "kidslt6"]]])
    index = matrix @ logit.draws.reshape(-1, 4).T
    np.testing.assert_allclose(predicted, (1 / (1 + np.exp(-index))).mean(axis=1))
    np.testing.assert_allclose(linear, matrix @ logit.params)
    assert isinstance(predicted, pd.Series)
    assert predicted.index.equals(new.index)
    at_mode = logit.model.predict(logit.mode, matrix)
    np.testing.assert_allclose(at_mode, 1 / (1 + np.exp(-matrix @ logit.mode)))
    with pytest.raises(OptionError, match="which='prob'"):
        logit.predict(new, which="prob")


def test_predictions_of_other_losses():
    median = qb.QuasiBayesM(Y, X, loss=losses.Quantile(0.5)).fit("rwm", **SHORT)
    np.testing.assert_allclose(median.predict(X), X @ median.params)
    hinge = qb.QuasiBayesM(BINARY, X, loss=losses.Hinge(), posterior="gibbs").fit(**SHORT)
    np.testing.assert_allclose(hinge.predict(X), X @ hinge.params)
    with pytest.raises(OptionError, match="fits no mean"):
        hinge.predict(X, which="mean")


def test_minus_one_and_one_are_zero_and_one():
    draws = [
        qb.QuasiBayesM(y, X, loss=losses.Hinge(), posterior="gibbs").fit(**SHORT).draws
        for y in (BINARY, 2 * BINARY - 1)
    ]
    np.testing.assert_allclose(*draws, rtol=1e-10)


def test_default_priors_have_the_scale_of_the_index():
    slope_sd = 2.5 / X[:, 1].std()
    for loss, y, centre, unit in [
        (losses.Logistic(), BINARY, np.log(BINARY.mean() / (1 - BINARY.mean())), 1.0),
        (losses.Poisson(), np.floor(np.exp(Y)), np.log(np.floor(np.exp(Y)).mean()), 1.0),
        (losses.Hinge(), BINARY, 0.0, 1.0),
        (losses.Quantile(0.5), Y, Y.mean(), Y.std()),
    ]:
        prior = qb.QuasiBayesM(y, X, loss=loss).prior
        covariance = np.linalg.inv(prior.precision)
        shift = np.array([1.0, X[:, 1].mean()])
        np.testing.assert_allclose(covariance[1, 1] ** 0.5, slope_sd * unit)
        np.testing.assert_allclose((shift @ covariance @ shift) ** 0.5, 2.5 * unit)
        np.testing.assert_allclose(shift @ prior.mean, centre, atol=1e-12)
        words = "2.5 sd(y)/sd(x)" if unit != 1.0 else "2.5/sd(x)"
        assert words in prior.description[0]


@pytest.mark.parametrize("prior", [None, Normal(0, 3), StudentT(3, 0, 2), Flat()])
@pytest.mark.parametrize("loss", [losses.Squared(), losses.Quantile(0.5), losses.Huber(1.0)])
def test_gibbs_posteriors_of_convex_losses_take_every_prior(loss, prior):
    res = qb.QuasiBayesM(Y, X, loss=loss, posterior="gibbs", prior=prior).fit(**SHORT)
    assert res.params.notna().all()
    assert np.isfinite(res.record.log_density).all()


@pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.TailWarning")
def test_moments_under_heavy_priors():
    separated = (X[:, 1] > 0).astype(float)
    for prior, exists in [(StudentT(1, 0, 1), False), (StudentT(5, 0, 1), True)]:
        model = qb.QuasiBayesM(separated, X, loss=losses.Logistic(), posterior="gibbs", prior=prior)
        assert model.fit(**SHORT).record.moments_exist == (exists, exists)
    overlapping = qb.QuasiBayesM(
        BINARY, X, loss=losses.Logistic(), posterior="gibbs", prior=StudentT(1, 0, 1)
    )
    assert overlapping.fit(**SHORT).record.moments_exist == (True, True)


@pytest.mark.parametrize("loss", [losses.Logistic(), losses.Hinge()])
def test_separation(loss):
    separated = (X[:, 1] > 0.3).astype(float)
    with pytest.raises(IdentificationError, match=r"'x1'.*separated"):
        qb.QuasiBayesM(separated, X, loss=loss).fit(**SHORT)
    with pytest.raises(ImproperPosteriorError, match=r"'x1'.*separated"):
        qb.QuasiBayesM(separated, X, loss=loss, posterior="gibbs", prior=Flat()).fit(**SHORT)
    res = qb.QuasiBayesM(separated, X, loss=loss, posterior="gibbs").fit(**SHORT)
    assert res.params["x1"] > 0


def test_flat_priors_of_q_posteriors():
    for loss, y in [(losses.Huber(1.0), Y), (losses.Logistic(), BINARY)]:
        for name, words in [("two-step", "need not grow"), ("cue", "stays bounded")]:
            with pytest.raises(ImproperPosteriorError, match=words):
                qb.QuasiBayesM(y, X, loss=loss, prior=Flat()).fit(quasi_likelihood=name)
    model = qb.QuasiBayesM(Y, X, loss=losses.Expectile(0.3), prior=Flat())
    assert model.fit("rwm", quasi_likelihood="two-step", **SHORT).params.notna().all()
    mine = losses.Custom(lambda y, i: (y - i) ** 4, lambda y, i: -4 * (y - i) ** 3)
    with pytest.raises(ImproperPosteriorError, match="cannot be known"):
        qb.QuasiBayesM(Y, X, loss=mine, posterior="gibbs", prior=Flat()).fit()


def test_a_row_of_its_own():
    lone = np.column_stack([X, np.arange(90) == 4])
    for loss in (losses.Quantile(0.5), losses.Huber(1.0)):
        with pytest.raises(ImproperPosteriorError, match="row 4 is the only one"):
            qb.QuasiBayesM(Y, lone, loss=loss).fit(**SHORT)
    model = qb.QuasiBayesM(Y, lone, loss=losses.Quantile(0.5), posterior="gibbs")
    assert model.fit(**SHORT).params.notna().all()


def test_a_quantile_beyond_the_data():
    with pytest.raises(NumericalError, match=r"quantile \(tau = 0.999\).*too few rows"):
        qb.QuasiBayesM(Y, X, loss=losses.Quantile(0.999)).fit(**SHORT)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, OptionError, "loss=None is not a loss; use one of .*Quantile"),
        ({"loss": "huber"}, OptionError, "loss='huber'"),
        ({"loss": losses.Squared}, OptionError, r"write loss=losses.Squared\(\)"),
        ({"loss": losses.Logistic()}, InputError, "'y' has .* not 0 or 1"),
        ({"loss": losses.Squared(), "posterior": "bayes"}, OptionError, "posterior='bayes'"),
        ({"loss": losses.Squared(), "prior": Uniform(0, 1)}, OptionError, "Uniform"),
        ({"loss": losses.Squared(), "instrument": X}, UnknownKeywordError, "'instrument'"),
    ],
)
def test_arguments_of_the_model(options, error, words):
    with pytest.raises(error, match=words):
        qb.QuasiBayesM(Y, X, **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"quasi_likelihood": "cue"}, "takes no quasi_likelihood"),
        ({"cov_type": "HC1"}, "cov_type='HC1'"),
        ({"cov_kwds": {"centered": True}}, "cov_kwds"),
        ({"weight_matrix": "identity"}, "weight_matrix"),
        ({"sampler": "da"}, "sampler='da' needs the covariance of moments"),
        ({"sampler": "independent"}, "sampler='independent'"),
        ({"learning_rate": -1}, "learning_rate"),
    ],
)
def test_arguments_of_a_gibbs_fit(options, words):
    model = qb.QuasiBayesM(Y, X, loss=losses.Huber(1.0), posterior="gibbs")
    with pytest.raises(OptionError, match=words):
        model.fit(**options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cov_type": "nonrobust"}, "is for the squared loss"),
        ({"sampler": "da-approx"}, "is for linear moments"),
        ({"sampler": "independent"}, "sampler='independent'"),
        ({"quasi_likelihood": "two-step", "weight_matrix": np.eye(3)}, "2 moments"),
    ],
)
def test_arguments_of_a_q_fit(options, words):
    with pytest.raises(OptionError, match=words):
        qb.QuasiBayesM(Y, X, loss=losses.Huber(1.0)).fit(**options)


def test_instruments_are_refused(mroz):
    for formula in ("lwage ~ [educ ~ motheduc]", "lwage ~ educ | motheduc"):
        with pytest.raises(FormulaError, match="does not take"):
            qb.QuasiBayesM.from_formula(formula, mroz, loss=losses.Squared())


def raises(y, index):
    raise KeyError("broken")


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (raises, "score of the loss 'custom' raised KeyError"),
        (lambda y, i: (y - i)[:, None], r"returned shape \(90, 1\)"),
        (lambda y, i: np.where(y > 1, np.nan, y - i), "NaN or infinite for .* of 90 rows"),
    ],
)
def test_losses_of_the_user_that_fail_at_once(score, words):
    for posterior in ("q", "gibbs"):
        loss = losses.Custom(lambda y, i: (y - i) ** 2, score)
        with pytest.raises(LossFunctionError, match=words):
            qb.QuasiBayesM(Y, X, loss=loss, posterior=posterior)


@pytest.mark.parametrize("posterior", ["q", "gibbs"])
def test_a_loss_that_is_not_finite_somewhere(posterior):
    """Such proposals are rejected and counted."""

    def beyond(index):
        return np.where(index.max() > 2.6, np.nan, 1.0)

    loss = losses.Custom(
        lambda y, i: 0.5 * (y - i) ** 2 * beyond(i), lambda y, i: (i - y) * beyond(i)
    )
    model = qb.QuasiBayesM(Y, X, loss=loss, posterior=posterior)
    with pytest.warns(qb.exceptions.NumericalWarning, match="not finite at"):
        res = model.fit("rwm", **{**SHORT, "draws": 500})
    assert res.sampler_stats["nonfinite"] > 5
    assert (X @ res.draws.reshape(-1, 2).T).max() <= 2.6


def test_the_data_are_not_written_to():
    def writes(y, index):
        y[0] = 0.0
        return y - index

    with pytest.raises(LossFunctionError, match="read-only"):
        qb.QuasiBayesM(Y, X, loss=losses.Custom(writes, writes))


@pytest.mark.parametrize("posterior", ["q", "gibbs"])
def test_the_same_draws_for_the_same_rng(posterior):
    model = qb.QuasiBayesM(Y, X, loss=losses.Huber(1.0), posterior=posterior)
    one, two = (model.fit(**SHORT, cores=cores) for cores in (1, 2))
    np.testing.assert_array_equal(one.draws, two.draws)
    assert json.dumps(one.record.sampler_settings, default=float)
