"""Replications of linear moments against data sets written out row by row."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2

from qbeconometrics.calibration import replicated_moments, sampled_moments
from qbeconometrics.calibration.coverage import Region
from qbeconometrics.calibration.moment_problem import MomentProblem
from qbeconometrics.calibration.problem import CoverageCurve
from qbeconometrics.calibration.replicated_moments import MomentRows, two_step_criteria
from qbeconometrics.calibration.replications import bootstrap
from qbeconometrics.calibration.resimulation import resimulated
from qbeconometrics.calibration.sampled_moments import SampledMomentProblem
from qbeconometrics.calibration.tempering import packed_roots, tempered
from qbeconometrics.calibration.updated_moments import from_two_step, updated_criteria
from qbeconometrics.calibration.weighted_particles import weighted_particles
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.moments.linear import ScaledRows
from qbeconometrics.posterior.quasi_posterior import ScaledPrior

N, M, B = 120, 4, 12
WEIGHT = np.diag([1.0, 2.0, 0.5, 1.0]) + 0.1
SUBTRACTED = np.array([0.1, -0.2, 0.05, 0.0])


def data(seed=0, n=N, invalid=0.0):
    """Heteroskedastic errors, one endogenous regressor, moments that are off by `invalid`."""
    rng = np.random.default_rng(seed)
    z = np.column_stack([np.ones(n), rng.standard_normal((n, M - 1))])
    common = rng.standard_normal(n)
    d = z[:, 1:] @ np.full(M - 1, 0.5) + common
    error = (0.3 + np.abs(z[:, 1])) * (0.6 * common + rng.standard_normal(n))
    y = 1.0 + d + error + invalid * z[:, 2]
    return ScaledRows(y, np.column_stack([np.ones(n), d]), z)


def units_of(drawn, b):
    """Rows of each unit of a replication, a unit that is drawn twice standing there twice."""
    if drawn.kind == "cluster":
        return [
            np.flatnonzero(drawn.groups == group)
            for group, count in enumerate(drawn.cluster_counts(b))
            for _ in range(count)
        ]
    starts, lengths = drawn.blocks(b)
    return [np.arange(s, s + length) % drawn.n for s, length in zip(starts, lengths, strict=True)]


def replicated_rows(rows, drawn, b):
    """Outcome, regressors, instruments and weights of the rows of a replication."""
    weights = drawn.weights(slice(b, b + 1))[0]
    if drawn.kind == "multiplier":
        return rows.residual, rows.regressor, rows.instrument, weights
    chosen = np.repeat(np.arange(drawn.n), weights.astype(int))
    parts = (part[chosen] for part in (rows.residual, rows.regressor, rows.instrument))
    return (*parts, np.ones(len(chosen)))


def moments_and_covariance(rows, drawn, b, rule, subtracted, point):
    """Mean moment and S of a replication at a point, from its rows."""
    y, x, z, w = replicated_rows(rows, drawn, b)
    n, off = w.sum(), np.zeros(M) if subtracted is None else subtracted
    residual = y - x @ point
    scores = z * residual[:, None]
    mean = w @ scores / n
    if rule.cov_type == "nonrobust":
        centre = w @ residual / n if rule.centered else 0.0
        S = w @ (residual - centre) ** 2 / n * (z * w[:, None]).T @ z / n
        return mean - off, S
    taken = mean if rule.centered else off
    if rule.is_dependent:
        whole = rows.instrument * (rows.residual - rows.regressor @ point)[:, None]
        sums = [np.sum(whole[unit] - taken, axis=0) for unit in units_of(drawn, b)]
        return mean - off, sum(np.outer(s, s) for s in sums) / n
    scores = scores - taken
    S = (scores * w[:, None]).T @ scores / n
    return mean - off, S * (n / (n - 2) if rule.cov_type == "HC1" else 1.0)


def written_out(rows, drawn, b, rule, fixed, subtracted):
    """Curvature and minimiser of the two-step criterion of one replication, from its rows."""
    y, x, z, w = replicated_rows(rows, drawn, b)
    n, off = w.sum(), np.zeros(M) if subtracted is None else subtracted

    def minimiser(weight):
        slope, moment = (z * w[:, None]).T @ x / n, (z * w[:, None]).T @ y / n - off
        curvature = slope.T @ weight @ slope
        return n * curvature, np.linalg.solve(curvature, slope.T @ weight @ moment)

    if fixed is not None:
        return minimiser(np.linalg.inv(fixed))
    first = minimiser(np.linalg.inv((z * w[:, None]).T @ z / n))[1]
    S = moments_and_covariance(rows, drawn, b, rule, subtracted, first)[1]
    return minimiser(np.linalg.inv(S))


def distance(kind, rule, fixed=None, subtracted=None, expected_subtracted=None, **options):
    """Largest relative distance of curvatures and minimisers from those written out."""
    rows = data()
    drawn = bootstrap(kind, N, B, np.random.SeedSequence(5), **options)
    found = two_step_criteria(MomentRows(rows, rule, 2, fixed, subtracted), drawn, 2**20)
    if expected_subtracted is None:
        expected_subtracted = subtracted
    largest = 0.0
    for b in range(B):
        curvature, minimiser = written_out(rows, drawn, b, rule, fixed, expected_subtracted)
        for one, other in ((found.curvature[b], curvature), (found.minimiser[b], minimiser)):
            largest = max(largest, np.abs(one - other).max() / np.abs(other).max())
    return largest


GROUPS = {"groups": np.arange(N) // 5 * 7 % 24}
UNEVEN = {"groups": np.minimum(np.arange(N) // 3, 25)}
CASES = [
    ("pairs", CovarianceRule("HC0"), {}),
    ("pairs", CovarianceRule("HC0", centered=True), {}),
    ("pairs", CovarianceRule("HC1"), {}),
    ("pairs", CovarianceRule("nonrobust"), {}),
    ("pairs", CovarianceRule("nonrobust", centered=True), {}),
    ("multiplier", CovarianceRule("HC0"), {}),
    ("cluster", CovarianceRule("HC0"), GROUPS),
    ("cluster", CovarianceRule("cluster"), GROUPS),
    ("cluster", CovarianceRule("cluster"), UNEVEN),
    ("cluster", CovarianceRule("cluster", centered=True), UNEVEN),
    ("moving-block", CovarianceRule("HAC", kernel="bartlett", maxlags=6), {"block_length": 7}),
    ("moving-block", CovarianceRule("HAC", True, "bartlett", 6), {"block_length": 7}),
    ("stationary", CovarianceRule("HAC", kernel="bartlett", maxlags=6), {"block_length": 7}),
    ("moving-block", CovarianceRule("HC0"), {"block_length": 7}),
]


@pytest.mark.parametrize("recentre", [False, True], ids=["as it is", "recentred"])
@pytest.mark.parametrize(("kind", "rule", "options"), CASES)
def test_criteria_are_those_of_data_sets_written_out(kind, rule, options, recentre):
    assert distance(kind, rule, subtracted=SUBTRACTED if recentre else None, **options) < 1e-9


@pytest.mark.parametrize("recentre", [False, True])
def test_a_given_weight_is_kept(recentre):
    subtracted = SUBTRACTED if recentre else None
    assert distance("pairs", CovarianceRule("HC0"), np.linalg.inv(WEIGHT), subtracted) < 1e-9


def test_squared_weights_are_caught(monkeypatch):
    products = replicated_moments._score_products
    monkeypatch.setattr(
        replicated_moments, "_score_products", lambda rows, w, at: products(rows, w**2, at)
    )
    assert distance("pairs", CovarianceRule("HC0")) > 0.05


def test_a_cluster_drawn_twice_is_not_one_of_twice_the_size(monkeypatch):
    counts = type(bootstrap("pairs", 2, 1, np.random.SeedSequence(0))).cluster_counts
    covariance = replicated_moments.Units.covariance

    def squared(self, b, *rest):
        with monkeypatch.context() as patch:
            patch.setattr(type(self.drawn), "cluster_counts", lambda d, b: counts(d, b) ** 2)
            return covariance(self, b, *rest)

    monkeypatch.setattr(replicated_moments.Units, "covariance", squared)
    assert distance("cluster", CovarianceRule("cluster"), **GROUPS) > 0.05


def test_recentring_where_it_is_not_asked_for_is_caught():
    rule = CovarianceRule("HC0")
    none = np.zeros(M)
    assert distance("pairs", rule, subtracted=SUBTRACTED, expected_subtracted=none) > 0.05


@pytest.mark.parametrize("rule", [CovarianceRule("HC0"), CovarianceRule("nonrobust")])
def test_little_memory_gives_the_same(rule):
    rows = data()
    drawn = bootstrap("pairs", N, 50, np.random.SeedSequence(5))
    given = MomentRows(rows, rule, 2)
    roomy, tight = (two_step_criteria(given, drawn, limit) for limit in (2**28, 1))
    np.testing.assert_allclose(tight.curvature, roomy.curvature, rtol=1e-10)
    np.testing.assert_allclose(tight.minimiser, roomy.minimiser, rtol=1e-8)


def test_replications_are_grouped_by_what_they_hold():
    groups = list(replicated_moments.groups_of_replications(1_000, 10, 3 * 8 * 4_000))
    assert [(one.start, one.stop) for one in groups] == [(0, 4), (4, 8), (8, 10)]


def test_replications_without_an_estimate_are_left_out():
    rows = data()
    lone = rows.instrument.copy()
    lone[:, 1] = 0.0
    lone[7, 1] = 1.0  # an instrument that pairs leave out once in three times
    drawn = bootstrap("pairs", N, 300, np.random.SeedSequence(5))
    held = drawn.weights(slice(None))[:, 7] > 0
    given = MomentRows(ScaledRows(rows.residual, rows.regressor, lone), CovarianceRule(), 2)
    found = two_step_criteria(given, drawn, 2**28)
    assert 0 < len(found.minimiser) <= held.sum() < 300
    assert np.isfinite(found.minimiser).all()


def closed_form(rows, rule, drawn, alpha):
    """Learning rate of the loss region under a flat prior, without particles."""
    # One block of all rows: the data themselves.
    once = bootstrap("moving-block", N, 1, np.random.SeedSequence(0), block_length=N)
    estimate = written_out(rows, once, 0, rule, None, None)[1]
    found = []
    for b in range(drawn.replications):
        curvature, minimiser = written_out(rows, drawn, b, rule, None, None)
        found.append((minimiser - estimate) @ curvature @ (minimiser - estimate))
    k = len(estimate)
    return chi2.ppf(1 - alpha, k) / np.quantile(found, 1 - alpha, method="midpoint"), estimate


@pytest.fixture(scope="module")
def solved():
    """A problem whose solution has a closed form, and that solution."""
    rows, rule = data(3), CovarianceRule("HC0")
    drawn = bootstrap("pairs", N, 60, np.random.SeedSequence(9))
    rate, estimate = closed_form(rows, rule, drawn, 0.05)
    found = two_step_criteria(MomentRows(rows, rule, 2), drawn, 2**28)
    nothing = np.zeros((2, 2))
    problem = MomentProblem(
        found.curvature, found.minimiser - estimate, np.eye(2), nothing, np.zeros(2)
    )
    region = Region("loss", 0.05, np.zeros(2), problem.loss_at_estimate)
    return problem, CoverageCurve(region), rate


def test_particles_find_the_rate_of_the_closed_form(solved):
    problem, curve, rate = solved
    found = weighted_particles(problem, curve, 1.0, np.random.SeedSequence(2), 50_000)
    assert found.rate == pytest.approx(rate, abs=0.02)


def test_squared_weights_miss_the_rate_of_the_closed_form(solved, monkeypatch):
    products = replicated_moments._score_products
    monkeypatch.setattr(
        replicated_moments, "_score_products", lambda rows, w, at: products(rows, w**2, at)
    )
    rows, rule = data(3), CovarianceRule("HC0")
    drawn = bootstrap("pairs", N, 60, np.random.SeedSequence(9))
    mutant = two_step_criteria(MomentRows(rows, rule, 2), drawn, 2**28)
    _, estimate = closed_form(rows, rule, drawn, 0.05)
    problem = MomentProblem(
        mutant.curvature, mutant.minimiser - estimate, np.eye(2), np.zeros((2, 2)), np.zeros(2)
    )
    region = Region("loss", 0.05, np.zeros(2), problem.loss_at_estimate)
    search = weighted_particles(
        problem, CoverageCurve(region), 1.0, np.random.SeedSequence(2), 20_000
    )
    assert abs(search.rate - solved[2]) > 0.1


def test_every_search_finds_that_rate(solved):
    problem, curve, rate = solved
    seed = np.random.SeedSequence(2)
    searches = [
        tempered(problem, curve, seed, 20_000),
        resimulated(problem, curve, 1.0, seed, 20_000),
    ]
    for search in searches:
        assert not search.at_bound
        assert abs(curve.coverage(problem.simulate(rate, seed, 20_000), search.rate) - 0.95) < 0.02


def test_particles_are_the_normal_law(solved):
    problem = solved[0]
    precise = MomentProblem(
        problem.curvature, problem.minimiser, np.eye(2), np.diag([0.5, 2.0]), np.array([1.0, -1.0])
    )
    system = precise.simulate(0.7, np.random.SeedSequence(4), 40_000)
    for b in (0, 17):
        precision = 0.7 * problem.curvature[b] + np.diag([0.5, 2.0])
        pull = 0.7 * problem.curvature[b] @ problem.minimiser[b] + np.array([0.5, -2.0])
        draws = system.positions[b]
        np.testing.assert_allclose(draws.mean(0), np.linalg.solve(precision, pull), atol=0.025)
        np.testing.assert_allclose(np.cov(draws.T) @ precision, np.eye(2), atol=0.04)
    again = precise.simulate(0.7, np.random.SeedSequence(4), 40_000)
    np.testing.assert_array_equal(system.positions, again.positions)


NORMAL = ScaledPrior(np.diag([0.5, 2.0]), np.array([1.0, -1.0]), None)


@pytest.mark.parametrize("recentre", [False, True], ids=["as it is", "recentred"])
@pytest.mark.parametrize(("kind", "rule", "options"), CASES)
def test_updated_criteria_are_those_of_data_sets_written_out(kind, rule, options, recentre):
    rows, rate = data(), 0.3
    subtracted = SUBTRACTED if recentre else None
    drawn = bootstrap(kind, N, B, np.random.SeedSequence(5), **options)
    given = MomentRows(rows, rule, 2, subtracted=subtracted)
    problem = SampledMomentProblem(updated_criteria(given, drawn, 2**20), np.eye(2), NORMAL, True)
    points = np.random.default_rng(0).normal(1.0, 0.5, (3, 2))
    for b in range(B):
        target = sampled_moments._target(problem._arrays(b), rate, True)
        likelihood, prior = target.evaluate(points)
        losses = sampled_moments._losses(problem._arrays(b), points)
        n = drawn.weights(slice(b, b + 1)).sum()
        for i, point in enumerate(points):
            mean, S = moments_and_covariance(rows, drawn, b, rule, subtracted, point)
            loss = n / 2 * mean @ np.linalg.solve(S, mean)
            assert losses[i] == pytest.approx(loss, rel=1e-9)
            # The rate multiplies the quadratic form and nothing else.
            assert likelihood[i] == pytest.approx(
                -rate * loss - np.linalg.slogdet(S)[1] / 2, rel=1e-9
            )
            away = point - NORMAL.mean
            assert prior[i] == pytest.approx(-away @ NORMAL.precision @ away / 2, rel=1e-9)


@pytest.mark.parametrize("method", ["walk", "moves"])
def test_particles_of_a_quadratic_criterion_are_the_normal_law(solved, method):
    """Random walks and moves, against exact draws."""
    exact, rate = solved[0], 0.7
    criteria = from_two_step(replicated_moments.Criteria(exact.curvature, exact.minimiser))
    sampled = SampledMomentProblem(criteria, np.eye(2), NORMAL, False)
    np.testing.assert_allclose(sampled.loss_at_estimate, exact.loss_at_estimate, rtol=1e-9)
    if method == "walk":
        system = sampled.simulate(rate, np.random.SeedSequence(1), 20_000)
    else:
        system = sampled.simulate(rate / 2, np.random.SeedSequence(1), 4_000)
        system = replace(system, rate=rate)
        roots = packed_roots(system.positions)
        for own in np.random.SeedSequence(2).spawn(30):
            system, acceptance = sampled.move(system, roots, np.full(60, 1.2), own)
        assert 0.1 < acceptance.mean() < 0.7
    means, spreads = [], []
    for b in range(60):
        precision = rate * exact.curvature[b] + NORMAL.precision
        pull = rate * exact.curvature[b] @ exact.minimiser[b] + NORMAL.precision @ NORMAL.mean
        root = np.linalg.cholesky(precision)
        standard = (system.positions[b] - np.linalg.solve(precision, pull)) @ root
        means.append(standard.mean(0))
        spreads.append(np.cov(standard.T))
        distance = system.positions[b] - exact.minimiser[b]
        losses = np.einsum("mk,kl,ml->m", distance, exact.curvature[b], distance) / 2
        np.testing.assert_allclose(system.losses[b], losses, rtol=1e-6, atol=1e-9)
    # Sixty replications of the same error.
    np.testing.assert_allclose(np.mean(means, 0), 0.0, atol=0.02)
    np.testing.assert_allclose(np.mean(spreads, 0), np.eye(2), atol=0.03)
