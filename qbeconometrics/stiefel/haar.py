"""Uniformly distributed orthonormal matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from qbeconometrics.sampling.seeds import spawn_seeds
from qbeconometrics.stiefel.checks import FloatArray, check_dimensions


def rand(p: int, k: int, rng: Any = None) -> FloatArray:
    """Return an orthonormal matrix drawn from the uniform distribution.

    Parameters
    ----------
    p, k : int
        Rows and columns, p at least 2 and k from 1 to p.
    rng : None, int, SeedSequence, BitGenerator or Generator
        A Generator is spawned, so that a second call differs.

    Returns
    -------
    ndarray, shape (p, k)

    Raises
    ------
    OptionError
        If there are no such matrices, or for another kind of `rng`.

    Notes
    -----
    The orthonormal factor of a matrix of normals, the diagonal of the triangular one made positive
    (Mezzadri 2007, Notices of the AMS 54, 592, arXiv:math-ph/0609050).

    Examples
    --------
    >>> from qbeconometrics import stiefel
    >>> stiefel.rand(3, 2, rng=0).shape
    (3, 2)
    """
    p, k = check_dimensions(p, k)
    generator = np.random.default_rng(spawn_seeds(rng, 1)[0])
    Q, R = np.linalg.qr(generator.standard_normal((p, k)))
    return np.ascontiguousarray(Q * np.where(np.diag(R) < 0.0, -1.0, 1.0))
