"""Densities by name: values by their definitions, slopes by differences, what they refuse."""

import numpy as np
import pytest

from qbeconometrics import stiefel
from qbeconometrics.exceptions import InputError, OptionError

RNG = np.random.default_rng(4)
ROOT = RNG.standard_normal((5, 5))
A = ROOT + ROOT.T
M, D = RNG.standard_normal((5, 2)), np.array([2.0, -0.5])

TARGETS = {
    "uniform": (stiefel.uniform(5, 2), lambda Q: 0.0),
    "von Mises-Fisher": (stiefel.von_mises_fisher(M.tolist()), lambda Q: np.trace(M.T @ Q)),
    "Bingham": (stiefel.bingham(A, 2, D), lambda Q: np.trace(np.diag(D) @ Q.T @ A @ Q)),
    "Bingham of spaces": (stiefel.bingham(A, 2), lambda Q: np.trace(Q.T @ A @ Q)),
}


@pytest.mark.parametrize("name", TARGETS)
def test_values_and_slopes(name):
    target, definition = TARGETS[name]
    Q = stiefel.rand(5, 2, rng=0)
    value, slope = target.log_density_and_gradient(Q)
    assert value == pytest.approx(definition(Q), abs=1e-12)
    for i, j in np.ndindex(5, 2):
        step = np.zeros((5, 2))
        step[i, j] = 1e-6
        difference = (definition(Q + step) - definition(Q - step)) / 2e-6
        assert slope[i, j] == pytest.approx(difference, abs=1e-7)


def test_what_is_given_may_change_later():
    mine = M.copy()
    target = stiefel.von_mises_fisher(mine)
    mine[:] = 0.0
    assert target.log_density_and_gradient(np.eye(5, 2))[0] == pytest.approx(M[0, 0] + M[1, 1])


def test_nearly_symmetric_matrices_are_taken():
    noisy = A.copy()
    noisy[0, 1] *= 1.0 + 1e-13
    assert stiefel.bingham(noisy, 2).p == 5


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: stiefel.uniform(2, 3), OptionError, "k must not exceed p"),
        (lambda: stiefel.von_mises_fisher(np.ones(3)), InputError, "M must be a matrix"),
        (lambda: stiefel.von_mises_fisher(M.T), OptionError, "is it transposed"),
        (lambda: stiefel.von_mises_fisher([[1.0]]), OptionError, "p=1 must be at least 2"),
        (lambda: stiefel.von_mises_fisher([[1.0], [np.nan]]), InputError, r"M\[1, 0\] is nan"),
        (lambda: stiefel.von_mises_fisher([["a"], ["b"]]), InputError, "real numbers"),
        (lambda: stiefel.bingham(np.ones((3, 2)), 2), InputError, "A must be square"),
        (lambda: stiefel.bingham(ROOT, 2), InputError, "A must be symmetric"),
        (lambda: stiefel.bingham(A * np.inf, 2), InputError, r"A\[0, 0\] is -?inf"),
        (lambda: stiefel.bingham(A, 6), OptionError, "k must not exceed p"),
        (lambda: stiefel.bingham(A, 2, [1.0]), InputError, r"D must have shape \(2,\)"),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()
