"""`compare_calibrations`."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.stats import norm

import qbeconometrics as qb
from qbeconometrics.calibration.rivals.regions import equal_tailed
from qbeconometrics.calibration.rivals.sandwich import location_scale
from qbeconometrics.diagnostics.convergence import quantile_mcse
from qbeconometrics.exceptions import InputError, NumericalError, OptionError, UnknownKeywordError
from qbeconometrics.models import calibration_comparison as module
from qbeconometrics.models.loss_calibration import loss_problem

ALL = module.METHODS
FAST = ("uncalibrated", "information-matching", "open-faced-sandwich", "location-scale")
FEW = {"replications": 40, "draws": 2_000}
TRUTH = np.array([2.0, 1.0])


def data_as_replication(model):
    return loss_problem(model, np.ones((1, len(model.design.endog))))


def model_of(loss=None, prior=None, n=150, seed=1, noise=None, **options):
    """After the design of Syring and Martin (2019)."""
    rng = np.random.default_rng(seed)
    x = rng.chisquare(2, n) - 2.0
    scale = 2.0 if noise is None else noise(x)
    frame = pd.DataFrame({"y": 2.0 + x + scale * rng.standard_normal(n), "x": x})
    return qb.QuasiBayesM.from_formula(
        "y ~ x",
        frame,
        loss=loss or qb.losses.Quantile(0.5),
        posterior="gibbs",
        prior=prior,
        **options,
    )


def real_model(loss, prior=None):
    data = qb.datasets.load("mroz1987").query("inlf == 1")
    return qb.QuasiBayesM.from_formula(
        "lwage ~ educ + exper", data, loss=loss, posterior="gibbs", prior=prior
    )


def test_every_method_gives_a_row_of_the_same_table():
    model = model_of(loss=qb.losses.Squared(), n=400)
    found = qb.compare_calibrations(model, truth=TRUTH, rng=0, **FEW)
    assert found.methods == ALL
    for table in (found.lower, found.upper, found.lengths):
        assert list(table.index) == list(ALL)
        assert list(table.columns) == ["Intercept", "x"]
        assert np.isfinite(table.to_numpy()).all()
    assert list(found.covers.columns) == ["Intercept", "x", "joint"]
    inside = (found.lower <= TRUTH) & (found.upper >= TRUTH)
    pd.testing.assert_frame_equal(found.covers[["Intercept", "x"]], inside)
    with_rate = found.learning_rate.dropna()
    assert list(with_rate.index) == list(ALL[:4])
    assert with_rate["uncalibrated"] == 1.0
    assert (found.region == "loss").tolist() == [True] * 4 + [False] * 3
    frame = found.to_frame()
    assert frame.loc["coverage", ("learning rate", "")] == with_rate["coverage"]
    assert frame.loc["coverage", ("covers", "joint")] == found.covers.loc["coverage", "joint"]
    text = found.summary()
    assert text == str(found)
    for word in (*ALL, "squared: (1/2) r^2", "order of the rows", "Joint", "0.95"):
        assert word in text


def test_without_the_truth_nothing_is_said_of_coverage():
    found = qb.compare_calibrations(model_of(), methods=FAST, rng=0, **FEW)
    assert found.covers is None
    assert "covers" not in found.to_frame().columns.get_level_values(0)
    assert "Joint" not in found.summary()


def test_intervals_that_miss_are_marked():
    far = qb.compare_calibrations(model_of(), truth=[2.0, 50.0], methods=FAST, rng=0, **FEW)
    assert far.covers["Intercept"].all()
    assert not far.covers[["x", "joint"]].to_numpy().any()
    assert far.summary().count("*\n") == len(FAST)


def test_names_of_the_truth_count_not_their_order():
    model = model_of()
    named = qb.compare_calibrations(
        model,
        truth=pd.Series({"x": 50.0, "Intercept": 2.0}),
        methods=["uncalibrated"],
        rng=0,
        **FEW,
    )
    assert named.covers.loc["uncalibrated"].tolist() == [True, False, False]


def test_equal_rates_give_equal_draws(monkeypatch):
    model = model_of()
    monkeypatch.setitem(
        module.WORK, "information-matching", lambda task: module._at_rate(task, 1.0)
    )
    found = qb.compare_calibrations(model, methods=FAST[:2], rng=0, **FEW)
    assert found.lower.iloc[0].tolist() == found.lower.iloc[1].tolist()


def test_the_same_seed_gives_the_same_table_in_any_company():
    model = model_of(loss=qb.losses.Squared(), n=400)
    whole = qb.compare_calibrations(model, rng=3, **FEW)
    for method in ALL:
        alone = qb.compare_calibrations(model, methods=[method], rng=3, **FEW)
        pd.testing.assert_series_equal(alone.lower.loc[method], whole.lower.loc[method])


@pytest.mark.slow
@pytest.mark.parametrize(("tau", "sd"), [(0.5, 2.0), (0.25, 1.0)])
def test_information_matching_approaches_its_limit(tau, sd):
    """f / (tau (1 - tau)) with the density f at the quantile: .798 and 1.695."""
    rng = np.random.default_rng(0)
    n = 20_000
    x = rng.chisquare(2, n) - 2.0
    model = qb.QuasiBayesM(
        2.0 + x + sd * rng.standard_normal(n),
        np.column_stack([np.ones(n), x]),
        loss=qb.losses.Quantile(tau),
        posterior="gibbs",
    )
    found = data_as_replication(model)[0].information_rate
    limit = norm.pdf(norm.ppf(tau)) / sd / (tau * (1.0 - tau))
    # Some 2,400 rows lie in the window that estimates the density.
    assert found == pytest.approx(limit, rel=4.0 / np.sqrt(2_400))


def intervals_at(rate, model, draws=60_000):
    """Ends of the location-scale intervals from draws at a rate, and four Monte Carlo errors."""
    problem, root = data_as_replication(model)
    system = problem.simulate(rate, np.random.SeedSequence(8), draws)
    moved = location_scale(system.positions[0], np.zeros(2), problem.score_product) @ root.T
    return equal_tailed(moved, 0.05), 4.0 * quantile_mcse(moved[None], 0.025)


@pytest.mark.parametrize("loss", [qb.losses.Squared(), qb.losses.Quantile(0.5)], ids=str)
def test_location_and_scale_do_not_depend_on_the_rate(loss):
    model = model_of(loss=loss, prior=qb.priors.Flat(), n=2_000)
    at_one, error = intervals_at(1.0, model)
    for rate in (0.1, 10.0):
        found, other = intervals_at(rate, model)
        assert np.all(np.abs(found - at_one) < np.hypot(error, other))


def test_without_the_calibration_the_rate_does_matter():
    model = model_of(n=2_000)
    problem, _ = data_as_replication(model)
    spread = [
        np.std(problem.simulate(rate, np.random.SeedSequence(8), 20_000).positions)
        for rate in (0.1, 1.0, 10.0)
    ]
    np.testing.assert_allclose(np.array(spread[:2]) / spread[1:], np.sqrt(10.0), rtol=0.1)


def log_cosh(times):
    """A smooth loss, multiplied by a constant."""
    return qb.losses.Custom(
        lambda y, index: times * np.log(np.cosh(y - index)),
        lambda y, index: times * np.tanh(index - y),
        lambda y, index: times / np.cosh(y - index) ** 2,
        name=f"{times} log cosh",
    )


@pytest.mark.slow
def test_the_q_posterior_does_not_know_the_scale_of_the_loss():
    once, thrice = (
        qb.compare_calibrations(
            model_of(log_cosh(times)), methods=["uncalibrated", "q-posterior"], rng=0, draws=4_000
        )
        for times in (1.0, 3.0)
    )
    ratio = thrice.lengths / once.lengths
    np.testing.assert_allclose(ratio.loc["q-posterior"], 1.0, rtol=1e-6)
    np.testing.assert_allclose(ratio.loc["uncalibrated"], 3.0**-0.5, rtol=0.1)


def test_the_q_posterior_is_that_of_its_own_model():
    loss = qb.losses.Squared()
    model = model_of(loss, n=400)
    found = qb.compare_calibrations(model, methods=["q-posterior"], rng=0, draws=80_000)
    own = qb.QuasiBayesM(model.endog, model.exog, loss=loss, posterior="q")
    draws = own.fit(draws=4_000, rng=1, progressbar=False).draws
    ends = np.quantile(draws.reshape(-1, 2), [0.025, 0.975], axis=0)
    error = 4.0 * np.sqrt(2.0) * quantile_mcse(draws, 0.025)
    assert np.all(np.abs(found.lower.to_numpy()[0] - ends[0]) < error)
    assert np.all(np.abs(found.upper.to_numpy()[0] - ends[1]) < error)
    assert model.posterior == "gibbs"


@pytest.mark.parametrize("method", ["open-faced-sandwich", "location-scale"])
def test_wages_have_the_robust_errors_of_statsmodels(method):
    """Squared loss and a flat prior: normal draws, whose covariance becomes that of HC0."""
    model = real_model(qb.losses.Squared(), qb.priors.Flat())
    found = qb.compare_calibrations(model, methods=[method], rng=0, draws=100_000)
    robust = sm.OLS(model.endog, model.exog).fit(cov_type="HC0")
    lengths = found.lengths.loc[method].to_numpy()
    np.testing.assert_allclose(lengths, 2 * norm.ppf(0.975) * robust.bse, rtol=0.04)
    middle = (found.lower + found.upper).loc[method].to_numpy() / 2
    assert np.all(np.abs(middle - robust.params) < 0.15 * robust.bse)


@pytest.mark.slow
def test_median_wages():
    """Robust errors of quantile regression, from another window and kernel."""
    model = real_model(qb.losses.Quantile(0.5))
    found = qb.compare_calibrations(model, rng=0, draws=20_000)
    assert found.methods == tuple(one for one in ALL if one != "safe-bayes")
    robust = sm.QuantReg(model.endog, model.exog).fit(q=0.5, vcov="robust")
    wanted = 2 * norm.ppf(0.975) * robust.bse
    np.testing.assert_allclose(found.lengths.loc["location-scale"], wanted, rtol=0.2)
    # The check loss of log wages is on a scale on which rate 1 is far too little.
    assert (found.lengths.loc["uncalibrated"] > 1.2 * wanted).all()
    assert (found.lengths.loc["coverage"] < found.lengths.loc["uncalibrated"]).all()


def test_rates_that_differ_are_said_to_with_names():
    model = model_of(loss=qb.losses.Squared(), n=400, noise=lambda x: 0.1 + 3.0 * np.abs(x), seed=0)
    found = qb.compare_calibrations(model, methods=["uncalibrated"], rng=0, **FEW)
    ratio = found.implied_rates.max() / found.implied_rates.min()
    assert ratio > 2.0
    text = " ".join(found.summary().split())
    for word in ("factor of 2", "(x)", "(Intercept)", 'posterior="q"', '"location-scale"'):
        assert word in text
    alike = qb.compare_calibrations(model_of(n=400), methods=["uncalibrated"], rng=0, **FEW)
    assert "factor of 2" not in alike.summary()
    calibrated = qb.calibrate_learning_rate(model, rng=0, replications=40, particles=400)
    pd.testing.assert_series_equal(found.implied_rates, calibrated.implied_rates)
    assert "(Intercept)" in calibrated.summary()


def test_what_cannot_be_had_is_left_out_with_a_note_or_refused():
    model = model_of(prior=qb.priors.Flat())
    found = qb.compare_calibrations(model, rng=0, **FEW)
    assert "q-posterior" not in found.methods
    assert "q-posterior is left out: the flat prior" in found.summary()
    with pytest.raises(qb.exceptions.ImproperPosteriorError, match="flat prior"):
        qb.compare_calibrations(model, methods=["q-posterior"], **FEW)


def binary_model(prior):
    rng = np.random.default_rng(2)
    x = rng.standard_normal(60)
    y = (x + rng.logistic(size=60) > 0).astype(float)
    return qb.QuasiBayesM(
        y, np.column_stack([np.ones(60), x]), qb.losses.Logistic(), posterior="gibbs", prior=prior
    )


def test_safe_bayes_of_a_binary_outcome_needs_a_proper_prior():
    with pytest.raises(NumericalError, match="give a proper prior"):
        qb.compare_calibrations(
            binary_model(qb.priors.Flat()), methods=["safe-bayes"], rng=0, **FEW
        )
    for prior in (None, qb.priors.StudentT(3.0, 0.0, 2.0)):
        found = qb.compare_calibrations(binary_model(prior), methods=["safe-bayes"], rng=0, **FEW)
        assert np.log2(found.learning_rate["safe-bayes"]) * 2 in range(-20, 1)


def test_few_effective_draws_are_noted():
    rng = np.random.default_rng(0)
    exog = rng.standard_normal((200, 12))
    model = qb.QuasiBayesM(
        exog[:, 0] + rng.standard_normal(200), exog, qb.losses.Huber(1.345), posterior="gibbs"
    )
    found = qb.compare_calibrations(model, methods=["uncalibrated"], rng=0, draws=1_000)
    assert "give more draws" in found.summary()
    assert "x12" in found.summary()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"alpha": 0.0}, OptionError, "alpha"),
        ({"methods": "coverage"}, OptionError, "list of names"),
        ({"methods": []}, OptionError, "list of names"),
        ({"methods": ["covrage"]}, OptionError, "coverage"),
        ({"methods": ["coverage", "coverage"]}, OptionError, "twice"),
        ({"methods": ["safe-bayes"]}, OptionError, "needs a likelihood"),
        ({"replications": 3}, OptionError, "replications=3"),
        ({"draws": 10}, OptionError, "draws=10"),
        ({"rng": "one"}, OptionError, "rng"),
        ({"truth": [1.0]}, InputError, "Intercept"),
        ({"truth": [1.0, np.nan]}, InputError, "one finite number"),
        ({"truth": ["a", "b"]}, InputError, "one finite number"),
        ({"truth": pd.Series({"x": 1.0, "z": 2.0})}, InputError, "name each coefficient"),
        ({"seed": 1}, UnknownKeywordError, "has no keyword 'seed'"),
    ],
)
def test_bad_options_are_named(options, error, message):
    with pytest.raises(error, match=message):
        qb.compare_calibrations(model_of(), **options)


def test_models_without_a_learning_rate_are_refused():
    model = model_of()
    with pytest.raises(OptionError, match="not for QuasiBayesIV"):
        qb.compare_calibrations(qb.QuasiBayesIV(model.endog, model.exog))
    with pytest.raises(OptionError, match='posterior="gibbs"'):
        qb.compare_calibrations(qb.QuasiBayesM(model.endog, model.exog, qb.losses.Squared()))


def test_without_a_sandwich_there_is_nothing_to_compare():
    """One of two groups is fitted perfectly."""
    first = np.arange(60) < 30
    endog = np.where(first, np.random.default_rng(0).standard_normal(60), 1.0)
    exog = np.column_stack([first, ~first]).astype(float)
    model = qb.QuasiBayesM(endog, exog, qb.losses.Squared(), posterior="gibbs")
    with pytest.raises(NumericalError, match="there is no sandwich"):
        qb.compare_calibrations(model, methods=["location-scale"], rng=0, **FEW)
