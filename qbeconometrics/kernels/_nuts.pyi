import numpy as np
from numpy.typing import NDArray

from qbeconometrics.kernels._density import CompiledDensity

# What Cython adds to every module.
__test__: dict[str, str]

STATISTICS: tuple[str, ...]

def nuts(
    density: CompiledDensity,
    bit_generator: np.random.BitGenerator,
    position: NDArray[np.float64],
    tuning: NDArray[np.float64],
    scale: NDArray[np.float64],
    max_depth: int,
    draws: NDArray[np.float64],
    statistics: NDArray[np.float64],
    *,
    goal: float = -1.0,
) -> int: ...
