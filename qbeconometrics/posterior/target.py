"""What the sampling drivers need of a log quasi-posterior, compiled or not."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.moments.basis import MomentBasis
from qbeconometrics.moments.cost import ProblemSize
from qbeconometrics.posterior.mode import Mode
from qbeconometrics.posterior.resolved_prior import ResolvedPrior
from qbeconometrics.posterior.surrogate import NormalSurrogate

FloatArray = NDArray[np.float64]


class Target(Protocol):
    """A log density in scaled coordinates."""

    @property
    def n_params(self) -> int:
        """Number of parameters."""

    @property
    def n_moments(self) -> int:
        """Number of moments."""

    @property
    def form(self) -> str:
        """How S is formed."""

    @property
    def arrays(self) -> dict[str, FloatArray]:
        """The normal part of the prior: "prior_precision" and "prior_mean"."""

    def evaluate(self, points: Any) -> tuple[Any, Any]:
        """Return log quasi-likelihood and log prior at `points` (points, k)."""


class Posterior(Protocol):
    """A target with its coordinates, its prior and its modes."""

    @property
    def target(self) -> Any:
        """The log density; `Any`, since each sampler knows its own kind."""

    @property
    def basis(self) -> MomentBasis:
        """Coordinates."""

    @property
    def prior(self) -> ResolvedPrior:
        """On the printed parameters."""

    @property
    def size(self) -> ProblemSize:
        """For the cost model."""

    @property
    def log_constant(self) -> float:
        """To add to the target's log density."""

    @property
    def exactly_normal(self) -> bool:
        """Whether the law is normal, so that independent draws can be had."""

    @property
    def log_concave(self) -> bool:
        """Whether it is known to be so, and then to have no mass far from the mode."""

    @property
    def other_modes(self) -> FloatArray:
        """Further points (points, k) where chains should start."""

    def find_mode(self) -> Mode:
        """Return the mode."""

    def surrogate_at(self, point: FloatArray) -> NormalSurrogate:
        """Return the normal law with S frozen at `point` (k,)."""
