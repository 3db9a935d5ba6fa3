"""Hamiltonian Monte Carlo, written for reading.

A chain moves in coordinates y in which the law is nearly standard normal:

    x = centre + s^power F y,    s = (1 + u)/2,    u = |y|^2 / k

`hamiltonian` is the twin of the compiled chain. `hamiltonian_chain` does not know what the log
density is and serves user-written moments too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.kernels.reference.cholesky import unpack_lower
from qbeconometrics.kernels.reference.gradient import log_density_and_gradient
from qbeconometrics.kernels.reference.linear_moments import LinearMomentTarget

FloatArray = NDArray[np.float64]
DensityAndGradient = Callable[[FloatArray], tuple[float, FloatArray]]

PROPOSED, EVALUATED, ACCEPTED, NONFINITE, DIVERGENT = range(5)

# Share of a step's force at its two ends, which keeps the energy better than the leapfrog's 1/4
# at the same two gradients (Blanes, Casas & Sanz-Serna 2014, SIAM J. Sci. Comput. 36, A1556-A1580).
END_SHARE = 0.21178

# An energy error above this is counted as a divergence, as in Stan.
DIVERGENCE = 1000.0

# Dual averaging with the constants of Hoffman & Gelman (2014, JMLR 15, 1593-1623).
SHRINKAGE, OFFSET, DECAY = 0.05, 10.0, 0.75

# A trajectory is at most this many steps, whatever its length.
MOST_STEPS = 512


@dataclass(frozen=True, slots=True)
class NormalisingMap:
    """From coordinates y in which the law is nearly standard normal to x.

    Attributes
    ----------
    centre : ndarray, shape (k,)
    root : ndarray, shape (k, k)
        Lower factor F.
    power : float
    """

    centre: FloatArray
    root: FloatArray
    power: float

    def to_target(self, y: FloatArray) -> FloatArray:
        """Return x."""
        u = float(y @ y) / len(y)
        x: FloatArray = self.centre + ((1.0 + u) / 2.0) ** self.power * (self.root @ y)
        return x

    def to_normal(self, x: FloatArray) -> FloatArray:
        """Return the y of an x (k,), or of each row of x (points, k).

        With r = |F^-1 (x - centre)|, solve |y| s(|y|)^power = r.

        Examples
        --------
        >>> f = NormalisingMap(np.zeros(2), np.eye(2), 0.7)
        >>> np.round(f.to_normal(f.to_target(np.array([3.0, -1.0]))), 12)
        array([ 3., -1.])
        """
        z = np.linalg.solve(self.root, (x - self.centre).T).T
        wanted = np.log(np.maximum(np.mean(z**2, axis=-1), 1e-300))
        # Newton's method for log u; the left side is increasing with a slope from 1 to 1 + 2 power.
        log_u = wanted / (1.0 + self.power)
        for _ in range(100):
            u = np.exp(log_u)
            error = log_u + 2.0 * self.power * np.log((1.0 + u) / 2.0) - wanted
            log_u = log_u - error / (1.0 + 2.0 * self.power * u / (1.0 + u))
            if np.max(np.abs(error)) < 1e-14:
                break
        stretch = np.exp((log_u - wanted) / 2.0)
        return np.asarray(z * stretch[..., None], dtype=np.float64)

    def log_density_and_force(
        self, y: FloatArray, log_target: float, gradient: FloatArray
    ) -> tuple[float, FloatArray]:
        """Log density in y and its gradient, from those in x.

        With w = 1 + 2 power u/(1 + u) the Jacobian determinant of the map is |F| s^(k power) w.
        """
        k = len(y)
        u = float(y @ y) / k
        s = (1.0 + u) / 2.0
        w = 1.0 + 2.0 * self.power * u / (1.0 + u)
        log_density = log_target + k * self.power * math.log(s) + math.log(w)
        force = s**self.power * (self.root.T @ gradient)
        along = float(force @ y) + k + 2.0 / ((1.0 + u) * w)
        return log_density, force + 2.0 * self.power / (k * (1.0 + u)) * along * y


def hamiltonian(
    target: LinearMomentTarget,
    bit_generator: np.random.BitGenerator,
    position: FloatArray,
    tuning: FloatArray,
    centre: FloatArray,
    root: FloatArray,
    power: float,
    length: float,
    jitter: float,
    draws: FloatArray,
    log_density: FloatArray,
    counters: NDArray[np.int64],
    *,
    goal: float = -1.0,
) -> bool:
    """Advance a Hamiltonian Monte Carlo chain (Duane et al. 1987; Neal 2011).

    Arguments are those of the compiled chain.

    Examples
    --------
    >>> target = LinearMomentTarget(
    ...     np.zeros(1), np.eye(1), np.zeros((1, 1)), np.zeros(1),
    ...     determinant=False, proportional=(np.ones(1), None),
    ... )
    >>> draws, log_density, counters = np.empty((50, 1)), np.empty(50), np.zeros(5, dtype=np.int64)
    >>> hamiltonian(
    ...     target, np.random.PCG64(0), np.zeros(1), np.full(5, -1.0), np.zeros(1), np.ones(1), 0.0,
    ...     1.5, 0.3, draws, log_density, counters,
    ... )
    True
    >>> int(counters[ACCEPTED])
    50
    """

    def density(x: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = log_density_and_gradient(target, x)
        return value if math.isfinite(value) else math.nan, gradient

    return hamiltonian_chain(
        density,
        np.random.Generator(bit_generator),
        position,
        tuning,
        NormalisingMap(centre, unpack_lower(root), power),
        length,
        jitter,
        draws,
        log_density,
        counters,
        goal=goal,
    )


def hamiltonian_chain(
    density: DensityAndGradient,
    rng: np.random.Generator,
    position: FloatArray,
    tuning: FloatArray,
    to_normal: NormalisingMap,
    length: float,
    jitter: float,
    draws: FloatArray,
    log_density: FloatArray,
    counters: NDArray[np.int64],
    *,
    goal: float = -1.0,
) -> bool:
    """Advance a chain by len(draws) draws.

    Random numbers a draw: k standard normals (momentum), a uniform (length), a uniform.

    Parameters
    ----------
    density : callable
        x -> log density and its gradient (k,). It is minus infinity outside the support, NaN where
        it cannot be evaluated; only the latter is counted.
    rng : Generator
    position : ndarray, shape (k,)
        Start in y; overwritten with the end.
    tuning : ndarray, shape (5,)
        Log step, adaptation steps, mean error, mean log step, anchor of the dual averaging.
    to_normal : NormalisingMap
    length, jitter : float
        A trajectory's length in y is uniform on length (1 - jitter, 1 + jitter).
    draws : ndarray, shape (draws, k)
        Filled with x.
    log_density : ndarray, shape (draws,)
        Filled with the log density at x.
    counters : ndarray of int64, shape (5,)
        Increased: trajectories, gradients, accepted, not finite, divergent.
    goal : float
        Acceptance rate to adapt the step to; none if negative.

    Returns
    -------
    bool
        False if the start has no finite log density; nothing is then done.
    """

    def settle(y: FloatArray) -> tuple[float, float, FloatArray]:
        log_target, gradient = density(to_normal.to_target(y))
        if not math.isfinite(log_target):
            return log_target, log_target, gradient
        return log_target, *to_normal.log_density_and_force(y, log_target, gradient)

    here = position.copy()
    log_target, log_here, force_here = settle(here)
    if not math.isfinite(log_here):
        return False
    for i in range(len(draws)):
        momentum = rng.standard_normal(len(position))
        length_uniform, uniform = rng.random(), rng.random()
        step = math.exp(tuning[0])
        stages = number_of_stages(length * (1.0 + jitter * (2.0 * length_uniform - 1.0)) / step)
        counters[PROPOSED] += 1
        energy = 0.5 * float(momentum @ momentum) - log_here
        there, force = here.copy(), force_here
        end_push = 2.0 * END_SHARE * step
        middle_push = 2.0 * (1.0 - 2.0 * END_SHARE) * step
        push, log_there, log_target_there = end_push, log_here, log_target
        for stage in range(stages):
            halfway = momentum + 0.5 * push * force
            drift = 0.5 * float(halfway @ halfway) - log_there - energy
            momentum = momentum + push * force
            there = there + step * momentum
            counters[EVALUATED] += 1
            log_target_there, log_there, force = settle(there)
            if not math.isfinite(log_there):
                break
            push = middle_push if stage % 2 == 0 else 2.0 * end_push
        acceptance = 0.0
        if math.isfinite(log_there):
            momentum = momentum + end_push * force
            error = 0.5 * float(momentum @ momentum) - log_there - energy
            if not error < DIVERGENCE:
                counters[DIVERGENT] += 1
            acceptance = 1.0 if error <= 0.0 else math.exp(-error)
            if math.log(uniform or 5e-324) < -error:
                counters[ACCEPTED] += 1
                here, force_here = there, force
                log_here, log_target = log_there, log_target_there
        else:
            counters[NONFINITE] += math.isnan(log_there)
            # A wall rejects at any step: what the step was like shows before it.
            if stage > 0:
                acceptance = 1.0 if drift <= 0.0 else math.exp(-drift)
        if goal > 0.0:
            adapt_step(tuning, acceptance, goal)
        draws[i] = to_normal.to_target(here)
        log_density[i] = log_target
    position[:] = here
    return True


def number_of_stages(steps: float) -> int:
    """Steps come in pairs, of which there is at least one.

    Examples
    --------
    >>> number_of_stages(0.4), number_of_stages(7.0), number_of_stages(float("inf"))
    (2, 8, 512)
    """
    return max(2, 2 * int(steps / 2.0 + 0.5)) if steps < MOST_STEPS else MOST_STEPS


def adapt_step(tuning: FloatArray, acceptance: float, goal: float) -> None:
    """Take one step of dual averaging."""
    tuning[1] += 1.0
    weight = 1.0 / (tuning[1] + OFFSET)
    tuning[2] = (1.0 - weight) * tuning[2] + weight * (goal - acceptance)
    tuning[0] = tuning[4] - math.sqrt(tuning[1]) / SHRINKAGE * tuning[2]
    weight = tuning[1] ** -DECAY
    tuning[3] = weight * tuning[0] + (1.0 - weight) * tuning[3]
