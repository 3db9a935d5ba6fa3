from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

# What Cython adds to every module that has classes.
__reduce_cython__: Any
__setstate_cython__: Any
__test__: dict[str, str]

@disjoint_base
class CompiledDensity:
    @property
    def size(self) -> int: ...
    def log_density_and_gradient(
        self, x: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64]]: ...

@disjoint_base
class PythonDensity(CompiledDensity):
    error: BaseException | None
    def __init__(
        self,
        size: int,
        function: Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]],
    ) -> None: ...
