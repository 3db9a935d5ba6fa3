from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

# What Cython adds to every module.
__pyx_capi__: dict[str, Any]
__reduce_cython__: Any
__setstate_cython__: Any
__test__: dict[str, str]

CHARTS: tuple[str, ...]

@disjoint_base
class StiefelMap:
    def __init__(
        self,
        chart: str,
        p: int,
        k: int,
        sign: int = 1,
        det: int = 1,
        frame: NDArray[np.float64] | None = None,
        df: float = 0.0,
    ) -> None: ...
    @property
    def size(self) -> int: ...
    def forward(self, x: NDArray[np.float64]) -> NDArray[np.float64]: ...
    def pull_back(
        self, x: NDArray[np.float64], slope: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64]]: ...
