"""Particles that walk at random, a replication at a time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.calibration.coverage import ParticleSystem
from qbeconometrics.calibration.replicated_problem import ReplicatedProblem
from qbeconometrics.sampling.progress import Progress

FloatArray = NDArray[np.float64]


class ReplicatedWalks(ReplicatedProblem):
    """What problems have in common whose particles are drawn by random walks."""

    executor: Executor | None
    progress: Progress | None

    @abstractmethod
    def _arrays(self, b: int) -> tuple[Any, ...]:
        """What a worker needs of one replication."""

    @abstractmethod
    def _workers(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Functions, of a module for the sake of processes, that simulate and move one."""

    def _for_each(self, work: Callable[..., Any], *columns: Any) -> list[Any]:
        """Call `work` with the arrays and one element of each column, for each replication."""
        arrays = (self._arrays(b) for b in range(self.replications))
        apply = map if self.executor is None else self.executor.map
        found = []
        for one in apply(work, arrays, *columns):
            found.append(one)
            if self.progress is not None:
                self.progress.update(1)
        return found

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
