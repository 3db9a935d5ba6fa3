"""Sums over rows of products of their entries: the kernels against their twins."""

import numpy as np
import pytest

from qbeconometrics.kernels import _row_products
from qbeconometrics.kernels.reference import row_products as twin

# Sums of a few products of order one, added in another order.
ROUNDING = 1e-13


def arguments(n, k, m, rng, *, with_fourth=True):
    pairs, packed = (k + 1) * (k + 2) // 2, m * (m + 1) // 2
    data = [rng.standard_normal(shape) for shape in (n, (n, k), (n, m))]
    maps = [np.triu(rng.standard_normal((k + 1, k + 1))), rng.standard_normal((m, m))]
    shapes = [n, (pairs, packed) if with_fourth else (0, 0), (m + 1, k + 2), packed, pairs]
    return data + maps, [np.full(shape, 7.0) for shape in shapes]


def assert_is_twin(given, filled):
    expected = [part.copy() for part in filled]
    _row_products.sum_row_products(*given, *filled)
    twin.sum_row_products(*given, *expected)
    # Products of four entries, each a sum of some terms.
    size = np.prod([1.0 + np.abs(part).sum(axis=0).max() for part in given[-2:]]) ** 2
    for found, wanted in zip(filled, expected, strict=True):
        assert np.allclose(found, wanted, rtol=ROUNDING, atol=size * (1 + len(given[0])) * ROUNDING)


@pytest.mark.parametrize("seed", range(200))
def test_kernel_is_its_twin(seed):
    rng = np.random.default_rng(seed)
    n, k, m = rng.integers(1, (300, 7, 12))
    assert_is_twin(*arguments(n, k, m, rng, with_fourth=bool(seed % 4)))


@pytest.mark.parametrize(("k", "m"), [(1, 40), (12, 12), (15, 3)])
@pytest.mark.parametrize("n", [1, 64, 65, 200])
def test_many_sums(k, m, n):
    """These are added up by BLAS."""
    assert_is_twin(*arguments(n, k, m, np.random.default_rng(n)))


def test_whole_numbers_are_exact():
    """No rounding: a row too many, or one left out, would show in the last digit."""
    rng = np.random.default_rng(0)
    for n in (1, 3, 63, 64, 65, 127, 129, 1000):
        given, filled = arguments(n, 5, 8, rng)
        given = [np.rint(part) for part in given]
        expected = [part.copy() for part in filled]
        _row_products.sum_row_products(*given, *filled)
        twin.sum_row_products(*given, *expected)
        assert all(np.array_equal(*pair) for pair in zip(filled, expected, strict=True)), n


def test_nan_and_infinity_stay_in_their_row():
    given, filled = arguments(70, 2, 3, np.random.default_rng(0))
    given[2][69, 1] = np.nan
    _row_products.sum_row_products(*given, *filled)
    assert np.array_equal(np.flatnonzero(np.isnan(filled[0])), [69])


def test_no_rows_add_nothing():
    given, filled = arguments(0, 2, 3, np.random.default_rng(0))
    _row_products.sum_row_products(*given, *filled)
    assert all((part == 7.0).all() for part in filled)


@pytest.mark.parametrize("place", range(10))
def test_shapes_are_checked(place):
    given, filled = arguments(5, 2, 3, np.random.default_rng(0))
    every = given + filled
    every[place] = every[place][..., :-1].copy()
    with pytest.raises(ValueError, match="shapes"):
        _row_products.sum_row_products(*every)


# -- columns compared -----------------------------------------------------------------------------


def compared(kernels, left, right, pairs):
    squares = [np.full(table.shape[1], 7.0) for table in (left, right)]
    same = kernels.compare_columns(left, right, np.array(pairs, np.int64).reshape(-1, 2), *squares)
    return same, squares


@pytest.mark.parametrize("n", [0, 1, 3, 4, 1023, 1024, 1025, 5000])
def test_comparison_is_its_twin(n):
    rng = np.random.default_rng(n)
    left, right = rng.standard_normal((n, 5)), rng.standard_normal((n, 3))
    right[:, 2] = left[:, 0]
    for pairs in ([], [(0, 2)], [(0, 2), (1, 1)]):
        (found, squares), (wanted, expected) = (
            compared(kernels, left, right, pairs) for kernels in (_row_products, twin)
        )
        assert found is wanted
        assert found is (n == 0 or len(pairs) < 2)
        for ours, theirs in zip(squares, expected, strict=True):
            assert np.allclose(ours, theirs, rtol=ROUNDING)


@pytest.mark.parametrize("row", [0, 1, 1023, 1024, 2047, 2049])
@pytest.mark.parametrize("value", [np.nextafter(2.0, 3.0), np.nan, 5e-324])
def test_one_row_that_differs_is_found(row, value):
    left = np.full((2050, 2), 0.0 if value < 1.0 else 2.0)
    right = left.copy()
    assert compared(_row_products, left, right, [(0, 1)])[0] is True
    right[row, 1] = value
    assert compared(_row_products, left, right, [(0, 1)])[0] is False
    assert compared(_row_products, left, right, [(0, 0)])[0] is True


def test_squares_beyond_the_range_are_not_finite():
    left, right = np.ones((9, 2)), np.ones((9, 1))
    left[8, 0], left[2, 1], right[3, 0] = np.inf, np.nan, 1e200
    _, (first, second) = compared(_row_products, left, right, [])
    assert np.isposinf([first[0], second[0]]).all()
    assert np.isnan(first[1])


def test_comparison_checks_shapes_and_places():
    left, right = np.ones((4, 2)), np.ones((4, 3))
    with pytest.raises(ValueError, match="shapes"):
        compared(_row_products, left, right[:3], [])
    for pair in ((2, 0), (0, 3), (-1, 0), (0, -1)):
        with pytest.raises(ValueError, match="not there"):
            compared(_row_products, left, right, [pair])
