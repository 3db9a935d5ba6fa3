"""What a reduced-rank regression hands to the reader beyond a `FitRecord`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ReducedRankRecord:
    """Names, scales and draws of the two factors of C = A B'.

    Attributes
    ----------
    outcomes, regressors, controls : tuple of str
    rank : int
    exog_sds, endog_sds : ndarray, shapes (q,) and (m,)
        What regressors and outcomes were divided by.
    spaces : ndarray, shape (chain, draw, q, r)
        B, for regressors and outcomes divided by these.
    loadings : ndarray, shape (chain, draw, m, r)
        A, likewise.

    Raises
    ------
    InputError
        If the shapes do not fit together.
    """

    outcomes: tuple[str, ...]
    regressors: tuple[str, ...]
    controls: tuple[str, ...]
    rank: int
    exog_sds: FloatArray
    endog_sds: FloatArray
    spaces: FloatArray
    loadings: FloatArray

    def __post_init__(self) -> None:
        m, q = len(self.outcomes), len(self.regressors)
        shapes = {
            "exog_sds": (self.exog_sds.shape, (q,)),
            "endog_sds": (self.endog_sds.shape, (m,)),
            "spaces": (self.spaces.shape[2:], (q, self.rank)),
            "loadings": (self.loadings.shape, (*self.spaces.shape[:2], m, self.rank)),
        }
        for name, (found, needed) in shapes.items():
            if found != needed:
                raise InputError(f"{name} has the shape {found}; needed is {needed}.")
