from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from qbeconometrics.kernels._stiefel_density import MatrixTarget

# What Cython adds to every module.
__reduce_cython__: Any
__setstate_cython__: Any
__test__: dict[str, str]

@disjoint_base
class ReducedRankTarget(MatrixTarget):
    def __init__(
        self,
        precision: NDArray[np.float64],
        linear: NDArray[np.float64],
        shape: NDArray[np.float64],
        rank: int,
        constant: float = 0.0,
        power: float | None = None,
    ) -> None: ...
