"""Random features approximate the Gaussian kernel; polynomials are all products of columns."""

import numpy as np
import pytest

from qbeconometrics.exceptions import InputError
from qbeconometrics.online.features import (
    draw_frequencies,
    fourier_map,
    median_bandwidth,
    monomial_map,
    monomial_scales,
    number_of_features,
)


@pytest.mark.parametrize("orthogonal", [False, True])
def test_inner_products_are_the_kernel(orthogonal):
    """The mean of D products of two cosines has a standard error below 1/sqrt(D)."""
    rng = np.random.default_rng(0)
    count, bandwidth = 20_000, 1.5
    x = rng.standard_normal((12, 3))
    frequencies = draw_frequencies(3, count, orthogonal=orthogonal, rng=rng)
    features = fourier_map(frequencies, rng.uniform(0.0, 2.0 * np.pi, count), bandwidth)
    phi = features.evaluate(x)[:, 1:]
    distances = np.sum((x[:, None] - x) ** 2, axis=2)
    kernel = np.exp(-0.5 * distances / bandwidth**2)
    np.testing.assert_allclose(phi @ phi.T, kernel, atol=4.0 / np.sqrt(count))


def test_orthogonal_frequencies():
    found = draw_frequencies(4, 10, orthogonal=True, rng=np.random.default_rng(1))
    assert found.shape == (4, 10)
    for block in (found[:, :4], found[:, 4:8], found[:, 8:]):
        products = block.T @ block
        np.testing.assert_allclose(products, np.diag(np.diag(products)), atol=1e-12)
    # Lengths are those of normal vectors: chi-squared with mean 4 and variance 8.
    many = draw_frequencies(4, 10_000, orthogonal=True, rng=np.random.default_rng(2))
    squares = np.sum(many**2, axis=0)
    assert abs(squares.mean() - 4.0) < 4.0 * np.sqrt(8.0 / 10_000)
    np.testing.assert_allclose(many @ many.T / 10_000, np.eye(4), atol=4.0 * np.sqrt(3 / 10_000))


def test_one_column_has_normal_frequencies():
    seeds = [np.random.default_rng(0) for _ in range(2)]
    plain, orthogonal = (
        draw_frequencies(1, 5, orthogonal=kind, rng=rng)
        for kind, rng in zip((False, True), seeds, strict=True)
    )
    np.testing.assert_array_equal(plain, orthogonal)


def test_constant_and_rest():
    rng = np.random.default_rng(0)
    frequencies, phases = rng.standard_normal((2, 5)), rng.uniform(size=5)
    x = 1e3 * rng.standard_normal((7, 2))
    phi = fourier_map(frequencies, phases, 1.0).evaluate(x)
    assert phi.shape == (7, number_of_features(2, 5, 0)) == (7, 8)
    assert np.all(phi[:, 0] == 1.0)
    assert np.all(phi[:, 6:] == 0.0)
    expected = np.sqrt(2 / 5) * np.cos(x @ frequencies + phases)
    np.testing.assert_allclose(phi[:, 1:6], expected, atol=1e-11)


@pytest.mark.parametrize(("columns", "degree"), [(1, 4), (2, 3), (3, 1), (4, 2)])
def test_polynomials(columns, degree):
    """All products of the given degree at most, each once."""
    x = np.random.default_rng(0).standard_normal((40, columns))
    powers = np.array(list(np.ndindex(*[degree + 1] * columns)))
    powers = powers[powers.sum(axis=1) <= degree]
    expected = np.prod(x[:, None, :] ** powers, axis=2)
    phi = monomial_map(columns, degree).evaluate(x)
    assert phi.shape[1] == number_of_features(columns, 0, degree)
    phi, rest = phi[:, : len(powers)], phi[:, len(powers) :]
    assert np.all(rest == 0.0)
    order, expected_order = np.lexsort(phi), np.lexsort(expected)
    np.testing.assert_allclose(phi[:, order], expected[:, expected_order], rtol=1e-12)


def test_scales_of_polynomials():
    x = np.random.default_rng(0).standard_normal((40, 2)) * [1.0, 100.0]
    scales = monomial_scales(x, 3)
    sizes = np.mean(monomial_map(2, 3, scales).evaluate(x) ** 2, axis=0)
    np.testing.assert_allclose(sizes, [1.0] * 10 + [0.0] * 2, rtol=1e-12)


def test_bandwidth():
    x = np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
    assert median_bandwidth(x, 1.0) == 5.0
    with pytest.raises(InputError, match="bandwidth"):
        median_bandwidth(np.array([[0.0], [0.0], [0.0], [0.0], [1.0]]))
