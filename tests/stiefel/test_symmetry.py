"""What a density is found to be invariant to."""

import numpy as np
import pytest

from qbeconometrics import stiefel
from qbeconometrics.stiefel.symmetry import column_symmetry, main_axes, signs_like

A = np.diag([5.0, 3.0, 1.0, 0.0])
E = np.eye(4, 3)
# log f of matrices (p, k), k, and what it does not notice.
CASES = {
    "space": (lambda Q: np.trace(Q.T @ A @ Q), 3, "rotations"),
    "far from zero": (lambda Q: 1e8 + np.trace(Q.T @ A @ Q), 3, "rotations"),
    "columns": (lambda Q: np.trace(Q.T @ A @ Q @ np.diag([3.0, 2.0, 1.0])), 3, "signs"),
    "even in each column": (lambda Q: np.sum(Q**4), 3, "signs"),
    "even in two columns": (lambda Q: Q[0, 0] + np.sum(Q[:, 1:] ** 4), 3, "none"),
    "odd": (lambda Q: np.sum(E * Q), 3, "none"),
    "one sign for all": (lambda Q: np.sum(E * Q) ** 2, 3, "none"),
    "rotations without reflections": (lambda Q: np.linalg.det(Q[:3]), 3, "none"),
    "a line": (lambda Q: Q[0, 0] ** 2, 1, "rotations"),
    "a direction": (lambda Q: Q[0, 0], 1, "none"),
    "no density beyond zero": (lambda Q: 0.0 if Q[0, 0] > 0.0 else -np.inf, 2, "none"),
}


@pytest.mark.parametrize("name", CASES)
def test_symmetries(name):
    log_f, k, expected = CASES[name]
    points = [Q * np.sign(Q[0, 0]) for Q in (stiefel.rand(4, k, rng=seed) for seed in (1, 2))]
    assert column_symmetry(log_f, points) == expected


def test_square_matrices_have_no_space():
    assert column_symmetry(lambda Q: 0.0, [np.eye(3)]) == "signs"


def test_signs_and_axes():
    rng = np.random.default_rng(0)
    centre = stiefel.rand(6, 2, rng=3)
    signs = rng.choice([-1.0, 1.0], (3, 50, 1, 2))
    Q = signs * np.linalg.qr(centre + 0.05 * rng.standard_normal((3, 50, 6, 2)))[0]
    axes = main_axes(Q)
    assert np.all(np.abs(np.sum(axes * centre, axis=0)) > 0.99)
    alike = signs_like(Q, axes)
    assert np.all(np.sum(alike * axes, axis=-2) > 0.9)
    np.testing.assert_array_equal(np.abs(alike), np.abs(Q))
