"""What all problems of calibration have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.calibration.coverage import ParticleSystem

FloatArray = NDArray[np.float64]


class ReplicatedProblem(ABC):
    """Replications in coordinates whose origin is the estimate, with curvature one."""

    functional: Callable[[FloatArray], FloatArray] | None

    @property
    @abstractmethod
    def replications(self) -> int:
        """Number of replications."""

    @property
    @abstractmethod
    def n_params(self) -> int:
        """Number of coefficients."""

    # An attribute of some problems, computed by others: (k, k).
    score_product: FloatArray

    @property
    def information_rate(self) -> float:
        """Learning rate of Lyddon, Holmes and Walker (2019, Biometrika 106, 465-478)."""
        return float(np.trace(np.linalg.inv(self.score_product)) / self.n_params)

    @property
    def typical_rate(self) -> float:
        """Rate at which the criterion has at the estimate the mean that its law would give it.

        Gradients of moments on different scales differ by orders of magnitude, of which information
        matching sees the smallest.
        """
        return float(self.n_params / np.trace(self.score_product))

    @abstractmethod
    def simulate(self, rate: float, seed: np.random.SeedSequence, particles: int) -> ParticleSystem:
        """Draw particles of all replications."""

    def move(
        self,
        system: ParticleSystem,
        roots: FloatArray,
        scales: FloatArray,
        seed: np.random.SeedSequence,
    ) -> tuple[ParticleSystem, FloatArray]:
        """Draw particles anew, where they are independent: a move that is always accepted."""
        moved = self.simulate(system.rate, seed, system.losses.shape[1])
        return moved, np.ones(self.replications)

    def values(self, positions: FloatArray) -> FloatArray:
        """Return the functional of positions (B, M, k): (B, M)."""
        assert self.functional is not None
        flat = self.functional(positions.reshape(-1, self.n_params))
        return np.asarray(flat, dtype=np.float64).reshape(positions.shape[:2])
