"""Calibration by weighted particles, following Tanaka (arXiv 2405.04845).

Coverage at a learning rate near the one at which particles were drawn needs no posterior
simulation: the particles are reweighted. They are drawn again only where the weights have become
too uneven.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.calibration.coverage import (
    ParticleSystem,
    covered,
    effective_sizes,
    weights_at,
)
from qbeconometrics.calibration.problem import CoverageCurve, Problem, Search

FloatArray = NDArray[np.float64]

# Particles are drawn again where the median effective number falls below this share of them,
SMALLEST_SHARE = 0.5
# and below this share of their rate, since the variance of weights is infinite at half of it.
LOWEST_RATIO = 0.6
HIGHEST_RATIO = 20.0
MOST_PASSES = 40
# Of log rates: far below what the bootstrap lets one know.
TOLERANCE = 2e-3
# Learning rates looked at, relative to the closed forms of a problem.
BOUNDS = (1e-4, 1e4)


def weighted_particles(
    problem: Problem,
    curve: CoverageCurve,
    start: float,
    seed: np.random.SeedSequence,
    particles: int,
) -> Search:
    """Search the largest learning rate at which the region covers as often as it claims.

    Parameters
    ----------
    problem : Problem
    curve : CoverageCurve
    start : float
        Rate at which particles are drawn first.
    seed : SeedSequence
    particles : int
        Of each replication.
    """
    lowest, highest = rate_bounds(problem)
    rate, too_low, too_high = start, 0.0, np.inf
    for passes in range(1, MOST_PASSES + 1):
        system = problem.simulate(rate, seed, particles)
        low, high = window(system)
        if curve.coverage(system, low) < curve.level:
            too_high = low
            if too_low >= low or low <= lowest:
                return Search(system, passes, low, low <= lowest)
            rate = low
        elif curve.coverage(system, high) > curve.level:
            too_low = high
            if too_high <= high or high >= highest:
                return Search(system, passes, high, high >= highest)
            rate = high
        else:
            return Search(system, passes, root_within(curve, system, low, high), False)
    return Search(system, passes, rate, True)


def rate_bounds(problem: Problem) -> tuple[float, float]:
    """Return the lowest and highest rate that are looked at."""
    closed_forms = (problem.typical_rate, problem.information_rate)
    return min(closed_forms) * BOUNDS[0], max(closed_forms) * BOUNDS[1]


def window(system: ParticleSystem) -> tuple[float, float]:
    """Return the lowest and highest rate to which the particles may be reweighted."""
    needed = SMALLEST_SHARE * system.losses.shape[1]

    def enough(ratio: float) -> bool:
        sizes = effective_sizes(weights_at(system, ratio * system.rate))
        return float(np.median(sizes)) >= needed

    edges = []
    for limit in (LOWEST_RATIO, HIGHEST_RATIO):
        inside, outside = 0.0, float(np.log(limit))
        if enough(limit):
            inside = outside
        while abs(outside - inside) > 0.05:
            middle = (inside + outside) / 2.0
            inside, outside = (middle, outside) if enough(np.exp(middle)) else (inside, middle)
        edges.append(system.rate * float(np.exp(inside)))
    return edges[0], edges[1]


def root_within(curve: CoverageCurve, system: ParticleSystem, low: float, high: float) -> float:
    """Return the middle of the rates between two at which coverage is the level.

    Coverage falls in steps of one replication; it crosses the level at a step, or holds it for a
    while.
    """
    if curve.region.kind == "loss":
        ordered = np.sort(last_covering(curve, system, low, high))[::-1]
        shares = np.arange(1, len(ordered) + 1) / len(ordered)
        above, at_least = (
            float(np.clip(ordered[np.argmax(reached)], low, high))
            for reached in (shares > curve.level, shares >= curve.level)
        )
        return float(np.sqrt(above * at_least))
    above = last_rate(lambda rate: curve.coverage(system, rate) > curve.level, low, high)
    at_least = last_rate(lambda rate: curve.coverage(system, rate) >= curve.level, above, high)
    return float(np.sqrt(above * at_least))


def last_covering(
    curve: CoverageCurve, system: ParticleSystem, low: float, high: float
) -> FloatArray:
    """Return the last rate between two at which the loss region of each replication (B,) covers.

    Zero where it does not cover at the lower one, infinity where it does at the higher. Only those
    that change in between are looked at, since none covers again at a higher rate.
    """
    first, last = curve.covered(system, low), curve.covered(system, high)
    rates = np.where(last, np.inf, 0.0)
    (changing,) = np.nonzero(first & ~last)
    part = ParticleSystem(system.rate, system.positions[changing], system.losses[changing])
    region = replace(curve.region, loss_at_estimate=curve.region.loss_at_estimate[changing])
    inside, outside = np.full(len(changing), np.log(low)), np.full(len(changing), np.log(high))
    for _ in range(int(np.ceil(np.log2(max(np.log(high / low) / TOLERANCE, 1.0))))):
        middle = (inside + outside) / 2.0
        held = covered(part, region, np.exp(middle)[:, None])
        inside, outside = np.where(held, middle, inside), np.where(held, outside, middle)
    rates[changing] = np.exp((inside + outside) / 2.0)
    return rates


def last_rate(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Return the largest rate up to which a condition that ends once holds, by bisection."""
    if not holds(low):
        return low
    if holds(high):
        return high
    inside, outside = np.log(low), np.log(high)
    while outside - inside > TOLERANCE:
        middle = (inside + outside) / 2.0
        inside, outside = (middle, outside) if holds(float(np.exp(middle))) else (inside, middle)
    return float(np.exp((inside + outside) / 2.0))
