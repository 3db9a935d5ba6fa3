"""`calibrate_learning_rate` and `fit(learning_rate="calibrate")` for moments that a user wrote."""

import numpy as np
import pandas as pd
import pytest

import qbeconometrics as qb
from qbeconometrics.calibration.sampled_moments import _losses as losses_of_linear
from qbeconometrics.exceptions import (
    CalibrationWarning,
    ImproperPosteriorError,
    NumericalError,
    OptionError,
    UnknownKeywordError,
)
from qbeconometrics.models.bootstrap_arguments import BootstrapArguments
from qbeconometrics.models.moment_calibration import calibrated_moments, moment_options
from qbeconometrics.models.user_moment_calibration import (
    calibrated_user_moments,
    user_moment_options,
)

FEW = {"replications": 60, "particles": 400}
TWO_STEP = {"quasi_likelihood": "two-step"}
WEAK = qb.priors.Normal(0.0, 1e3)
GROUPS = np.arange(240) // 6


def linear(params, endog, exog, instrument):
    return instrument * (endog - exog @ params)[:, None]


def arrays_of(n=240, seed=1, invalid=0.0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 3))
    common = rng.standard_normal(n)
    d = z @ [0.6, 0.5, 0.4] + common
    error = (0.3 + np.abs(z[:, 0])) * (0.6 * common + rng.standard_normal(n))
    y = 1.0 + d + error + invalid * z[:, 1]
    one = np.ones(n)
    return y, np.column_stack([one, d]), np.column_stack([one, z])


def pair_of(prior=None, **options):
    """The same model with moments that the user wrote and with those of the package."""
    arrays = arrays_of(**options)
    prior = prior or qb.priors.Flat()
    names = {"param_names": ["const", "d"]}
    written = qb.QuasiBayesGMM(*arrays, momcond=linear, prior=prior, **names)
    return written, qb.QuasiBayesIV(*arrays, prior=prior)


def calibrate(model, fit_kwds=None, **options):
    kwds = {**TWO_STEP, **(fit_kwds or {})}
    return qb.calibrate_learning_rate(model, fit_kwds=kwds, **{"rng": 0, **FEW, **options})


BY_COVARIANCE = [
    {},
    {"cov_type": "HC1"},
    {"cov_type": "nonrobust"},
    {"cov_kwds": {"centered": True}},
    {"weight_matrix": np.diag([1.0, 3.0, 1.0, 0.5])},
    {"cov_type": "cluster", "cov_kwds": {"groups": GROUPS}},
    {"cov_type": "HAC", "cov_kwds": {"maxlags": 3, "kernel": "parzen"}},
]


def both_calibrated(written, known, kwds, recentre):
    """What the same 30 replications are for moments that the user wrote, and for linear ones."""
    found = []
    for model, calibrated, options, more in [
        (written, calibrated_user_moments, user_moment_options, {}),
        (known, calibrated_moments, moment_options, {"executor": None}),
    ]:
        drawn = BootstrapArguments(None, None, None, 30, np.random.SeedSequence(4))
        about = {"region": "loss", "functional": None, "recentre": recentre, **more}
        found.append(calibrated(model, options(model, kwds), drawn, memory_limit=2**28, **about))
    return found


@pytest.mark.parametrize("recentre", [False, True])
@pytest.mark.parametrize("kwds", BY_COVARIANCE)
def test_replications_are_those_of_linear_moments(kwds, recentre):
    """Losses of the same rows above their minima, and closed-form rates."""
    pair = both_calibrated(*pair_of(invalid=1.0), {**TWO_STEP, **kwds}, recentre)
    by_cloud, exact = (one.problem for one in pair)
    # The criteria are quadratic, so that seven values give their minima.
    points = np.array([[0, 0], [1, 0], [0, 1], [-1, 0], [0, -1], [1, 1], [-1, -1]], dtype=float)
    losses = by_cloud.criteria.evaluate(points)[0].T
    of_points = np.column_stack([np.ones(7), points, points**2 / 2, points[:, 0] * points[:, 1]])
    low, a, b, aa, bb, ab = np.linalg.lstsq(of_points, losses)[0]
    lowest = low - (bb * a**2 - 2 * ab * a * b + aa * b**2) / (aa * bb - ab**2) / 2
    found = by_cloud.loss_at_estimate - lowest
    np.testing.assert_allclose(found, exact.loss_at_estimate, rtol=1e-6, atol=1e-9)
    assert by_cloud.information_rate == pytest.approx(exact.information_rate, rel=1e-6)
    assert by_cloud.typical_rate == pytest.approx(exact.typical_rate, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("recentre", [False, True])
def test_two_step_rates_are_those_of_linear_moments(recentre):
    options = {"recentre": recentre, "replications": 200, "particles": 8_000}
    written, known = (calibrate(model, **options) for model in pair_of(invalid=1.0))
    assert written.status == known.status == "converged"
    assert np.log(written.learning_rate / known.learning_rate) == pytest.approx(0.0, abs=0.03)
    assert written.learning_rate_se == pytest.approx(known.learning_rate_se, rel=0.5)
    np.testing.assert_allclose(written.implied_rates, known.implied_rates, rtol=1e-6)


@pytest.mark.parametrize("recentre", [False, True])
@pytest.mark.parametrize("kwds", [BY_COVARIANCE[i] for i in (0, 1, 2, 3, 5)])
def test_updated_criteria_are_those_of_linear_moments(kwds, recentre):
    kwds = {**kwds, "quasi_likelihood": "cue"}
    cloud, walks = both_calibrated(*pair_of(WEAK), kwds, recentre)
    positions = np.random.default_rng(0).standard_normal((5, 2))
    losses = cloud.problem.criteria.evaluate(positions)[0]
    basis = cloud.problem.criteria.basis
    # Both have the estimate as origin, but not the same way of scaling.
    scaled = positions @ basis.regressor_map.T @ np.linalg.inv(walks.root).T
    expected = [losses_of_linear(walks.problem._arrays(b), scaled) for b in range(30)]
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    assert cloud.problem.information_rate == pytest.approx(walks.problem.information_rate, rel=1e-5)


@pytest.mark.slow
def test_updated_rates_are_those_of_linear_moments():
    """Four standard errors, as seen from run to run, .02 of them of the walks of linear moments."""
    options = {"replications": 100, "particles": 64_000}
    known = calibrate(pair_of(WEAK)[1], {"quasi_likelihood": "cue"}, **options)
    options["particles"] = 16_000
    written = calibrate(pair_of(WEAK)[0], {"quasi_likelihood": "cue"}, **options)
    assert written.status == known.status == "converged"
    assert np.log(written.learning_rate / known.learning_rate) == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("method", ["weighted-particles", "smc", "resimulate"])
@pytest.mark.parametrize("name", ["two-step", "cue", "cue-nodet"])
def test_methods_and_quasi_likelihoods(method, name):
    found = calibrate(pair_of(WEAK)[0], {"quasi_likelihood": name}, method=method)
    assert found.status == "converged"
    assert 0.3 < found.learning_rate < 2.0
    assert f"(n/2) g'Wg, {name} W, cov_type HC0" in found.summary()
    assert found.bootstrap == "pairs"
    assert len(found.ess) == 60
    assert 0.0 < found.ess.min() <= found.ess.max() <= found.particles + 1e-8


@pytest.mark.parametrize(
    ("kwds", "options", "kind"),
    [
        ({}, {"groups": GROUPS}, "cluster"),
        ({"cov_type": "cluster", "cov_kwds": {"groups": GROUPS}}, {}, "cluster"),
        ({"cov_type": "HAC", "cov_kwds": {"maxlags": 3}}, {}, "moving-block"),
        ({"cov_type": "HAC"}, {"bootstrap": "stationary"}, "stationary"),
        ({}, {"bootstrap": "moving-block", "block_length": 5}, "moving-block"),
        ({}, {"bootstrap": "multiplier"}, "multiplier"),
    ],
)
def test_bootstraps(kwds, options, kind):
    found = calibrate(pair_of()[0], kwds, **options)
    assert found.bootstrap == kind
    assert found.status == "converged"


def test_regions():
    model, options = pair_of()[0], {"replications": 60, "particles": 1_000}
    for region in ("loss", "ellipse"):
        assert calibrate(model, region=region, **options).status == "converged"
    named = calibrate(model, region="marginal", functional="d", **options)
    assert named.status == "converged"
    by_function = calibrate(model, region="marginal", functional=lambda p: p[:, 1], **options)
    assert by_function.learning_rate == pytest.approx(named.learning_rate, rel=1e-8)


def test_same_seed_same_result():
    first, second = (calibrate(pair_of()[0], rng=3) for _ in range(2))
    assert first.learning_rate == second.learning_rate
    pd.testing.assert_frame_equal(first.curve, second.curve, check_exact=True)
    assert calibrate(pair_of()[0], rng=4).learning_rate != first.learning_rate
    little = calibrate(pair_of()[0], rng=3, memory_limit=2**21)
    assert little.learning_rate == pytest.approx(first.learning_rate, rel=1e-8)


def test_rows_with_missing_values_and_labels_of_groups():
    y, x, z = arrays_of()
    index = pd.Index(np.arange(240) + 1_000)
    gaps = pd.Series(y, index).where(index % 17 != 0)
    options = {"momcond": linear, "prior": qb.priors.Flat(), "missing": "drop"}
    frames = pd.DataFrame(x, index, ["const", "d"]), pd.DataFrame(z, index)
    dropped = qb.QuasiBayesGMM(gaps, *frames, **options)
    kept = gaps.notna().to_numpy()
    alone = qb.QuasiBayesGMM(y[kept], x[kept], z[kept], **options)
    first = calibrate(dropped, groups=pd.Series(GROUPS, index).sample(frac=1.0, random_state=0))
    second = calibrate(alone, groups=GROUPS[kept])
    assert first.learning_rate == pytest.approx(second.learning_rate, rel=1e-8)


def test_fit_calibrates_for_its_own_options():
    model, weight = pair_of(invalid=1.0)[0], {"weight_matrix": "identity"}
    options = {**FEW, "rng": 3}
    res = model.fit(
        "rwm",
        rng=0,
        draws=4_000,
        learning_rate="calibrate",
        calibration_kwds=options,
        **TWO_STEP,
        **weight,
    )
    alone = calibrate(model, weight, rng=3)
    assert res.calibration.learning_rate == alone.learning_rate == res.record.learning_rate
    with pytest.warns(CalibrationWarning, match=r"calibrated for alpha=0.05, not for alpha=0.1"):
        res.conf_int(alpha=0.1)
    plain = model.fit("rwm", rng=0, draws=4_000, **TWO_STEP, **weight)
    assert plain.calibration is None
    ratio = (res.mode_bse / plain.mode_bse).to_numpy()
    np.testing.assert_allclose(ratio, alone.learning_rate**-0.5, rtol=1e-6)
    np.testing.assert_allclose(res.bse, res.mode_bse, rtol=0.2)


def test_a_model_that_overrides_its_moments():
    class Linear(qb.QuasiBayesGMM):
        def momcond(self, params):
            return linear(params, self.endog, self.exog, self.instrument)

    same = Linear(*arrays_of(), prior=qb.priors.Flat())
    assert calibrate(same).learning_rate == calibrate(pair_of()[0]).learning_rate


def test_a_function_that_fills_one_buffer():
    buffer = np.empty((240, 4))

    def filling(params, endog, exog, instrument):
        np.multiply(instrument, (endog - exog @ params)[:, None], out=buffer)
        return buffer

    model = qb.QuasiBayesGMM(*arrays_of(), momcond=filling, prior=WEAK)
    for name in ("two-step", "cue"):
        kwds = {"quasi_likelihood": name}
        expected = calibrate(pair_of(WEAK)[0], kwds).learning_rate
        assert calibrate(model, kwds).learning_rate == expected


@pytest.mark.slow
def test_doctor_visits(doctor_visits):
    """Exponential mean, 4,412 persons: heavy tails, which efficient weights do not see."""
    model = doctor_visits(prior=qb.priors.Uniform(-2, 2))
    found = calibrate(model, replications=100, particles=1_000)
    assert found.status == "converged"
    assert 0.3 < found.learning_rate < 1.0
    np.testing.assert_allclose(found.implied_rates, 1.0, atol=0.05)


@pytest.mark.parametrize("weight", [None, "identity"])
def test_euler_equation(euler, weight):
    """Consumption and the market return, under serial dependence."""
    kwds = {"cov_type": "HAC", "cov_kwds": {"maxlags": 6}, "weight_matrix": weight}
    found = calibrate(euler(["rm"], -5, 6), kwds, replications=100, particles=1_000)
    assert found.status == "converged"
    assert found.bootstrap == "moving-block"
    assert np.median(found.ess) > 100.0


@pytest.mark.parametrize(
    ("options", "fit_kwds", "message"),
    [
        ({}, {"quasi_likelihood": "el"}, "quasi_likelihood='el'"),
        ({}, {"quasi_likelihood": "cue", "cov_type": "HAC"}, "Use quasi_likelihood='two-step'"),
        ({}, {"weight_matrix": np.eye(2)}, r"weight_matrix has shape \(2, 2\); there are 4"),
        ({}, {"quasi_likelihood": "cue", "weight_matrix": "identity"}, "weight_matrix is only"),
        ({"memory_limit": 0}, {}, "memory_limit=0"),
        ({"bootstrap": "pairs"}, {"cov_type": "HAC"}, "breaks the order of time"),
        ({"groups": GROUPS}, {"cov_type": "HAC"}, "groups go with bootstrap='cluster'"),
        ({"groups": np.zeros(240)}, {}, "two clusters at least"),
        ({"block_length": 3}, {}, "block_length belongs"),
        (
            {},
            {"cov_type": "cluster", "cov_kwds": {"groups": np.column_stack([GROUPS, GROUPS % 9])}},
            "clusters of one way",
        ),
        ({"region": "marginal", "functional": "x"}, {}, "functional='x'"),
        ({"region": "marginal"}, {}, "belong together"),
    ],
)
def test_bad_options_are_named(options, fit_kwds, message):
    with pytest.raises(OptionError, match=message):
        calibrate(pair_of(WEAK)[0], fit_kwds, **options)


def test_what_cannot_be_calibrated_is_said():
    written, _ = pair_of()
    with pytest.raises(UnknownKeywordError, match="fit_kwds has no keyword 'sampler'"):
        calibrate(written, {"sampler": "rwm"})
    with pytest.raises(ImproperPosteriorError, match="flat prior"):
        calibrate(written, {"quasi_likelihood": "cue"})
    with pytest.raises(OptionError, match="belongs to learning_rate"):
        written.fit(calibration_kwds={}, **TWO_STEP)
    with pytest.raises(OptionError, match="calibrations are compared for QuasiBayesM"):
        qb.compare_calibrations(written)
    with pytest.raises(NumericalError, match="raise particles or memory_limit"):
        calibrate(written, memory_limit=10_000)


@pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.ConvergenceWarning")
def test_too_few_replications():
    """A dummy for three rows is missing from one resample of pairs in twenty."""
    y, x, z = arrays_of()
    rare = (np.arange(240) < 3).astype(float)
    arrays = y, np.column_stack([x, rare]), np.column_stack([z, rare])
    model = qb.QuasiBayesGMM(*arrays, momcond=linear, prior=qb.priors.Flat())
    found = calibrate(model)
    assert found.status == "too-few-replications"
    assert len(found.ess) < 60
    with pytest.warns(CalibrationWarning, match="replications of the data have no estimate"):
        model.fit(
            "rwm",
            rng=0,
            learning_rate="calibrate",
            calibration_kwds={**FEW, "rng": 0},
            draws=200,
            **TWO_STEP,
        )


def test_an_estimate_at_the_edge_of_the_prior_is_said():
    prior = qb.priors.Uniform([-5.0, -5.0], [5.0, 0.9])
    with pytest.warns(CalibrationWarning, match="at an edge of the prior"):
        calibrate(qb.QuasiBayesGMM(*arrays_of(), momcond=linear, prior=prior))
