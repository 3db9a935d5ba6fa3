"""Simulated data, the same for the same seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import ndtr

from qbeconometrics.exceptions import InputError


def network(
    p: int = 270,
    eigenvalues: Sequence[float] = (140.0, 95.0, -107.0),
    intercept: float = -2.62,
    seed: int = 2009,
) -> pd.DataFrame:
    """Draw a network of the eigenmodel.

    The defaults give one of the size, and about the density, of the protein interactions of
    Hoff (2009, arXiv:0712.4166), which are not free to be passed on: 270 nodes, here with 712 links
    of 36,315 pairs.

    Parameters
    ----------
    p : int
        Nodes.
    eigenvalues : sequence of float, length k
        k at most p.
    intercept : float
    seed : int
        Seeds a new NumPy generator.

    Returns
    -------
    DataFrame of int, shape (p, p)
        0 and 1, symmetric, 0 on the diagonal; nodes are named "node1", "node2", ...

    Raises
    ------
    InputError
        If there are fewer nodes than eigenvalues.

    Notes
    -----
    Links are independent with probabilities Phi(intercept + (Q Lambda Q')_ij), Q being uniformly
    distributed over matrices (p, k) with orthonormal columns.

    Examples
    --------
    >>> from qbeconometrics import simulate
    >>> adjacency = simulate.network()
    >>> adjacency.shape, int(adjacency.to_numpy().sum()) // 2
    ((270, 270), 712)
    """
    if not 1 <= len(eigenvalues) <= p:
        raise InputError(f"eigenvalues must be 1 to p={p} numbers")
    rng = np.random.default_rng(seed)
    left, _, right = np.linalg.svd(rng.standard_normal((p, len(eigenvalues))), full_matrices=False)
    Q = left @ right
    pairs = np.triu_indices(p, 1)
    probabilities = ndtr(intercept + ((Q * np.asarray(eigenvalues)) @ Q.T)[pairs])
    adjacency = np.zeros((p, p), dtype=np.int64)
    adjacency[pairs] = rng.random(len(probabilities)) < probabilities
    names = [f"node{number}" for number in range(1, p + 1)]
    return pd.DataFrame(adjacency + adjacency.T, index=names, columns=names)
