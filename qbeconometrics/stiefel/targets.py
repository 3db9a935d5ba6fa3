"""Compiled densities of orthonormal matrices that are known by name."""

from __future__ import annotations

from typing import Any

import numpy as np

from qbeconometrics.exceptions import InputError, OptionError
from qbeconometrics.kernels._stiefel_density import MatrixTarget, QuadraticTarget
from qbeconometrics.stiefel.checks import check_array, check_dimensions

# How far A may be from its transpose, relative to its largest element.
ASYMMETRY = 1e-10


def uniform(p: int, k: int) -> MatrixTarget:
    """Return the uniform density, log f = 0.

    Parameters
    ----------
    p, k : int
        Rows and columns of Q, p at least 2 and k from 1 to p.

    Returns
    -------
    MatrixTarget
        For `StiefelSampler`, or for `density` of a chart.

    Raises
    ------
    OptionError
        If there are no such matrices.

    Examples
    --------
    >>> from qbeconometrics import stiefel
    >>> target = stiefel.uniform(3, 2)
    >>> target.p, target.k
    (3, 2)
    """
    return QuadraticTarget(*check_dimensions(p, k))


def von_mises_fisher(M: Any) -> MatrixTarget:
    """Return the matrix von Mises-Fisher density, log f = tr(M'Q).

    Parameters
    ----------
    M : array_like, shape (p, k)
        Its orthonormal polar factor is the mode, its singular values say how sharp it is.

    Returns
    -------
    MatrixTarget
        For `StiefelSampler`, or for `density` of a chart.

    Raises
    ------
    InputError
        If M is not a matrix of finite numbers.
    OptionError
        If it has more columns than rows, or a single row.

    Notes
    -----
    Following Khatri and Mardia (1977, Journal of the Royal Statistical Society B 39, 95,
    doi:10.1111/j.2517-6161.1977.tb01610.x).

    Examples
    --------
    >>> import numpy as np
    >>> from qbeconometrics import stiefel
    >>> target = stiefel.von_mises_fisher([[3.0], [0.0]])
    >>> target.log_density_and_gradient(np.array([[0.6], [0.8]]))[0]
    1.7999999999999998
    """
    p, k = _two_dimensions(M, "M")
    return QuadraticTarget(*check_dimensions(p, k), linear=check_array(M, "M", (p, k)))


def bingham(A: Any, k: int, D: Any = None) -> MatrixTarget:
    """Return the matrix Bingham density, log f = tr(D Q'AQ).

    Without D, or with equal elements of it, it depends on Q through its column space alone; with
    different elements, on each column up to its sign.

    Parameters
    ----------
    A : array_like, shape (p, p)
        Symmetric.
    k : int
        Columns of Q.
    D : array_like, shape (k,), optional
        Diagonal of D; ones by default.

    Returns
    -------
    MatrixTarget
        For `StiefelSampler`, or for `density` of a chart.

    Raises
    ------
    InputError
        If A is not symmetric, or D not of length k, or they are not finite.
    OptionError
        If there are no such matrices.

    Notes
    -----
    Following Hoff (2009, Journal of Computational and Graphical Statistics 18, 438,
    doi:10.1198/jcgs.2009.07177), whose B is D here.

    Examples
    --------
    >>> import numpy as np
    >>> from qbeconometrics import stiefel
    >>> target = stiefel.bingham(np.diag([3.0, 2.0, 1.0]), 2)
    >>> target.log_density_and_gradient(np.eye(3, 2))[0]
    5.0
    """
    p, columns = _two_dimensions(A, "A")
    if p != columns:
        raise InputError(f"A must be square, not of shape {(p, columns)}")
    p, k = check_dimensions(p, k)
    A = check_array(A, "A", (p, p))
    if np.max(np.abs(A - A.T)) > ASYMMETRY * np.max(np.abs(A)):
        raise InputError("A must be symmetric; (A + A') / 2 gives the same density")
    weights = None if D is None else check_array(D, "D", (k,))
    return QuadraticTarget(p, k, quadratic=0.5 * (A + A.T), weights=weights)


def _two_dimensions(value: Any, name: str) -> tuple[int, int]:
    shape = np.shape(value)
    if len(shape) != 2:
        raise InputError(f"{name} must be a matrix, not an array of {len(shape)} dimensions")
    if shape[1] > shape[0]:
        raise OptionError(
            f"{name} has shape {shape}, more columns than rows, which orthonormal matrices cannot "
            "have: is it transposed?"
        )
    return int(shape[0]), int(shape[1])
