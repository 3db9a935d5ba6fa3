"""The moment statistic: sums over rows, blocks, merging and changes of basis."""

from dataclasses import replace

import numpy as np
import pytest

from qbeconometrics.exceptions import InputError
from qbeconometrics.moments import linear
from qbeconometrics.moments.basis import MomentBasis, basis_from_triangle
from qbeconometrics.moments.covariance import INDEPENDENT_COV_TYPES, CovarianceRule

# Sums of a few hundred products of order one: rounding only.
ROUNDING = 1e-11
FIELDS = ("cross", "instrument_product", "row_product", "row_sum", "fourth")


@pytest.fixture
def data():
    rng = np.random.default_rng(3)
    n = 403
    z = np.column_stack([np.ones(n), rng.standard_normal((n, 4)) * [1, 1e3, 1e-3, 1e6]])
    x = np.column_stack([np.ones(n), z[:, 1] + rng.standard_normal(n), z[:, 2] / 1e3])
    y = x @ [1.0, 0.5, 2.0] + rng.standard_normal(n)
    return y, x, z


def basis_of(y, x, z):
    triangle = np.linalg.qr(np.column_stack([z, x, y]), mode="r")
    return basis_from_triangle(triangle, len(y), x.shape[1], z.shape[1])


def statistic_of(y, x, z, basis):
    return linear.linear_moment_statistic(y, x, z, basis)


def assert_same(first, second, tolerance=ROUNDING):
    assert first.n == second.n
    for field in FIELDS:
        a, b = getattr(first, field), getattr(second, field)
        assert np.max(np.abs(a - b)) <= tolerance * np.max(np.abs(b)), field


def test_basis_is_two_stage_least_squares(data):
    y, x, z = data
    basis = basis_of(*data)
    projected = (z / z.std(0).clip(1)) @ np.linalg.lstsq(z / z.std(0).clip(1), x, rcond=None)[0]
    expected = np.linalg.lstsq(projected, y, rcond=None)[0]
    assert np.allclose(basis.centre, expected, rtol=1e-8)
    residual = y - x @ basis.centre
    covariance = residual @ residual / len(y) * np.linalg.inv(projected.T @ projected)
    assert np.allclose(basis.regressor_map @ basis.regressor_map.T, covariance, rtol=1e-7)
    whitened = z @ basis.instrument_map
    assert np.allclose(whitened.T @ whitened / len(y), np.eye(5), atol=1e-10)


def test_points_go_to_coefficients_and_back(data):
    basis = basis_of(*data)
    points = np.random.default_rng(0).standard_normal((4, 7, 3))
    assert np.allclose(basis.to_scaled(basis.to_params(points)), points, atol=1e-10)


def test_sums_match_their_definition(data):
    y, x, z = data
    basis = basis_of(*data)
    statistic = statistic_of(*data, basis)
    w = np.column_stack([y - x @ basis.centre, x @ basis.regressor_map])
    zw = z @ basis.instrument_map
    assert np.allclose(statistic.cross, zw.T @ w, atol=1e-8)
    full = np.einsum("ia,ib,ij,il->abjl", w, w, zw, zw)
    packed = linear.pack_symmetric(full[np.tril_indices(4)])
    assert np.allclose(statistic.fourth, packed, rtol=1e-10, atol=1e-9)


def test_block_size_does_not_matter(data, monkeypatch):
    basis = basis_of(*data)
    whole = statistic_of(*data, basis)
    monkeypatch.setattr(
        linear, "block_slices", lambda n, width: [slice(0, 1), slice(1, 90), slice(90, n)]
    )
    assert_same(statistic_of(*data, basis), whole)


def test_a_change_of_basis_is_exact(data):
    basis = basis_of(*data)
    rng = np.random.default_rng(1)
    other = MomentBasis(
        basis.centre + 0.3 * basis.regressor_map @ rng.standard_normal(3),
        basis.regressor_map @ (np.eye(3) + 0.3 * rng.standard_normal((3, 3))),
        basis.instrument_map @ (np.eye(5) + 0.3 * rng.standard_normal((5, 5))),
    )
    moved = linear.change_basis(statistic_of(*data, other), basis)
    assert_same(moved, statistic_of(*data, basis))


@pytest.mark.parametrize("cov_type", INDEPENDENT_COV_TYPES)
@pytest.mark.parametrize("centered", [False, True])
def test_covariance_at_a_point(data, cov_type, centered):
    """S from the statistic equals S from the rows, far from the centre too."""
    y, x, z = data
    n = len(y)
    basis = basis_of(*data)
    statistic = statistic_of(*data, basis)
    rule = CovarianceRule(cov_type, centered)
    point = np.array([2.0, -3.0, 1.0])
    theta = basis.to_params(point)
    residual = y - x @ theta
    zw = z @ basis.instrument_map
    scores = zw * residual[:, None]
    phi = np.concatenate([[1.0], -point])
    if cov_type == "nonrobust":
        variance = residual.var() if centered else residual @ residual / n
        assert phi @ linear.residual_variance_matrix(statistic, rule) @ phi == pytest.approx(
            variance, rel=1e-10
        )
        return
    if centered:
        scores = scores - scores.mean(0)
    expected = scores.T @ scores / n * rule.small_sample_factor(n, 3)
    row, column = np.tril_indices(4)
    weight = np.where(row == column, 1.0, 2.0) * phi[row] * phi[column]
    S = linear.unpack_symmetric(weight @ linear.covariance_statistic(statistic, rule), 5)
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert np.max(np.abs(S - expected) / scale) < 1e-10


def test_covariance_needs_fourth_order_sums(data):
    statistic = replace(statistic_of(*data, basis_of(*data)), fourth=None)
    with pytest.raises(InputError, match="fourth-order"):
        linear.covariance_statistic(statistic, CovarianceRule())


def test_largest_leverage(data):
    y, x, z = data
    hat = np.diag(z @ np.linalg.pinv(z))
    leverage, row = linear.largest_leverage(*data, basis_of(*data))
    assert leverage == pytest.approx(hat.max(), rel=1e-8)
    assert row == hat.argmax()
    for block in data:  # the same row once more: both count together
        block[0] = block[row]
    hat = np.diag(z @ np.linalg.pinv(z))
    leverage, _ = linear.largest_leverage(y, x, z, basis_of(*data))
    assert leverage == pytest.approx(2 * hat[row], rel=1e-8)


def test_packing_round_trip():
    matrix = np.random.default_rng(0).standard_normal((3, 4, 4))
    symmetric = matrix + np.swapaxes(matrix, 1, 2)
    assert np.array_equal(linear.unpack_symmetric(linear.pack_symmetric(symmetric), 4), symmetric)
