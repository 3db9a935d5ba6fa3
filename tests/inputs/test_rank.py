"""Triangular factors in row blocks, and the columns that they show to be dependent."""

import numpy as np
import pytest

from qbeconometrics.inputs.rank import dependent_columns, triangular_factor

# Householder QR is accurate to a few units of rounding per column length.
CROSS_PRODUCT_TOLERANCE = 1e-13


def _names(k):
    return [f"c{j}" for j in range(k)]


@pytest.mark.parametrize("block_rows", [1, 7, 100, 16384])
def test_cross_product_is_that_of_the_columns(block_rows):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(301, 3))
    y = rng.normal(size=301)
    triangle = triangular_factor([x, y], block_rows=block_rows)
    data = np.column_stack([x, y])
    assert triangle.shape == (4, 4)
    np.testing.assert_array_equal(triangle, np.triu(triangle))
    np.testing.assert_allclose(
        triangle.T @ triangle,
        data.T @ data,
        atol=CROSS_PRODUCT_TOLERANCE * 301,
    )


def test_fewer_rows_than_columns_give_a_square_factor():
    x = np.random.default_rng(1).normal(size=(3, 5))
    triangle = triangular_factor([x])
    assert triangle.shape == (5, 5)
    np.testing.assert_allclose(triangle.T @ triangle, x.T @ x, atol=CROSS_PRODUCT_TOLERANCE * 10)
    assert [found.column for found in dependent_columns(triangle, _names(5))] == [3, 4]


def test_strided_and_read_only_columns_are_accepted():
    x = np.asfortranarray(np.random.default_rng(2).normal(size=(50, 4)))
    x.flags.writeable = False
    triangle = triangular_factor([x[:, ::2], x[:, 1]])
    assert triangle.shape == (3, 3)


def test_columns_of_very_different_scale_are_independent():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(500, 4)) * np.array([1e-8, 1.0, 1e8, 1e30])
    assert dependent_columns(triangular_factor([np.ones(500), x]), _names(5)) == []


def test_polynomial_in_years_is_independent():
    year = np.arange(1960.0, 2021.0)
    columns = np.column_stack([np.ones(61), year, year**2])
    assert dependent_columns(triangular_factor([columns]), _names(3)) == []


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_duplicates_are_found_whatever_their_scale(scale):
    x = np.random.default_rng(4).normal(size=(200, 3))
    columns = np.column_stack([x, scale * x[:, 1]])
    (found,) = dependent_columns(triangular_factor([columns]), _names(4))
    assert (found.name, found.source_names) == ("c3", ("c1",))
    np.testing.assert_allclose(found.coefficients, [scale], rtol=1e-12)


def test_dummy_trap_names_the_constant_and_the_other_dummies():
    group = np.random.default_rng(5).integers(0, 3, size=300)
    columns = np.column_stack([np.ones(300), group[:, None] == np.arange(3)])
    (found,) = dependent_columns(triangular_factor([columns]), _names(4))
    assert found.name == "c3"
    assert found.source_names == ("c0", "c1", "c2")
    np.testing.assert_allclose(found.coefficients, [1, -1, -1], atol=1e-12)


def test_zero_column_combines_nothing():
    x = np.random.default_rng(6).normal(size=(20, 2))
    x[:, 0] = 0.0
    (found,) = dependent_columns(triangular_factor([x]), _names(2))
    assert (found.name, found.sources) == ("c0", ())


def test_columns_after_a_dependent_one_are_judged_on_their_own():
    x = np.random.default_rng(7).normal(size=(100, 3))
    columns = np.column_stack([x[:, 0], 2 * x[:, 0], x[:, 1], x[:, 2], x[:, 1] + x[:, 2]])
    found = dependent_columns(triangular_factor([columns]), _names(5))
    assert [(f.name, f.source_names) for f in found] == [("c1", ("c0",)), ("c4", ("c2", "c3"))]


def test_nearly_collinear_columns_are_kept_until_rounding_hides_the_difference():
    rng = np.random.default_rng(8)
    x, noise = rng.normal(size=(2, 1000))
    for share, n_dependent in ((1e-6, 0), (1e-12, 1)):
        columns = np.column_stack([x, x + share * noise])
        found = dependent_columns(triangular_factor([columns]), _names(2))
        assert len(found) == n_dependent


def test_a_million_rows_of_dummies_are_still_exactly_dependent():
    group = np.arange(1_000_000) % 4
    columns = np.column_stack([np.ones(group.size), group[:, None] == np.arange(4)])
    assert [f.name for f in dependent_columns(triangular_factor([columns]), _names(5))] == ["c4"]
