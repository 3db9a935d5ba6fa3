"""Hamiltonian chains of local projections against delayed acceptance within Gibbs."""

from dataclasses import replace

import numpy as np
import pytest

import qbeconometrics as qb
from qbeconometrics.diagnostics.convergence import mean_mcse, sd_mcse
from qbeconometrics.exceptions import OptionError
from qbeconometrics.models.fit_options import sample_options
from qbeconometrics.moments.projection import score_covariance
from qbeconometrics.posterior.projection_cue import cue_target
from qbeconometrics.sampling.projection import pilot_run
from qbeconometrics.sampling.projection_cue import Reference, sample_cue
from qbeconometrics.sampling.projection_hamiltonian import sample_hamiltonian

MONTE_CARLO_SE = 4.0


def smooth_model(**hyperprior):
    """Five horizons with a sampled smoothing parameter."""
    rng = np.random.default_rng(1)
    shock, noise = rng.normal(size=(2, 400))
    y = np.convolve(shock, 0.7 ** np.arange(20))[:400] + noise
    prior = qb.priors.Smoothness(2, level=qb.priors.Normal(0.0, 2.0), **hyperprior)
    return qb.QuasiBayesLP(y, shock, horizon=4, lags=1, prior=prior)


@pytest.fixture(scope="module")
def smooth():
    """Target and reference."""
    model = smooth_model(gamma=(4.0, 0.2))
    rule = model._rule("HC0", None)
    posterior = model._posterior(rule, 1.0, 1)
    target = cue_target(
        model.moments,
        model.layout,
        score_covariance(model.moments, rule),
        posterior.prior,
        1.0,
        posterior.smoothing.hyperprior,
    )
    drawn, smoothing = pilot_run(posterior.smoothing)
    return target, Reference(drawn.mean(axis=0), np.cov(drawn.T), smoothing.mean(axis=0))


def options(draws, **changes):
    chosen = {"draws": draws, "tune": 300, "chains": 4, "cores": 1, "rng": 3, **changes}
    return sample_options(sampler="hmc", sampler_kwds=None, progressbar=False, **chosen)


def all_draws(sample):
    """Coefficients and logs of smoothing parameters."""
    return np.concatenate([sample.draws, np.log(sample.smoothing)], axis=2)


def largest_gap(one, other):
    """Difference of means and sds, in Monte Carlo standard errors."""
    gaps = []
    for statistic, error in ((np.mean, mean_mcse), (np.std, sd_mcse)):
        difference = statistic(one, axis=(0, 1)) - statistic(other, axis=(0, 1))
        gaps.append(np.max(np.abs(difference) / np.hypot(error(one), error(other))))
    return max(gaps)


@pytest.mark.slow
def test_same_law_as_delayed_acceptance(smooth):
    target, reference = smooth
    gibbs = all_draws(sample_cue(target, reference, options(12_000)))
    found = sample_hamiltonian(target, reference, options(500))
    assert found.stats["divergences"] == 0
    assert largest_gap(all_draws(found), gibbs) < MONTE_CARLO_SE
    points = np.concatenate([found.draws, found.smoothing], axis=2).reshape(-1, 6)
    expected = np.add(*target.evaluate(points))
    np.testing.assert_allclose(found.log_density.ravel(), expected, rtol=1e-9)
    # The density of the smoothing parameter itself in place of its log's: no Jacobian.
    shape, rate, _ = target.hyperprior
    wrong = replace(target, hyperprior=(shape - 1.0, rate, 0.0))
    draws = all_draws(sample_hamiltonian(wrong, reference, options(500)))
    assert largest_gap(draws, gibbs) > MONTE_CARLO_SE


def test_half_cauchy_is_refused():
    with pytest.raises(OptionError, match=r"half_cauchy.*Use sampler='da'"):
        smooth_model(half_cauchy=1.0).fit("hmc", quasi_likelihood="cue")


def test_gradient_in_logs(smooth):
    target, reference = smooth
    point = np.concatenate([reference.mean + 0.05, [1.3]])
    _, gradient = target.log_density_and_gradient(point)
    for j, step in enumerate(1e-5 * np.eye(6)):
        ends = [target.log_density_and_gradient(point + sign * step)[0] for sign in (1, -1)]
        assert gradient[j] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6, abs=1e-6)


def test_draws_do_not_depend_on_threads(smooth):
    one, two = (sample_hamiltonian(*smooth, options(40, tune=60, cores=c)) for c in (1, 2))
    np.testing.assert_array_equal(all_draws(one), all_draws(two))
    np.testing.assert_array_equal(one.log_density, two.log_density)


def test_fit_says_what_was_done():
    rng = np.random.default_rng(2)
    shock, noise = rng.normal(size=(2, 300))
    model = qb.QuasiBayesLP(shock + noise, shock, horizon=2, prior=qb.priors.Normal(0.0, 1.0))
    res = model.fit(
        "hmc", quasi_likelihood="cue", draws=700, tune=300, rng=0,
        sampler_kwds={"target_accept": 0.8, "length": 2.0},
    )  # fmt: skip
    assert res.record.sampler == "hmc"
    assert res.record.sampler_settings == {"target_accept": 0.8, "length": 2.0}
    assert res.smoothing is None
    assert {"divergences", "step", "evaluations"} <= set(res.sampler_stats)
    assert res.sampler_stats["acceptance_rate"].min() > 0.6
    assert "hmc" in str(res.summary())
