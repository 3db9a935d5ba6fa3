from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

# What Cython adds to every module.
__reduce_cython__: Any
__setstate_cython__: Any
__test__: dict[str, str]

LANES: int

@disjoint_base
class LossRows:
    def __init__(
        self,
        loss: int,
        option: float,
        endog: NDArray[np.float64],
        offset: NDArray[np.float64],
        columns: NDArray[np.float64],
        weight: NDArray[np.float64],
        prior_precision: NDArray[np.float64],
        prior_mean: NDArray[np.float64],
        student: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    ) -> None: ...
    def losses(self, points: NDArray[np.float64]) -> NDArray[np.float64]: ...

def particle_walk(
    rows: LossRows,
    bit_generator: np.random.BitGenerator,
    position: NDArray[np.float64],
    tuning: NDArray[np.float64],
    root: NDArray[np.float64],
    rate: float,
    goal: float,
    draws: NDArray[np.float64],
    losses: NDArray[np.float64],
) -> int: ...
def move_particles(
    rows: LossRows,
    bit_generator: np.random.BitGenerator,
    positions: NDArray[np.float64],
    losses: NDArray[np.float64],
    root: NDArray[np.float64],
    scale: float,
    rate: float,
    steps: int,
) -> int: ...
