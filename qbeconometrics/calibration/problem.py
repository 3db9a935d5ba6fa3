"""What every search for a learning rate works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.calibration.coverage import ParticleSystem, Region, covered

FloatArray = NDArray[np.float64]


class Problem(Protocol):
    """Bootstrap replications of a generalised posterior."""

    @property
    def replications(self) -> int:
        """Number of replications."""

    @property
    def n_params(self) -> int:
        """Number of coefficients."""

    @property
    def typical_rate(self) -> float:
        """A closed-form learning rate to start from."""

    @property
    def information_rate(self) -> float:
        """Learning rate of Lyddon, Holmes and Walker (2019)."""

    def simulate(self, rate: float, seed: np.random.SeedSequence, particles: int) -> ParticleSystem:
        """Draw particles of all replications."""

    def move(
        self,
        system: ParticleSystem,
        roots: FloatArray,
        scales: FloatArray,
        seed: np.random.SeedSequence,
    ) -> tuple[ParticleSystem, FloatArray]:
        """Move particles by one step at the system's rate; also return acceptance rates."""

    def values(self, positions: FloatArray) -> FloatArray:
        """Return the functional of positions (B, M, k), for the region "marginal"."""


class CalibratedProblem(Problem, Protocol):
    """A problem in coordinates whose origin is the estimate from the data, with curvature one."""

    @property
    def score_product(self) -> FloatArray:
        """Covariance (k, k) of the gradient of the summed loss at the estimate."""

    @property
    def loss_at_estimate(self) -> FloatArray:
        """Loss of the estimate in each replication (B,)."""


@dataclass(frozen=True, slots=True)
class CoverageCurve:
    """Share of replications whose region covers the estimate.

    Attributes
    ----------
    region : Region
    values : callable or None
        Of positions, for the region "marginal".
    """

    region: Region
    values: Callable[[FloatArray], FloatArray] | None = None

    @property
    def level(self) -> float:
        """Coverage that the region claims."""
        return 1.0 - self.region.alpha

    def covered(self, system: ParticleSystem, rate: float) -> NDArray[np.bool_]:
        """Return which replications (B,) cover; one without a finite loss does not."""
        values = None if self.values is None else self.values(system.positions)
        return covered(system, self.region, rate, values)

    def coverage(self, system: ParticleSystem, rate: float) -> float:
        """Return the share that covers."""
        return float(self.covered(system, rate).mean())


@dataclass(frozen=True, slots=True)
class Search:
    """Where a search ended.

    Attributes
    ----------
    system : ParticleSystem
        The last particles, drawn near the rate.
    passes : int
        Simulations of all replications.
    rate : float
    at_bound : bool
        Whether it ran to the end of the rates that are looked at.
    """

    system: ParticleSystem
    passes: int
    rate: float
    at_bound: bool
