"""`calibrate_learning_rate` and `fit(learning_rate="calibrate")`."""

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import matplotlib.pyplot as pyplot
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import qbeconometrics as qb
from qbeconometrics.exceptions import CalibrationWarning, OptionError, UnknownKeywordError

FEW = {"replications": 60, "particles": 400}


def model_of(n=120, loss=None, prior=None, seed=1, **options):
    rng = np.random.default_rng(seed)
    x = rng.chisquare(2, n) - 2.0
    y = 2.0 + x + rng.normal(0.0, 2.0, n)
    frame = pd.DataFrame({"y": y, "x": x, "g": np.arange(n) // 4})
    loss = loss or qb.losses.Quantile(0.5)
    return qb.QuasiBayesM.from_formula(
        "y ~ x", frame, loss=loss, posterior="gibbs", prior=prior or qb.priors.Flat(), **options
    )


def binary_model(loss, n=150):
    rng = np.random.default_rng(2)
    x = rng.standard_normal(n)
    y = (x + rng.logistic(size=n) > 0).astype(float)
    return qb.QuasiBayesM(y, np.column_stack([np.ones(n), x]), loss=loss, posterior="gibbs")


@pytest.mark.parametrize("method", ["weighted-particles", "smc", "resimulate"])
def test_calibration_on_a_median_regression(method):
    found = qb.calibrate_learning_rate(model_of(), method=method, rng=0)
    assert found.status == "converged"
    assert found.coverage == pytest.approx(0.95, abs=0.0101)
    assert 0.3 < found.learning_rate < 3.0
    assert 0.02 < found.learning_rate_se / found.learning_rate < 0.4
    assert found.bracket[0] <= found.learning_rate <= found.bracket[1]
    assert list(found.curve) == ["learning_rate", "coverage", "ess"]
    assert found.curve["coverage"].is_monotonic_decreasing
    assert found.ess.shape == (200,)
    assert "tau = 0.5" in found.loss
    text = found.summary()
    assert text == str(found)
    for word in ("Learning rate", "pairs, 200 replications", "converged", "nominal 0.95"):
        assert word in text


@pytest.mark.parametrize("region", ["ellipse", "marginal"])
def test_other_regions(region):
    functional = "x" if region == "marginal" else None
    found = qb.calibrate_learning_rate(model_of(), region=region, functional=functional, rng=0)
    assert found.status == "converged"
    assert found.coverage == pytest.approx(0.95, abs=0.0101)


def test_a_function_is_like_its_coefficient():
    model = model_of()
    named, written = (
        qb.calibrate_learning_rate(model, region="marginal", functional=one, rng=0, **FEW)
        for one in ("x", lambda params: params[:, 1])
    )
    assert named.learning_rate == pytest.approx(written.learning_rate, rel=1e-6)


def test_a_loss_twice_as_large_needs_half_the_rate():
    check = qb.calibrate_learning_rate(model_of(), rng=0, **FEW)
    absolute = qb.calibrate_learning_rate(model_of(loss=qb.losses.Absolute()), rng=0, **FEW)
    assert absolute.learning_rate == pytest.approx(check.learning_rate / 2, rel=0.01)
    assert absolute.information_rate == pytest.approx(check.information_rate / 2, rel=1e-6)


@pytest.mark.slow
def test_a_custom_loss_is_like_the_compiled_one():
    loss = qb.losses.Custom(
        lambda y, index: 0.5 * (y - index) ** 2,
        lambda y, index: index - y,
        lambda y, index: np.ones_like(index),
        name="squares",
    )
    weak = qb.priors.Normal(0.0, 100.0)
    written = qb.calibrate_learning_rate(model_of(loss=loss, prior=weak), rng=0, **FEW)
    compiled = qb.calibrate_learning_rate(
        model_of(loss=qb.losses.Squared(), prior=weak), rng=0, **FEW
    )
    assert written.learning_rate == pytest.approx(compiled.learning_rate, rel=1e-6)


@pytest.mark.parametrize(
    "loss",
    [qb.losses.Logistic(), qb.losses.Hinge(), qb.losses.Poisson()],
    ids=lambda one: one.label,
)
def test_outcomes_off_the_scale_of_the_index(loss):
    found = qb.calibrate_learning_rate(binary_model(loss), rng=0, **FEW)
    assert found.status == "converged"


@pytest.mark.slow
def test_a_correct_likelihood_needs_a_rate_near_one():
    """Logistic loss is minus a log likelihood, so the sandwich is the inverse information."""
    found = qb.calibrate_learning_rate(binary_model(qb.losses.Logistic(), n=2_000), rng=0)
    assert found.information_rate == pytest.approx(1.0, abs=0.15)
    assert abs(np.log(found.learning_rate)) < 3 * found.learning_rate_se / found.learning_rate


def test_information_matching_and_implied_rates_by_definition():
    model = model_of(loss=qb.losses.Squared())
    found = qb.calibrate_learning_rate(model, rng=0, **FEW)
    x, y = model.exog, model.endog
    residual = y - x @ np.linalg.lstsq(x, y)[0]
    curvature, product = x.T @ x, (x * residual[:, None] ** 2).T @ x
    inverse = np.linalg.inv(curvature)
    sandwich = inverse @ product @ inverse
    np.testing.assert_allclose(found.implied_rates, np.diag(inverse) / np.diag(sandwich), rtol=1e-8)
    expected = np.trace(curvature @ np.linalg.inv(product)) / 2
    assert found.information_rate == pytest.approx(expected, rel=1e-8)


def test_the_answer_does_not_depend_on_who_computes():
    model = model_of()
    alone = qb.calibrate_learning_rate(model, rng=0, **FEW)
    for kind in (ThreadPoolExecutor, ProcessPoolExecutor):
        with kind(2) as executor:
            shared = qb.calibrate_learning_rate(model, rng=0, executor=executor, **FEW)
        assert shared.learning_rate == alone.learning_rate
        pd.testing.assert_frame_equal(shared.curve, alone.curve, check_exact=True)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("cluster", {"groups": "g"}),
        ("moving-block", {"block_length": 4}),
        ("stationary", {"block_length": 4}),
        ("multiplier", {}),
    ],
)
def test_every_bootstrap(kind, options):
    found = qb.calibrate_learning_rate(model_of(), bootstrap=kind, rng=0, **FEW, **options)
    assert found.bootstrap == kind
    assert found.status == "converged"


@pytest.mark.parametrize("shown", [True, False])
def test_progress_counts_replications(shown, capsys):
    qb.calibrate_learning_rate(model_of(), rng=0, progressbar=shown, **FEW)
    told = capsys.readouterr().err
    assert ("calibration" in told and "60" in told) is shown


def test_a_prior_that_decides_leaves_no_root():
    tight = qb.priors.Normal([10.0, 10.0], 1e-3)
    found = qb.calibrate_learning_rate(
        model_of(prior=tight), region="marginal", functional="x", rng=0, **FEW
    )
    assert found.status == "no-root"
    assert "stays below 0.95" in found.summary()


def test_rates_that_differ_are_said_to():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(400)
    y = x + (0.1 + 3.0 * np.abs(x)) * rng.standard_normal(400)
    model = qb.QuasiBayesM(
        y, np.column_stack([np.ones(400), x]), loss=qb.losses.Squared(), posterior="gibbs"
    )
    found = qb.calibrate_learning_rate(model, rng=0, **FEW)
    assert not found.one_rate_suffices
    assert "factor of 2" in found.summary()


def test_fit_calibrates():
    model = model_of()
    res = model.fit(
        draws=4000, rng=0, learning_rate="calibrate", calibration_kwds={**FEW, "rng": 3}
    )
    alone = qb.calibrate_learning_rate(model, rng=3, **FEW)
    assert res.calibration.learning_rate == alone.learning_rate
    assert res.record.learning_rate == alone.learning_rate
    res.conf_int()
    with pytest.warns(CalibrationWarning, match=r"calibrated for alpha=0.05, not for alpha=0.1"):
        res.conf_int(alpha=0.1)
    assert model.fit(draws=4000, rng=0).calibration is None


def test_calibration_is_reproducible():
    model = model_of()
    first, second = (qb.calibrate_learning_rate(model, rng=5, **FEW) for _ in range(2))
    assert first.learning_rate == second.learning_rate


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "wp"}, "method='wp'"),
        ({"region": "box"}, "region='box'"),
        ({"bootstrap": "wild"}, "bootstrap='wild'"),
        ({"alpha": 1.0}, "alpha=1.0"),
        ({"replications": 5}, "replications=5"),
        ({"particles": 10}, "particles=10"),
        ({"start": -1.0}, "learning_rate=-1.0"),
        ({"functional": "x"}, "belong together"),
        ({"region": "marginal"}, "belong together"),
        ({"region": "marginal", "functional": "z"}, "functional='z'"),
        ({"region": "marginal", "functional": lambda p: p}, "functional must return"),
        ({"groups": "g", "bootstrap": "pairs"}, "belong together"),
        ({"bootstrap": "cluster"}, "belong together"),
        ({"block_length": 3}, "block_length belongs"),
        ({"bootstrap": "moving-block"}, "block_length belongs"),
        ({"bootstrap": "moving-block", "block_length": 1_000}, "more than the 120 rows"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(OptionError, match=message):
        qb.calibrate_learning_rate(model_of(), **options)


def test_models_without_a_learning_rate_are_refused():
    model = model_of()
    with pytest.raises(OptionError, match='posterior="gibbs"'):
        qb.calibrate_learning_rate(
            qb.QuasiBayesM(model.endog, model.exog, loss=qb.losses.Quantile(0.5))
        )
    with pytest.raises(OptionError, match="QuasiBayesLP, not for RLM"):
        qb.calibrate_learning_rate(sm.RLM(model.endog, model.exog))
    with pytest.raises(OptionError, match="fit_kwds, recentre and memory_limit are for moments"):
        qb.calibrate_learning_rate(model, recentre=True)
    with pytest.raises(UnknownKeywordError, match="has no keyword 'seed'"):
        qb.calibrate_learning_rate(model, seed=1)
    with pytest.raises(UnknownKeywordError, match="calibration_kwds has no keyword 'seed'"):
        model.fit(learning_rate="calibrate", calibration_kwds={"seed": 1})
    with pytest.raises(OptionError, match="belongs to learning_rate"):
        model.fit(calibration_kwds={})
    with pytest.raises(OptionError, match="learning_rate='calibrated'"):
        model.fit(learning_rate="calibrated")


def test_the_picture():
    found = qb.calibrate_learning_rate(model_of(), rng=0, **FEW)
    _, ax = pyplot.subplots()
    assert found.plot(ax=ax) is ax
    assert ax.get_xlabel() == "learning rate"
    pyplot.close("all")
