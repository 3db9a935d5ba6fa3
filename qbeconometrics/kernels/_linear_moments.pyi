from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import disjoint_base

# What Cython adds to every module.
__pyx_capi__: dict[str, Any]
__reduce_cython__: Any
__setstate_cython__: Any
__test__: dict[str, str]

@disjoint_base
class LinearMomentTarget:
    def __new__(
        cls,
        intercept: ArrayLike,
        jacobian: ArrayLike,
        prior_precision: ArrayLike,
        prior_mean: ArrayLike,
        *,
        determinant: bool,
        # Any, since callers choose the form at run time; the docstring has the shapes.
        statistic: Any = None,
        rows: Any = None,
        proportional: Any = None,
        student: Any = None,
    ) -> Self: ...
    @property
    def arrays(self) -> dict[str, NDArray[np.float64]]: ...
    @property
    def n_params(self) -> int: ...
    @property
    def n_moments(self) -> int: ...
    @property
    def form(self) -> str: ...
    @property
    def determinant(self) -> bool: ...
    @property
    def row_factor(self) -> float: ...
    @property
    def centering(self) -> float: ...
    def evaluate(self, points: ArrayLike) -> tuple[Any, Any]: ...
    def covariance_root(self, point: ArrayLike) -> tuple[NDArray[np.float64], float]: ...
