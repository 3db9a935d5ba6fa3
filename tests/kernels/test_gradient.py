"""The compiled gradient against its twin; against differences: tests/posterior/test_gradient.py."""

import numpy as np
import pytest

FORMS = ("statistic", "rows", "rows HC1", "rows HC1 centered", "proportional", "fixed weight")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("determinant", [False, True])
@pytest.mark.parametrize("prior", ["normal", "student and normal"])
@pytest.mark.parametrize(("k", "m", "n"), [(1, 1, 21), (2, 3, 90), (5, 8, 91), (12, 17, 202)])
def test_equals_the_twin(problem_of, compiled, twins, form, determinant, prior, k, m, n):
    """Also for numbers of rows and moments that are no multiples of the blocks of the loops."""
    problem = problem_of(k, m, form, determinant, prior, n=n)
    ours, twin = problem.target(), problem.target(twins)
    for point in np.random.default_rng(4).standard_normal((10, k)):
        value, gradient = compiled.gradient.log_density_and_gradient(ours, point)
        expected, expected_gradient = twins.gradient.log_density_and_gradient(twin, point)
        assert value == pytest.approx(expected, rel=1e-11, abs=1e-11)
        scale = 1.0 + np.max(np.abs(expected_gradient))
        np.testing.assert_allclose(gradient, expected_gradient, rtol=0, atol=1e-11 * scale)


def test_where_s_is_not_positive_definite(partly_indefinite, compiled, twins):
    problem = partly_indefinite()
    for kernels in (compiled, twins):
        target = problem.target(kernels)
        value, gradient = kernels.gradient.log_density_and_gradient(target, np.array([3.0, 3.0]))
        assert value == -np.inf
        np.testing.assert_array_equal(gradient, 0.0)


@pytest.mark.parametrize("wrong", [np.zeros(3), np.zeros((1, 2)), np.zeros(0)])
def test_refuses_points_of_another_shape(problem_of, compiled, wrong):
    with pytest.raises(ValueError, match="point"):
        compiled.gradient.log_density_and_gradient(problem_of(2, 3).target(), wrong)
