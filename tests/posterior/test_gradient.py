"""The analytic gradient against central differences."""

import numpy as np
import pytest

from qbeconometrics.kernels._gradient import log_density_and_gradient
from qbeconometrics.kernels._linear_moments import LinearMomentTarget
from qbeconometrics.priors import StudentT

STEP = 1e-5
# Central differences: an error of STEP^2 times third derivatives, and of 1e-15 / STEP.
TOLERANCE = 1e-6

FORMS = {
    "statistic": {"evaluation": "statistic"},
    "rows": {"evaluation": "rows"},
    "proportional": {"cov_type": "nonrobust"},
}


def differences(target, point):
    def value(x):
        return sum(float(part[0]) for part in target.evaluate(x[None, :]))

    steps = STEP * np.eye(len(point))
    return np.array([(value(point + e) - value(point - e)) / (2 * STEP) for e in steps])


def assert_gradient(target):
    rng = np.random.default_rng(9)
    for point in 1.5 * rng.standard_normal((5, target.n_params)):
        value, gradient = log_density_and_gradient(target, point)
        expected = differences(target, point)
        assert value == sum(float(part[0]) for part in target.evaluate(point[None, :]))
        assert np.max(np.abs(gradient - expected)) < TOLERANCE * (1 + np.max(np.abs(expected)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["cue", "cue-nodet", "two-step"])
@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("prior", [None, StudentT([3, 4, 5], scale=[5, 1, 2])])
def test_against_differences(data, model_of, form, kind, centered, prior):
    posterior = model_of(data, prior).quasi_posterior(
        quasi_likelihood=kind,
        cov_kwds={"centered": centered},
        learning_rate=0.7,
        **FORMS[form],
    )
    assert posterior.target.form == ("proportional" if kind == "two-step" else form)
    assert_gradient(posterior.target)


@pytest.mark.parametrize("form", ["statistic", "rows"])
@pytest.mark.parametrize("centered", [False, True])
def test_small_sample_factor(data, model_of, form, centered):
    posterior = model_of(data).quasi_posterior(
        cov_type="HC1", cov_kwds={"centered": centered}, evaluation=form
    )
    assert_gradient(posterior.target)


def test_unusable_point_has_no_gradient():
    """S is negative beyond |x| = 1."""
    target = LinearMomentTarget(
        [0.1], [[1.0]], [[1.0]], [0.0], determinant=True, statistic=[[1.0], [0.0], [-1.0]]
    )
    value, gradient = log_density_and_gradient(target, np.array([2.0]))
    assert value == -np.inf
    assert not gradient.any()
    assert np.isfinite(log_density_and_gradient(target, np.array([0.5]))[0])
