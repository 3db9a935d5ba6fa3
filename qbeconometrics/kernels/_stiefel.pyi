import numpy as np
from numpy.typing import NDArray

CHARTS: tuple[str, ...]

class StiefelMap:
    def __init__(
        self,
        chart: str,
        p: int,
        k: int,
        sign: int = 1,
        det: int = 1,
        frame: NDArray[np.float64] | None = None,
    ) -> None: ...
    @property
    def size(self) -> int: ...
    def forward(self, x: NDArray[np.float64]) -> NDArray[np.float64]: ...
    def pull_back(
        self, x: NDArray[np.float64], slope: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64]]: ...
