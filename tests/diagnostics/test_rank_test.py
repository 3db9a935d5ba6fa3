"""The rank test against cases with a closed form and against repeated samples."""

import numpy as np
import pytest
from scipy.stats import chi2, kstest, ortho_group

from qbeconometrics.diagnostics.rank_test import rank_test, wald


def tensor(covariance, shape):
    """(p, l, p, l) of the covariance of the columns of a matrix below each other."""
    rows, columns = shape
    return covariance.reshape(columns, rows, columns, rows)


def test_rank_zero_is_the_wald_test_of_all_entries():
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(4, 3))
    root = rng.normal(size=(12, 12))
    found = rank_test(matrix, tensor(root @ root.T, (4, 3)), 0)
    entries = matrix.T.ravel()
    assert found.value == pytest.approx(entries @ np.linalg.solve(root @ root.T, entries))
    assert found.df == 12
    assert found.pvalue == pytest.approx(chi2.sf(found.value, 12))


def test_two_by_two_is_the_delta_method_of_the_determinant():
    # At a matrix of rank nearly one both statistics are the same to first order.
    rng = np.random.default_rng(2)
    root = rng.normal(size=(4, 4)) * 1e-4
    covariance = root @ root.T
    matrix = np.outer([1.0, 2.0], [3.0, -1.0]) + 1e-4 * rng.normal(size=(2, 2))
    slope = np.array([matrix[1, 1], -matrix[0, 1], -matrix[1, 0], matrix[0, 0]])
    expected = np.linalg.det(matrix) ** 2 / (slope @ covariance @ slope)
    assert rank_test(matrix, tensor(covariance, (2, 2)), 1).value == pytest.approx(
        expected, rel=1e-3
    )


def test_uncorrelated_entries_leave_the_smaller_singular_values():
    matrix = np.random.default_rng(3).normal(size=(5, 3))
    found = rank_test(matrix, tensor(0.04 * np.eye(15), (5, 3)), 1)
    small = np.linalg.svd(matrix, compute_uv=False)[1:]
    assert found.value == pytest.approx(np.sum(small**2) / 0.04)
    assert found.df == 8


def test_rotations_do_not_matter():
    rng = np.random.default_rng(4)
    matrix, root = rng.normal(size=(4, 3)), rng.normal(size=(12, 12))
    left, right = ortho_group.rvs(4, random_state=rng), ortho_group.rvs(3, random_state=rng)
    turn = np.kron(right.T, left)
    for rank in range(3):
        plain = rank_test(matrix, tensor(root @ root.T, (4, 3)), rank)
        moved = turn @ root
        turned = rank_test(left @ matrix @ right, tensor(moved @ moved.T, (4, 3)), rank)
        assert turned.value == pytest.approx(plain.value, rel=1e-8)


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (4, 3)])
def test_chi_squared_if_the_rank_is_right(shape):
    rng = np.random.default_rng(5)
    size = shape[0] * shape[1]
    truth = np.outer(np.arange(1, shape[0] + 1), np.arange(shape[1], 0, -1))
    root = rng.normal(size=(size, size)) * 0.01
    covariance = tensor(root @ root.T, shape)
    values = [
        rank_test(truth + (root @ rng.normal(size=size)).reshape(shape[::-1]).T, covariance, 1)
        for _ in range(1_000)
    ]
    assert kstest([one.value for one in values], chi2(values[0].df).cdf).pvalue > 1e-3


def test_a_singular_covariance_has_no_statistic():
    assert np.isnan(wald(np.ones(2), np.ones((2, 2))))
    assert np.isnan(rank_test(np.eye(2), np.zeros((2, 2, 2, 2)), 1).value)
