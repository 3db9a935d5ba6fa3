"""Charts of many shapes, and a target whose gradient has no symmetry to hide behind."""

import numpy as np
import pytest

from qbeconometrics import stiefel

SHAPES = [(5, 2), (6, 3), (7, 4), (4, 1), (2, 1), (5, 5), (2, 2), (3, 3)]
BUILD = {
    "polar": stiefel.Polar,
    "householder +": lambda p, k: stiefel.Householder(p, k, sign=1, det=-1),
    "householder -": lambda p, k: stiefel.Householder(p, k, sign=-1, det=1),
    "polar, 9.5 df": lambda p, k: stiefel.Polar(p, k, df=9.5),
    "householder, 9.5 df": lambda p, k: stiefel.Householder(p, k, df=9.5),
    "givens": stiefel.Givens,
    "cayley": stiefel.Cayley,
    "cayley moved": lambda p, k: stiefel.Cayley(p, k, center=stiefel.rand(p, k, rng=5)),
}


def make_target(p, k, seed=0):
    """log f = tr(M'Q) + tr(D Q'AQ) / 2."""
    rng = np.random.default_rng([11, seed])
    M, root, D = rng.standard_normal((p, k)), rng.standard_normal((p, p)), np.arange(1.0, k + 1.0)
    A = (root + root.T) / np.sqrt(p)

    def target(Q):
        return np.sum(M * Q) + 0.5 * np.sum((A @ Q) * Q * D), M + (A @ Q) * D

    target.arguments = M, A, D
    return target


def make_point(chart, seed=0):
    """A point where the chart's own law has its mass, up to a factor of a few."""
    rng = np.random.default_rng([12, seed, chart.size])
    x = rng.standard_normal(chart.size)
    if isinstance(chart, stiefel.Givens):
        pairs = x.reshape(-1, 2)
        radius = 1.0 + 0.1 * rng.standard_normal((len(pairs), 1))
        x = (pairs / np.linalg.norm(pairs, axis=1, keepdims=True) * radius).ravel()
    return x


@pytest.fixture(params=SHAPES, ids=lambda shape: f"p{shape[0]}k{shape[1]}", scope="session")
def shape(request):
    return request.param


@pytest.fixture(params=BUILD, scope="session")
def chart(request, shape):
    return BUILD[request.param](*shape)


@pytest.fixture(scope="session")
def target_of():
    return make_target


@pytest.fixture(scope="session")
def point_of():
    return make_point
