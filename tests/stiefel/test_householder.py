"""The reflections have no jump where the first element of a vector passes zero."""

import numpy as np
import pytest

from qbeconometrics import stiefel


def across_zero(number, p, k):
    """Two points on both sides of zero in the first element of one of the vectors."""
    x = np.random.default_rng([p, k, number]).standard_normal(stiefel.Householder(p, k).size)
    place = sum(p - i for i in range(number))
    before, after = x.copy(), x.copy()
    before[place], after[place] = 1e-9, -1e-9
    return before, after


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("sign", [1, -1])
def test_no_jump(number, sign):
    before, after = across_zero(number, 5, 3)
    chart = stiefel.Householder(5, 3, sign=sign)
    assert np.max(np.abs(chart.to_matrix(before) - chart.to_matrix(after))) < 1e-7


def test_signs_that_follow_the_first_element_jump():
    """What the test above sees in the usual choice of sign."""
    before, after = across_zero(0, 5, 1)
    single = [stiefel.Householder(5, 1, sign=s).to_matrix(x) for s, x in ((1, before), (-1, after))]
    # The column itself stays; it is the columns to its right that jump.
    assert np.max(np.abs(single[0] - single[1])) < 1e-7
    before, after = across_zero(0, 5, 3)
    pair = [stiefel.Householder(5, 3, sign=s).to_matrix(x) for s, x in ((1, before), (-1, after))]
    assert np.max(np.abs(pair[0] - pair[1])) > 0.5


def test_the_gradient_grows_towards_the_hole_only():
    """At modes on the axes the sign 1 is smooth, and -1 has the holes of all vectors there."""
    M = np.eye(5, 3)

    def steepest(sign, tail):
        x = np.concatenate(
            [[2.0, tail, -tail, tail, tail], [1.5, tail, tail, tail], [1.2, tail, -tail]]
        )
        chart = stiefel.Householder(5, 3, sign=sign)
        # The columns to the right are what turns around the hole of a column.
        return np.max(np.abs(chart.log_density_and_gradient(x, lambda Q: (np.sum(M * Q), M))[1]))

    assert steepest(1, 1e-4) < 3.0
    assert steepest(-1, 1e-4) > 1e3


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("p", "k"), [(4, 1), (5, 3), (4, 4)])
def test_the_axes_with_this_sign_are_far_from_every_hole(p, k, sign):
    """At the k axes, all with the sign of the chart, each vector points along its axis."""
    det = (sign**p) if p == k else 1
    x = stiefel.Householder(p, k, sign=sign, det=det).from_matrix(sign * np.eye(p, k))
    ends = np.cumsum([p - i for i in range(min(k, p - 1))])
    for v in np.split(x, ends)[:-1]:
        np.testing.assert_allclose(v / np.linalg.norm(v), sign * np.eye(len(v))[0], atol=1e-15)
