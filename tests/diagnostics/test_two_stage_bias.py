"""The worst bias of two-stage least squares against closed forms and simulation."""

import numpy as np
import pytest

import qbeconometrics as qb
from qbeconometrics.diagnostics.instrument_strength import effective_f_critical_value
from qbeconometrics.diagnostics.two_stage_bias import worst_relative_bias


def random_covariance(instruments, seed):
    root = np.random.default_rng(seed).normal(size=(2 * instruments, 3 * instruments))
    return root @ root.T


@pytest.mark.parametrize("instruments", [1, 2, 3, 8])
def test_homoskedastic_errors_have_a_closed_form(instruments):
    """All blocks are multiples of the identity: |l - 2| / l, as beta grows."""
    covariance = np.kron([[1.0, 0.4], [0.4, 2.5]], np.eye(instruments))
    expected = abs(instruments - 2) / instruments
    assert worst_relative_bias(covariance) == pytest.approx(expected, abs=1e-9)


def test_it_is_a_share_and_free_of_units_and_of_the_centre_of_beta():
    for seed in range(5):
        covariance = random_covariance(4, seed)
        value = worst_relative_bias(covariance)
        assert 0.0 < value <= 1.0
        units = np.kron(np.diag([1e2, 1e-1]), np.eye(4))
        shift = np.kron([[1.0, 0.0], [-3.0, 1.0]], np.eye(4))
        for change in (units, shift, shift @ units):
            changed = change @ covariance @ change.T
            assert worst_relative_bias(changed) == pytest.approx(value, rel=1e-6)


def test_no_value_of_beta_and_direction_is_worse():
    covariance = random_covariance(3, 1)
    own, outcome = covariance[:3, :3], covariance[3:, 3:]
    rng = np.random.default_rng(0)
    found = 0.0
    for beta in np.tan(np.linspace(-1.57, 1.57, 300)):
        together = (covariance[3:, :3] + covariance[:3, 3:]) / 2 - beta * own
        directions = rng.normal(size=(2000, 3))
        directions /= np.linalg.norm(directions, axis=1)[:, None]
        bias = np.trace(together) - 2 * np.einsum("ij,jk,ik->i", directions, together, directions)
        benchmark = np.trace(outcome) - 2 * beta * np.trace(covariance[3:, :3])
        benchmark += beta**2 * np.trace(own)
        found = max(found, np.abs(bias).max() / np.sqrt(np.trace(own) * benchmark))
    value = worst_relative_bias(covariance)
    assert found <= value * (1 + 1e-9)
    assert found > 0.99 * value


def test_the_approximate_bias_is_that_of_simulated_estimates():
    """The mean of two-stage least squares where instruments are strong enough for it to exist."""
    instruments, beta = 4, 0.5
    covariance = random_covariance(instruments, 3) / 10
    own = covariance[:4, :4]
    direction = np.array([1.0, 0.5, -0.5, 1.0]) / np.sqrt(2.5)
    # Averages over draws and their mirror images: the error of first order cancels.
    half = np.random.default_rng(0).standard_normal((400_000, 8)) @ np.linalg.cholesky(covariance).T
    errors = np.vstack([half, -half])
    for strength in (60.0, 240.0):
        signal = direction * np.sqrt(strength * np.trace(own))
        first = signal + errors[:, :4]
        outcome = beta * signal + errors[:, 4:]
        estimates = np.sum(first * outcome, axis=1) / np.sum(first**2, axis=1)
        pairs = estimates.reshape(2, -1).mean(axis=0)
        together = (covariance[4:, :4] + covariance[:4, 4:]) / 2 - beta * own
        expected = np.trace(together) - 2 * direction @ together @ direction
        expected /= np.trace(own) * strength
        error = pairs.std() / np.sqrt(len(pairs))
        # What the approximation leaves out is of order 1 / strength relative to it.
        assert abs(pairs.mean() - beta - expected) < 4 * error + abs(expected) * 12 / strength


def test_critical_values_are_below_the_conservative_ones():
    own = random_covariance(4, 0)[:4, :4]
    values = [effective_f_critical_value(own, worst=worst) for worst in (0.2, 0.6, 1.0)]
    assert values == sorted(values)
    assert values[-1] == effective_f_critical_value(own)
    data = qb.datasets.load("mroz1987").query("inlf == 1")
    formula = "lwage ~ exper + [educ ~ motheduc + fatheduc + huseduc]"
    row = qb.QuasiBayesIV.from_formula(formula, data).first_stage().iloc[0]
    assert row["effective_f_tsls_critical_value"] < row["effective_f_critical_value"]
    one = qb.QuasiBayesIV.from_formula("lwage ~ exper + [educ ~ motheduc]", data).first_stage()
    assert (one["effective_f_tsls_critical_value"] == one["effective_f_critical_value"]).all()
    two = qb.QuasiBayesIV.from_formula(
        "lwage ~ [educ + exper ~ motheduc + fatheduc + age]", data
    ).first_stage()
    assert two["effective_f_tsls_critical_value"].isna().all()
