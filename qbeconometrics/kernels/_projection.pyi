from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

# What Cython adds to every module.
__reduce_cython__: Any
__setstate_cython__: Any
__pyx_capi__: dict[str, object]
__test__: dict[str, str]

@disjoint_base
class ProjectionTarget:
    def __new__(
        cls,
        cross: NDArray[np.float64],
        jacobian: NDArray[np.float64],
        estimate: NDArray[np.float64],
        places: NDArray[np.int64],
        terms: NDArray[np.float64],
        prior_rows: NDArray[np.float64],
        prior_target: NDArray[np.float64],
        rough_rows: NDArray[np.float64],
        rough_offset: NDArray[np.float64],
        rough_path: NDArray[np.int64],
        paths: NDArray[np.float64],
    ) -> Self: ...
    @property
    def n_params(self) -> int: ...
    @property
    def n_moments(self) -> int: ...
    @property
    def n_paths(self) -> int: ...
    def evaluate(
        self, points: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...

def projection_chain(
    target: ProjectionTarget,
    bit_generator: np.random.BitGenerator,
    position: NDArray[np.float64],
    blocks: NDArray[np.int64],
    centre: NDArray[np.float64],
    whitening: NDArray[np.float64],
    colouring: NDArray[np.float64],
    df: float,
    shape: float,
    rate: float,
    cauchy_rate: float,
    draws: NDArray[np.float64],
    log_density: NDArray[np.float64],
    counters: NDArray[np.int64],
    *,
    unscreened: int = 0,
) -> bool: ...
