import numpy as np
from numpy.typing import NDArray

from qbeconometrics.kernels._linear_moments import LinearMomentTarget

# What Cython adds to every module.
__test__: dict[str, str]

COUNTERS: tuple[str, str, str, str, str]

def random_walk(
    target: LinearMomentTarget,
    bit_generator: np.random.BitGenerator,
    position: NDArray[np.float64],
    tuning: NDArray[np.float64],
    proposal_root: NDArray[np.float64],
    draws: NDArray[np.float64],
    log_density: NDArray[np.float64],
    counters: NDArray[np.int64],
    *,
    delayed: bool,
    goal: float = -1.0,
    unscreened: int = 0,
) -> bool: ...
def modified_delayed_acceptance(
    target: LinearMomentTarget,
    bit_generator: np.random.BitGenerator,
    position: NDArray[np.float64],
    df: float,
    rho: float,
    jacobian_inverse: NDArray[np.float64],
    root_of_moments: NDArray[np.float64],
    draws: NDArray[np.float64],
    log_density: NDArray[np.float64],
    counters: NDArray[np.int64],
    *,
    exact: bool,
) -> bool: ...
