"""Every chart: orthonormal matrices, the way back, and gradients against central differences."""

import numpy as np
import pytest

import qbeconometrics as qb
from qbeconometrics.exceptions import InputError
from qbeconometrics.kernels._stiefel_density import QuadraticTarget

POINTS = range(5)


@pytest.mark.parametrize("seed", POINTS)
def test_columns_are_orthonormal(chart, point_of, seed):
    # The Cayley transform loses digits as the square of x.
    largest = 30.0 if isinstance(chart, qb.stiefel.Cayley) else 1e3
    for scale in (1e-3, 1.0, largest):
        Q = chart.to_matrix(scale * point_of(chart, seed))
        assert Q.shape == (chart.p, chart.k)
        assert np.max(np.abs(Q.T @ Q - np.eye(chart.k))) < 1e-12


@pytest.mark.parametrize("seed", POINTS)
def test_gradient_against_central_differences(chart, target_of, point_of, seed):
    target, x = target_of(chart.p, chart.k, seed), point_of(chart, seed)
    logp, gradient = chart.log_density_and_gradient(x, target)
    assert isinstance(logp, float)

    def along(direction, step):
        return chart.log_density_and_gradient(x + step * direction, target)[0]

    differences = []
    for direction in np.eye(chart.size):
        # Richardson's combination: the error is of order step^4.
        near, far = ((along(direction, h) - along(direction, -h)) / (2 * h) for h in (1e-4, 2e-4))
        differences.append((4 * near - far) / 3)
    scale = max(1.0, np.max(np.abs(gradient)))
    assert np.max(np.abs(gradient - differences)) < 1e-7 * scale


@pytest.mark.parametrize("seed", POINTS)
def test_there_and_back(chart, seed):
    Q = qb.stiefel.rand(chart.p, chart.k, rng=seed)
    if chart.p == chart.k and not isinstance(chart, qb.stiefel.Polar):
        reached = np.linalg.det(chart.to_matrix(np.full(chart.size, 0.1)))
        Q[:, 0] *= np.sign(reached * np.linalg.det(Q))
    given = Q.copy()
    x = chart.from_matrix(Q)
    assert x.shape == (chart.size,)
    assert np.max(np.abs(chart.to_matrix(x) - given)) < 1e-12
    np.testing.assert_array_equal(Q, given)


@pytest.mark.parametrize("seed", POINTS)
def test_coordinates_without_redundancy_come_back(shape, point_of, seed):
    chart = qb.stiefel.Cayley(*shape)
    x = point_of(chart, seed)
    np.testing.assert_allclose(chart.from_matrix(chart.to_matrix(x)), x, atol=1e-11)


def test_free_lengths_are_at_their_mode(shape):
    """The density of the lengths, which all scale together here, is largest at from_matrix(Q)."""
    p, k = shape
    Q = qb.stiefel.rand(p, k, rng=1)
    Q[:, 0] *= np.sign(np.linalg.det(Q)) if p == k else 1.0
    # Degree, in the scale, of the volume element without that of the lengths or of (X'X)^(1/2).
    degrees = {
        qb.stiefel.Polar(p, k): p * k - k * (k + 1) / 2,
        qb.stiefel.Householder(p, k): sum(p - i - 1 for i in range(min(k, p - 1))),
        qb.stiefel.Givens(p, k): qb.stiefel.Cayley(p, k).size,
    }
    for chart, degree in degrees.items():
        x = chart.from_matrix(Q)
        less, middle, more = (
            chart.log_density_and_gradient(scale * x, lambda Q: (0.0, 0.0 * Q))[0]
            + degree * np.log(scale)
            for scale in (0.99, 1.0, 1.01)
        )
        assert middle > max(less, more)


def test_compiled_density(chart, target_of, point_of):
    """The same from a Python function and from a compiled target, for compiled samplers."""
    target, x = target_of(chart.p, chart.k), point_of(chart)
    M, A, D = target.arguments
    logp, gradient = chart.log_density_and_gradient(x, target)
    compiled = QuadraticTarget(chart.p, chart.k, linear=M, quadratic=0.5 * A, weights=D)
    for density in (chart.density(target), chart.density(compiled)):
        found = density.log_density_and_gradient(x)
        assert density.size == chart.size
        assert found[0] == pytest.approx(logp, rel=1e-12)
        np.testing.assert_allclose(found[1], gradient, rtol=1e-10, atol=1e-10)
    with pytest.raises(InputError, match="target is for matrices"):
        chart.density(QuadraticTarget(chart.p + 1, chart.k))


def test_errors_in_a_compiled_density_are_kept():
    def failing(Q):
        raise ZeroDivisionError("mine")

    density = qb.stiefel.Polar(2, 1).density(failing)
    assert np.isnan(density.log_density_and_gradient(np.ones(2))[0])
    assert isinstance(density.target.error, ZeroDivisionError)


def test_size(shape):
    p, k = shape
    dimension = p * k - k * (k + 1) // 2
    assert qb.stiefel.Polar(p, k).size == p * k
    assert qb.stiefel.Householder(p, k).size == dimension + (k if p > k else k - 1)
    assert qb.stiefel.Givens(p, k).size == 2 * dimension
    assert qb.stiefel.Cayley(p, k).size == dimension


def test_determinants_of_square_matrices(point_of):
    for n in (2, 3, 4, 5):
        for sign in (1, -1):
            for det in (1, -1):
                chart = qb.stiefel.Householder(n, n, sign=sign, det=det)
                assert np.linalg.det(chart.to_matrix(point_of(chart))) == pytest.approx(det)
        for chart in (qb.stiefel.Givens(n, n), qb.stiefel.Cayley(n, n)):
            assert np.linalg.det(chart.to_matrix(point_of(chart))) == pytest.approx(1.0)
        mirrored = np.eye(n) * np.where(np.arange(n) == 0, -1.0, 1.0)
        chart = qb.stiefel.Cayley(n, n, center=mirrored)
        assert np.linalg.det(chart.to_matrix(point_of(chart))) == pytest.approx(-1.0)


def test_the_centre_is_at_zero(shape):
    center = qb.stiefel.rand(*shape, rng=9)
    chart = qb.stiefel.Cayley(*shape, center=center)
    np.testing.assert_allclose(chart.to_matrix(np.zeros(chart.size)), center, atol=1e-14)


def test_angles_build_the_first_column():
    chart = qb.stiefel.Givens(3, 1)
    first, second = 2.5, -0.4
    x = [np.cos(first), np.sin(first), 1.2 * np.cos(second), 1.2 * np.sin(second)]
    np.testing.assert_allclose(chart.angles(x), [first, second], rtol=1e-14)
    expected = [np.cos(first) * np.cos(second), np.sin(first) * np.cos(second), np.sin(second)]
    np.testing.assert_allclose(chart.to_matrix(x).ravel(), expected, rtol=1e-14)


def test_random_matrices_depend_on_the_seed():
    first, again, other = (qb.stiefel.rand(4, 2, rng=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    generator = np.random.default_rng(1)
    assert not np.allclose(*(qb.stiefel.rand(4, 2, rng=generator) for _ in range(2)))
