"""A user's moment function behind the interface: means, derivatives, unusable points, errors."""

import numpy as np
import pytest

from qbeconometrics.exceptions import IdentificationError, MomentFunctionError
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.moments.nonlinear import check_moment_function
from qbeconometrics.moments.row_covariance import row_covariance

N = 40
DATA = np.random.default_rng(1).standard_normal((N, 3))
# Central differences of a smooth function: the square of the step, relative.
DIFFERENCE_TOLERANCE = 1e-8
# Sums of 40 terms in another order.
ROUNDING = 1e-13


def smooth(params):
    return np.exp(0.1 * DATA * params[0]) - params[1]


def derivative(params):
    by_first = np.mean(0.1 * DATA * np.exp(0.1 * DATA * params[0]), axis=0)
    return np.column_stack([by_first, -np.ones(3)])


START = np.array([1.0, 2.0])


def test_moments_and_their_mean():
    moments, mean = check_moment_function(smooth, None, start=START, n=N).evaluate(START)
    np.testing.assert_array_equal(moments, smooth(START))
    np.testing.assert_allclose(mean, smooth(START).mean(axis=0), rtol=ROUNDING)


def test_differences_agree_with_the_derivative():
    by_differences = check_moment_function(smooth, None, start=START, n=N).jacobian(START)
    given = check_moment_function(smooth, derivative, start=START, n=N)
    np.testing.assert_allclose(by_differences, derivative(START), atol=DIFFERENCE_TOLERANCE)
    np.testing.assert_array_equal(given.jacobian(START), derivative(START))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, N - 1])
def test_a_single_bad_moment_makes_a_point_unusable(bad, row):
    def sometimes(params):
        moments = smooth(params)
        if params[0] > 1.5:
            moments[row, 1] = bad
        return moments

    function = check_moment_function(sometimes, None, start=START, n=N)
    assert function.evaluate(np.array([2.0, 2.0])) is None
    assert function.evaluate(START) is not None


def test_arithmetic_errors_make_a_point_unusable_and_others_are_named():
    def raises(params):
        if params[0] > 5:
            raise KeyError("no such thing")
        if params[0] > 1.5:
            raise ZeroDivisionError
        return smooth(params)

    function = check_moment_function(raises, None, start=START, n=N)
    assert function.evaluate(np.array([2.0, 2.0])) is None
    with pytest.raises(MomentFunctionError, match=r"KeyError at params=\[6., 2.\]"):
        function.evaluate(np.array([6.0, 2.0]))


def test_lists_and_integers_are_understood():
    def as_list(params):
        return smooth(params).round().astype(int).tolist()

    function = check_moment_function(as_list, None, start=START, n=N)
    assert function.evaluate(START)[0].dtype == np.float64


@pytest.mark.parametrize(
    ("momcond", "error", "message"),
    [
        (lambda p: 1 / 0, MomentFunctionError, "raised ZeroDivisionError"),
        (lambda p: smooth(p)[:-1], MomentFunctionError, r"shape \(39, 3\)"),
        (lambda p: smooth(p).T, MomentFunctionError, r"shape \(3, 40\)"),
        (lambda p: smooth(p).mean(axis=0), MomentFunctionError, r"shape \(3,\)"),
        (lambda p: smooth(p)[:, :1], IdentificationError, "1 moments for 2 parameters"),
        (lambda p: smooth(p) * np.nan, MomentFunctionError, "nothing but NaN"),
        (lambda p: np.where(DATA > 2, np.nan, smooth(p)), MomentFunctionError, "first in row"),
        (lambda p: "moments", MomentFunctionError, "array of real numbers"),
        (lambda p: None, MomentFunctionError, "momcond"),
    ],
)
def test_what_is_wrong_at_the_start_is_said(momcond, error, message):
    with pytest.raises(error, match=message):
        check_moment_function(momcond, None, start=START, n=N)


@pytest.mark.parametrize(
    ("jac", "message"),
    [
        (lambda p: derivative(p).T, r"shape \(2, 3\)"),
        (lambda p: derivative(p) * np.nan, "jac returns NaN"),
        (lambda p: p["a"], "jac raised IndexError"),
    ],
)
def test_a_bad_derivative_is_refused(jac, message):
    with pytest.raises(MomentFunctionError, match=message):
        check_moment_function(smooth, jac, start=START, n=N)


def test_another_shape_later_is_refused():
    def shrinks(params):
        return smooth(params)[:, : 3 if params[0] <= 1.5 else 2]

    function = check_moment_function(shrinks, None, start=START, n=N)
    with pytest.raises(MomentFunctionError, match="before"):
        function.evaluate(np.array([2.0, 2.0]))


@pytest.mark.parametrize("cov_type", ["HC0", "HC1"])
@pytest.mark.parametrize("centered", [False, True])
def test_covariance_rules(cov_type, centered):
    moments = smooth(START)
    rule = CovarianceRule(cov_type, centered)
    S = row_covariance(rule, n=N, n_params=2)(moments, moments.mean(axis=0))
    used = moments - moments.mean(axis=0) * centered
    expected = used.T @ used / (N - 2 if cov_type == "HC1" else N)
    np.testing.assert_allclose(S, expected, atol=ROUNDING)
