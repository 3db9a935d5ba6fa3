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

@disjoint_base
class ComponentDensity(CompiledDensity):
    def __init__(
        self, chart: StiefelMap, scatter: NDArray[np.float64], n: float, prior: bool = True
    ) -> None: ...
