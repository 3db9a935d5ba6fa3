import numpy as np
from numpy.typing import NDArray

# What Cython adds to every module.
__test__: dict[str, str]

def smoothing_gibbs(
    bit_generator: np.random.BitGenerator,
    position: NDArray[np.float64],
    sizes: NDArray[np.int64],
    basis: NDArray[np.float64],
    coupling: NDArray[np.float64],
    linear: NDArray[np.float64],
    curvature: NDArray[np.float64],
    shift: NDArray[np.float64],
    paths: NDArray[np.float64],
    shape: float,
    rate: float,
    cauchy_rate: float,
    draws: NDArray[np.float64],
) -> None: ...
