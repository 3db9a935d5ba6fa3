"""The quasi-likelihood is that of the normal law, and its gradients are its derivatives."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from qbeconometrics.online.closed_form import other_label
from qbeconometrics.online.likelihood import (
    Heads,
    efficient_score,
    gradient,
    log_likelihood,
    other_label_heads,
    reduced_form_gradient,
    reduced_form_log_likelihood,
    reduced_form_means,
    structural_errors,
)

N = 40
EFFECTS = [(0.5, -0.4), (0.9, 0.8), (-1.5, 0.5), (2.0, -0.45), (-2.2, 0.5)]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    y = rng.normal(size=(2, N)) * 2.0
    return y[0], y[1], Heads(*rng.normal(size=(4, N)))


@pytest.mark.parametrize("params", EFFECTS)
def test_it_is_the_normal_density(data, params):
    y1, y2, heads = data
    means = reduced_form_means(*params, heads)
    mixing = np.linalg.inv([[1.0, -params[0]], [-params[1], 1.0]])
    expected = [
        multivariate_normal.logpdf(
            [y1[i], y2[i]],
            [means.mean1[i], means.mean2[i]],
            mixing @ np.diag(np.exp([heads.log_variance1[i], heads.log_variance2[i]])) @ mixing.T,
        )
        for i in range(N)
    ]
    values = log_likelihood(y1, y2, *params, heads) - np.log(2.0 * np.pi)
    np.testing.assert_allclose(values, expected, rtol=1e-11)
    np.testing.assert_allclose(
        reduced_form_log_likelihood(y1, y2, *params, means) - np.log(2.0 * np.pi),
        expected,
        rtol=1e-11,
    )


@pytest.mark.parametrize("params", EFFECTS)
def test_labels_have_the_same_likelihood(data, params):
    y1, y2, heads = data
    exchanged = log_likelihood(y1, y2, *other_label(*params), other_label_heads(*params, heads))
    np.testing.assert_allclose(exchanged, log_likelihood(y1, y2, *params, heads), rtol=1e-12)


@pytest.mark.parametrize("params", EFFECTS)
@pytest.mark.parametrize(
    ("value", "slope"),
    [
        (log_likelihood, gradient),
        (reduced_form_log_likelihood, reduced_form_gradient),
    ],
)
def test_gradients_are_derivatives(data, params, value, slope):
    y1, y2, heads = data
    analytic = slope(y1, y2, *params, heads)
    step = 1e-5

    def at(place, move):
        arguments = [*params, *heads]
        arguments[place] = arguments[place] + move
        return value(y1, y2, arguments[0], arguments[1], Heads(*arguments[2:]))

    for place, found in enumerate(analytic):
        # Richardson's extrapolation of central differences.
        near = (at(place, step) - at(place, -step)) / (2.0 * step)
        far = (at(place, 2.0 * step) - at(place, -2.0 * step)) / (4.0 * step)
        numerical = (4.0 * near - far) / 3.0
        np.testing.assert_allclose(found, numerical, rtol=1e-7, atol=1e-7)


def test_the_efficient_score_is_the_score_without_what_the_heads_explain(data):
    # The score of b12 less its projection on those of the reduced-form heads, given x: what is
    # left is e1 e2 exp(-g1)/(1 - P), and its other parts are multiples of the scores of the heads.
    y1, y2, heads = data
    b12, b21 = params = (0.5, -0.4)
    full = reduced_form_gradient(y1, y2, *params, heads)
    u1, u2 = y1 - heads.mean1, y2 - heads.mean2
    score1, score2 = efficient_score(u1, u2, *params, heads.log_variance1, heads.log_variance2)
    determinant = 1.0 - b12 * b21
    np.testing.assert_allclose(
        full.b12, score1 + 2.0 * b21 * full.log_variance1 / determinant, rtol=1e-10, atol=1e-12
    )
    np.testing.assert_allclose(
        full.b21, score2 + 2.0 * b12 * full.log_variance2 / determinant, rtol=1e-10, atol=1e-12
    )


def test_errors_of_the_model(data):
    y1, y2, heads = data
    e1, e2 = structural_errors(y1, y2, 0.5, -0.4, heads)
    np.testing.assert_allclose(y1, 0.5 * y2 + heads.mean1 + e1)
    np.testing.assert_allclose(y2, -0.4 * y1 + heads.mean2 + e2)
