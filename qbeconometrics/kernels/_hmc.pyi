import numpy as np
from numpy.typing import NDArray

from qbeconometrics.kernels._linear_moments import LinearMomentTarget

# What Cython adds to every module.
__test__: dict[str, str]

def hamiltonian(
    target: LinearMomentTarget,
    bit_generator: np.random.BitGenerator,
    position: NDArray[np.float64],
    tuning: NDArray[np.float64],
    centre: NDArray[np.float64],
    root: NDArray[np.float64],
    power: float,
    length: float,
    jitter: float,
    draws: NDArray[np.float64],
    log_density: NDArray[np.float64],
    counters: NDArray[np.int64],
    *,
    goal: float = -1.0,
) -> bool: ...
