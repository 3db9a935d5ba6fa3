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
        In scaled coordinates; for "hmc" in those of its normalising map.
    tuning : ndarray, shape (5,)
        Log scale of the random-walk proposal, or log step of "hmc"; adaptation steps taken so far;
        mean error, mean log step and anchor of the dual averaging of "hmc".
    generator : dict
        State of the chain's bit generator.
    counters : ndarray of int64, shape (5,)
        See `qbeconometrics.kernels._delayed_acceptance.COUNTERS`.
    """

    position: NDArray[np.float64]
    tuning: NDArray[np.float64]
    generator: dict[str, Any]
    counters: NDArray[np.int64]

    def to_json(self) -> str:
        """Return the state as text; floats keep every bit."""
        return json.dumps(
            {
                "position": self.position.tolist(),
                "tuning": self.tuning.tolist(),
                "generator": self.generator,
                "counters": self.counters.tolist(),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> ChainState:
        """Rebuild a state from `to_json`."""
        fields = json.loads(text)
        fields["position"] = np.array(fields["position"], dtype=float)
        fields["tuning"] = np.array(fields["tuning"], dtype=float)
        fields["counters"] = np.array(fields["counters"], dtype=np.int64)
        return cls(**fields)


def new_tuning(log_scale: float) -> NDArray[np.float64]:
    """Return the tuning of a chain that has not adapted; the anchor is twice the scale."""
    return np.array([log_scale, 0.0, 0.0, log_scale, log_scale + np.log(2.0)])


def new_state(position: NDArray[np.float64], seed: np.random.SeedSequence) -> ChainState:
    """Return the state of a chain that starts at `position` with its own generator."""
    return ChainState(
        position=np.array(position, dtype=float),
        tuning=new_tuning(0.0),
        generator=dict(np.random.PCG64(seed).state),
        counters=np.zeros(len(COUNTERS), dtype=np.int64),
    )
