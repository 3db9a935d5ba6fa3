import numpy as np
from numpy.typing import NDArray

from qbeconometrics.kernels._projection import ProjectionTarget

# What Cython adds to every module.
__test__: dict[str, str]

def projection_gradient(
    target: ProjectionTarget, point: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]: ...
