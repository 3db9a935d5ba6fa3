from typing import Any

import numpy as np
from numpy.typing import NDArray

# What Cython adds to every module.
__pyx_capi__: dict[str, Any]
__test__: dict[str, str]

def cholesky(packed: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]: ...
def solve(
    root: NDArray[np.float64], b: NDArray[np.float64], transposed: bool = False
) -> NDArray[np.float64]: ...
