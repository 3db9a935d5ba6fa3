from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from qbeconometrics.kernels._density import CompiledDensity
from qbeconometrics.kernels._stiefel import StiefelMap

# What Cython adds to every module.
__reduce_cython__: Any
__setstate_cython__: Any
__test__: dict[str, str]

def log_probit(z: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...

@disjoint_base
class NetworkDensity(CompiledDensity):
    def __init__(
        self,
        chart: StiefelMap,
        links: NDArray[np.bool_],
        eigenvalue_scale: float,
        intercept_scale: float,
        log_constant: float = 0.0,
    ) -> None: ...
