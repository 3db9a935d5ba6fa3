"""The Gibbs target: values by definition, gradients by differences, slopes from a window."""

import numpy as np
import pytest
from scipy.stats import norm

import qbeconometrics as qb
from qbeconometrics import losses
from qbeconometrics.posterior.gibbs import build_gibbs_posterior
from qbeconometrics.posterior.loss_moments import ScoreMoments
from qbeconometrics.posterior.score_slope import default_window, score_slope

RNG = np.random.default_rng(9)
X = np.column_stack([np.ones(80), 30 * RNG.normal(size=80)])
Y = X @ [2.0, 0.05] + RNG.standard_t(4, size=80)
BINARY = (Y > 2).astype(float)
CASES = [
    (losses.Squared(), Y),
    (losses.Quantile(0.3), Y),
    (losses.Huber(1.0), Y),
    (losses.Expectile(0.3), Y),
    (losses.Logistic(), BINARY),
    (losses.Hinge(), BINARY),
    (losses.Poisson(), np.round(np.exp(Y / 2))),
]
NAMES = [loss.label for loss, _ in CASES]
PRIORS = {"normal": qb.priors.Normal([1, 0], [2, 0.1]), "student": qb.priors.StudentT(3, 0, 1)}
DIFFERENCE = 1e-6


def log_density(loss, y, prior, rate, theta):
    value = -rate * sum(float(loss.value(y[i : i + 1], X[i : i + 1] @ theta)[0]) for i in range(80))
    if prior == "normal":
        return value - 0.5 * np.sum(((theta - [1, 0]) / [2, 0.1]) ** 2)
    return value - 2.0 * np.sum(np.log1p(theta**2 / 3))


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize(("loss", "y"), CASES, ids=NAMES)
def test_the_log_density_is_its_definition(loss, y, prior):
    model = qb.QuasiBayesM(y, X, loss=loss, posterior="gibbs", prior=PRIORS[prior])
    posterior = build_gibbs_posterior(
        loss, model.design.endog, model.design.exog, prior=model.prior, learning_rate=0.7,
        basis=model._basis, starts=[model._estimate[0]],
    )  # fmt: skip
    points = np.random.default_rng(0).normal(size=(4, 2))
    found = np.sum(posterior.target.evaluate(points), axis=0)
    params = posterior.basis.to_params(points)
    expected = [log_density(loss, y, prior, 0.7, theta) for theta in params]
    np.testing.assert_allclose(np.diff(found), np.diff(expected), rtol=1e-9, atol=1e-9)
    _, gradient = posterior.target.log_density_and_gradient(points[0])
    for j in range(2):
        step = DIFFERENCE * np.eye(2)[j]
        above, below = (
            posterior.target.attempt(points[0] + sign * step).log_density for sign in (1, -1)
        )
        np.testing.assert_allclose(
            gradient[j], (above - below) / (2 * DIFFERENCE), rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize(("loss", "y"), CASES, ids=NAMES)
def test_no_point_is_higher_than_the_mode(loss, y):
    model = qb.QuasiBayesM(y, X, loss=loss, posterior="gibbs", prior=PRIORS["normal"])
    posterior = build_gibbs_posterior(
        loss, model.design.endog, model.design.exog, prior=model.prior, learning_rate=1.0,
        basis=model._basis, starts=[model._start(), model._estimate[0]],
    )  # fmt: skip
    assert posterior.mode.converged
    assert posterior.log_concave
    rng = np.random.default_rng(1)
    for size in (1e-3, 1e-2, 1e-1, 1.0):
        around = sum(posterior.target.evaluate(size * rng.normal(size=(200, 2))))
        # Shrinking windows leave a mode at a kink within a thousandth of a standard deviation.
        slack = 1e-2 * size if loss.jumps else 0.0
        assert around.max() <= posterior.mode.log_density + slack


def test_the_slope_of_a_jumping_score_is_powells_estimate():
    loss, index = losses.Quantile(0.3), np.full(80, 2.0)
    h = default_window(loss, Y, index)
    residual = Y - 2.0
    inside = (np.abs(residual) <= h) / (2 * h)
    np.testing.assert_allclose(score_slope(loss, Y, index), inside)
    level = 80 ** (-1 / 3) * norm.ppf(0.975) ** (2 / 3)
    at = norm.ppf(0.3)
    level *= (1.5 * norm.pdf(at) ** 2 / (2 * at**2 + 1)) ** (1 / 3)
    spread = min(residual.std(), np.subtract(*np.quantile(residual, [0.75, 0.25])) / 1.34)
    np.testing.assert_allclose(h, spread * (norm.ppf(0.3 + level) - norm.ppf(0.3 - level)))


def test_the_window_is_widened_until_the_derivative_is_regular():
    y = np.concatenate([np.zeros(60), 100 + np.arange(20.0)])
    x = np.column_stack([np.ones(80), np.arange(80) >= 60])
    function = ScoreMoments(losses.Quantile(0.5), y, x, np.array([0.0, 200.0]))
    derivative = function.jacobian(np.array([0.0, 200.0]))
    assert np.linalg.eigvalsh(derivative)[0] > 0


def test_moments_are_the_gradients_of_the_rows():
    loss = losses.Logistic()
    function = ScoreMoments(loss, BINARY, X, np.zeros(2))
    theta = np.array([0.2, 0.01])
    moments, mean = function.evaluate(theta)
    for j in range(2):
        step = DIFFERENCE * np.eye(2)[j]
        above, below = (loss.value(BINARY, X @ (theta + sign * step)) for sign in (1, -1))
        np.testing.assert_allclose(moments[:, j], (above - below) / (2 * DIFFERENCE), atol=1e-6)
        derivative = (function.evaluate(theta + step)[1] - function.evaluate(theta - step)[1]) / (
            2 * DIFFERENCE
        )
        np.testing.assert_allclose(function.jacobian(theta)[:, j], derivative, rtol=1e-5)
    np.testing.assert_allclose(mean, moments.mean(axis=0))
