"""The compiled Gibbs sampler of smoothing parameters repeats its twin, whatever the blocks."""

import numpy as np
import pytest

from qbeconometrics.kernels import _smoothing as compiled
from qbeconometrics.kernels.reference import smoothing as twin

SWEEPS = 2_000
ROUNDING = 1e-9  # in the units of the coefficients, after two thousand sweeps


def problem(sizes, *, coupled=True, seed=0):
    """Arguments of the kernel; any numbers of the right signs will do."""
    rng = np.random.default_rng(seed)
    k = sum(sizes)
    root = rng.normal(size=(k, k)) / np.sqrt(k) + 2.0 * np.eye(k)
    basis, coupling = np.zeros((k, k)), np.zeros((k, k))
    stop = 0
    for size in sizes:
        own = slice(stop, stop + size)
        stop += size
        basis[own, own] = np.linalg.inv(root[own, own])
        if coupled:
            coupling[own] = 0.1 * rng.normal(size=(size, k))
            coupling[own, own] = 0.0
    return {
        "sizes": np.array(sizes, dtype=np.int64),
        "basis": basis,
        "coupling": coupling,
        "linear": rng.normal(size=k),
        "curvature": rng.gamma(1.0, size=k),
        "shift": 0.1 * rng.normal(size=k),
        "paths": np.column_stack(
            [np.maximum(np.array(sizes) - 2, 1), np.full(len(sizes), 2.0), np.ones(len(sizes))]
        ).astype(float),
    }


def run(module, arrays, hyperprior, blocks=(SWEEPS,), seed=1):
    k, paths = len(arrays["linear"]), len(arrays["sizes"])
    position = np.concatenate([np.zeros(k), np.ones(paths)])
    bits = np.random.PCG64(seed)
    parts = []
    for size in blocks:
        draws = np.empty((size, k + paths))
        module.smoothing_gibbs(bits, position, **arrays, **hyperprior, draws=draws)
        parts.append(draws)
    return np.concatenate(parts), bits.state


GAMMA = {"shape": 1.0, "rate": 0.01, "cauchy_rate": 0.0}
HALF_CAUCHY = {"shape": 0.5, "rate": 0.0, "cauchy_rate": 0.04}


@pytest.mark.parametrize("hyperprior", [GAMMA, HALF_CAUCHY], ids=["gamma", "half-Cauchy"])
@pytest.mark.parametrize("sizes", [(1,), (13,), (4, 7), (3, 3, 3, 3)])
def test_same_path_as_the_twin(sizes, hyperprior):
    arrays = problem(sizes)
    ours, state = run(compiled, arrays, hyperprior)
    theirs, twin_state = run(twin, arrays, hyperprior)
    assert np.ptp(ours, axis=0).min() > 0.0
    np.testing.assert_allclose(ours, theirs, rtol=ROUNDING, atol=ROUNDING)
    assert state == twin_state


def test_blocks_do_not_matter():
    arrays = problem((5, 6))
    whole, _ = run(compiled, arrays, GAMMA)
    parts, _ = run(compiled, arrays, GAMMA, blocks=(1, 10, 489, 1500))
    np.testing.assert_array_equal(whole, parts)


@pytest.mark.parametrize("name", ["basis", "coupling", "linear", "curvature", "paths", "sizes"])
def test_wrong_shapes_are_refused(name):
    arrays = problem((4, 7))
    arrays[name] = arrays[name][:-1].copy()
    with pytest.raises(ValueError, match="must"):
        run(compiled, arrays, GAMMA)
