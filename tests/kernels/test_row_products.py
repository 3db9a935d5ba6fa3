"""Products of the entries of rows: the kernel against its twin."""

import numpy as np
import pytest

from qbeconometrics.kernels import _row_products
from qbeconometrics.kernels.reference import row_products as twin

# Sums of a few products of order one, added in another order.
ROUNDING = 1e-13


def arguments(n, k, m, size, rng, *, summed=False):
    data = [rng.standard_normal(shape) for shape in (n, (n, k), (n, m), k)]
    maps = [np.triu(rng.standard_normal((k, k))), rng.standard_normal((m, m))]
    shapes = [(k + 1, size), (m, size)]
    shapes += [((k + 1) * (k + 2) // 2, size), (m * (m + 1) // 2, size), n]
    filled = [np.full(shape, 7.0) for shape in shapes]
    pairs = [len(part) for part in filled[2:4]]
    return data + maps, [*filled, np.full(pairs if summed else (0, 0), 7.0)]


@pytest.mark.parametrize("seed", range(200))
def test_kernel_is_its_twin(seed):
    rng = np.random.default_rng(seed)
    n, k, m = rng.integers(1, (300, 7, 12))
    summed = bool(seed % 2)
    size = rng.integers(1, n + 3) if summed else n + rng.integers(0, 3)
    given, filled = arguments(n, k, m, size, rng, summed=summed)
    expected = [part.copy() for part in filled]
    _row_products.row_products(*given, *filled)
    twin.row_products(*given, *expected)
    for found, wanted in zip(filled, expected, strict=True):
        assert np.allclose(found, wanted, rtol=ROUNDING, atol=n * ROUNDING)


def test_no_rows_fill_nothing():
    given, filled = arguments(0, 2, 3, 4, np.random.default_rng(0))
    _row_products.row_products(*given, *filled)
    assert all((part == 7.0).all() for part in filled)


@pytest.mark.parametrize("place", range(12))
def test_shapes_are_checked(place):
    given, filled = arguments(5, 2, 3, 5, np.random.default_rng(0), summed=True)
    every = given + filled
    every[place] = every[place][..., :-1].copy() if place else every[place][:-1].copy()
    with pytest.raises(ValueError, match="shapes"):
        _row_products.row_products(*every)
