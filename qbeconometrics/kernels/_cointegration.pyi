from numpy.typing import ArrayLike
from typing_extensions import disjoint_base

from qbeconometrics.kernels._stiefel_density import MatrixTarget

# What Cython adds to every module that has classes.
__reduce_cython__: object
__setstate_cython__: object
__test__: dict[str, str]

MOST_RANKS: int

@disjoint_base
class DeterminantRatioTarget(MatrixTarget):
    def __init__(self, k: int, matrices: ArrayLike, weights: ArrayLike) -> None: ...

@disjoint_base
class SumOfTargets(MatrixTarget):
    def __init__(self, first: MatrixTarget, second: MatrixTarget) -> None: ...
