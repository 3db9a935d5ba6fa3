"""Calibration by a sampler of tempered posteriors, following Tanaka (arXiv 2404.16528).

A learning rate is an inverse temperature: sequential Monte Carlo takes the particles of all
replications from a small rate upwards, and coverage is looked at on the way. It falls along the
ladder, so the first rate at which it reaches the level is the answer, and no start is needed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.calibration.coverage import ParticleSystem, effective_sizes, weights_at
from qbeconometrics.calibration.problem import CoverageCurve, Problem, Search
from qbeconometrics.calibration.weighted_particles import SMALLEST_SHARE, rate_bounds, root_within

FloatArray = NDArray[np.float64]

# The ladder begins at this share of the typical rate, and again lower while the
# coverage there is below the level.
FIRST_SHARE = 0.25
LOWER = 0.25
# A step of the ladder is at most this factor.
HIGHEST_RATIO = 20.0
# Particles are moved until their correlation with those before is below this, at most so often.
LARGEST_CORRELATION = 0.2
MOST_MOVES = 20
NORMAL_SCALE = 2.38
# Acceptance rates between which the scale of the moves is left alone, and the factor otherwise.
ACCEPTANCE = (0.25, 0.4)
RESCALING = 1.3


def tempered(
    problem: Problem,
    curve: CoverageCurve,
    seed: np.random.SeedSequence,
    particles: int,
) -> Search:
    """Climb the ladder of learning rates until coverage is down to the level.

    Parameters
    ----------
    problem : Problem
    curve : CoverageCurve
    seed : SeedSequence
    particles : int
        Of each replication.

    Returns
    -------
    Search
        Its passes count the first simulations and the steps of the ladder.
    """
    lowest, highest = rate_bounds(problem)
    first, climbing = seed.spawn(2)
    rate, passes = FIRST_SHARE * problem.typical_rate, 1
    system = problem.simulate(rate, first, particles)
    while curve.coverage(system, rate) < curve.level:
        if rate <= lowest:
            return Search(system, passes, rate, True)
        rate *= LOWER
        system = problem.simulate(rate, first, particles)
        passes += 1
    scales = np.full(problem.replications, NORMAL_SCALE / np.sqrt(problem.n_params))
    while True:
        high = next_rate(system)
        if curve.coverage(system, high) <= curve.level:
            return Search(system, passes, root_within(curve, system, system.rate, high), False)
        if high >= highest:
            return Search(system, passes, high, True)
        system = _climb(problem, system, high, scales, climbing)
        passes += 1


def next_rate(system: ParticleSystem) -> float:
    """Return the highest rate at which the median replication has enough effective particles."""
    needed = SMALLEST_SHARE * system.losses.shape[1]
    inside, outside = 0.0, float(np.log(HIGHEST_RATIO))
    while outside - inside > 0.02:
        middle = (inside + outside) / 2.0
        sizes = effective_sizes(weights_at(system, system.rate * float(np.exp(middle))))
        inside, outside = (middle, outside) if np.median(sizes) >= needed else (inside, middle)
    return system.rate * float(np.exp(inside))


def _climb(
    problem: Problem,
    system: ParticleSystem,
    rate: float,
    scales: FloatArray,
    seed: np.random.SeedSequence,
) -> ParticleSystem:
    """Resample the particles for a rate and move them there; `scales` (B,) are adapted."""
    weights = weights_at(system, rate)
    resampling, moving = seed.spawn(2)
    chosen = systematic(weights, np.random.default_rng(resampling))
    rows = np.arange(len(chosen))[:, None]
    system = ParticleSystem(rate, system.positions[rows, chosen], system.losses[rows, chosen])
    return moved(problem, system, scales, moving)


def moved(
    problem: Problem,
    system: ParticleSystem,
    scales: FloatArray,
    seed: np.random.SeedSequence,
    most_moves: int = MOST_MOVES,
) -> ParticleSystem:
    """Move particles until they have all but forgotten where they were; `scales` are adapted."""
    roots = packed_roots(system.positions)
    before = system.positions
    for own in seed.spawn(most_moves):
        system, acceptance = problem.move(system, roots, scales, own)
        scales[acceptance < ACCEPTANCE[0]] /= RESCALING
        scales[acceptance > ACCEPTANCE[1]] *= RESCALING
        if np.median(correlations(before, system.positions)) < LARGEST_CORRELATION:
            break
    return system


def systematic(
    weights: FloatArray, rng: np.random.Generator, count: int | None = None
) -> NDArray[np.intp]:
    """Draw particles by systematic resampling (Kitagawa 1996, JCGS 5, 1-25).

    Returns
    -------
    ndarray of int, shape (B, count)
        As many as there are weights, if `count` is left out.
    """
    count = weights.shape[1] if count is None else count
    cumulated = np.cumsum(weights, axis=1)
    cumulated /= cumulated[:, -1:]
    points = (rng.random((len(weights), 1)) + np.arange(count)) / count
    chosen = [np.searchsorted(one, at) for one, at in zip(cumulated, points, strict=True)]
    return np.minimum(np.stack(chosen), weights.shape[1] - 1)


def packed_roots(positions: FloatArray) -> FloatArray:
    """Return Cholesky factors of the particles' covariances, packed by rows (B, k (k + 1)/2)."""
    k = positions.shape[2]
    centred = positions - positions.mean(axis=1)[:, None]
    covariance = np.einsum("bmk,bml->bkl", centred, centred) / positions.shape[1]
    ridge = 1e-10 * np.trace(covariance, axis1=1, axis2=2)[:, None, None] / k + 1e-300
    roots = np.linalg.cholesky(covariance + ridge * np.eye(k))
    row, column = np.tril_indices(k)
    return np.ascontiguousarray(roots[:, row, column])


def correlations(before: FloatArray, after: FloatArray) -> FloatArray:
    """Return the largest correlation over coordinates of particles with where they were (B,)."""
    a, b = _centred(before), _centred(after)
    size = np.sqrt(np.einsum("bkm,bkm->bk", a, a) * np.einsum("bkm,bkm->bk", b, b))
    product = np.einsum("bkm,bkm->bk", a, b)
    return np.asarray(
        np.max(np.where(size > 0.0, product / np.where(size > 0, size, 1), 1), axis=1)
    )


def _centred(positions: FloatArray) -> FloatArray:
    """Deviations from the mean (B, k, M), one coordinate after the other: sums are fast so."""
    ordered = positions.swapaxes(1, 2).copy()
    ordered -= ordered.mean(axis=2, keepdims=True)
    return ordered
