"""What cannot be used is refused in words that say what to do."""

import numpy as np
import pytest

from qbeconometrics import stiefel
from qbeconometrics.exceptions import InputError, OptionError

CHARTS = [stiefel.Polar, stiefel.Householder, stiefel.Givens, stiefel.Cayley]


@pytest.mark.parametrize("make", [*CHARTS, stiefel.rand])
@pytest.mark.parametrize(
    ("p", "k", "message"),
    [
        (2, 3, "k must not exceed p"),
        (3, 0, "k=0 must be at least 1"),
        (1, 1, "p=1 must be at least 2"),
        (3.0, 2, r"p=3\.0 must be an int"),
        (3, True, "k=True must be an int"),
    ],
)
def test_dimensions(make, p, k, message):
    with pytest.raises(OptionError, match=message):
        make(p, k)


@pytest.mark.parametrize("make", CHARTS)
def test_coordinates(make):
    chart = make(4, 2)
    good = np.full(chart.size, 0.5)

    def fine(Q):
        return 0.0, np.zeros((4, 2))

    for method in (chart.to_matrix, lambda x: chart.log_density_and_gradient(x, fine)):
        with pytest.raises(InputError, match=rf"shape \({chart.size},\), not \({chart.size + 1},"):
            method(np.append(good, 1.0))
        with pytest.raises(InputError, match=r"x\[1\] is nan"):
            method(np.where(np.arange(chart.size) == 1, np.nan, good))
        with pytest.raises(InputError, match="real numbers"):
            method(good + 1j)
        with pytest.raises(InputError, match="real numbers"):
            method(["a"] * chart.size)


@pytest.mark.parametrize("make", CHARTS)
def test_matrices(make):
    chart = make(4, 2)
    Q = stiefel.rand(4, 2, rng=1)
    with pytest.raises(InputError, match=r"shape \(4, 2\), not \(2, 4\)"):
        chart.from_matrix(Q.T)
    with pytest.raises(InputError, match=r"Q\[0, 0\] is nan"):
        chart.from_matrix(np.full((4, 2), np.nan))
    with pytest.raises(InputError, match=r"not orthonormal: .* by up to 0\.21"):
        chart.from_matrix(1.1 * Q)


@pytest.mark.parametrize("make", [stiefel.Givens, stiefel.Cayley, stiefel.Householder])
def test_determinants_that_are_not_reached(make):
    mirrored = np.diag([-1.0, 1.0, 1.0])
    with pytest.raises(InputError, match="determinant -1"):
        make(3, 3).from_matrix(mirrored)


def test_other_determinants_are_reached():
    turned, mirrored = np.diag([1.0, -1.0, -1.0]), np.diag([-1.0, 1.0, 1.0])
    center = stiefel.rand(3, 3, rng=0)
    center[:, 0] *= -np.sign(np.linalg.det(center))
    chart = stiefel.Cayley(3, 3, center=center)
    np.testing.assert_allclose(chart.to_matrix(chart.from_matrix(mirrored)), mirrored, atol=1e-12)
    with pytest.raises(InputError, match="determinant of the centre"):
        chart.from_matrix(turned)


def test_what_a_chart_does_not_reach():
    with pytest.raises(InputError, match="-1 is an eigenvalue"):
        stiefel.Cayley(3, 1).from_matrix([[-1.0], [0.0], [0.0]])
    for sign in (1, -1):
        hole = [[-sign * 1.0], [0.0], [0.0]]
        with pytest.raises(InputError, match=rf"use sign={-sign}"):
            stiefel.Householder(3, 1, sign=sign).from_matrix(hole)
        found = stiefel.Householder(3, 1, sign=-sign).from_matrix(hole)
        np.testing.assert_array_equal(stiefel.Householder(3, 1, -sign).to_matrix(found), hole)


@pytest.mark.parametrize("make", CHARTS[:3])
def test_points_without_a_matrix(make):
    chart = make(4, 2)
    with pytest.raises(InputError, match="has no matrix"):
        chart.to_matrix(np.zeros(chart.size))
    logp, gradient = chart.log_density_and_gradient(
        np.zeros(chart.size), lambda Q: (0.0, np.zeros((4, 2)))
    )
    assert np.isnan(logp)
    assert np.all(np.isnan(gradient))


def test_points_without_a_density():
    chart = stiefel.Givens(3, 1)
    pole = np.array([1.0, 0.0, 0.0, 1.0])
    np.testing.assert_array_equal(chart.to_matrix(pole).ravel(), [0.0, 0.0, 1.0])
    assert np.isnan(chart.log_density_and_gradient(pole, lambda Q: (0.0, 0.0 * Q))[0])


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (1.0, "must return log f, a number, and the gradient"),
        ((1.0, "wrong"), "must return log f, a number, and the gradient"),
        ((np.ones(2), np.zeros((4, 2))), "must return log f, a number, and the gradient"),
        ((1.0, np.zeros((2, 4))), r"must have shape \(4, 2\), not \(2, 4\)"),
    ],
)
def test_targets(returned, message):
    chart = stiefel.Polar(4, 2)
    with pytest.raises(InputError, match=message):
        chart.log_density_and_gradient(np.arange(8.0), lambda Q: returned)


def test_errors_of_targets_are_not_hidden():
    def target(Q):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        stiefel.Polar(4, 2).log_density_and_gradient(np.arange(8.0), target)


@pytest.mark.parametrize("bad", [0, 2, True, "1", 1.0])
def test_signs(bad):
    for name in ("sign", "det"):
        with pytest.raises(OptionError, match=f"{name}="):
            stiefel.Householder(4, 2, **{name: bad})


@pytest.mark.parametrize("bad", [3.9, 0, -5, np.nan, np.inf, True, "20", [20.0]])
@pytest.mark.parametrize("make", [stiefel.Polar, stiefel.Householder])
def test_degrees_of_freedom(make, bad):
    with pytest.raises(OptionError, match="df="):
        make(4, 2, df=bad)


def test_centre_and_random_state():
    with pytest.raises(InputError, match="columns of center are not orthonormal"):
        stiefel.Cayley(3, 1, center=[[1.0], [1.0], [0.0]])
    with pytest.raises(OptionError, match="rng"):
        stiefel.rand(3, 1, rng=np.random.RandomState(0))
