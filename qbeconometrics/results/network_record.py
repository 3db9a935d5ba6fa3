"""What results of a network eigenmodel know of nodes and eigenvectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class NetworkRecord:
    """Eigenvectors and nodes of one fit; eigenvalues and the intercept are in the `FitRecord`.

    Attributes
    ----------
    vectors : ndarray, shape (chain, draw, p, k)
        In descending order of the eigenvalues of each draw, with the signs nearest to `reference`.
    reference : ndarray, shape (p, k)
        Leading eigenvectors of the posterior mean of Q Lambda Q'.
    node_names : tuple of str
    links : ndarray of bool, shape (pairs,)
        Of pairs i < j, by rows.
    parameterization : str

    Raises
    ------
    InputError
        If the shapes do not fit together.
    """

    vectors: FloatArray
    reference: FloatArray
    node_names: tuple[str, ...]
    links: NDArray[np.bool_]
    parameterization: str

    def __post_init__(self) -> None:
        p = len(self.node_names)
        if (
            self.vectors.ndim != 4
            or self.vectors.shape[2:] != self.reference.shape
            or self.reference.shape[0] != p
            or self.links.shape != (p * (p - 1) // 2,)
        ):
            raise InputError("vectors, reference, node_names and links do not fit together")

    @property
    def rank(self) -> int:
        """Number of eigenvalues."""
        return self.reference.shape[1]

    @property
    def degrees(self) -> NDArray[np.int64]:
        """Links of each node, shape (p,)."""
        p = len(self.node_names)
        i, j = np.triu_indices(p, 1)
        return np.asarray(
            np.bincount(i[self.links], minlength=p) + np.bincount(j[self.links], minlength=p)
        )
