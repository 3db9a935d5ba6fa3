"""Column spaces: against SciPy, and what does not change when a basis does."""

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes, subspace_angles

from qbeconometrics import stiefel
from qbeconometrics.stiefel.subspaces import principal_angles, procrustes, projections


def matrices(p, k, n=6):
    return np.stack([stiefel.rand(p, k, rng=seed) for seed in range(n)])


@pytest.mark.parametrize(("p", "k", "other"), [(6, 2, 3), (6, 3, 2), (5, 5, 2), (4, 1, 1)])
def test_angles_are_those_of_scipy(p, k, other):
    reference = stiefel.rand(p, other, rng=99)
    found = principal_angles(matrices(p, k), reference)
    for Q, angles in zip(matrices(p, k), found, strict=True):
        np.testing.assert_allclose(angles, np.sort(subspace_angles(Q, reference)), atol=1e-14)


@pytest.mark.parametrize("angle", [1e-12, 1e-6, 0.5 * np.pi - 1e-12])
def test_small_and_large_angles_keep_their_digits(angle):
    Q = np.array([[np.cos(angle), 0.0], [np.sin(angle), 0.0], [0.0, 1.0]])
    found = principal_angles(Q, np.eye(3)[:, [0, 2]])
    np.testing.assert_allclose(found, [0.0, angle], rtol=1e-12, atol=1e-15)


def test_projections_and_angles_do_not_depend_on_the_basis():
    Q, turn = matrices(5, 2), stiefel.rand(2, 2, rng=3)
    np.testing.assert_allclose(projections(Q @ turn), projections(Q), atol=1e-14)
    reference = stiefel.rand(5, 2, rng=8)
    np.testing.assert_allclose(
        principal_angles(Q @ turn, reference), principal_angles(Q, reference), atol=1e-13
    )


def test_alignment_is_that_of_scipy():
    reference = stiefel.rand(5, 3, rng=7)
    for Q, aligned in zip(matrices(5, 3), procrustes(matrices(5, 3), reference), strict=True):
        np.testing.assert_allclose(aligned, Q @ orthogonal_procrustes(Q, reference)[0], atol=1e-13)
        np.testing.assert_allclose(projections(aligned), projections(Q), atol=1e-14)
