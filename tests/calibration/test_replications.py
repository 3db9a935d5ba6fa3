"""Bootstrap weights have the moments that their definitions give."""

import numpy as np
import pytest

from qbeconometrics.calibration.replications import bootstrap_weights

N, B = 60, 20_000


def weights(kind, **options):
    return bootstrap_weights(kind, N, B, np.random.SeedSequence(1), **options)


def test_pairs():
    found = weights("pairs")
    assert np.all(found.sum(1) == N)
    np.testing.assert_allclose(found.mean(0), 1.0, atol=5 / np.sqrt(B))
    np.testing.assert_allclose(found.var(0), 1 - 1 / N, atol=0.08)


def test_multiplier():
    found = weights("multiplier")
    np.testing.assert_allclose(found.sum(1), N)
    assert found.min() > 0.0
    # n times a uniform Dirichlet law.
    np.testing.assert_allclose(found.var(0), (N - 1) / (N + 1), atol=0.1)


def test_clusters_stay_together():
    groups = np.repeat(np.arange(12), 5)
    found = weights("cluster", groups=groups)
    by_cluster = found.reshape(B, 12, 5)
    assert np.all(np.ptp(by_cluster, axis=2) == 0)
    assert np.all(by_cluster[:, :, 0].sum(1) == 12)


@pytest.mark.parametrize("kind", ["moving-block", "stationary"])
def test_blocks_join_neighbours(kind):
    found = weights(kind, block_length=6)
    assert np.all(found.sum(1) == N)
    # Blocks that do not wrap reach the ends less often.
    middle = slice(6, N - 6)
    within = 1.0 + 5.0 / (N - 5) if kind == "moving-block" else 1.0
    np.testing.assert_allclose(found.mean(0)[middle], within, atol=0.05)
    # Neighbours come together 5 times in 6.
    own = found - found.mean(0)
    near = np.mean(own[:, 30] * own[:, 31]) / np.mean(own[:, 30] ** 2)
    far = np.mean(own[:, 30] * own[:, 45]) / np.mean(own[:, 30] ** 2)
    assert near == pytest.approx(5 / 6, abs=0.05)
    assert abs(far) < 0.15


def test_a_block_of_one_row_is_pairs():
    found = weights("moving-block", block_length=1)
    np.testing.assert_allclose(found.var(0), 1 - 1 / N, atol=0.08)


def test_replications_do_not_depend_on_how_many_there_are():
    few = bootstrap_weights("pairs", N, 3, np.random.SeedSequence(1))
    np.testing.assert_array_equal(few, weights("pairs")[:3])
