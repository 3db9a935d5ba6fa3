"""Log densities written in Python: values, what is refused, and what becomes of exceptions."""

import numpy as np
import pytest

from qbeconometrics.kernels import _density
from qbeconometrics.kernels.reference import density as twin

KINDS = (_density.PythonDensity, twin.PythonDensity)


@pytest.fixture(params=KINDS, ids=["compiled", "twin"])
def make(request):
    return request.param


def quartic(x):
    return -float(np.sum(x**4)), -4.0 * x**3


def test_the_two_kinds_agree():
    x = np.linspace(-1.0, 2.0, 5)
    (value, gradient), (expected, slope) = (
        kind(5, quartic).log_density_and_gradient(x) for kind in KINDS
    )
    assert value == expected == -float(np.sum(x**4))
    np.testing.assert_array_equal(gradient, slope)
    np.testing.assert_array_equal(gradient, -4.0 * x**3)


@pytest.mark.parametrize("module", [_density, twin])
def test_is_a_compiled_density(module):
    density = module.PythonDensity(3, quartic)
    assert isinstance(density, module.CompiledDensity)
    assert density.size == 3


def test_a_gradient_of_any_kind_of_array_will_do(make):
    for slope in ([1, 2], np.array([1, 2]), np.arange(1.0, 5.0)[::2] - [0, 1]):
        _, gradient = make(2, lambda x, slope=slope: (0.0, slope)).log_density_and_gradient(
            np.zeros(2)
        )
        np.testing.assert_array_equal(gradient, [1.0, 2.0])


def test_the_function_gets_a_copy(make):
    def spoiling(x):
        x[:] = 9.0
        return 0.0, np.zeros(2)

    point = np.array([1.0, 2.0])
    make(2, spoiling).log_density_and_gradient(point)
    np.testing.assert_array_equal(point, [1.0, 2.0])


@pytest.mark.parametrize(
    ("value", "slope"),
    [(np.nan, [0.0]), (-np.inf, [0.0]), (np.inf, [0.0]), (0.0, [np.nan]), (0.0, [np.inf])],
)
def test_what_is_not_finite_is_no_density_and_no_error(make, value, slope):
    density = make(1, lambda x: (value, slope))
    found, gradient = density.log_density_and_gradient(np.zeros(1))
    assert np.isnan(found)
    assert np.isnan(gradient).all()
    assert density.error is None


@pytest.mark.parametrize(
    ("returned", "kind"),
    [
        ((0.0, [1.0, 2.0, 3.0]), ValueError),
        ((0.0, [[1.0], [2.0]]), ValueError),
        ((0.0, "slope"), ValueError),
        (("high", [1.0, 2.0]), (TypeError, ValueError)),
        (0.0, TypeError),
        (None, TypeError),
    ],
)
def test_what_cannot_be_used_is_an_error(make, returned, kind):
    density = make(2, lambda x: returned)
    assert np.isnan(density.log_density_and_gradient(np.zeros(2))[0])
    assert isinstance(density.error, kind)


def test_the_first_exception_is_kept(make):
    def failing(x):
        raise KeyError(float(x[0]))

    density = make(1, failing)
    for at in (1.0, 2.0):
        assert np.isnan(density.log_density_and_gradient(np.array([at]))[0])
    assert isinstance(density.error, KeyError)
    assert density.error.args == (1.0,)


def test_refuses_wrong_sizes(make):
    with pytest.raises(ValueError, match="size must be positive"):
        make(0, quartic)
    with pytest.raises(ValueError, match="x must have 2 coordinates"):
        make(2, quartic).log_density_and_gradient(np.zeros(3))
