"""Replications of moments that a user wrote, against data sets written out and against grids."""

import numpy as np
import pytest
from scipy.optimize import least_squares, root
from scipy.special import logsumexp
from scipy.stats import t as student_t

import qbeconometrics as qb
from qbeconometrics.calibration.clouds import Cloud, CloudMixture
from qbeconometrics.exceptions import NumericalError
from qbeconometrics.models.bootstrap_arguments import BootstrapArguments
from qbeconometrics.models.user_moment_calibration import (
    calibrated_user_moments,
    user_moment_options,
)

N, REPLICATIONS = 90, 24
GROUPS = np.arange(N) // 3


def moments(params, endog, exog, instrument):
    return instrument * (endog - np.exp(exog @ params))[:, None]


def arrays_of(seed=3):
    rng = np.random.default_rng(seed)
    z = np.column_stack([np.ones(N), rng.standard_normal((N, 3))])
    x = np.column_stack([np.ones(N), 0.5 * z[:, 1] + 0.4 * z[:, 2] + 0.5 * rng.standard_normal(N)])
    y = np.exp(x @ [0.3, 0.5]) + (0.5 + np.abs(z[:, 1])) * rng.standard_normal(N)
    return y, x, z


def model_of(prior=None, **options):
    prior = prior or qb.priors.Normal(0.0, 10.0)
    return qb.QuasiBayesGMM(*arrays_of(), momcond=moments, prior=prior, **options)


def problem_of(model, fit_kwds, *, recentre=False, kind=None, memory_limit=2**28, **options):
    seed = np.random.SeedSequence(5)
    asked = {"groups": None, "block_length": None, **options}
    drawn = BootstrapArguments(kind, replications=REPLICATIONS, seed=seed, **asked)
    return calibrated_user_moments(
        model,
        user_moment_options(model, fit_kwds),
        drawn,
        region="loss",
        functional=None,
        recentre=recentre,
        memory_limit=memory_limit,
    ).problem


def written_out(problem, b):
    """Rows (n,) of a replication, each as often as it was drawn, and the cluster of each."""
    drawn = problem.criteria.drawn
    if drawn.kind == "cluster":
        copies = np.repeat(np.arange(drawn.groups.max() + 1), drawn.cluster_counts(b))
        rows = [np.flatnonzero(drawn.groups == code) for code in copies]
        return np.concatenate(rows), np.repeat(np.arange(len(copies)), [len(one) for one in rows])
    if drawn.kind in ("moving-block", "stationary"):
        starts, lengths = drawn.blocks(b)
        blocks = [
            (start + np.arange(length)) % N for start, length in zip(starts, lengths, strict=True)
        ]
        return np.concatenate(blocks), np.repeat(np.arange(len(starts)), lengths)
    counts = drawn.weights(slice(b, b + 1))[0].astype(int)
    return np.repeat(np.arange(N), counts), np.arange(counts.sum())


def covariance(g, off, units, kwds, z, residual):
    """S by definition: sums over units of rows; `off` is taken from each row."""
    n = len(g)
    if kwds.get("cov_type") == "nonrobust":
        centred = kwds.get("cov_kwds", {}).get("centered", False)
        return (residual.var() if centred else np.mean(residual**2)) * z.T @ z / n
    sums = np.zeros((units.max() + 1, g.shape[1]))
    np.add.at(sums, units, g - off)
    S = sums.T @ sums / n
    return S * n / (n - 2) if kwds.get("cov_type") == "HC1" else S


def criterion(problem, b, params, kwds, recentre, first=None):
    """(n/2) g'Wg and log det S at `params`, from the rows that a replication drew."""
    y, x, z = arrays_of()
    centre = problem.criteria.basis.centre
    taken = moments(centre, y, x, z).mean(axis=0) if recentre else np.zeros(4)
    rows, units = written_out(problem, b)
    if kwds.get("cov_type") not in ("HAC", "cluster"):
        units = np.arange(len(rows))
    y, x, z, n = y[rows], x[rows], z[rows], len(rows)

    def mean(theta):
        return moments(theta, y, x, z).mean(axis=0) - taken

    def s_at(theta):
        g = moments(theta, y, x, z)
        centered = kwds.get("cov_kwds", {}).get("centered", False)
        return covariance(g, g.mean(axis=0) if centered else taken, units, kwds, z, g[:, 0])

    if kwds["quasi_likelihood"] == "two-step":
        if "weight_matrix" in kwds:
            S = np.linalg.inv(kwds["weight_matrix"])
        else:
            inverse = z.T @ z / n if first is None else np.linalg.inv(first)
            white = np.linalg.inv(np.linalg.cholesky(inverse))

            def slope(theta):
                return -white @ (z.T * np.exp(x @ theta)) @ x / n

            found = least_squares(lambda theta: white @ mean(theta), centre, slope).x
            gradient = root(lambda theta: slope(theta).T @ white @ mean(theta), found, tol=1e-13)
            S = s_at(gradient.x)
    else:
        S = s_at(params)
    g = mean(params)
    return 0.5 * n * g @ np.linalg.solve(S, g), np.linalg.slogdet(S)[1]


CLUSTERS = {"cov_type": "cluster", "cov_kwds": {"groups": GROUPS}}


@pytest.mark.parametrize("recentre", [False, True])
@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("name", ["two-step", "cue"])
@pytest.mark.parametrize(
    ("kwds", "options"),
    [
        ({}, {}),
        ({"cov_type": "HC1"}, {"kind": "stationary", "block_length": 4}),
        ({"cov_type": "nonrobust"}, {}),
        (CLUSTERS, {}),
        ({"cov_type": "HAC", "cov_kwds": {"maxlags": 3}}, {}),
        ({"cov_type": "HAC", "cov_kwds": {"maxlags": 3}}, {"kind": "stationary"}),
    ],
)
def test_criteria_are_those_of_data_sets_written_out(kwds, options, name, centered, recentre):
    if name == "cue" and kwds.get("cov_type") == "HAC":
        name = "two-step"
    kwds = {**kwds, "quasi_likelihood": name}
    kwds["cov_kwds"] = {**kwds.get("cov_kwds", {}), "centered": centered}
    problem = problem_of(model_of(), kwds, recentre=recentre, **options)
    assert problem.replications == REPLICATIONS
    positions = np.random.default_rng(0).standard_normal((3, 2))
    losses, halves = problem.criteria.evaluate(positions)
    for b in range(0, REPLICATIONS, 5):
        for i, params in enumerate(problem.criteria.basis.to_params(positions)):
            loss, log_determinant = criterion(problem, b, params, kwds, recentre)
            assert losses[b, i] == pytest.approx(loss, rel=1e-8)
            if name == "cue":
                assert halves[b, i] == pytest.approx(0.5 * log_determinant, rel=1e-8)
    if name == "cue":
        # A row or cluster that is drawn w times is not one with moments w times as large.
        counts = problem.criteria.covariance.counts(slice(0, 1), problem_weights(problem))
        assert counts.max() > 1


def problem_weights(problem):
    return problem.criteria.drawn.weights(slice(0, 1))


@pytest.mark.parametrize("first", [None, np.diag([1.0, 2.0, 0.5, 1.0])])
def test_first_steps_and_fixed_weights(first):
    model = model_of(first_step_weight=first)
    problem = problem_of(model, {"quasi_likelihood": "two-step"})
    params = problem.criteria.basis.centre
    expected = [
        criterion(
            problem,
            b,
            params,
            {"quasi_likelihood": "two-step"},
            False,
            first,
        )[0]
        for b in range(REPLICATIONS)
    ]
    np.testing.assert_allclose(problem.loss_at_estimate, expected, rtol=1e-8)
    kwds = {"quasi_likelihood": "two-step", "weight_matrix": np.diag([1.0, 0.3, 2.0, 1.0])}
    fixed = problem_of(model, kwds)
    params = fixed.criteria.basis.centre
    expected = [criterion(fixed, b, params, kwds, False)[0] for b in range(REPLICATIONS)]
    np.testing.assert_allclose(fixed.loss_at_estimate, expected, rtol=1e-8)


def test_memory_changes_nothing():
    positions = np.random.default_rng(0).standard_normal((5, 2))
    for name in ("two-step", "cue"):
        much, little = (
            problem_of(model_of(), {"quasi_likelihood": name}, memory_limit=limit)
            for limit in (2**28, 10_000)
        )
        one, other = (problem.criteria.evaluate(positions) for problem in (much, little))
        np.testing.assert_allclose(one, other, rtol=1e-10)


def test_a_box_holds_first_steps():
    """An upper bound just above the estimate, at which many first steps end."""
    kwds = {"quasi_likelihood": "two-step"}
    estimate = problem_of(model_of(), kwds).criteria.basis.centre
    bounds = [-3.0, -3.0], [3.0, float(estimate[1]) + 0.05]
    problem = problem_of(model_of(qb.priors.Uniform(*bounds)), kwds)
    assert problem.replications == REPLICATIONS
    at_edge = 0
    y, x, z = arrays_of()
    for b in range(0, REPLICATIONS, 4):
        rows = written_out(problem, b)[0]
        inverse = z[rows].T @ z[rows] / N
        white = np.linalg.inv(np.linalg.cholesky(inverse))
        found = least_squares(
            lambda theta, rows=rows, white=white: (
                white @ moments(theta, y[rows], x[rows], z[rows]).mean(axis=0)
            ),
            estimate,
            bounds=bounds,
            **{"xtol": 1e-14, "ftol": 1e-14, "gtol": 1e-14},
        ).x
        at_edge += found[1] > bounds[1][1] - 1e-4
        g = moments(found, y[rows], x[rows], z[rows])
        mean = moments(problem.criteria.basis.centre, y[rows], x[rows], z[rows]).mean(axis=0)
        expected = N / 2 * mean @ np.linalg.solve(g.T @ g / N, mean)
        # Steps within a box stop a little before its edge.
        assert problem.loss_at_estimate[b] == pytest.approx(expected, rel=1e-4)
    assert at_edge > 0
    system = problem.simulate(1.0, np.random.SeedSequence(1), 500)
    params = problem.criteria.basis.to_params(system.positions)
    assert (params <= bounds[1]).all()


def test_the_density_of_clouds():
    """By a histogram: shares of positions in cells against the integral of the density."""
    first = Cloud(
        np.array([[-1.0], [2.0]]), np.array([[[0.5]], [[0.8]]]), np.array([0, 1]), 2**12, 1.0
    )
    second = Cloud(np.array([[5.0]]), np.array([[[1.5]]]), np.array([0]), 2**11, 1.0)
    rng = np.random.default_rng(0)
    mixture = CloudMixture(1)
    for cloud in (first, second):
        mixture.add(cloud, cloud.draw(rng))
    positions = mixture.positions[:, 0]
    order = np.argsort(positions)
    grid = np.sort(np.concatenate([positions, np.linspace(-400.0, 400.0, 200_001)]))
    each = [
        np.exp(cloud.log_density(grid[:, None])) * cloud.size / len(positions)
        for cloud in (first, second)
    ]
    np.testing.assert_allclose(
        np.exp(mixture.log_density[order]),
        np.sum(each, axis=0)[np.searchsorted(grid, positions[order])],
        rtol=1e-10,
    )
    # The constant that is left out is that of a Student-t law.
    constant = np.exp(student_t(5).logpdf(0.0))
    density = np.sum(each, axis=0) * constant * np.gradient(grid)
    assert density.sum() == pytest.approx(1.0, abs=1e-3)
    for low, high in [(-2, 0), (0, 1), (1, 3), (3, 5), (5, 9)]:
        share = np.mean((positions > low) & (positions <= high))
        inside = density[(grid > low) & (grid <= high)].sum()
        assert share == pytest.approx(inside, abs=0.004)


@pytest.mark.parametrize("rate", [0.4, 1.0])
@pytest.mark.parametrize("name", ["two-step", "cue", "cue-nodet"])
def test_particles_have_the_law_of_their_replication(name, rate):
    """Moments and a probability of each replication against a grid over both parameters."""
    prior = qb.priors.Uniform([-0.2, 0.3], [0.8, 0.7])
    problem = problem_of(model_of(prior), {"quasi_likelihood": name})
    system = problem.simulate(rate, np.random.SeedSequence(2), 8_000)
    basis = problem.criteria.basis
    particles = basis.to_params(system.positions)
    a, b = (np.linspace(low, high, 81) for low, high in [(-0.2, 0.8), (0.3, 0.7)])
    grid = np.column_stack([axis.ravel() for axis in np.meshgrid(a, b)])
    # Cells at the edge are half as wide.
    cell = np.ones((81, 81))
    cell[[0, -1]] *= 0.5
    cell[:, [0, -1]] *= 0.5
    losses, halves = problem.criteria.evaluate(basis.to_scaled(grid))
    log_density = -rate * losses - (halves if name == "cue" else 0.0) + np.log(cell.ravel())
    density = np.exp(log_density - logsumexp(log_density, axis=1)[:, None])
    sizes = system.worth * 8_000
    for functional in (lambda p: p[..., 0], lambda p: p[..., 1], lambda p: p[..., 1] ** 2):
        expected = density @ functional(grid)
        spread = np.sqrt(density @ functional(grid) ** 2 - expected**2)
        error = (functional(particles).mean(axis=1) - expected) / spread * np.sqrt(sizes)
        assert np.abs(error).max() < 4.0
    below = (losses < problem.loss_at_estimate[:, None]).astype(float)
    expected = np.sum(density * below, axis=1)
    found = np.mean(system.losses < problem.loss_at_estimate[:, None], axis=1)
    error = np.abs(found - expected) / np.sqrt(0.25 / sizes)
    assert error.max() < 4.0
    np.testing.assert_allclose(
        system.losses[:3, :5],
        [problem.criteria.evaluate(system.positions[i, :5])[0][i] for i in range(3)],
        rtol=1e-10,
    )


def test_a_cloud_serves_many_rates_and_grows_where_it_has_to():
    calls = []

    def counted(params, endog, exog, instrument):
        calls.append(1)
        return moments(params, endog, exog, instrument)

    model = qb.QuasiBayesGMM(*arrays_of(), momcond=counted, prior=qb.priors.Normal(0.0, 10.0))
    problem = problem_of(model, {"quasi_likelihood": "two-step"})
    calls.clear()
    seed = np.random.SeedSequence(0)
    first = problem.simulate(1.0, seed, 1_000)
    # One call a position, whatever the number of replications.
    assert len(calls) == problem.positions == 1_024
    again = problem.simulate(1.0, seed, 1_000)
    np.testing.assert_array_equal(first.positions, again.positions)
    moved, accepted = problem.move(first, np.empty(0), np.empty(0), np.random.SeedSequence(1))
    assert (accepted == 1.0).all()
    assert len(calls) == problem.positions == 1_024
    assert (moved.positions != first.positions).any()
    problem.simulate(0.8, seed, 1_000)
    assert problem.positions == 1_024
    far = problem.simulate(0.01, seed, 1_000)
    assert len(calls) == problem.positions > 1_024
    assert np.median(far.worth) * 1_000 >= 200.0


def test_positions_where_moments_are_not_finite_have_no_weight():
    def broken(params, endog, exog, instrument):
        if params[1] > 0.8:
            return np.full((len(endog), 4), np.nan)
        return moments(params, endog, exog, instrument)

    model = qb.QuasiBayesGMM(*arrays_of(), momcond=broken, prior=qb.priors.Normal(0.0, 10.0))
    kwds = {"quasi_likelihood": "two-step", "weight_matrix": np.eye(4)}
    problem = problem_of(model, kwds)
    system = problem.simulate(1.0, np.random.SeedSequence(0), 500)
    params = problem.criteria.basis.to_params(system.positions)
    assert params[:, :, 1].max() <= 0.8
    assert np.isfinite(system.losses).all()


def test_a_cloud_that_suits_badly_is_said():
    problem = problem_of(model_of(), {"quasi_likelihood": "two-step"}, memory_limit=300_000)
    with pytest.raises(NumericalError, match="raise particles or memory_limit, give a tighter"):
        problem.simulate(1.0, np.random.SeedSequence(0), 1_000)
