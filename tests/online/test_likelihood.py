"""The quasi-likelihood is that of the normal law; its gradients and its efficient score, in NumPy.

The compiled learner is compared with differences of its own likelihood, and that with formulas.
"""

from typing import NamedTuple

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from qbeconometrics.online.closed_form import other_label
from qbeconometrics.online.likelihood import mean_log_likelihood

N = 40
EFFECTS = [(0.5, -0.4), (0.9, 0.8), (-1.5, 0.5), (2.0, -0.45), (-2.2, 0.5)]


class Heads(NamedTuple):
    """Functions of x at the rows: two means and two log variances, each of shape (n,).

    The means are f1, f2 of the structural equations, or m1, m2 = E(y|x) of the reduced form.
    """

    mean1: np.ndarray
    mean2: np.ndarray
    log_variance1: np.ndarray
    log_variance2: np.ndarray


class Gradient(NamedTuple):
    """Derivatives of each row's log likelihood by the effects and by the heads, shape (n,)."""

    b12: np.ndarray
    b21: np.ndarray
    mean1: np.ndarray
    mean2: np.ndarray
    log_variance1: np.ndarray
    log_variance2: np.ndarray


def reduced_form_means(b12, b21, heads):
    """Return the heads with E(y|x) in the place of f1 and f2."""
    determinant = 1.0 - b12 * b21
    return heads._replace(
        mean1=(heads.mean1 + b12 * heads.mean2) / determinant,
        mean2=(heads.mean2 + b21 * heads.mean1) / determinant,
    )


def other_label_heads(b12, b21, heads):
    """Return the structural heads of the same law with the two errors exchanged.

    They belong to the effects (1/b21, 1/b12), and the quasi-likelihood of every row is the same.
    """
    return Heads(
        -heads.mean2 / b21,
        -heads.mean1 / b12,
        heads.log_variance2 - 2.0 * np.log(abs(b21)),
        heads.log_variance1 - 2.0 * np.log(abs(b12)),
    )


def structural_errors(y1, y2, b12, b21, heads):
    """Return e1 = y1 - b12 y2 - f1 and e2 = y2 - b21 y1 - f2."""
    return y1 - b12 * y2 - heads.mean1, y2 - b21 * y1 - heads.mean2


def log_likelihood(y1, y2, b12, b21, heads):
    """Return log|1 - b12 b21| - (1/2) sum_j (g_j + e_j^2 exp(-g_j)) of each row. No -log(2 pi)."""
    e1, e2 = structural_errors(y1, y2, b12, b21, heads)
    g1, g2 = heads.log_variance1, heads.log_variance2
    jacobian = np.log(abs(1.0 - b12 * b21))
    return np.asarray(jacobian - 0.5 * (g1 + e1**2 * np.exp(-g1) + g2 + e2**2 * np.exp(-g2)))


def gradient(y1, y2, b12, b21, heads):
    """Return the derivatives of `log_likelihood`, the structural heads held fixed."""
    e1, e2 = structural_errors(y1, y2, b12, b21, heads)
    w1, w2 = np.exp(-heads.log_variance1), np.exp(-heads.log_variance2)
    determinant = 1.0 - b12 * b21
    return Gradient(
        e1 * y2 * w1 - b21 / determinant,
        e2 * y1 * w2 - b12 / determinant,
        e1 * w1,
        e2 * w2,
        0.5 * (e1**2 * w1 - 1.0),
        0.5 * (e2**2 * w2 - 1.0),
    )


def reduced_form_log_likelihood(y1, y2, b12, b21, heads):
    """Return `log_likelihood` as a function of the means E(y|x), where e = B (y - E(y|x))."""
    u1, u2 = y1 - heads.mean1, y2 - heads.mean2
    errors_only = heads._replace(mean1=np.zeros_like(u1), mean2=np.zeros_like(u2))
    return log_likelihood(u1, u2, b12, b21, errors_only)


def reduced_form_gradient(y1, y2, b12, b21, heads):
    """Return the derivatives of `reduced_form_log_likelihood`, the means E(y|x) held fixed."""
    u1, u2 = y1 - heads.mean1, y2 - heads.mean2
    errors_only = heads._replace(mean1=np.zeros_like(u1), mean2=np.zeros_like(u2))
    by = gradient(u1, u2, b12, b21, errors_only)
    return by._replace(mean1=by.mean1 - b21 * by.mean2, mean2=by.mean2 - b12 * by.mean1)


def efficient_score(
    u1,
    u2,
    b12,
    b21,
    log_variance1,
    log_variance2,
):
    """Return the scores of b12 and b21 with means and variances projected out, each (n,).

    They are e1 e2 exp(-g1)/(1 - b12 b21) and e1 e2 exp(-g2)/(1 - b12 b21): the moments E(w e1 e2)
    with the inverse error variances as instruments.
    """
    product = (u1 - b12 * u2) * (u2 - b21 * u1) / (1.0 - b12 * b21)
    return product * np.exp(-log_variance1), product * np.exp(-log_variance2)


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


@pytest.mark.parametrize("params", EFFECTS)
def test_the_mean_over_rows(data, params):
    y1, y2, heads = data
    expected = reduced_form_log_likelihood(y1, y2, *params, heads).mean() - np.log(2.0 * np.pi)
    instruments = np.exp(-np.column_stack([heads.log_variance1, heads.log_variance2]))
    found = mean_log_likelihood(y1 - heads.mean1, y2 - heads.mean2, params, instruments)
    assert found == pytest.approx(expected, rel=1e-12)
