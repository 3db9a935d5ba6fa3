"""The no-U-turn sampler, written for reading.

A trajectory doubles, forwards or backwards, until it turns around or a step breaks down. Draws are
taken from all its points by their densities, with a preference for the newer half (Hoffman & Gelman
2014, JMLR 15, 1593-1623; Betancourt 2017, arXiv:1701.02434). Momenta are those of coordinates in
which the metric is the identity: with x = L y and L a scale or a lower factor, a standard normal
momentum moves x by step L momentum and is pushed by step L' gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.kernels.reference.cholesky import unpack_lower
from qbeconometrics.kernels.reference.hmc import adapt_step

FloatArray = NDArray[np.float64]

# What is recorded of every draw: the columns of its statistics.
STATISTICS = (
    "depth",
    "gradients",
    "divergent",
    "nonfinite",
    "acceptance",
    "step",
    "energy",
    "energy_error",
    "log_density",
)

# An energy error above this is a divergence, as in Stan.
DIVERGENCE = 1000.0

# Doublings that there is room for.
DEEPEST = 20


class Density(Protocol):
    """What is drawn from: see `qbeconometrics.kernels._density`."""

    def log_density_and_gradient(self, x: FloatArray) -> tuple[float, FloatArray]:
        """Return log density and gradient at x, NaN where there is none."""


@dataclass(frozen=True)
class Point:
    """A point of a trajectory; its force is L' gradient."""

    x: FloatArray
    momentum: FloatArray
    log_density: float
    force: FloatArray

    @property
    def energy(self) -> float:
        """Minus the log density of position and momentum."""
        return 0.5 * float(self.momentum @ self.momentum) - self.log_density


@dataclass(frozen=True)
class Branch:
    """A part of a trajectory: the momenta of the end where it began and of the other end, the sum
    of all its momenta, its log weight, and the point that was drawn of it."""

    first: FloatArray
    last: FloatArray
    total: FloatArray
    log_weight: float
    draw: Point

    def reversed(self) -> Branch:
        """Return the branch as seen from its other end."""
        return Branch(self.last, self.first, self.total, self.log_weight, self.draw)


class BrokenDownError(Exception):
    """A branch ends before it is complete; the message is the column that counts it."""


def has_turned(a: Branch, b: Branch) -> bool:
    """Whether a followed by b turns around.

    As a whole, or a and the first of b, or the last of a and b, which catches turns that fall
    between the two.
    """
    stretches = (
        (a.first, b.last, a.total + b.total),
        (a.first, b.first, a.total + b.first),
        (a.last, b.last, a.last + b.total),
    )
    return not all(
        float(end @ total) > 0.0 for first, last, total in stretches for end in (first, last)
    )


def join(a: Branch, b: Branch, uniform: float, *, prefer_newer: bool) -> Branch:
    """Append b to a.

    The draw becomes that of b with the share of its weight in the whole, or in a alone if the newer
    half is preferred.
    """
    whole = float(np.logaddexp(a.log_weight, b.log_weight))
    share = b.log_weight - (a.log_weight if prefer_newer else whole)
    taken = b if math.log(uniform or 5e-324) < share else a
    return Branch(a.first, b.last, a.total + b.total, whole, taken.draw)


@dataclass
class Trajectory:
    """The part of a draw that does not change, and the end that grows."""

    leapfrog: Callable[[Point, float], Point]
    rng: np.random.Generator
    start: float
    statistics: dict[str, float]
    end: Point

    def grow(self, depth: int, step: float) -> Branch:
        """Return the branch of 2^depth points beyond the end.

        Raises
        ------
        BrokenDownError
        """
        if depth == 0:
            return self.leaf(step)
        older, newer = self.grow(depth - 1, step), self.grow(depth - 1, step)
        if has_turned(older, newer):
            raise BrokenDownError("turned")
        return join(older, newer, self.rng.random(), prefer_newer=False)

    def leaf(self, step: float) -> Branch:
        """Return the branch of the next point."""
        self.statistics["gradients"] += 1.0
        self.end = point = self.leapfrog(self.end, step)
        if not math.isfinite(point.log_density):
            raise BrokenDownError("nonfinite")
        error = point.energy - self.start
        if error > self.statistics["energy_error"]:
            self.statistics["energy_error"] = error
        # A NaN fails the comparison.
        if not error < DIVERGENCE:
            raise BrokenDownError("divergent")
        self.statistics["acceptance"] += 1.0 if error <= 0.0 else math.exp(-error)
        momentum = point.momentum
        return Branch(momentum, momentum, momentum, self.start - point.energy, point)


def draw_from_trajectory(
    here: Point,
    leapfrog: Callable[[Point, float], Point],
    rng: np.random.Generator,
    step: float,
    max_depth: int,
) -> tuple[Point, dict[str, float]]:
    """Return a draw from a trajectory through a point, and the statistics."""
    statistics = {**dict.fromkeys(STATISTICS, 0.0), "step": step}
    tree = Branch(here.momentum, here.momentum, here.momentum, 0.0, here)
    trajectory = Trajectory(leapfrog, rng, here.energy, statistics, here)
    ends = {True: here, False: here}
    facing_forwards = True
    while statistics["depth"] < max_depth:
        forwards = bool(rng.random() < 0.5)
        if forwards != facing_forwards:
            tree, facing_forwards = tree.reversed(), forwards
        trajectory.end = ends[forwards]
        try:
            newer = trajectory.grow(int(statistics["depth"]), step if forwards else -step)
        except BrokenDownError as reason:
            if str(reason) in STATISTICS:
                statistics[str(reason)] = 1.0
            break
        ends[forwards] = trajectory.end
        statistics["depth"] += 1.0
        turned = has_turned(tree, newer)
        tree = join(tree, newer, rng.random(), prefer_newer=True)
        if turned:
            break
    statistics["acceptance"] /= statistics["gradients"]
    statistics["energy"] = tree.draw.energy
    statistics["log_density"] = tree.draw.log_density
    return tree.draw, statistics


def nuts(
    density: Density,
    bit_generator: np.random.BitGenerator,
    position: FloatArray,
    tuning: FloatArray,
    scale: FloatArray,
    max_depth: int,
    draws: FloatArray,
    statistics: FloatArray,
    *,
    goal: float = -1.0,
) -> int:
    """Advance a chain by len(draws) draws.

    Arguments are those of the compiled chain.

    Examples
    --------
    >>> from qbeconometrics.kernels.reference.density import PythonDensity
    >>> density = PythonDensity(1, lambda x: (-0.5 * float(x @ x), -x))
    >>> draws, statistics = np.empty((50, 1)), np.empty((50, len(STATISTICS)))
    >>> nuts(density, np.random.PCG64(0), np.zeros(1), np.zeros(5), np.ones(1), 10, draws,
    ...      statistics)
    50
    """
    rng = np.random.Generator(bit_generator)
    dense = len(scale) > len(position)
    root = unpack_lower(scale) if dense else np.diag(scale)

    def settle(x: FloatArray, momentum: FloatArray) -> Point:
        log_density, gradient = density.log_density_and_gradient(x)
        return Point(x, momentum, log_density, root.T @ gradient)

    def leapfrog(point: Point, step: float) -> Point:
        halfway = point.momentum + 0.5 * step * point.force
        there = settle(point.x + step * (root @ halfway), halfway)
        momentum = halfway + 0.5 * step * there.force
        return Point(there.x, momentum, there.log_density, there.force)

    here = settle(position.copy(), np.zeros(len(position)))
    if not math.isfinite(here.log_density):
        return -1
    for i in range(len(draws)):
        momentum = rng.standard_normal(len(position))
        here = Point(here.x, momentum, here.log_density, here.force)
        here, found = draw_from_trajectory(here, leapfrog, rng, math.exp(tuning[0]), max_depth)
        if found["nonfinite"] and getattr(density, "error", None) is not None:
            return i
        if goal > 0.0:
            adapt_step(tuning, found["acceptance"], goal)
        draws[i] = position[:] = here.x
        statistics[i] = [found[name] for name in STATISTICS]
    return len(draws)
