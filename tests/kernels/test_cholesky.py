"""Factors and triangular solves against NumPy and against the twin."""

import numpy as np
import pytest

# Backward error of a Cholesky factor is a few n times the unit roundoff.
BACKWARD = 1e-13
MATRICES = 200


def random_matrix(number):
    """A positive definite matrix of order 1 to 12, or of order 70, its columns scaled apart."""
    rng = np.random.default_rng([7, number])
    n = 70 if number % 50 == 49 else int(rng.integers(1, 13))
    factor = rng.standard_normal((n, n + 2))
    scale = 10.0 ** rng.uniform(-4, 4, n)
    return (factor @ factor.T) * np.outer(scale, scale), rng.standard_normal(n)


def unpacked(root, n):
    lower = np.zeros((n, n))
    lower[np.tril_indices(n)] = root
    return lower


@pytest.mark.parametrize("number", range(MATRICES))
def test_random_matrices(compiled, twins, packed, number):
    matrix, b = random_matrix(number)
    n = len(b)
    scale = np.sqrt(np.diag(matrix))
    roots = []
    for kernels in (compiled, twins):
        root, log_determinant = kernels.cholesky.cholesky(packed(matrix))
        lower = unpacked(root, n)
        assert np.all(np.abs(lower @ lower.T - matrix) <= BACKWARD * np.outer(scale, scale))
        assert log_determinant == pytest.approx(np.linalg.slogdet(matrix)[1], abs=1e-8)
        for transposed, triangle in ((False, lower), (True, lower.T)):
            solution = kernels.cholesky.solve(root, b, transposed)
            bound = np.abs(triangle) @ np.abs(solution)
            assert np.all(np.abs(triangle @ solution - b) <= BACKWARD * bound)
        roots.append(lower / scale[:, None])
    assert np.max(np.abs(roots[0] - roots[1])) < 1e-10


def test_arguments_are_not_changed(compiled, packed):
    matrix, b = random_matrix(3)
    original = packed(matrix)
    given = original.copy()
    given.flags.writeable = False
    root, _ = compiled.cholesky.cholesky(given)
    before = b.copy()
    b.flags.writeable = False
    compiled.cholesky.solve(root, b)
    np.testing.assert_array_equal(given, original)
    np.testing.assert_array_equal(b, before)


@pytest.mark.parametrize("n", [1, 2, 5, 70])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite_anywhere(compiled, twins, n, bad):
    size = n * (n + 1) // 2
    good = np.zeros(size)
    good[np.cumsum(np.arange(1, n + 1)) - 1] = 2.0
    for place in range(0, size, max(1, size // 60)):
        matrix = good.copy()
        matrix[place] = bad
        for kernels in (compiled, twins):
            assert np.isnan(kernels.cholesky.cholesky(matrix)[1]), place


DEGENERATE = {
    "zero": np.zeros((3, 3)),
    "order 1, zero": np.zeros((1, 1)),
    "order 1, negative": -np.ones((1, 1)),
    "rank 1": np.outer([1.0, 2.0, 4.0], [1.0, 2.0, 4.0]),
    "rank 2": np.array([[4.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    "indefinite": np.array([[1.0, 2.0], [2.0, 1.0]]),
    "negative last pivot": np.diag([1.0, 1.0, 1.0, -1e-300]),
    "zero first pivot": np.diag([0.0, 1.0]),
    "overflow in a product": np.array([[1.0, 1e200], [1e200, 1e300]]),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_matrices(compiled, twins, packed, name):
    for kernels in (compiled, twins):
        assert np.isnan(kernels.cholesky.cholesky(packed(DEGENERATE[name]))[1])


def test_extreme_but_positive_definite(compiled, twins, packed):
    matrix = np.diag([1e-300, 1.0, 1e300])
    for kernels in (compiled, twins):
        root, log_determinant = kernels.cholesky.cholesky(packed(matrix))
        assert np.allclose(root, [1e-150, 0, 1, 0, 0, 1e150], rtol=1e-14)
        assert abs(log_determinant) < 1e-10


@pytest.mark.parametrize("length", [0, 2, 4, 5, 7])
def test_lengths_that_are_no_triangle(compiled, twins, length):
    for kernels in (compiled, twins):
        with pytest.raises(ValueError, match=r"n \(n \+ 1\) / 2"):
            kernels.cholesky.cholesky(np.ones(length))


@pytest.mark.parametrize(("size", "order"), [(3, 1), (3, 3), (1, 0), (4, 2)])
def test_lengths_that_do_not_match(compiled, twins, size, order):
    for kernels in (compiled, twins):
        with pytest.raises(ValueError, match=r"n \(n \+ 1\) / 2"):
            kernels.cholesky.solve(np.ones(size), np.ones(order))
