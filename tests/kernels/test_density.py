"""Log densities in Python behind the compiled interface, and their twin."""

import numpy as np
import pytest

from qbeconometrics.kernels import _density
from qbeconometrics.kernels.reference import density

BOTH = pytest.mark.parametrize("module", [_density, density], ids=["compiled", "twin"])


def quartic(x):
    return -np.sum(x**4), -4.0 * x**3


@BOTH
def test_value_and_gradient(module):
    target = module.PythonDensity(3, quartic)
    x = np.array([0.5, -1.0, 2.0])
    value, gradient = target.log_density_and_gradient(x)
    assert (target.size, target.error) == (3, None)
    assert value == pytest.approx(-17.0625, rel=1e-15)
    np.testing.assert_allclose(gradient, [-0.5, 4.0, -32.0], rtol=1e-15)


@BOTH
def test_the_point_is_not_changed(module):
    def overwriting(x):
        x[:] = 0.0
        return 0.0, x

    x = np.ones(2)
    x.flags.writeable = False
    module.PythonDensity(2, overwriting).log_density_and_gradient(x)
    np.testing.assert_array_equal(x, 1.0)


@BOTH
def test_the_first_error_is_kept(module):
    def failing(x):
        raise ZeroDivisionError(f"at {x[0]}")

    target = module.PythonDensity(1, failing)
    for place in (1.0, 2.0):
        value, gradient = target.log_density_and_gradient(np.array([place]))
        assert np.isnan(value)
        assert np.all(np.isnan(gradient))
    assert isinstance(target.error, ZeroDivisionError)
    assert str(target.error) == "at 1.0"


@BOTH
@pytest.mark.parametrize("length", [1, 3])
def test_gradient_of_another_length(module, length):
    target = module.PythonDensity(2, lambda x: (0.0, np.zeros(length)))
    assert np.isnan(target.log_density_and_gradient(np.zeros(2))[0])
    assert f"the gradient has {length} elements, not 2" in str(target.error)


@BOTH
@pytest.mark.parametrize(
    "returned", [(np.nan, [0.0, 0.0]), (-np.inf, [0.0, 0.0]), (0.0, [0.0, np.inf])]
)
def test_not_finite(module, returned):
    target = module.PythonDensity(2, lambda x: returned)
    value, gradient = target.log_density_and_gradient(np.zeros(2))
    assert np.isnan(value)
    assert np.all(np.isnan(gradient))
    assert target.error is None


@BOTH
def test_wrong_arguments(module):
    with pytest.raises(ValueError, match="size must be positive"):
        module.PythonDensity(0, quartic)
    with pytest.raises(ValueError, match="x must have 2 coordinates"):
        module.PythonDensity(2, quartic).log_density_and_gradient(np.zeros(3))
    with pytest.raises(TypeError, match="derived"):
        module.CompiledDensity().log_density_and_gradient(np.empty(0))
