"""The state of one chain: all that is needed to continue it, and nothing that can be recomputed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.kernels._delayed_acceptance import COUNTERS


@dataclass(frozen=True, slots=True)
class ChainState:
    """Position, generator and counters of a chain between two blocks.

    Attributes
    ----------
    position : ndarray, shape (k,)
        In scaled coordinates.
    log_scale : float
        Of the random-walk proposal.
    adaptations : int
        Adaptation steps taken so far.
    generator : dict
        State of the chain's bit generator.
    counters : ndarray of int64, shape (4,)
        See `qbeconometrics.kernels._delayed_acceptance.COUNTERS`.
    """

    position: NDArray[np.float64]
    log_scale: float
    adaptations: int
    generator: dict[str, Any]
    counters: NDArray[np.int64]

    def to_json(self) -> str:
        """Return the state as text; floats keep every bit."""
        return json.dumps(
            {
                "position": self.position.tolist(),
                "log_scale": self.log_scale,
                "adaptations": self.adaptations,
                "generator": self.generator,
                "counters": self.counters.tolist(),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> ChainState:
        """Rebuild a state from `to_json`."""
        fields = json.loads(text)
        fields["position"] = np.array(fields["position"], dtype=float)
        fields["counters"] = np.array(fields["counters"], dtype=np.int64)
        return cls(**fields)


def new_state(position: NDArray[np.float64], seed: np.random.SeedSequence) -> ChainState:
    """Return the state of a chain that starts at `position` with its own generator."""
    return ChainState(
        position=np.array(position, dtype=float),
        log_scale=0.0,
        adaptations=0,
        generator=dict(np.random.PCG64(seed).state),
        counters=np.zeros(len(COUNTERS), dtype=np.int64),
    )
