"""The density of a row space against its twin, and its gradient against differences."""

import numpy as np
import pytest

from qbeconometrics.kernels import _reduced_rank
from qbeconometrics.kernels.reference import reduced_rank

SHAPES = [(1, 2, 1), (2, 3, 1), (3, 3, 2), (2, 2, 2), (4, 7, 3), (12, 20, 2)]
BOTH = pytest.mark.parametrize("kernel", [_reduced_rank, reduced_rank], ids=["compiled", "twin"])


def arguments(m, q, rank, seed=0):
    rng = np.random.default_rng([seed, m, q])
    root, shape_root = rng.standard_normal((m * q, m * q + 3)), rng.standard_normal((q, q + 2))
    precision = 3.0 * root @ root.T / (m * q) + np.eye(m * q)
    shape = shape_root @ shape_root.T / q
    return precision, 5.0 * rng.standard_normal(m * q), shape, rank, *rng.standard_normal(2)


def orthonormal(q, rank, rng):
    return np.ascontiguousarray(np.linalg.qr(rng.standard_normal((q, rank)))[0])


@pytest.mark.parametrize(("m", "q", "rank"), SHAPES)
def test_compiled_and_twin(m, q, rank):
    given, rng = arguments(m, q, rank), np.random.default_rng(1)
    compiled = _reduced_rank.ReducedRankTarget(*given)
    twin = reduced_rank.ReducedRankTarget(*given)
    assert (compiled.p, compiled.k) == (twin.p, twin.k) == (q, rank)
    for _ in range(4):
        B = orthonormal(q, rank, rng)
        value, slope = compiled.log_density_and_gradient(B)
        expected, expected_slope = twin.log_density_and_gradient(B)
        assert value == pytest.approx(expected, rel=1e-12, abs=1e-12)
        # A square B has a flat density, and a gradient of rounding.
        scale = max(1.0, np.max(np.abs(expected_slope)))
        assert np.max(np.abs(slope - expected_slope)) < 1e-12 * scale


@BOTH
@pytest.mark.parametrize(("m", "q", "rank"), SHAPES)
def test_gradient(kernel, m, q, rank):
    target = kernel.ReducedRankTarget(*arguments(m, q, rank))
    rng = np.random.default_rng(2)
    B = orthonormal(q, rank, rng)
    _, slope = target.log_density_and_gradient(B)
    for _ in range(5):
        direction = rng.standard_normal((q, rank))
        direction /= np.linalg.norm(direction)
        step = 1e-5
        ahead, behind = (
            target.log_density_and_gradient(B + sign * step * direction)[0] for sign in (1, -1)
        )
        expected = np.sum(slope * direction)
        scale = max(1.0, np.linalg.norm(slope))
        assert abs((ahead - behind) / (2 * step) - expected) < 1e-7 * scale


@BOTH
def test_depends_on_the_space_alone(kernel):
    given, rng = arguments(3, 5, 2)[:-1], np.random.default_rng(3)
    target, B = kernel.ReducedRankTarget(*given), orthonormal(5, 2, rng)
    turned = B @ rng.standard_normal((2, 2))
    first, second = (target.log_density_and_gradient(Q)[0] for Q in (B, turned))
    assert first == pytest.approx(second, rel=1e-12)


@BOTH
def test_no_density_without_a_positive_precision(kernel):
    precision, linear, shape, rank, *_ = arguments(2, 3, 1)
    B = orthonormal(3, 1, np.random.default_rng(4))
    for wrong in ((-precision, linear, shape), (precision, linear, -shape)):
        value, slope = kernel.ReducedRankTarget(*wrong, rank).log_density_and_gradient(B)
        assert np.isnan(value)
        assert np.isnan(slope).all()


@BOTH
def test_wrong_shapes(kernel):
    precision, linear, shape, *_ = arguments(2, 3, 1)
    for wrong in (
        (precision, linear, shape, 4),
        (precision, linear, shape, 0),
        (precision, linear[:-1], shape, 1),
        (precision[:-1], linear, shape, 1),
        (precision, linear, shape[:, :-1], 1),
    ):
        with pytest.raises(ValueError, match=r"must"):
            kernel.ReducedRankTarget(*wrong)
