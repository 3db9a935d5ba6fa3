from collections.abc import Callable
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
class MatrixTarget:
    @property
    def p(self) -> int: ...
    @property
    def k(self) -> int: ...
    def log_density_and_gradient(
        self, Q: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64]]: ...

@disjoint_base
class QuadraticTarget(MatrixTarget):
    def __init__(
        self,
        p: int,
        k: int,
        linear: NDArray[np.float64] | None = None,
        quadratic: NDArray[np.float64] | None = None,
        weights: NDArray[np.float64] | None = None,
    ) -> None: ...

@disjoint_base
class PythonMatrixTarget(MatrixTarget):
    error: BaseException | None
    def __init__(
        self,
        p: int,
        k: int,
        function: Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]],
    ) -> None: ...

@disjoint_base
class StiefelDensity(CompiledDensity):
    def __init__(
        self, chart: StiefelMap, target: MatrixTarget, log_constant: float = 0.0
    ) -> None: ...
    @property
    def target(self) -> MatrixTarget: ...
