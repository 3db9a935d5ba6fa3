"""Gibbs sampler of impulse responses and smoothing parameters, written for reading."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def smoothing_gibbs(
    bit_generator: np.random.BitGenerator,
    position: FloatArray,
    sizes: NDArray[np.int64],
    basis: FloatArray,
    coupling: FloatArray,
    linear: FloatArray,
    curvature: FloatArray,
    shift: FloatArray,
    paths: FloatArray,
    shape: float,
    rate: float,
    cauchy_rate: float,
    draws: FloatArray,
) -> None:
    """Twin of the compiled function of the same name; see there."""
    rng = np.random.Generator(bit_generator)
    k = len(linear)
    for draw in draws:
        stop = 0
        for r, size in enumerate(sizes):
            own = slice(stop, stop + int(size))
            stop = own.stop
            rank, constant, unit = paths[r]
            smoothing = position[k + r]
            tau = smoothing / unit
            nu = 0.0
            if cauchy_rate > 0.0:
                nu = rng.standard_exponential() / (smoothing + cauchy_rate)
            normals = rng.standard_normal(int(size))
            spread = 1.0 / (1.0 + tau * curvature[own])
            moment = linear[own] - coupling[own] @ position[:k]
            u = spread * (moment - tau * shift[own]) + np.sqrt(spread) * normals
            position[own] = basis[own, own] @ u
            quadratic = max(0.0, constant + np.sum(curvature[own] * u**2 + 2.0 * shift[own] * u))
            position[k + r] = rng.standard_gamma(shape + rank / 2.0) / (
                rate + nu + quadratic / (2.0 * unit)
            )
        draw[:] = position
