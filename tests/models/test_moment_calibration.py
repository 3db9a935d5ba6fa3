"""`calibrate_learning_rate` and `fit(learning_rate="calibrate")` for linear moments."""

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

import qbeconometrics as qb
from qbeconometrics.exceptions import (
    CalibrationWarning,
    ImproperPosteriorError,
    NumericalError,
    OptionError,
    UnknownKeywordError,
)
from qbeconometrics.sampling.seeds import spawn_seeds

FEW = {"replications": 60, "particles": 400}
TWO_STEP = {"quasi_likelihood": "two-step"}


def frame_of(n=240, seed=1, invalid=0.0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 3))
    common = rng.standard_normal(n)
    d = z @ [0.6, 0.5, 0.4] + common
    error = (0.3 + np.abs(z[:, 0])) * (0.6 * common + rng.standard_normal(n))
    frame = pd.DataFrame(z, columns=["z1", "z2", "z3"])
    return frame.assign(d=d, y=1.0 + d + error + invalid * z[:, 1], g=np.arange(n) // 6)


def model_of(prior=None, frame=None, **options):
    frame = frame_of(**options) if frame is None else frame
    return qb.QuasiBayesIV.from_formula(
        "y ~ [d ~ z1 + z2 + z3]", frame, prior=prior or qb.priors.Flat()
    )


def calibrate(model, fit_kwds=None, **options):
    kwds = {**TWO_STEP, **(fit_kwds or {})}
    return qb.calibrate_learning_rate(model, fit_kwds=kwds, **{"rng": 0, **FEW, **options})


@pytest.mark.parametrize("method", ["weighted-particles", "smc", "resimulate"])
def test_calibration_of_two_step_moments(method):
    found = calibrate(model_of(), method=method, replications=200, particles=2_000)
    assert found.status == "converged"
    assert found.coverage == pytest.approx(0.95, abs=0.0101)
    assert 0.5 < found.learning_rate < 1.5
    assert 0.02 < found.learning_rate_se / found.learning_rate < 0.4
    assert found.bootstrap == "pairs"
    assert "(n/2) g'Wg, two-step W, cov_type HC0" in found.summary()


def two_step(y, x, z, centre=None):
    """Minimiser, curvature and mean moment of the two-step criterion, from rows."""
    n = len(y)
    c = 0.0 if centre is None else centre
    a, g = z.T @ x / n, z.T @ y / n - c
    first = np.linalg.inv(z.T @ z / n)
    residual = y - x @ np.linalg.solve(a.T @ first @ a, a.T @ first @ g)
    scores = z * residual[:, None] - c
    weight = np.linalg.inv(scores.T @ scores / n)
    minimiser = np.linalg.solve(a.T @ weight @ a, a.T @ weight @ g)
    return minimiser, n * a.T @ weight @ a, z.T @ (y - x @ minimiser) / n


def closed_form(model, recentre, replications, seed):
    """The rate of a loss region under a flat prior; the same rows are drawn."""
    y, x, z = model.endog, model.exog, model.instrument
    estimate, _, moment = two_step(y, x, z)
    distances = []
    for own in spawn_seeds(seed, 2)[0].spawn(replications):
        rows = np.random.default_rng(own).integers(len(y), size=len(y))
        off = moment if recentre else None
        theta, curvature, _ = two_step(y[rows], x[rows], z[rows], off)
        distances.append((theta - estimate) @ curvature @ (theta - estimate))
    quantile = np.quantile(distances, 0.95, method="midpoint")
    return chi2.ppf(0.95, len(estimate)) / quantile


@pytest.mark.slow
@pytest.mark.parametrize("recentre", [False, True])
def test_the_rate_is_that_of_the_closed_form(recentre):
    model = model_of(invalid=2.0)
    found = calibrate(model, recentre=recentre, rng=7, particles=10_000)
    assert found.learning_rate == pytest.approx(closed_form(model, recentre, 60, 7), abs=0.02)
    # Moments that do not hold tell the two apart.
    assert abs(found.learning_rate - closed_form(model, not recentre, 60, 7)) > 0.1


def test_identity_weight_needs_another_rate():
    found = calibrate(model_of(), {"weight_matrix": "identity"})
    frame = model_of().instrument_names
    labelled = pd.DataFrame(np.eye(4), index=frame, columns=frame)
    again = calibrate(model_of(), {"weight_matrix": labelled})
    assert found.learning_rate == again.learning_rate
    assert found.learning_rate < 0.9
    assert "given W" in found.loss


def test_information_matching_and_implied_rates_by_definition():
    model = model_of()
    weight = np.diag([1.0, 3.0, 1.0, 0.5])
    found = calibrate(model, {"weight_matrix": weight})
    y, x, z = model.endog, model.exog, model.instrument
    a, n = z.T @ x / len(y), len(y)
    estimate = np.linalg.solve(a.T @ weight @ a, a.T @ weight @ z.T @ y / n)
    scores = z * (y - x @ estimate)[:, None]
    curvature = n * a.T @ weight @ a
    product = a.T @ weight @ scores.T @ scores @ weight @ a
    inverse = np.linalg.inv(curvature)
    sandwich = inverse @ product @ inverse
    np.testing.assert_allclose(found.implied_rates, np.diag(inverse) / np.diag(sandwich), rtol=1e-8)
    expected = np.trace(curvature @ np.linalg.inv(product)) / 2
    assert found.information_rate == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(
    ("kwds", "kind"),
    [
        ({"cov_type": "nonrobust"}, "pairs"),
        ({"cov_type": "HC1"}, "pairs"),
        ({"cov_type": "cluster", "cov_kwds": {"groups": "g"}}, "cluster"),
        ({"cov_type": "HAC", "cov_kwds": {"maxlags": 3}}, "moving-block"),
        ({"cov_type": "HAC"}, "moving-block"),
        ({"cov_type": "HAC", "cov_kwds": {"maxlags": "andrews"}}, "moving-block"),
    ],
)
def test_the_bootstrap_follows_the_covariance(kwds, kind):
    found = calibrate(model_of(), kwds)
    assert found.bootstrap == kind
    assert found.status == "converged"


@pytest.mark.parametrize(
    "options",
    [
        {"bootstrap": "multiplier"},
        {"groups": "g"},
        {"bootstrap": "moving-block", "block_length": 4},
        {"region": "ellipse"},
        {"region": "marginal", "functional": "d"},
        {"region": "marginal", "functional": lambda params: params[:, 0] * params[:, 1]},
    ],
)
def test_other_bootstraps_and_regions(options):
    assert calibrate(model_of(), **options).status == "converged"


def test_lags_give_the_length_of_blocks():
    kwds = {"cov_type": "HAC", "cov_kwds": {"maxlags": 3}}
    default, named = calibrate(model_of(), kwds), calibrate(model_of(), kwds, block_length=4)
    assert default.learning_rate == named.learning_rate
    assert default.learning_rate != calibrate(model_of(), kwds, block_length=12).learning_rate


def test_a_normal_prior_keeps_its_weight_at_every_rate():
    """Far from the estimate, it leaves no rate; a weak one changes nothing."""
    weak = calibrate(model_of(prior=qb.priors.Normal(0.0, 1e4)))
    assert weak.learning_rate == pytest.approx(calibrate(model_of()).learning_rate, rel=1e-3)
    far = calibrate(model_of(prior=qb.priors.Normal([1.0, 30.0], 1e-3)), region="ellipse")
    assert far.status == "no-root"


def test_the_answer_does_not_depend_on_who_computes():
    model = model_of()
    alone = calibrate(model)
    for kind in (ThreadPoolExecutor, ProcessPoolExecutor):
        with kind(2) as executor:
            shared = calibrate(model, executor=executor)
        assert shared.learning_rate == alone.learning_rate
        pd.testing.assert_frame_equal(shared.curve, alone.curve, check_exact=True)
    little = calibrate(model, memory_limit=10_000)
    assert little.learning_rate == pytest.approx(alone.learning_rate, rel=1e-8)


def test_units_of_the_data_do_not_matter():
    frame = frame_of()
    scaled = frame.assign(z1=1e4 * frame["z1"], d=1e-3 * frame["d"], y=1e5 * frame["y"])
    first, second = calibrate(model_of(frame=frame)), calibrate(model_of(frame=scaled))
    assert second.learning_rate == pytest.approx(first.learning_rate, rel=1e-8)


def test_fit_calibrates_for_its_own_options():
    model, kwds = model_of(), {"cov_type": "cluster", "cov_kwds": {"groups": "g"}}
    options = {**FEW, "rng": 3}
    res = model.fit(rng=0, learning_rate="calibrate", calibration_kwds=options, **TWO_STEP, **kwds)
    alone = calibrate(model, kwds, rng=3)
    assert res.calibration.learning_rate == alone.learning_rate == res.record.learning_rate
    assert res.calibration.bootstrap == "cluster"
    plain = model.fit(rng=0, **TWO_STEP, **kwds)
    assert plain.calibration is None
    ratio = (res.bse / plain.bse).to_numpy()
    np.testing.assert_allclose(ratio, alone.learning_rate**-0.5, rtol=1e-6)
    with pytest.warns(CalibrationWarning, match=r"calibrated for alpha=0.05, not for alpha=0.1"):
        res.conf_int(alpha=0.1)


def test_gmm_of_a_formula():
    frame = frame_of()
    model = qb.QuasiBayesGMM.from_formula("y ~ d | z1 + z2 + z3", frame, prior=qb.priors.Flat())
    assert calibrate(model).learning_rate == calibrate(model_of(frame=frame)).learning_rate


def test_weighted_rows():
    frame = frame_of().assign(w=lambda f: 1.0 + (f.index % 3), copies=1)
    flat = {"prior": qb.priors.Flat()}
    formula = "y ~ [d ~ z1 + z2 + z3]"
    plain = calibrate(model_of(frame=frame))
    once = qb.QuasiBayesIV.from_formula(
        formula, frame, weights="copies", weight_type="frequency", **flat
    )
    assert calibrate(once).learning_rate == pytest.approx(plain.learning_rate, rel=1e-8)
    weighted = qb.QuasiBayesIV.from_formula(
        formula, frame, weights="w", weight_type="probability", **flat
    )
    assert calibrate(weighted, groups="g").status == "converged"


WEAK = qb.priors.Normal(0.0, 1e3)


@pytest.mark.parametrize("name", ["cue", "cue-nodet"])
@pytest.mark.parametrize(
    ("kwds", "kind"),
    [
        ({}, "pairs"),
        ({"cov_type": "nonrobust"}, "pairs"),
        ({"cov_type": "cluster", "cov_kwds": {"groups": "g"}}, "cluster"),
        ({"cov_type": "HAC", "cov_kwds": {"maxlags": 3}}, "moving-block"),
    ],
)
def test_continuously_updated_moments(name, kwds, kind):
    found = calibrate(model_of(prior=WEAK), {"quasi_likelihood": name, **kwds})
    assert found.bootstrap == kind
    assert found.status == "converged"
    assert 0.2 < found.learning_rate < 2.0
    assert f"{name} W" in found.loss


@pytest.mark.slow
@pytest.mark.parametrize("method", ["weighted-particles", "smc", "resimulate"])
def test_updated_moments_of_many_rows_need_the_rate_of_two_steps(method):
    """Both are efficient, so that they differ by a share that vanishes with n."""
    model = model_of(prior=WEAK, n=2_000)
    options = {"method": method, "particles": 1_000, "replications": 60, "rng": 4}
    two_step, updated = (
        calibrate(model, {"quasi_likelihood": name}, **options) for name in ("two-step", "cue")
    )
    assert updated.status == "converged"
    assert np.log(updated.learning_rate / two_step.learning_rate) == pytest.approx(0.0, abs=0.2)


def test_updated_moments_do_not_depend_on_who_computes():
    model = model_of(prior=WEAK)
    options = {"quasi_likelihood": "cue"}
    alone = calibrate(model, options)
    for kind in (ThreadPoolExecutor, ProcessPoolExecutor):
        with kind(2) as executor:
            shared = calibrate(model, options, executor=executor)
        assert shared.learning_rate == alone.learning_rate


def test_fit_calibrates_the_default_quasi_posterior():
    res = model_of(prior=WEAK).fit(
        rng=0, draws=4_000, learning_rate="calibrate", calibration_kwds={**FEW, "rng": 3}
    )
    assert "cue W" in res.calibration.loss
    assert res.record.learning_rate == res.calibration.learning_rate


def test_student_prior():
    """With wide scales it is nearly flat; with any, particles are sampled."""
    wide = calibrate(model_of(prior=qb.priors.StudentT(5.0, 0.0, 1e3)), particles=4_000)
    flat = calibrate(model_of(), particles=4_000)
    assert np.log(wide.learning_rate / flat.learning_rate) == pytest.approx(0.0, abs=0.15)


def test_a_criterion_without_a_minimum_is_said():
    """An outcome that the instruments move much more than they move the regressor."""
    columns = np.random.default_rng(12).standard_normal((60, 5))
    z1, z2, z3, e, f = np.sqrt(60) * np.linalg.qr(columns)[0].T
    model = qb.QuasiBayesIV(
        3.0 * z2 + f + 0.01 * z1,
        (0.1 * z1 + e)[:, None],
        np.column_stack([z1, z2, z3]),
        prior=qb.priors.Normal(0.0, 1.0),
    )
    with pytest.warns(CalibrationWarning, match="no minimum near"):
        calibrate(model, {"quasi_likelihood": "cue", "cov_type": "nonrobust"})


def test_settler_mortality_and_income():
    """Acemoglu, Johnson and Robinson (2001), 64 countries."""
    data = qb.datasets.load("ajr2001").query("baseco == 1")
    model = qb.QuasiBayesIV.from_formula(
        "logpgp95 ~ [avexpr ~ logem4]", data, prior=qb.priors.Flat()
    )
    found = calibrate(model, replications=200, particles=2_000)
    assert found.status == "converged"
    # Exactly identified, and as many sandwich variances as curvatures.
    np.testing.assert_allclose(found.implied_rates, 1.0, rtol=1e-6)
    # Weakly instrumented resamples of few countries have estimates far out.
    assert 0.2 < found.learning_rate < 1.0


@pytest.mark.parametrize("method", ["weighted-particles", "smc", "resimulate"])
def test_moments_on_scales_that_differ(method):
    """Card (1995): identity weight on instruments as they are, of which expersq is in hundreds."""
    model = qb.QuasiBayesIV.from_formula(
        "lwage ~ exper + expersq + black + [educ ~ nearc4 + nearc2]",
        qb.datasets.load("card1995"),
        prior=qb.priors.Flat(),
    )
    weight = {"weight_matrix": "identity"}
    joint = calibrate(model, weight, method=method)
    assert joint.status == "converged"
    # The square of experience rules the region, and schooling hardly moves it.
    assert joint.learning_rate < 1e-3 * joint.information_rate
    if method != "smc":
        own = calibrate(model, weight, method=method, region="marginal", functional="educ")
        assert own.status == "converged"
        assert np.log(own.learning_rate / own.implied_rates["educ"]) == pytest.approx(0.0, abs=1.0)


@pytest.mark.parametrize(
    ("options", "fit_kwds", "message"),
    [
        ({}, {"quasi_likelihood": "el"}, "quasi_likelihood='el'"),
        ({"memory_limit": 10_000}, {"quasi_likelihood": "cue-nodet"}, "raise it to 28800"),
        ({}, {"cov_type": "HC4"}, "cov_type='HC4'"),
        ({}, {"weight_matrix": np.eye(2)}, r"weight_matrix has shape \(2, 2\)"),
        ({"memory_limit": 0}, {}, "memory_limit=0"),
        ({"memory_limit": 1.5}, {}, "memory_limit=1.5"),
        ({"bootstrap": "wild"}, {}, "bootstrap='wild'"),
        (
            {"bootstrap": "pairs"},
            {"cov_type": "HAC"},
            "bootstrap='pairs' breaks the order of time",
        ),
        (
            {"bootstrap": "pairs"},
            {"cov_type": "cluster", "cov_kwds": {"groups": "g"}},
            "bootstrap='pairs' does not go with cov_type='cluster'",
        ),
        (
            {"groups": "g"},
            {"cov_type": "cluster", "cov_kwds": {"groups": "g"}},
            "the clusters are those of cov_kwds",
        ),
        (
            {},
            {"cov_type": "cluster", "cov_kwds": {"groups": ["g", "h"]}},
            "clusters of one way",
        ),
        ({"block_length": 3}, {}, "block_length belongs"),
        ({"block_length": 1_000}, {"cov_type": "HAC"}, "more than the 240 rows"),
        ({"groups": "g"}, {"cov_type": "HAC"}, "groups go with bootstrap='cluster'"),
        ({"region": "marginal"}, {}, "belong together"),
    ],
)
def test_bad_options_are_named(options, fit_kwds, message):
    frame = frame_of().assign(h=lambda f: f.index % 20)
    model = model_of(frame=frame, prior=qb.priors.Normal(0.0, 10.0))
    with pytest.raises(OptionError, match=message):
        calibrate(model, fit_kwds, **options)


def test_what_cannot_be_calibrated_is_said():
    frame = frame_of()
    with pytest.raises(UnknownKeywordError, match="fit_kwds has no keyword 'sampler'"):
        calibrate(model_of(), {"sampler": "rwm"})
    with pytest.raises(ImproperPosteriorError, match="flat prior"):
        calibrate(model_of(), {"quasi_likelihood": "cue"})
    absorbed = qb.QuasiBayesIV.from_formula("y ~ [d ~ z1 + z2 + z3]", frame, absorb="g")
    with pytest.raises(OptionError, match="absorbed fixed effects"):
        calibrate(absorbed)
    sums = qb.LinearMoments("y ~ [d ~ z1 + z2 + z3]").update(frame)
    without_rows = qb.QuasiBayesIV.from_moments(sums)
    with pytest.raises(OptionError, match="a model from moments holds none"):
        calibrate(without_rows)
    with pytest.raises(OptionError, match="a model from moments holds none"):
        without_rows.fit(learning_rate="calibrate", **TWO_STEP)
    with pytest.raises(UnknownKeywordError, match="calibration_kwds has no keyword 'fit_kwds'"):
        model_of().fit(learning_rate="calibrate", calibration_kwds={"fit_kwds": {}}, **TWO_STEP)
    with pytest.raises(OptionError, match="belongs to learning_rate"):
        model_of().fit(calibration_kwds={}, **TWO_STEP)
    with pytest.raises(OptionError, match="QuasiBayesGMM and QuasiBayesLP, not for str"):
        calibrate("model")
    with pytest.raises(OptionError, match="for the fits of QuasiBayesM, QuasiBayesIV"):
        model_of().quasi_posterior(learning_rate="calibrate")


def test_a_joint_rate_that_suits_no_coefficient_is_said():
    """Identity weight lets the moment of the largest scale decide about combinations."""
    model = qb.QuasiBayesIV.from_formula(
        "lwage ~ exper + black + [educ ~ nearc4 + nearc2]",
        qb.datasets.load("card1995"),
        prior=qb.priors.Flat(),
    )
    options = {"quasi_likelihood": "two-step", "weight_matrix": "identity"}
    joint = qb.calibrate_learning_rate(model, fit_kwds=options, rng=0)
    assert joint.implied_rates.max() < 2 * joint.implied_rates.min()
    assert joint.learning_rate < 0.1 * joint.implied_rates.min()
    assert not joint.one_rate_suffices
    width = np.sqrt(joint.implied_rates.median() / joint.learning_rate)
    assert f"single coefficients are {width:.2g} times" in " ".join(joint.summary().split())
    efficient = qb.calibrate_learning_rate(model, fit_kwds={"quasi_likelihood": "two-step"}, rng=0)
    assert efficient.one_rate_suffices


def test_too_few_replications():
    """A dummy for three rows is missing from one resample of pairs in twenty."""
    frame = frame_of().assign(rare=lambda f: (f.index < 3).astype(float))
    model = qb.QuasiBayesIV.from_formula(
        "y ~ rare + [d ~ z1 + z2 + z3]", frame, prior=qb.priors.Flat()
    )
    found = calibrate(model)
    assert found.status == "too-few-replications"
    assert "multiplier" in found.summary()
    assert len(found.ess) < 60
    assert calibrate(model, bootstrap="multiplier").status == "converged"
    with pytest.raises(NumericalError, match="of 20 replications of the data have an estimate"):
        calibrate(model, replications=20)
    options = {**FEW, "rng": 0}
    with pytest.warns(CalibrationWarning, match="replications of the data have no estimate"):
        model.fit(rng=0, learning_rate="calibrate", calibration_kwds=options, **TWO_STEP)
