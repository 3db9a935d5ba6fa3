"""`calibrate_learning_rate` and `fit(learning_rate="calibrate")` for local projections."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

import qbeconometrics as qb
from qbeconometrics.exceptions import (
    CalibrationWarning,
    NumericalError,
    OptionError,
    PriorWarning,
    UnknownKeywordError,
)
from qbeconometrics.sampling.seeds import spawn_seeds

FLAT = qb.priors.Flat()
FEW = {"replications": 60, "particles": 400}


def series(n=200, seed=3, rho=0.7):
    """A first-order autoregression with an observed shock, and an instrument of it."""
    rng = np.random.default_rng(seed)
    shock, noise, v = rng.standard_normal((3, n + 50))
    y = np.zeros(n + 50)
    for t in range(1, n + 50):
        y[t] = rho * y[t - 1] + shock[t] + noise[t]
    frame = pd.DataFrame({"y": y, "x": shock, "z": shock + v, "z2": shock - 0.5 * v + noise})
    return frame[50:].reset_index(drop=True)


def model_of(frame=None, formula="y ~ x | lag(y, 1, 2) + lag(x, 1, 2)", **options):
    frame = series() if frame is None else frame
    given = {"horizon": 4, "prior": FLAT, **options}
    return qb.QuasiBayesLP.from_formula(formula, frame, **given)


def model_with_instruments(frame=None, **options):
    return model_of(frame, "y ~ [x ~ z + z2] | lag(y, 1, 2) + lag(x, 1, 2)", **options)


def calibrate(model, fit_kwds=None, **options):
    return qb.calibrate_learning_rate(model, fit_kwds=fit_kwds, **{"rng": 0, **FEW, **options})


@pytest.mark.parametrize("method", ["weighted-particles", "smc", "resimulate"])
def test_calibration_of_local_projections(method):
    found = calibrate(model_of(), method=method, replications=200, particles=2_000)
    assert found.status == "converged"
    assert found.coverage == pytest.approx(0.95, abs=0.0101)
    assert 0.5 < found.learning_rate < 1.3
    assert found.bootstrap == "moving-block"
    assert "projections: (n/2) g'Wg, two-step W, cov_type HC1" in found.summary()
    # As many moments as coefficients, and the weight that is right for each.
    assert list(found.implied_rates.index) == [f"y[{h}]" for h in range(5)]
    np.testing.assert_allclose(found.implied_rates, 1.0, rtol=1e-8)


def closed_form(model, block_length, replications, seed):
    """The rate of the joint region with a flat prior, least squares and HC1; rows written out."""
    design, H = model.design, len(model.design.horizons)
    used = design.used
    y, x = design.leads[used, 0], design.regressors[used, 0, 0]
    controls, T = design.controls[used], model.moments.nobs

    def estimate(rows):
        C = controls[rows]
        left_y, left_x = (
            part[rows] - C @ np.linalg.lstsq(C, part[rows])[0] for part in (y, x[:, None])
        )
        beta = (left_x.T @ left_y / (left_x.T @ left_x))[0]
        scores = left_x * (left_y - left_x * beta)
        S = scores.T @ scores / (T - C.shape[1] - 1)
        return beta, S / (left_x.T @ left_x / T) ** 2 / T

    truth, distances = estimate(np.arange(T))[0], []
    for own in spawn_seeds(seed, 2)[0].spawn(replications):
        count = -(-T // block_length)
        starts = np.random.default_rng(own).integers(T - block_length + 1, size=count)
        rows = (starts[:, None] + np.arange(block_length)).ravel()[:T]
        beta, V = estimate(rows)
        distances.append((beta - truth) @ np.linalg.solve(V, beta - truth))
    return chi2.ppf(0.95, H) / np.quantile(distances, 0.95, method="midpoint")


@pytest.mark.slow
@pytest.mark.parametrize("block_length", [None, 12])
def test_the_rate_is_that_of_the_closed_form(block_length):
    model = model_of()
    options = {"replications": 200, "particles": 8_000, "rng": 7}
    found = calibrate(model, block_length=block_length, **options)
    expected = closed_form(model, block_length or 5, 200, 7)
    assert found.learning_rate == pytest.approx(expected, abs=0.02)


def test_instruments_by_definition():
    """Two instruments: information matching and implied rates from the rows of the data."""
    model = model_with_instruments(horizon=2)
    found = calibrate(model, {"cov_type": "HC0"})
    design, T = model.design, model.moments.nobs
    used = design.used
    C = design.controls[used]
    y, x, z = (
        part - C @ np.linalg.lstsq(C, part)[0]
        for part in (design.leads[used, 0], design.regressors[used, 0], design.instrument[used])
    )
    a, g = z.T @ x / T, z.T @ y / T
    first = np.linalg.inv(z.T @ z / T)

    def covariance(beta):
        scores = np.hstack([z * (y[:, [h]] - x * beta[h]) for h in range(3)])
        return scores.T @ scores / T

    G = np.kron(np.eye(3), a)
    weight = np.linalg.inv(covariance((a.T @ first @ g / (a.T @ first @ a))[0]))
    estimate = np.linalg.solve(G.T @ weight @ G, G.T @ weight @ g.T.ravel())
    curvature = T * G.T @ weight @ G
    product = T * G.T @ weight @ covariance(estimate) @ weight @ G
    inverse = np.linalg.inv(curvature)
    sandwich = inverse @ product @ inverse
    np.testing.assert_allclose(found.implied_rates, np.diag(inverse) / np.diag(sandwich), rtol=1e-8)
    rate = np.trace(np.linalg.inv(product) @ curvature) / 3
    assert found.information_rate == pytest.approx(rate, rel=1e-8)


@pytest.mark.parametrize(
    "options",
    [
        {"bootstrap": "stationary"},
        {"block_length": 9},
        {"region": "ellipse"},
        {"region": "marginal", "functional": "y[2]"},
        {"region": "marginal", "functional": lambda params: params.sum(axis=1)},
        {"alpha": 0.2, "recentre": True},
    ],
)
def test_bootstraps_and_regions(options):
    assert calibrate(model_with_instruments(), **options).status == "converged"


def test_the_length_of_blocks_follows_horizon_and_lags():
    model = model_of()
    default, named = calibrate(model), calibrate(model, block_length=5)
    assert default.learning_rate == named.learning_rate
    assert default.learning_rate != calibrate(model, block_length=9).learning_rate
    few, many = ({"cov_type": "HAC", "cov_kwds": {"maxlags": lags}} for lags in (1, 8))
    for kwds, length in ((few, 5), (many, 9), ({"cov_type": "HAC"}, 5)):
        found = calibrate(model, kwds)
        assert "cov_type HAC" in found.loss
        assert found.learning_rate == calibrate(model, kwds, block_length=length).learning_rate
    selected = {"cov_type": "HAC", "cov_kwds": {"maxlags": "andrews"}}
    assert calibrate(model, selected).status == "converged"


def test_the_same_seed_gives_the_same():
    model = model_with_instruments()
    alone, again = calibrate(model), calibrate(model)
    assert alone.learning_rate == again.learning_rate
    pd.testing.assert_frame_equal(alone.curve, again.curve, check_exact=True)
    assert alone.learning_rate != calibrate(model, rng=1).learning_rate
    little = calibrate(model, memory_limit=10_000)
    assert little.learning_rate == pytest.approx(alone.learning_rate, rel=1e-8)


@pytest.mark.parametrize("cov_type", ["HC1", "HAC"])
def test_units_of_the_data_do_not_matter(cov_type):
    frame = series()
    scaled = frame.assign(y=1e5 * frame["y"], x=1e-3 * frame["x"], z=1e4 * frame["z"])
    first, second = (
        calibrate(model_with_instruments(one), {"cov_type": cov_type}) for one in (frame, scaled)
    )
    assert second.learning_rate == pytest.approx(first.learning_rate, rel=1e-6)


def test_a_normal_prior_keeps_its_weight_at_every_rate():
    """Far from the estimate, it leaves no rate; a weak one changes nothing."""
    weak = calibrate(model_of(prior=qb.priors.Normal(0.0, 1e4)))
    assert weak.learning_rate == pytest.approx(calibrate(model_of()).learning_rate, rel=1e-3)
    far = calibrate(model_of(prior=qb.priors.Normal(30.0, 1e-3)), region="ellipse")
    assert far.status == "no-root"
    assert calibrate(model_of(prior=None)).status == "converged"


@pytest.mark.parametrize("order", [1, 2, "decay"])
def test_roughness_with_a_fixed_parameter(order):
    """A parameter near zero is a flat prior, but for the level."""
    prior = qb.priors.Smoothness(order, smoothing=1e-9, level=qb.priors.Normal(0.0, 1e6))
    nearly_flat, flat = calibrate(model_of(prior=prior)), calibrate(model_of())
    assert nearly_flat.learning_rate == pytest.approx(flat.learning_rate, rel=1e-3)
    smooth = calibrate(model_of(prior=qb.priors.Smoothness(order, smoothing=1.0)))
    assert smooth.learning_rate != pytest.approx(flat.learning_rate, rel=0.01)


@pytest.mark.parametrize("rate", [0.25, 4.0])
def test_the_prior_is_the_same_at_every_rate(rate):
    """Precision of the posterior = rate x precision without prior + that of the prior."""
    model = model_of(prior=qb.priors.Smoothness(1, smoothing=2.0))
    options = {"draws": 10, "chains": 1, "rng": 0}
    flat = np.linalg.inv(model_of().fit(**options).cov_params())
    once, other = (
        np.linalg.inv(model.fit(learning_rate=one, **options).cov_params()) for one in (1.0, rate)
    )
    np.testing.assert_allclose(other - rate * flat, once - flat, rtol=1e-6, atol=1e-6)


def test_a_response_that_is_known_is_left_out():
    """The shock's response to itself at once."""
    frame = series()
    model = model_of(frame, "x + y ~ x | lag(y, 1, 2) + lag(x, 1, 2)", horizon=2)
    found = calibrate(model)
    assert found.status == "converged"
    assert list(found.implied_rates.index) == ["x[1]", "x[2]", "y[0]", "y[1]", "y[2]"]
    own = calibrate(model, region="marginal", functional="y[0]")
    same = calibrate(model, region="marginal", functional=lambda params: params[:, 3])
    assert own.learning_rate == same.learning_rate
    seen = []
    calibrate(
        model,
        region="marginal",
        functional=lambda params: (seen.append(params[:, 0]), params[:, 4])[1],
    )
    np.testing.assert_allclose(np.concatenate(seen), 1.0, rtol=1e-12)
    with pytest.raises(OptionError, match=r"functional='x\[0\]' is known without error"):
        calibrate(model, region="marginal", functional="x[0]")


@pytest.mark.parametrize(
    "options",
    [
        {"sample": "horizon"},
        {"state": "state", "horizon": 2},
        {"response": "cumulative"},
        {"trend": "ctt"},
    ],
)
def test_other_projections(options):
    frame = series().assign(state=lambda f: f.index // 20 % 2 * 1.0)
    assert calibrate(model_with_instruments(frame, **options)).status == "converged"


def test_multipliers():
    model = model_with_instruments(multiplier=True, lag_augmentation=False)
    assert calibrate(model, block_length=6).status == "converged"


def test_monetary_policy():
    """Gertler and Karadi (2015): an external instrument, with monthly data."""
    data = qb.datasets.load("gertler_karadi_2015")
    data.index = pd.PeriodIndex(data.pop("date"), freq="M")

    def model_to(horizon):
        lags = "lag(logip, 1, 3) + lag(gs1, 1, 3) + lag(ff4_tc, 1, 3)"
        return model_of(data, f"logip ~ [gs1 ~ ff4_tc] | {lags}", horizon=horizon)

    found = calibrate(model_to(6), replications=200)
    assert found.status == "converged"
    # A long path from few blocks needs much wider regions.
    assert 0.6 < found.learning_rate < 1.1
    assert calibrate(model_to(24), replications=200).learning_rate < 0.3


def test_fit_calibrates_for_its_own_options():
    model = model_of()
    options = {"draws": 2_000, "rng": 0, "cov_type": "HAC"}
    res = model.fit(learning_rate="calibrate", calibration_kwds={**FEW, "rng": 3}, **options)
    alone = calibrate(model, {"cov_type": "HAC"}, rng=3, alpha=0.1)
    assert res.calibration.learning_rate == alone.learning_rate == res.record.learning_rate
    assert "cov_type HAC" in res.calibration.loss
    plain = model.fit(**options)
    assert plain.calibration is None
    np.testing.assert_allclose(res.bse / plain.bse, alone.learning_rate**-0.5, rtol=1e-6)
    # Tables and bands have the level that the rate is for.
    assert res.irf.shape == (5, 7)
    assert "y[4]" in str(res.summary())
    for table in (res.irf_table, res.cumulative, res.conf_int):
        with pytest.warns(CalibrationWarning, match=r"for alpha=0.1, not for alpha=0.2"):
            table(alpha=0.2)


def test_a_fit_says_that_there_is_no_rate():
    model = model_of(prior=qb.priors.Normal(30.0, 1e-3))
    options = {**FEW, "region": "ellipse"}
    with (
        pytest.warns(PriorWarning, match="The data say little"),
        pytest.warns(CalibrationWarning, match="The coverage stays below"),
    ):
        model.fit(learning_rate="calibrate", calibration_kwds=options, rng=0, draws=500)


@pytest.mark.parametrize(
    ("options", "fit_kwds", "message"),
    [
        ({"bootstrap": "pairs"}, {}, "bootstrap='pairs' takes rows, or groups of them, as indep"),
        ({"bootstrap": "multiplier"}, {}, "bootstrap='multiplier' takes rows"),
        ({"bootstrap": "cluster"}, {}, "neighbouring rows overlap. Use 'moving-block'"),
        ({"groups": np.arange(200) // 9}, {}, "bootstrap='cluster' takes rows"),
        (
            {"groups": np.arange(200) // 9, "bootstrap": "stationary"},
            {},
            "groups go with bootstrap='cluster', not with local projections",
        ),
        ({"bootstrap": "wild"}, {}, "bootstrap='wild'"),
        ({"block_length": 4}, {}, "block_length=4 is below 5, the last horizon and one"),
        ({"block_length": 0}, {}, "block_length=0 must be at least 1"),
        ({"block_length": 1_000}, {}, "block_length=1000 is more than the 194 rows"),
        (
            {"block_length": 50},
            {"cov_type": "HAC"},
            "4 blocks of 50 rows are too few for 5 moments",
        ),
        ({}, {"quasi_likelihood": "cue"}, "use 'two-step'"),
        ({}, {"quasi_likelihood": "el"}, "quasi_likelihood='el'"),
        ({}, {"weight_iterations": 2}, "with weight_iterations=1: beyond the first"),
        ({}, {"cov_type": "HC4"}, "cov_type='HC4'"),
        ({"memory_limit": 0}, {}, "memory_limit=0"),
        ({"region": "marginal"}, {}, "belong together"),
        ({"region": "marginal", "functional": "y[9]"}, {}, r"functional='y\[9\]'"),
    ],
)
def test_bad_options_are_named(options, fit_kwds, message):
    with pytest.raises(OptionError, match=message):
        calibrate(model_of(), fit_kwds, **options)


def test_what_cannot_be_calibrated_is_said():
    with pytest.raises(UnknownKeywordError, match="fit_kwds has no keyword 'weight_matrix'"):
        calibrate(model_of(), {"weight_matrix": "identity"})
    with pytest.raises(OptionError, match="a smoothing parameter that is sampled"):
        calibrate(model_of(prior=qb.priors.Smoothness()))
    full = model_of(partial_out=False)
    with pytest.raises(OptionError, match="calibrated with partial_out=True"):
        full.fit(learning_rate="calibrate")
    for options, message in (
        ({"quasi_likelihood": "cue"}, "for a fixed weight"),
        ({"weight_iterations": 2}, "weight_iterations=1"),
    ):
        with pytest.raises(OptionError, match=message):
            model_of().fit(learning_rate="calibrate", **options)
    with pytest.raises(OptionError, match="belongs to learning_rate"):
        model_of().fit(calibration_kwds={})
    with pytest.raises(UnknownKeywordError, match="calibration_kwds has no keyword 'draws'"):
        model_of().fit(learning_rate="calibrate", calibration_kwds={"draws": 10})
    with pytest.raises(OptionError, match="compared for QuasiBayesM, not for QuasiBayesLP"):
        qb.compare_calibrations(model_of())


def test_too_few_replications():
    """A control that most replications of the rows do not hold."""
    frame = series().assign(rare=lambda f: (f.index == 100) * 1.0 + (f.index == 102) * 2.0)
    model = model_of(frame, "y ~ x | rare", lag_augmentation=False)
    found = calibrate(model, {"cov_type": "HC0"}, replications=200)
    assert found.status == "too-few-replications"
    assert "Use fewer horizons, controls or instruments." in found.summary()
    assert len(found.ess) < 190
    with pytest.raises(NumericalError, match="replications of the data have an estimate"):
        calibrate(model, {"cov_type": "HC0"}, replications=20)
