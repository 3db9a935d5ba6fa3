"""The mode, and the normal law that freezes S."""

import numpy as np
import pytest
from scipy.optimize import minimize

from qbeconometrics.exceptions import NumericalError
from qbeconometrics.kernels._linear_moments import LinearMomentTarget
from qbeconometrics.posterior.mode import find_mode
from qbeconometrics.posterior.surrogate import normal_surrogate
from qbeconometrics.priors import Flat, Normal

# Solves with well-conditioned matrices of order five.
ROUNDING = 1e-9
# Gradient of 1e-6 in coordinates of unit scale.
MODE_TOLERANCE = 1e-5
SIMPLEX = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4_000, "maxfev": 4_000}

B0, SD = np.array([1.0, 0.2, 0.0]), np.array([2.0, 0.3, 1.0])


def climb(target, start):
    found = minimize(
        lambda x: -sum(float(part[0]) for part in target.evaluate(x[None, :])),
        start,
        method="Nelder-Mead",
        options=SIMPLEX,
    )
    return found.x, -found.fun


@pytest.mark.parametrize("kind", ["cue", "cue-nodet"])
@pytest.mark.parametrize("cov_type", ["HC0", "nonrobust"])
def test_mode_is_that_of_a_simplex_search(ajr, model_of, kind, cov_type):
    target = model_of(ajr).quasi_posterior(quasi_likelihood=kind, cov_type=cov_type).target
    mode = find_mode(target)
    point, value = climb(target, mode.point + 0.3)
    assert mode.converged
    assert mode.log_density == pytest.approx(value, abs=MODE_TOLERANCE**2 + ROUNDING)
    assert np.max(np.abs(mode.point - point)) < 10 * MODE_TOLERANCE


@pytest.mark.parametrize("prior", [Flat(), Normal(B0, SD)], ids=["flat", "normal"])
def test_fixed_weight_mode_in_closed_form(data, model_of, prior):
    posterior = model_of(data, prior).quasi_posterior(quasi_likelihood="two-step")
    n = len(data.y)
    S = data.covariance(data.two_stage_least_squares())
    G, moments = data.z.T @ data.x / n, data.z.T @ data.y / n
    P0 = np.zeros((3, 3)) if isinstance(prior, Flat) else np.diag(SD**-2)
    precision = n * G.T @ np.linalg.solve(S, G) + P0
    expected = np.linalg.solve(precision, n * G.T @ np.linalg.solve(S, moments) + P0 @ B0)
    mode = find_mode(posterior.target)
    assert mode.converged
    assert np.allclose(posterior.basis.to_params(mode.point), expected, rtol=MODE_TOLERANCE)
    surrogate = normal_surrogate(posterior.target, np.ones(3))
    assert np.allclose(posterior.basis.to_params(surrogate.mean), expected, rtol=ROUNDING)


@pytest.mark.parametrize("with_prior", [True, False])
@pytest.mark.parametrize("learning_rate", [1.0, 0.4])
def test_surrogate_from_its_definition(data, model_of, with_prior, learning_rate):
    """prec = eta n A'S^-1 A + P0 and prec mean = eta n A'S^-1 Z'y/n + P0 b0, S at the point."""
    posterior = model_of(data, Normal(B0, SD)).quasi_posterior(learning_rate=learning_rate)
    point = np.array([0.5, -1.0, 0.3])
    surrogate = normal_surrogate(posterior.target, point, with_prior=with_prior)
    n, R = len(data.y), posterior.basis.regressor_map
    S = data.covariance(posterior.basis.to_params(point))
    A, P0 = data.z.T @ data.x / n, np.diag(SD**-2) * with_prior
    weighted = learning_rate * n * A.T @ np.linalg.inv(S)
    precision = weighted @ A + P0
    mean = np.linalg.solve(precision, weighted @ (data.z.T @ data.y / n) + P0 @ B0)
    assert np.allclose(surrogate.precision, R.T @ precision @ R, rtol=1e-8, atol=1e-8)
    assert np.allclose(posterior.basis.to_params(surrogate.mean), mean, rtol=ROUNDING)
    covariance = R @ surrogate.root @ surrogate.root.T @ R.T
    assert np.allclose(covariance, np.linalg.inv(precision), rtol=1e-8, atol=1e-14)
    assert np.array_equal(surrogate.root, np.tril(surrogate.root))


def test_a_start_without_density_is_an_error():
    target = LinearMomentTarget(
        [0.1], [[1.0]], [[1.0]], [0.0], determinant=True, statistic=[[1.0], [0.0], [-1.0]]
    )
    with pytest.raises(NumericalError, match="not finite at the two-step estimate"):
        find_mode(target, np.array([2.0]))
    with pytest.raises(NumericalError, match="singular"):
        normal_surrogate(target, np.array([2.0]))


def test_no_information_is_an_error():
    target = LinearMomentTarget(
        [0.1], [[0.0]], [[0.0]], [0.0], determinant=False, proportional=([1.0], None)
    )
    with pytest.raises(NumericalError, match="do not determine"):
        normal_surrogate(target, np.zeros(1))
