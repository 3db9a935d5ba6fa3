"""Weights, coverage and searches on particles, against direct simulation and definitions."""

import numpy as np
import pytest

from qbeconometrics import losses
from qbeconometrics.calibration import coverage as coverage_module
from qbeconometrics.calibration.coverage import (
    ParticleSystem,
    Region,
    covered,
    effective_sizes,
    weights_at,
)
from qbeconometrics.calibration.loss_problem import LossProblem
from qbeconometrics.calibration.problem import CoverageCurve
from qbeconometrics.calibration.replications import bootstrap_weights
from qbeconometrics.calibration.resimulation import resimulated
from qbeconometrics.calibration.tempering import systematic, tempered
from qbeconometrics.calibration.weighted_particles import (
    TOLERANCE as LOG_TOLERANCE,
)
from qbeconometrics.calibration.weighted_particles import (
    last_covering,
    last_rate,
    root_within,
    weighted_particles,
)
from qbeconometrics.posterior.linear_programs import quantile_regression

REPLICATIONS = 200
RATES = (0.4, 0.6, 0.8, 1.0, 1.2, 1.6)
SIMULATED_AT = 0.8
# Share of the replications: the same ones are reweighted and simulated.
TOLERANCE = 0.015
# Median regression, after the design of Syring and Martin (2019).
N, TRUTH = 100, np.array([2.0, 1.0])
X = np.random.default_rng(4).chisquare(2, N) - 2.0
ERRORS = np.random.default_rng(5).standard_normal(N)


@pytest.fixture(scope="module")
def problem():
    """Median regression of n = 100, in coordinates near those of the estimate."""
    k = 2
    exog = np.column_stack([np.ones(N), X])
    endog = exog @ TRUTH + 2.0 * ERRORS
    estimate = quantile_regression(endog, exog, 0.5)
    root = np.linalg.inv(np.linalg.cholesky(0.2 * exog.T @ exog)).T
    none = (np.empty((0, k)), np.empty(0), np.empty(0))
    weights = bootstrap_weights("pairs", N, REPLICATIONS, np.random.SeedSequence(8))
    return LossProblem(
        losses.Quantile(0.5),
        endog,
        exog @ estimate,
        np.ascontiguousarray((exog @ root).T),
        np.zeros((k, k)),
        np.zeros(k),
        none,
        weights,
    )


@pytest.fixture(scope="module")
def curve(problem):
    return CoverageCurve(Region("loss", 0.05, np.zeros(2), problem.loss_at_estimate))


@pytest.fixture(scope="module")
def direct(problem, curve):
    """Coverage from particles drawn at each rate, 20,000 of them, so that they decide alike."""
    seed = np.random.SeedSequence(21)
    return np.array([curve.coverage(problem.simulate(rate, seed, 20_000), rate) for rate in RATES])


def reweighted(problem, curve, weigh=None, monkeypatch=None):
    system = problem.simulate(SIMULATED_AT, np.random.SeedSequence(22), 20_000)
    if weigh is not None:
        monkeypatch.setattr(coverage_module, "weights_at", weigh)
    return np.array([curve.coverage(system, rate) for rate in RATES])


def test_reweighted_coverage_is_that_of_direct_simulation(problem, curve, direct):
    assert np.abs(reweighted(problem, curve) - direct).max() <= TOLERANCE


def weights_from_log_densities(system, rate):
    log_density = -system.rate * system.losses
    first = log_density - np.log(np.exp(log_density - log_density.max(1)[:, None]).sum(1))[:, None]
    log_weights = first - (rate - system.rate) * system.losses
    weights = np.exp(log_weights - log_weights.max(1)[:, None])
    return weights / weights.sum(1)[:, None]


def increments_from_a_wrong_base(system, rate):
    return weights_at(ParticleSystem(0.0, system.positions, system.losses), rate)


def resampled(system, rate):
    """Weights of a multinomial resample, a tenth as large."""
    rng = np.random.default_rng(0)
    weights = weights_at(system, rate)
    size = weights.shape[1] // 1_000
    return np.stack([rng.multinomial(size, own / own.sum()) / size for own in weights])


@pytest.mark.parametrize(
    "mutant", [weights_from_log_densities, increments_from_a_wrong_base, resampled]
)
def test_wrong_weights_are_caught(problem, curve, direct, mutant, monkeypatch):
    assert np.abs(reweighted(problem, curve, mutant, monkeypatch) - direct).max() > TOLERANCE


def test_a_wrong_target_is_caught(problem, direct):
    """The true coefficients in place of the estimate."""
    rows = np.vstack([np.ones(N), X]).T
    truth = np.linalg.lstsq(problem.columns.T, rows @ TRUTH - problem.offset)[0]
    loss = problem.weights @ problem.loss.value(problem.endog, rows @ TRUTH)
    wrong = CoverageCurve(Region("loss", 0.05, truth, loss))
    assert np.abs(reweighted(problem, wrong) - direct).max() > TOLERANCE


def test_coverage_of_the_loss_region_never_rises(problem, curve):
    system = problem.simulate(SIMULATED_AT, np.random.SeedSequence(22), 500)
    found = [curve.coverage(system, rate) for rate in np.geomspace(0.05, 20.0, 120)]
    assert np.all(np.diff(found) <= 0.0)


def test_regions_by_their_definitions():
    rng = np.random.default_rng(0)
    positions, values = rng.standard_normal((3, 400, 2)), rng.random((3, 400))
    system = ParticleSystem(1.0, positions, values)
    rate = 1.7
    weights = np.exp(-0.7 * values)
    weights /= weights.sum(1)[:, None]
    np.testing.assert_allclose(weights_at(system, rate), weights, rtol=1e-12)
    np.testing.assert_allclose(effective_sizes(weights), 1.0 / (weights**2).sum(1), rtol=1e-12)
    for alpha in (0.05, 0.3, 0.6):
        at = np.array([0.5, 1.0])
        expected = {"loss": [], "ellipse": [], "marginal": []}
        for b in range(3):
            order = np.argsort(values[b])
            share = weights[b, order][values[b, order] < 0.6].sum()
            expected["loss"].append(share <= 1 - alpha)
            mean = weights[b] @ positions[b]
            centred = positions[b] - mean
            precision = np.linalg.inv(np.cov(positions[b].T, aweights=weights[b], ddof=0))
            distance = np.einsum("mk,kl,ml->m", centred, precision, centred)
            own = (at - mean) @ precision @ (at - mean)
            expected["ellipse"].append(weights[b] @ (distance < own) <= 1 - alpha)
            below = weights[b] @ (positions[b, :, 0] <= 0.5)
            expected["marginal"].append(alpha / 2 <= below <= 1 - alpha / 2)
        for kind, wanted in expected.items():
            region = Region(kind, alpha, at, np.full(3, 0.6), 0.5)
            found = covered(system, region, rate, positions[:, :, 0])
            assert found.tolist() == wanted


@pytest.mark.slow
def test_every_search_finds_the_same_rate(problem, curve):
    seed = np.random.SeedSequence(3)
    wanted = weighted_particles(problem, curve, problem.information_rate, seed, 4_000)
    assert curve.coverage(wanted.system, wanted.rate) == pytest.approx(0.95, abs=0.005)
    others = [
        tempered(problem, curve, seed, 2_000),
        resimulated(problem, curve, problem.information_rate, seed, 4_000, tolerance=0.005),
        resimulated(problem, curve, 1.0, seed, 4_000, search="kesten", tolerance=0.005),
    ]
    # The rate is free within the steps of the coverage, of which one is 1/200.
    for search in others:
        assert not search.at_bound
        assert abs(curve.coverage(wanted.system, search.rate) - 0.95) <= TOLERANCE


@pytest.mark.parametrize("ends", [(0.3, 3.0), (1.5, 3.0), (0.3, 0.5)])
def test_the_root_is_that_of_the_whole_curve(problem, curve, ends):
    """By bisection of the share of all replications; at an end where there is no root."""
    system = problem.simulate(SIMULATED_AT, np.random.SeedSequence(22), 2_000)
    above = last_rate(lambda rate: curve.coverage(system, rate) > 0.95, *ends)
    at_least = last_rate(lambda rate: curve.coverage(system, rate) >= 0.95, *ends)
    found = root_within(curve, system, *ends)
    assert abs(np.log(found / np.sqrt(above * at_least))) <= LOG_TOLERANCE


def test_each_replication_covers_up_to_its_own_rate(problem, curve):
    system = problem.simulate(SIMULATED_AT, np.random.SeedSequence(22), 500)
    rates = last_covering(curve, system, 0.3, 3.0)
    assert np.isfinite(rates).sum() - (rates == 0.0).sum() > 20
    for rate in (0.4, 0.9, 2.0):
        held = curve.covered(system, rate)
        clear = np.abs(np.log(np.maximum(rates, 1e-9) / rate)) > LOG_TOLERANCE
        np.testing.assert_array_equal(held[clear], rates[clear] > rate)


@pytest.mark.slow
def test_the_start_does_not_matter(problem, curve):
    seed = np.random.SeedSequence(3)
    rates = [
        weighted_particles(problem, curve, start, seed, 20_000).rate for start in (0.02, 1.0, 50.0)
    ]
    assert np.ptp(np.log(rates)) <= 0.05


def test_resampling_is_unbiased_and_systematic():
    weights = np.array([[0.5, 0.25, 0.125, 0.125]])
    counts = np.zeros(4)
    for seed in range(2_000):
        chosen = systematic(weights, np.random.default_rng(seed))[0]
        own = np.bincount(chosen, minlength=4)
        assert np.all(np.abs(own - 4 * weights[0]) < 1.0)
        counts += own
    np.testing.assert_allclose(counts / 8_000, weights[0], atol=0.01)
