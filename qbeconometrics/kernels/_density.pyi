from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

class CompiledDensity:
    @property
    def size(self) -> int: ...
    def log_density_and_gradient(
        self, x: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64]]: ...

class PythonDensity(CompiledDensity):
    error: BaseException | None
    def __init__(
        self,
        size: int,
        function: Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]],
    ) -> None: ...
