"""Particles that walk at random, a replication at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.calibration.coverage import ParticleSystem

FloatArray = NDArray[np.float64]


class ReplicatedWalks(ABC):
    """What problems have in common whose particles are drawn by random walks."""

    executor: Executor | None
    functional: Callable[[FloatArray], FloatArray] | None

    @property
    @abstractmethod
    def replications(self) -> int:
        """Number of replications."""

    @property
    @abstractmethod
    def n_params(self) -> int:
        """Number of coefficients."""

    @abstractmethod
    def _arrays(self, b: int) -> tuple[Any, ...]:
        """What a worker needs of one replication."""

    @abstractmethod
    def _workers(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Functions, of a module for the sake of processes, that simulate and move one."""

    def _for_each(self, work: Callable[..., Any], *columns: Any) -> list[Any]:
        """Call `work` with the arrays and one element of each column, for each replication."""
        arrays = (self._arrays(b) for b in range(self.replications))
        if self.executor is None:
            return list(map(work, arrays, *columns))
        return list(self.executor.map(work, arrays, *columns))

    def simulate(self, rate: float, seed: np.random.SeedSequence, particles: int) -> ParticleSystem:
        """Draw particles by a random walk in each replication."""
        simulate_one, _ = self._workers()
        work = partial(simulate_one, rate, particles)
        found = self._for_each(work, seed.spawn(self.replications))
        return ParticleSystem(
            rate, np.stack([one[0] for one in found]), np.stack([one[1] for one in found])
        )

    def move(
        self,
        system: ParticleSystem,
        roots: FloatArray,
        scales: FloatArray,
        seed: np.random.SeedSequence,
    ) -> tuple[ParticleSystem, FloatArray]:
        """Move each particle by one random-walk step at the system's rate.

        Parameters
        ----------
        system : ParticleSystem
        roots : ndarray, shape (B, k (k + 1)/2)
            Of the covariances of the proposals, packed by rows.
        scales : ndarray, shape (B,)
        seed : SeedSequence

        Returns
        -------
        system : ParticleSystem
        acceptance : ndarray, shape (B,)
        """
        _, move_one = self._workers()
        found = self._for_each(
            partial(move_one, system.rate),
            system.positions,
            system.losses,
            roots,
            scales,
            seed.spawn(self.replications),
        )
        moved = ParticleSystem(
            system.rate, np.stack([one[0] for one in found]), np.stack([one[1] for one in found])
        )
        return moved, np.array([one[2] for one in found])

    def values(self, positions: FloatArray) -> FloatArray:
        """Return the functional of positions (B, M, k): (B, M)."""
        assert self.functional is not None
        flat = self.functional(positions.reshape(-1, self.n_params))
        return np.asarray(flat, dtype=np.float64).reshape(positions.shape[:2])
