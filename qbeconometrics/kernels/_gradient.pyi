import numpy as np
from numpy.typing import NDArray

from qbeconometrics.kernels._linear_moments import LinearMomentTarget

# What Cython adds to every module.
__pyx_capi__: dict[str, object]
__test__: dict[str, str]

def log_density_and_gradient(
    target: LinearMomentTarget, point: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]: ...
