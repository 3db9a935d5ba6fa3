import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

# What Cython adds to every module.
__test__: dict[str, str]

RULES: tuple[str, ...]
EFFECTS: tuple[str, ...]
MOMENTS: int
RUNNING: int
PATH: int

@disjoint_base
class FeatureMap:
    @property
    def columns(self) -> int: ...
    @property
    def size(self) -> int: ...
    def evaluate(self, x: NDArray[np.float64]) -> NDArray[np.float64]: ...

@disjoint_base
class FourierMap(FeatureMap):
    def __init__(
        self,
        frequencies: NDArray[np.float64],
        phases: NDArray[np.float64],
        scales: NDArray[np.float64],
    ) -> None: ...

@disjoint_base
class MonomialMap(FeatureMap):
    def __init__(
        self,
        parents: NDArray[np.intc],
        factors: NDArray[np.intc],
        scales: NDArray[np.float64],
        columns: int,
    ) -> None: ...

@disjoint_base
class Learner:
    def __init__(
        self,
        features: FeatureMap,
        params: NDArray[np.float64],
        memory: NDArray[np.float64],
        running: NDArray[np.float64],
        window: NDArray[np.float64],
        param_sums: NDArray[np.float64],
        path: NDArray[np.float64],
        rule: str,
        rate: float,
        *,
        decay: float = 0.9,
        second_decay: float = 0.999,
        epsilon: float = 1e-8,
        power: float = 0.51,
        low: float = -6.0,
        high: float = 6.0,
        most_ratio: float = 20.0,
        most_norm: float = 5.0,
    ) -> None: ...
    def learn(
        self,
        y: NDArray[np.float64],
        x: NDArray[np.float64],
        batch: int,
        step: int,
        effects: str = "held",
    ) -> None: ...
    def measure(
        self, y: NDArray[np.float64], x: NDArray[np.float64], sums: NDArray[np.float64]
    ) -> None: ...
