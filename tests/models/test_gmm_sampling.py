"""Fits of user-written moments: quadrature targets, edges of the box, counted rejections."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

import qbeconometrics as qb
from qbeconometrics.exceptions import ConvergenceWarning, NumericalWarning, OptionError, TailWarning

FOLDER = Path(__file__).parent.parent / "reference_values"
STORED = json.loads((FOLDER / "reference_quasi_posterior.json").read_text(encoding="utf-8"))
TARGETS = STORED["quasi_posteriors"]
# Monte Carlo standard errors; twelve means and sds are compared for each sampler.
ERRORS = 4.0
# The fixed weight stands on a first step that was found numerically.
LOG_DENSITY_TOLERANCE = 1e-6
BOTH, MARKET = ["rb", "rm"], ["rm"]
SAMPLERS = ("rwm", "da", "da-exact", "hmc")
WITH_SLOW_HMC = (*SAMPLERS[:3], pytest.param("hmc", marks=pytest.mark.slow))
DRAWS = {"rwm": 6_000, "da": 10_000, "da-exact": 4_000, "hmc": 1_200}
TUNE = {"hmc": 500}


@pytest.mark.slow
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(
    ("suffix", "quasi_likelihood", "centered"),
    [
        ("uncentered", "cue-nodet", False),
        ("centered", "cue-nodet", True),
        ("uncentered_with_logdet", "cue", False),
    ],
)
@pytest.mark.parametrize(
    ("name", "returns", "low", "high"),
    [("euler_two_returns", BOTH, -1, 1.5), ("euler_market_only", MARKET, -5, 6)],
)
def test_quadrature_targets(
    euler, sampler, suffix, quasi_likelihood, centered, name, returns, low, high
):
    target = TARGETS[f"{name}_uniform_gamma_{low}_{high}_{suffix}"]
    # Warnings are errors: R-hat above 1.01 or an effective sample size below 400 fails the test.
    res = euler(returns, low, high).fit(
        sampler,
        draws=DRAWS[sampler],
        tune=TUNE.get(sampler, 600),
        rng=3,
        quasi_likelihood=quasi_likelihood,
        cov_kwds={"centered": centered},
        sampler_kwds={"df": 5, "rho": 0} if sampler == "da-exact" else None,
        progressbar=False,
    )
    error = res.mcse()
    for parameter in ("beta", "gamma"):
        stored = target[parameter]
        assert abs(res.params[parameter] - stored["mean"]) < ERRORS * error["mean"][parameter]
        assert abs(res.bse[parameter] - stored["sd"]) < ERRORS * error["sd"][parameter]


@pytest.mark.slow
def test_only_the_determinant_keeps_the_chains_from_the_edge(euler):
    model = euler(BOTH, -5, 150)
    fit_options = {"sampler": "rwm", "draws": 8000, "tune": 1000, "rng": 0, "progressbar": False}
    with pytest.warns(TailWarning, match=r"edge of the uniform prior \(gamma = 150\)"):
        without = model.fit(quasi_likelihood="cue-nodet", **fit_options)
    assert "edge of the uniform prior" in str(without.summary())
    with warnings.catch_warnings():
        # Chains that start at the far mode may take long to leave it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        with_it = model.fit(quasi_likelihood="cue", **fit_options)
    assert without.mode["gamma"] > 149
    # Runs of 32,000 draws, effective size above 2,600, gave .983 to .987.
    assert without.prob("gamma > 100") > 0.97
    assert with_it.prob("gamma > -1 and gamma < 1.5") > 0.99
    assert len(with_it.modes) > 1
    assert (np.diff(with_it.modes["log_density"]) < 0).all()
    np.testing.assert_allclose(with_it.modes.loc[0, ["beta", "gamma"]], with_it.mode, rtol=1e-8)
    text = " ".join(with_it.summary().as_text().split())
    assert f"{len(with_it.modes)} modes were found" in text
    assert "the chains" in text


def regression_model(momcond=None, **options):
    rng = np.random.default_rng(5)
    x = np.column_stack([np.ones(200), rng.standard_normal(200)])
    y = x @ [1.0, 0.5] + rng.standard_normal(200)

    def linear(params, endog, exog, instrument):
        return exog * (endog - exog @ params)[:, None]

    options = {"prior": qb.priors.Normal(0, 10), "k_params": 2, **options}
    return qb.QuasiBayesGMM(y, x, momcond=momcond or linear, **options), y, x


@pytest.mark.parametrize("quasi_likelihood", ["cue", "cue-nodet", "two-step"])
@pytest.mark.parametrize("cov_type", ["HC0", "HC1"])
def test_linear_moments_have_the_log_density_of_the_compiled_model(quasi_likelihood, cov_type):
    gmm, y, x = regression_model(first_step_weight="identity")
    linear = qb.QuasiBayesIV(y, x, prior=qb.priors.Normal(0, 10))
    options = {"quasi_likelihood": quasi_likelihood, "cov_type": cov_type, "learning_rate": 0.7}
    one, two = gmm.quasi_posterior(**options), linear.quasi_posterior(**options)
    params = np.random.default_rng(0).normal(0.5, 0.5, (20, 2))
    values = [
        np.sum(p.target.evaluate(p.basis.to_scaled(params)), axis=0) + p.log_constant
        for p in (one, two)
    ]
    np.testing.assert_allclose(np.diff(values[0]), np.diff(values[1]), rtol=LOG_DENSITY_TOLERANCE)
    at_mode = [p.surrogate_at(p.find_mode().point) for p in (one, two)]
    spread = [p.basis.regressor_map @ s.root for p, s in zip((one, two), at_mode, strict=True)]
    np.testing.assert_allclose(spread[0] @ spread[0].T, spread[1] @ spread[1].T, rtol=1e-4)


@pytest.mark.parametrize("sampler", [*SAMPLERS, "auto"])
@pytest.mark.filterwarnings("ignore::qbeconometrics.exceptions.ConvergenceWarning")
def test_same_draws_for_the_same_rng_and_any_number_of_cores(sampler):
    model, _, _ = regression_model()
    fits = [
        model.fit(sampler, draws=300, tune=200, rng=7, cores=cores, progressbar=False)
        for cores in (1, 3)
    ]
    np.testing.assert_array_equal(fits[0].draws, fits[1].draws)
    assert fits[0].sampler_stats["nonfinite"] == 0


@pytest.mark.parametrize("sampler", WITH_SLOW_HMC)
def test_unusable_points_are_rejected_counted_and_warned_of(sampler):
    def fails_above(params, endog, exog, instrument):
        moments = exog * (endog - exog @ params)[:, None]
        if params[1] > 0.6:
            moments[3, 1] = np.nan
        return moments

    model, _, _ = regression_model(fails_above)
    draws = 1500 if sampler == "hmc" else 3000
    with pytest.warns(NumericalWarning, match="not finite at"):
        res = model.fit(sampler, draws=draws, tune=500, rng=1, progressbar=False)
    assert res.sampler_stats["nonfinite"] > 0.01 * res.sampler_stats["evaluations"]
    assert res.draws[..., 1].max() <= 0.6
    if sampler == "hmc":
        # Rejections at the edge must not shrink it: no step would make them fewer.
        assert res.sampler_stats["step"].min() > 0.1


@pytest.mark.parametrize("sampler", ["rwm", "da"])
def test_moments_with_jumps(sampler):
    rng = np.random.default_rng(2)
    y = rng.standard_normal(400)

    def median(params, endog, exog, instrument):
        return 0.5 - (endog <= params[0]).astype(float)[:, None]

    model = qb.QuasiBayesGMM(y, momcond=median, k_params=1, prior=qb.priors.Normal(0, 10))
    res = model.fit(sampler, draws=2000, rng=0, progressbar=False)
    assert abs(res.params["p1"] - np.median(y)) < res.bse["p1"]
    assert 0.03 < res.bse["p1"] < 0.12  # sqrt(pi / 2 / 400) = 0.063


def test_student_and_mixed_priors():
    prior = {"p1": qb.priors.StudentT(3, 0, 5), "p2": qb.priors.Uniform(0.45, 2)}
    model, _, _ = regression_model(prior=prior, start_params=[0.0, 1.0])
    res = model.fit(draws=2000, rng=0, progressbar=False)
    assert res.draws[..., 1].min() >= 0.45
    assert res.record.prior == (
        "p1 ~ StudentT(df=3, loc=0, scale=5)",
        "p2 ~ Uniform(low=0.45, high=2)",
    )


def test_a_subclass_may_write_the_method():
    class Mean(qb.QuasiBayesGMM):
        def momcond(self, params):
            return (self.endog - params[0])[:, None]

        def jac(self, params):
            return np.array([[-1.0]])

    y = np.random.default_rng(0).standard_normal(100)
    res = Mean(y, param_names=["mean"]).fit(
        "da-exact", rng=0, quasi_likelihood="two-step", progressbar=False
    )
    np.testing.assert_allclose(res.mode["mean"], y.mean(), atol=1e-8)
    with pytest.raises(OptionError, match="prediction"):
        res.predict()
    assert "exactly identified" in res.summary().as_text()


@pytest.mark.parametrize("sampler", ["independent", "da-approx"])
def test_samplers_for_linear_moments_are_refused(sampler):
    model, _, _ = regression_model()
    with pytest.raises(OptionError, match=f"sampler='{sampler}'"):
        model.fit(sampler, quasi_likelihood="two-step")
