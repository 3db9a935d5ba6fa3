"""Random scaling is what its definition says, and its intervals cover."""

import numpy as np
import pytest

from qbeconometrics.exceptions import InputError, OptionError
from qbeconometrics.online.random_scaling import CRITICAL_VALUES, RandomScaling


def by_definition(path):
    steps = np.arange(1, len(path) + 1)[:, None]
    averages = np.cumsum(path, axis=0) / steps
    deviations = steps * (averages - averages[-1])
    return averages[-1], deviations.T @ deviations / len(path) ** 3


def test_updates_are_the_definition():
    rng = np.random.default_rng(1)
    path = 1e3 + np.cumsum(rng.normal(size=(500, 2)), axis=0) * 0.01
    found = RandomScaling.of_size(2)
    for iterate in path:
        found.update(iterate)
    average, covariance = by_definition(path)
    np.testing.assert_allclose(found.average, average, rtol=1e-13)
    np.testing.assert_allclose(found.covariance(), covariance, rtol=1e-8)
    half = 6.747 * np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(found.conf_int(), np.column_stack([average - half, average + half]))


def test_nothing_moves_without_variation():
    found = RandomScaling.of_size(1)
    for _ in range(100):
        found.update([0.3])
    assert found.conf_int() == pytest.approx(np.array([[0.3, 0.3]]), abs=1e-12)


@pytest.mark.parametrize("alpha", CRITICAL_VALUES)
def test_critical_values_against_random_walks(alpha):
    # The average of independent iterates with known mean 0, in 4,000 paths of 500 steps.
    rng = np.random.default_rng(7)
    covered = []
    for _ in range(8):
        steps = np.arange(1, 501)[:, None]
        averages = np.cumsum(rng.standard_normal((500, 500)), axis=0) / steps
        scale = np.sqrt(np.sum((steps * (averages - averages[-1])) ** 2, axis=0) / 500.0**3)
        covered.append(np.abs(averages[-1]) < CRITICAL_VALUES[alpha] * scale)
    share = np.mean(covered)
    assert abs(share - (1.0 - alpha)) < 4.0 * np.sqrt(alpha * (1.0 - alpha) / 4_000)


def test_gradient_descent_on_a_mean_is_covered():
    # One path for each of 600 coordinates: x_t = x_(t-1) - t^-0.6 (x_(t-1) - z_t).
    rng = np.random.default_rng(9)
    position, path = np.zeros(600), []
    for step in range(1, 3_001):
        position = position - step**-0.6 * (position - 1.0 - rng.standard_normal(600))
        path.append(position)
    steps = np.arange(1, 3_001)[:, None]
    averages = np.cumsum(path, axis=0) / steps
    scale = np.sqrt(np.sum((steps * (averages - averages[-1])) ** 2, axis=0) / 3_000.0**3)
    covered = np.mean(np.abs(averages[-1] - 1.0) < CRITICAL_VALUES[0.05] * scale)
    assert abs(covered - 0.95) < 4.0 * np.sqrt(0.95 * 0.05 / 600)


def test_bad_input_is_refused():
    found = RandomScaling.of_size(2)
    with pytest.raises(InputError, match="shape"):
        found.update([1.0])
    with pytest.raises(OptionError, match="choose one of"):
        found.conf_int(0.03)
