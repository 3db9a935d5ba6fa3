"""What Hamiltonian chains promise beyond what tests/kernels/test_chains.py asks of every chain."""

import numpy as np
import pytest

from qbeconometrics.kernels.reference.hmc import NormalisingMap, hamiltonian_chain


@pytest.fixture
def arguments():
    """Positional arguments for two coefficients, by name."""
    return {
        "position": np.zeros(2),
        "tuning": np.array([-0.5, 0.0, 0.0, -0.5, 0.0]),
        "centre": np.zeros(2),
        "root": np.array([1.0, 0.0, 1.0]),
        "power": 0.0,
        "length": 2.0,
        "jitter": 0.3,
        "draws": np.empty((4, 2)),
        "log_density": np.empty(4),
        "counters": np.zeros(5, dtype=np.int64),
    }


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("position", np.zeros(3)),
        ("tuning", np.zeros(2)),
        ("centre", np.zeros(1)),
        ("root", np.ones(4)),
        ("draws", np.empty((4, 3))),
        ("log_density", np.empty(3)),
        ("counters", np.zeros(4, dtype=np.int64)),
        *(("power", value) for value in (-0.1, np.nan)),
        *(("length", value) for value in (0.0, -1.0, np.nan)),
        *(("jitter", value) for value in (-0.1, 1.0, np.nan)),
    ],
)
def test_refuses_wrong_arguments(problem_of, compiled, arguments, name, wrong):
    arguments[name] = wrong
    with pytest.raises(ValueError, match=name):
        compiled.hmc.hamiltonian(problem_of(2, 3).target(), np.random.PCG64(0), *arguments.values())


@pytest.mark.parametrize("log_step", [800.0, -800.0, np.nan])
def test_absurd_steps_are_rejected_or_bounded(problem_of, compiled, arguments, log_step):
    """Too long a step leaves the finite numbers, too short a one is bounded in its number."""
    arguments["tuning"][0] = log_step
    target = problem_of(2, 3).target()
    assert compiled.hmc.hamiltonian(target, np.random.PCG64(0), *arguments.values())
    assert np.isfinite(arguments["draws"]).all()
    assert np.isfinite(arguments["log_density"]).all()
    assert arguments["counters"][1] <= 4 * 512
    if not log_step < 0:
        assert arguments["counters"][2] == 0


@pytest.mark.parametrize("power", [0.0, 0.4, 1.7])
@pytest.mark.parametrize("k", [1, 2, 30])
def test_map(power, k):
    """There and back, and log density and force against a numerical Jacobian and differences."""
    rng = np.random.default_rng(k)
    root = np.linalg.cholesky(np.cov(rng.standard_normal((k, 3 * k + 3))).reshape(k, k))
    to_normal = NormalisingMap(rng.standard_normal(k), root, power)
    for size in (1e-6, 0.3, 1.0, 30.0):
        y = size * rng.standard_normal(k)
        back = to_normal.to_normal(to_normal.to_target(y))
        np.testing.assert_allclose(back, y, rtol=1e-9, atol=1e-9 * size)

    def log_density(y):
        x = to_normal.to_target(y)
        return to_normal.log_density_and_force(y, -0.5 * float(x @ x), -x)

    y, steps = rng.standard_normal(k), 1e-6 * np.eye(k)
    jacobian = [(to_normal.to_target(y + e) - to_normal.to_target(y - e)) / 2e-6 for e in steps]
    x = to_normal.to_target(y)
    constant = np.linalg.slogdet(root)[1]
    expected = np.linalg.slogdet(np.array(jacobian))[1] - 0.5 * float(x @ x) - constant
    value, force = log_density(y)
    assert value == pytest.approx(expected, abs=1e-6)
    differences = [(log_density(y + e)[0] - log_density(y - e)[0]) / 2e-6 for e in steps]
    np.testing.assert_allclose(force, differences, rtol=1e-6, atol=1e-6 * np.max(np.abs(force)))


def standard_normal(x):
    return -0.5 * float(x @ x), -x


def run_python(density, to_normal, *, n_draws=4_000, log_step=-0.7, goal=-1.0, seed=0):
    k = len(to_normal.centre)
    draws, counters = np.empty((n_draws, k)), np.zeros(5, dtype=np.int64)
    tuning = np.array([log_step, 0.0, 0.0, log_step, log_step + 0.7])
    ready = hamiltonian_chain(
        density,
        np.random.default_rng(seed),
        np.zeros(k),
        tuning,
        to_normal,
        2.2,
        0.3,
        draws,
        np.empty(n_draws),
        counters,
        goal=goal,
    )
    assert ready
    return draws, counters, tuning


def test_the_map_does_not_change_the_law():
    """A standard normal law through a map that suits it badly."""
    to_normal = NormalisingMap(np.array([0.3, -0.2]), np.array([[0.8, 0.0], [0.5, 0.7]]), 0.5)
    draws, counters, _ = run_python(standard_normal, to_normal, log_step=-1.2)
    assert counters[2] > 0.8 * len(draws)
    error = 4.0 / np.sqrt(1_000)
    assert np.all(np.abs(draws.mean(0)) < error)
    assert np.all(np.abs(np.cov(draws.T) - np.eye(2)) < np.sqrt(2) * error)


def test_a_density_that_belongs_to_another_law_is_caught():
    """The Jacobian of the map left out: the same chain in y without log_density_and_force."""

    class WithoutJacobian(NormalisingMap):
        def log_density_and_force(self, y, log_target, gradient):
            linear = NormalisingMap(self.centre, self.root, 0.0)
            return linear.log_density_and_force(y, log_target, gradient)

    draws, _, _ = run_python(standard_normal, WithoutJacobian(np.zeros(2), np.eye(2), 0.5))
    assert np.any(np.abs(np.cov(draws.T) - np.eye(2)) > np.sqrt(2) * 4.0 / np.sqrt(1_000))


@pytest.mark.parametrize("wrong_sign", [-1.0, 0.0])
def test_a_wrong_force_costs_acceptance_and_not_exactness(wrong_sign):
    to_normal = NormalisingMap(np.zeros(1), np.eye(1), 0.0)
    _, right_counters, _ = run_python(standard_normal, to_normal)
    draws, counters, _ = run_python(
        lambda x: (-0.5 * float(x @ x), -wrong_sign * x), to_normal, n_draws=20_000
    )
    assert counters[2] / counters[0] < 0.8 < right_counters[2] / right_counters[0]
    assert abs(draws.mean()) < 0.15
    assert draws.var() == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("goal", [0.7, 0.95])
@pytest.mark.parametrize("log_step", [-4.0, 2.0])
def test_dual_averaging_reaches_its_goal(goal, log_step):
    """From steps that are far too short or long, in ten dimensions."""
    to_normal = NormalisingMap(np.zeros(10), np.eye(10), 0.0)
    _, _, tuning = run_python(
        standard_normal, to_normal, n_draws=1_000, log_step=log_step, goal=goal
    )
    _, counters, _ = run_python(standard_normal, to_normal, log_step=tuning[3], n_draws=1_000)
    assert counters[2] / counters[0] == pytest.approx(goal, abs=0.08)


def test_divergences_and_holes_are_counted():
    """A cliff of 2,000 in the log density diverges; NaN does not count as one."""
    to_normal = NormalisingMap(np.zeros(1), np.eye(1), 0.0)

    def cliff(x):
        return (-0.5 * float(x @ x) - 2_000.0 * (x[0] > 1.0), -x)

    def hole(x):
        return (np.nan, np.zeros(1)) if x[0] > 1.0 else standard_normal(x)

    def edge(x):
        return (-np.inf, np.zeros(1)) if x[0] > 1.0 else standard_normal(x)

    for density, nonfinite, divergent in ((cliff, 0, 1), (hole, 1, 0), (edge, 0, 0)):
        draws, counters, _ = run_python(density, to_normal)
        assert draws.max() <= 1.0
        assert (counters[3] > 0, counters[4] > 0) == (bool(nonfinite), bool(divergent))
