"""Calibration by drawing all particles again at every learning rate that is tried.

The algorithm of Syring and Martin (2019, Biometrika 106, 479-486), a variant with Kesten's step
(1958, Annals of Mathematical Statistics 29, 41-59), and a secant in log learning rate that is ours.
They are the reference: what needs no simulation for each rate must give the same and cost less.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2

from qbeconometrics.calibration.problem import CoverageCurve, Problem, Search
from qbeconometrics.calibration.weighted_particles import rate_bounds

# Of steps (1 + t)^-power, or (number of changes of sign)^-power.
STEP_POWER = 0.51
# A step of the secant changes the rate at most by this factor.
LARGEST_FACTOR = 4.0


def resimulated(
    problem: Problem,
    curve: CoverageCurve,
    start: float,
    seed: np.random.SeedSequence,
    particles: int,
    *,
    search: str = "secant",
    tolerance: float = 0.01,
    most_passes: int = 30,
) -> Search:
    """Search with fresh particles, from the same random numbers, at each rate.

    Parameters
    ----------
    problem : Problem
    curve : CoverageCurve
    start : float
    seed : SeedSequence
    particles : int
    search : {"secant", "kesten", "syring-martin"}
    tolerance : float
        Stop where coverage is this close to the level.
    most_passes : int

    Returns
    -------
    Search
        `at_bound` is True where it did not converge.
    """
    lowest, highest = rate_bounds(problem)
    quantile = float(chi2.ppf(curve.level, problem.n_params))
    rate, last_error, changes = start, 0.0, 1
    for passes in range(1, most_passes + 1):
        system = problem.simulate(rate, seed.spawn(1)[0], particles)
        share = curve.coverage(system, rate)
        error = share - curve.level
        if abs(error) <= tolerance:
            return Search(system, passes, rate, False)
        if search == "secant":
            # Neither nought nor one, whose quantiles are no numbers.
            share = (problem.replications * share + 0.5) / (problem.replications + 1.0)
            factor = float(chi2.ppf(share, problem.n_params)) / quantile
            rate *= float(np.clip(factor, 1.0 / LARGEST_FACTOR, LARGEST_FACTOR))
        else:
            changes += int(error * last_error < 0.0)
            count = passes + 1 if search == "syring-martin" else changes
            rate += error * count**-STEP_POWER
            last_error = error
        # Additive steps can make a rate negative; it then stays at the lower bound.
        rate = float(np.clip(rate, lowest, highest))
    return Search(system, most_passes, rate, True)
