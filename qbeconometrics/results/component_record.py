"""What results of principal components know of axes and variables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ComponentRecord:
    """Principal axes of one fit; lengths and noise are in the `FitRecord`.

    Attributes
    ----------
    vectors : ndarray, shape (chain, draw, p, k)
        In descending order of lengths, with the signs nearest to `reference`.
    reference : ndarray, shape (p, k)
        Leading eigenvectors of the posterior mean of W W'.
    column_names : tuple of str

    Raises
    ------
    InputError
        If the shapes do not fit together.
    """

    vectors: FloatArray
    reference: FloatArray
    column_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if (
            self.vectors.ndim != 4
            or self.vectors.shape[2:] != self.reference.shape
            or self.reference.shape[0] != len(self.column_names)
        ):
            raise InputError("vectors, reference and column_names do not fit together")
