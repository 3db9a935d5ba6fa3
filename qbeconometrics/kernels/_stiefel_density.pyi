from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.kernels._density import CompiledDensity
from qbeconometrics.kernels._stiefel import StiefelMap

class MatrixTarget:
    @property
    def p(self) -> int: ...
    @property
    def k(self) -> int: ...
    def log_density_and_gradient(
        self, Q: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64]]: ...

class QuadraticTarget(MatrixTarget):
    def __init__(
        self,
        p: int,
        k: int,
        linear: NDArray[np.float64] | None = None,
        quadratic: NDArray[np.float64] | None = None,
        weights: NDArray[np.float64] | None = None,
    ) -> None: ...

class PythonMatrixTarget(MatrixTarget):
    error: BaseException | None
    def __init__(
        self,
        p: int,
        k: int,
        function: Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]],
    ) -> None: ...

class StiefelDensity(CompiledDensity):
    def __init__(
        self, chart: StiefelMap, target: MatrixTarget, log_constant: float = 0.0
    ) -> None: ...
