"""The rules of a trajectory: each that is broken shows in the law that is drawn from.

Rules are broken in the twin, which tests/kernels/test_nuts.py compares with the kernel decision by
decision.
"""

from dataclasses import replace

import numpy as np
import pytest

from qbeconometrics.diagnostics.convergence import mean_mcse
from qbeconometrics.kernels import _nuts
from qbeconometrics.kernels._density import PythonDensity
from qbeconometrics.kernels.reference import density as twin_density
from qbeconometrics.kernels.reference import nuts as twin

N_DRAWS = 10_000
join, has_turned = twin.join, twin.has_turned


def quartic(x):
    """Coordinates are independent, with density exp(-x^2/2 - x^4/4)."""
    return -float(np.sum(0.5 * x**2 + 0.25 * x**4)), -x - x**3


def largest_error(draws):
    """Of moments of both coordinates, in Monte Carlo standard errors."""
    grid = np.linspace(-6.0, 6.0, 4_001)
    weight = np.exp(-0.5 * grid**2 - 0.25 * grid**4)
    functions = (lambda x: x, np.abs, np.square, lambda x: x**4)
    expected = [np.sum(f(grid) * weight) / np.sum(weight) for f in functions]
    values = np.stack([f(draws).mean(axis=1) for f in functions], axis=-1)[None]
    return float(np.max(np.abs((values.mean((0, 1)) - expected) / mean_mcse(values))))


def run(log_step, kernel=twin.nuts, make=twin_density.PythonDensity):
    draws, statistics = np.empty((N_DRAWS, 2)), np.empty((N_DRAWS, 9))
    tuning = np.array([log_step, 0.0, 0.0, log_step, log_step])
    kernel(
        make(2, quartic),
        np.random.PCG64(1),
        np.zeros(2),
        tuning,
        np.ones(2),
        10,
        draws,
        statistics,
    )
    return draws


@pytest.mark.parametrize("log_step", [-1.5, -0.5, 0.0, 0.3])
def test_the_right_rules(log_step):
    assert largest_error(run(log_step, _nuts.nuts, PythonDensity)) < 4.0


def last_point(a, b, uniform, *, prefer_newer):
    return replace(join(a, b, uniform, prefer_newer=prefer_newer), draw=b.draw)


def always_the_newer_half(a, b, uniform, *, prefer_newer):
    return join(a, b, 0.0 if prefer_newer else uniform, prefer_newer=prefer_newer)


def equal_weights(a, b, uniform, *, prefer_newer):
    drawn = (b if uniform < 0.5 else a).draw
    return replace(join(a, b, uniform, prefer_newer=prefer_newer), draw=drawn)


def preference_within_a_half(a, b, uniform, *, prefer_newer):
    return join(a, b, uniform, prefer_newer=True)


def seen_from_the_last(a, b):
    """Not the same for a trajectory and its reverse."""
    return not float(b.last @ (a.total + b.total)) > 0.0


def seen_from_the_first(a, b):
    return not float(a.first @ (a.total + b.total)) > 0.0


@pytest.mark.parametrize(
    ("rule", "broken", "log_step"),
    [
        ("join", last_point, -0.65),
        ("join", always_the_newer_half, -0.65),
        ("join", equal_weights, -0.5),
        ("join", preference_within_a_half, 0.3),
        ("has_turned", seen_from_the_last, -0.5),
        ("has_turned", seen_from_the_first, -0.5),
    ],
)
def test_a_broken_rule_is_seen(rule, broken, log_step, monkeypatch):
    monkeypatch.setattr(twin, rule, broken)
    assert largest_error(run(log_step)) > 5.0


def test_a_wrong_gradient_costs_acceptance_and_not_exactness():
    """A tenth too much, in ten dimensions: short steps do not mend the acceptance."""
    size, scatter = 10, {}
    for factor in (1.0, 1.1):
        draws, statistics = np.empty((N_DRAWS, size)), np.empty((N_DRAWS, 9))
        _nuts.nuts(
            PythonDensity(size, lambda x, factor=factor: (-0.5 * float(x @ x), -factor * x)),
            np.random.PCG64(2),
            np.zeros(size),
            np.array([-2.0, 0.0, 0.0, -2.0, -2.0]),
            np.ones(size),
            10,
            draws,
            statistics,
        )
        values = np.stack([draws.mean(axis=1), np.mean(draws**2, axis=1)], axis=-1)[None]
        errors = (values.mean((0, 1)) - [0.0, 1.0]) / mean_mcse(values)
        assert np.max(np.abs(errors)) < 4.0
        scatter[factor] = 1.0 - statistics[:, _nuts.STATISTICS.index("acceptance")].mean()
    assert scatter[1.0] < 0.01
    assert scatter[1.1] > 0.03
