"""The log density against its definition in the units of the data."""

import numpy as np
import pytest

from qbeconometrics.priors import Flat, Normal, StudentT

# A few hundred rows' products in float64, of order ten.
ROUNDING = 1e-9
FORMS = ["statistic", "rows"]


def points_near(posterior, count=12, seed=0):
    rng = np.random.default_rng(seed)
    return 2.0 * rng.standard_normal((count, posterior.target.n_params))


def log_likelihood(posterior, points):
    return posterior.target.evaluate(points)[0] + posterior.log_constant


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["cue", "cue-nodet", "two-step"])
@pytest.mark.parametrize("cov_type", ["HC0", "HC1", "nonrobust"])
@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("learning_rate", [1.0, 0.3])
def test_log_quasi_likelihood(data, model_of, form, kind, cov_type, centered, learning_rate):
    posterior = model_of(data).quasi_posterior(
        quasi_likelihood=kind,
        cov_type=cov_type,
        cov_kwds={"centered": centered},
        learning_rate=learning_rate,
        evaluation=form,
    )
    points = points_near(posterior)
    expected = [
        data.log_quasi_likelihood(
            theta, kind, learning_rate=learning_rate, cov_type=cov_type, centered=centered
        )
        for theta in posterior.basis.to_params(points)
    ]
    ours = log_likelihood(posterior, points)
    assert np.allclose(ours, expected, rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("weight", ["identity", "array", "list"])
def test_given_weight(data, model_of, weight):
    root = np.random.default_rng(8).standard_normal((5, 5))
    matrix = np.eye(5) if weight == "identity" else root @ root.T + np.eye(5)
    given = {"identity": "identity", "array": matrix, "list": matrix.tolist()}[weight]
    posterior = model_of(data).quasi_posterior(quasi_likelihood="two-step", weight_matrix=given)
    points = points_near(posterior)
    expected = [
        data.log_quasi_likelihood(theta, "two-step", weight=matrix)
        for theta in posterior.basis.to_params(points)
    ]
    assert np.allclose(log_likelihood(posterior, points), expected, rtol=ROUNDING, atol=ROUNDING)


def normal_log_density(theta, mean, sd):
    return -0.5 * np.sum(((theta - mean) / sd) ** 2)


def student_log_density(theta, df, loc, scale):
    return -0.5 * np.sum((df + 1) * np.log1p(((theta - loc) / scale) ** 2 / df))


MEAN, SD, DF = np.array([1.0, 0.0, -1.0]), np.array([3.0, 0.5, 2.0]), np.array([1.0, 3.0, 8.0])
PRIORS = {
    "normal": (Normal(MEAN, SD), lambda theta: normal_log_density(theta, MEAN, SD)),
    "student": (StudentT(DF, MEAN, SD), lambda theta: student_log_density(theta, DF, MEAN, SD)),
    "mixed": (
        {"const": Normal(1, 3), "x1": StudentT(3, 0, 0.5), "x2": Normal(-1, 2)},
        lambda theta: (
            normal_log_density(theta[[0, 2]], MEAN[[0, 2]], SD[[0, 2]])
            + student_log_density(theta[1], 3.0, 0.0, 0.5)
        ),
    ),
}


@pytest.mark.parametrize("name", PRIORS)
def test_log_prior(data, model_of, name):
    """Up to a constant, whatever the coordinates."""
    prior, definition = PRIORS[name]
    posterior = model_of(data, prior).quasi_posterior()
    points = points_near(posterior)
    ours = posterior.target.evaluate(points)[1]
    expected = np.array([definition(theta) for theta in posterior.basis.to_params(points)])
    assert np.ptp(ours - expected) < ROUNDING * np.ptp(expected)


def test_flat_prior_adds_nothing(data, model_of):
    posterior = model_of(data, Flat()).quasi_posterior(quasi_likelihood="two-step")
    assert not posterior.target.evaluate(points_near(posterior))[1].any()


@pytest.mark.parametrize("kind", ["cue", "two-step"])
def test_forms_agree_at_one_thousand_rows_and_uneven_scales(model_of, kind):
    rng = np.random.default_rng(6)
    n = 1_003  # not a multiple of four, of which the compiled loops take strides
    z = np.column_stack([np.ones(n), rng.standard_normal((n, 3)) * [1e6, 1e-6, 1.0]])
    x = np.column_stack([np.ones(n), z[:, 1] * 1e-6 + rng.standard_normal(n), z[:, 2]])
    y = x @ [1.0, 1.0, 1e6] + rng.standard_normal(n)
    one = type("Rows", (), {"y": y, "x": x, "z": z})
    posteriors = [model_of(one).quasi_posterior(quasi_likelihood=kind, evaluation=f) for f in FORMS]
    points = points_near(posteriors[0], 100)
    first, second = (log_likelihood(posterior, points) for posterior in posteriors)
    assert np.allclose(first, second, rtol=0, atol=1e-8)
