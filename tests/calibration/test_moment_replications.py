"""Replications of linear moments against data sets written out row by row."""

import numpy as np
import pytest
from scipy.stats import chi2

from qbeconometrics.calibration import replicated_moments
from qbeconometrics.calibration.coverage import Region
from qbeconometrics.calibration.moment_problem import MomentProblem
from qbeconometrics.calibration.problem import CoverageCurve
from qbeconometrics.calibration.replicated_moments import MomentRows, two_step_criteria
from qbeconometrics.calibration.replications import bootstrap
from qbeconometrics.calibration.resimulation import resimulated
from qbeconometrics.calibration.tempering import tempered
from qbeconometrics.calibration.weighted_particles import weighted_particles
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.moments.linear import ScaledRows

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


def written_out(rows, drawn, b, rule, fixed, subtracted):
    """Curvature and minimiser of the criterion of one replication, from its rows."""
    weights = drawn.weights(slice(b, b + 1))[0]
    if drawn.kind == "multiplier":
        y, x, z, w = rows.residual, rows.regressor, rows.instrument, weights
    else:
        drawn_rows = np.repeat(np.arange(drawn.n), weights.astype(int))
        y, x, z = (part[drawn_rows] for part in (rows.residual, rows.regressor, rows.instrument))
        w = np.ones(len(y))
    n, off = w.sum(), np.zeros(M) if subtracted is None else subtracted

    def minimiser(weight):
        slope, moment = (z * w[:, None]).T @ x / n, (z * w[:, None]).T @ y / n - off
        curvature = slope.T @ weight @ slope
        return n * curvature, np.linalg.solve(curvature, slope.T @ weight @ moment)

    if fixed is not None:
        return minimiser(np.linalg.inv(fixed))
    first = minimiser(np.linalg.inv((z * w[:, None]).T @ z / n))[1]
    residual = y - x @ first
    if rule.cov_type == "nonrobust":
        mean = w @ residual / n if rule.centered else 0.0
        S = w @ (residual - mean) ** 2 / n * (z * w[:, None]).T @ z / n
        return minimiser(np.linalg.inv(S))
    if rule.is_dependent:
        whole = rows.instrument * (rows.residual - rows.regressor @ first)[:, None]
        mean = w @ (z * residual[:, None]) / n if rule.centered else off
        sums = [np.sum(whole[unit] - mean, axis=0) for unit in units_of(drawn, b)]
        return minimiser(np.linalg.inv(sum(np.outer(s, s) for s in sums) / n))
    scores = z * residual[:, None]
    scores = scores - (w @ scores / n if rule.centered else off)
    S = (scores * w[:, None]).T @ scores / n
    return minimiser(np.linalg.inv(S * (n / (n - 2) if rule.cov_type == "HC1" else 1.0)))


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
    covariance = replicated_moments._Units.covariance

    def squared(self, b, *rest):
        with monkeypatch.context() as patch:
            patch.setattr(type(self.drawn), "cluster_counts", lambda d, b: counts(d, b) ** 2)
            return covariance(self, b, *rest)

    monkeypatch.setattr(replicated_moments._Units, "covariance", squared)
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
