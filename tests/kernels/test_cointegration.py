"""The density of a column space against its twin, central differences and determinants."""

import numpy as np
import pytest

from qbeconometrics.kernels import _cointegration
from qbeconometrics.kernels.reference import cointegration

BOTH = pytest.mark.parametrize("module", [_cointegration, cointegration])
SHAPES = [(2, 1), (3, 2), (4, 4), (7, 3), (40, 32)]


def positive_definite(p, rng, count=3):
    root = rng.standard_normal((count, p, 2 * p))
    M = root @ root.swapaxes(1, 2)
    return 0.5 * (M + M.swapaxes(1, 2))


@pytest.mark.parametrize(("p", "k"), SHAPES)
def test_same_as_the_twin(p, k):
    rng = np.random.default_rng([p, k])
    M, weights = positive_definite(p, rng), rng.standard_normal(3)
    Q = rng.standard_normal((p, k))
    compiled, twin = (
        module.DeterminantRatioTarget(k, M, weights) for module in (_cointegration, cointegration)
    )
    assert (compiled.p, compiled.k) == (twin.p, twin.k) == (p, k)
    found, expected = (one.log_density_and_gradient(Q) for one in (compiled, twin))
    assert found[0] == pytest.approx(expected[0], rel=1e-12, abs=1e-11)
    scale = np.abs(expected[1]).max()
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=1e-11 * scale)
    determinants = [np.linalg.slogdet(Q.T @ one @ Q)[1] for one in M]
    assert found[0] == pytest.approx(weights @ determinants, rel=1e-11, abs=1e-11)


@BOTH
def test_gradient_is_that_of_differences(module):
    rng = np.random.default_rng(3)
    target = module.DeterminantRatioTarget(2, positive_definite(4, rng), [1.5, -2.0, 0.5])
    Q, step = rng.standard_normal((4, 2)), 1e-6
    slope = target.log_density_and_gradient(Q)[1]
    for place in np.ndindex(4, 2):
        change = np.zeros((4, 2))
        change[place] = step
        ends = [target.log_density_and_gradient(Q + sign * change)[0] for sign in (1, -1)]
        assert slope[place] == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-7, abs=1e-7)


@BOTH
def test_weights_that_add_up_to_zero_know_the_space_alone(module):
    rng = np.random.default_rng(4)
    target = module.DeterminantRatioTarget(2, positive_definite(4, rng, 2), [3.0, -3.0])
    Q, turn = rng.standard_normal((4, 2)), rng.standard_normal((2, 2))
    values = [target.log_density_and_gradient(one)[0] for one in (Q, Q @ turn)]
    assert values[0] == pytest.approx(values[1], rel=1e-11)


@BOTH
def test_no_density_without_a_determinant(module):
    target = module.DeterminantRatioTarget(2, [np.eye(3), np.diag([1.0, 1.0, 0.0])], [1.0, -1.0])
    for Q in (np.eye(3, 2, -1), np.full((3, 2), np.nan), np.ones((3, 2))):
        value, slope = target.log_density_and_gradient(np.ascontiguousarray(Q))
        assert np.isnan(value)
        assert np.all(np.isnan(slope))


@BOTH
def test_wrong_arguments(module):
    eye = np.eye(3)
    for k, matrices, weights, words in (
        (1, eye, [1.0], "shape"),
        (1, [eye], [1.0, 2.0], "shape"),
        (4, [eye], [1.0], "k from 1 to p"),
        (33, [np.eye(40)], [1.0], "at most 32"),
        (0, [eye], [1.0], "k from 1 to p"),
        (1, [np.triu(np.ones((3, 3)))], [1.0], "symmetric"),
    ):
        with pytest.raises(ValueError, match=words):
            module.DeterminantRatioTarget(k, matrices, weights)
    assert module.MOST_RANKS == 32


@BOTH
def test_sums(module):
    rng = np.random.default_rng(5)
    parts = [
        module.DeterminantRatioTarget(2, positive_definite(4, rng, 1), [weight])
        for weight in (1.5, -0.5)
    ]
    Q = rng.standard_normal((4, 2))
    value, slope = module.SumOfTargets(*parts).log_density_and_gradient(Q)
    found = [one.log_density_and_gradient(Q) for one in parts]
    assert value == pytest.approx(found[0][0] + found[1][0], rel=1e-14)
    np.testing.assert_allclose(slope, found[0][1] + found[1][1], rtol=1e-14)
    nowhere = module.SumOfTargets(*parts).log_density_and_gradient(np.zeros((4, 2)))
    assert np.isnan(nowhere[0])
    other = module.DeterminantRatioTarget(1, [np.eye(4)], [1.0])
    with pytest.raises(ValueError, match="one shape"):
        module.SumOfTargets(parts[0], other)
