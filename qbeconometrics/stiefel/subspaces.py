"""Column spaces of orthonormal matrices: projections, angles, and rotations that align."""

from __future__ import annotations

import numpy as np

from qbeconometrics.stiefel.checks import FloatArray


def projections(Q: FloatArray) -> FloatArray:
    """Return Q Q', which depends on the column space alone.

    Parameters
    ----------
    Q : ndarray, shape (..., p, k)

    Returns
    -------
    ndarray, shape (..., p, p)

    Examples
    --------
    >>> import numpy as np
    >>> projections(np.array([[0.6], [0.8]]))
    array([[0.36, 0.48],
           [0.48, 0.64]])
    """
    return np.asarray(Q @ Q.swapaxes(-1, -2))


def principal_angles(Q: FloatArray, reference: FloatArray) -> FloatArray:
    """Return the angles between the column spaces of Q and of a reference.

    Parameters
    ----------
    Q : ndarray, shape (..., p, k)
    reference : ndarray, shape (p, l)
        Orthonormal columns.

    Returns
    -------
    ndarray, shape (..., min(k, l))
        In radians, 0 to pi/2, the smallest first.

    Notes
    -----
    Following Bjorck and Golub (1973, doi:10.2307/2005662): small angles from their sines, large
    ones from their cosines, so that both are exact.

    Examples
    --------
    >>> import numpy as np
    >>> principal_angles(np.array([[0.0], [1.0]]), np.array([[1e-9], [1.0]]))
    array([1.e-09])
    """
    if Q.shape[-1] > reference.shape[-1]:
        larger, smaller = Q, np.broadcast_to(reference, (*Q.shape[:-1], reference.shape[-1]))
    else:
        larger, smaller = np.broadcast_to(reference, (*Q.shape[:-1], reference.shape[-1])), Q
    overlap = larger.swapaxes(-1, -2) @ smaller
    cosines = np.linalg.svd(overlap, compute_uv=False)
    sines = np.linalg.svd(smaller - larger @ overlap, compute_uv=False)[..., ::-1]
    return np.where(
        cosines**2 > 0.5,
        np.arcsin(np.clip(sines, 0.0, 1.0)),
        np.arccos(np.clip(cosines, 0.0, 1.0)),
    )


def procrustes(Q: FloatArray, reference: FloatArray) -> FloatArray:
    """Rotate and reflect the columns of Q so that it comes as near to a reference as it can.

    Parameters
    ----------
    Q : ndarray, shape (..., p, k)
    reference : ndarray, shape (p, k)

    Returns
    -------
    ndarray, shape (..., p, k)
        Q O, for the orthogonal O (k, k) that minimises the sum of squares of Q O - reference.

    Notes
    -----
    Following Schonemann (1966, doi:10.1007/BF02289451).

    Examples
    --------
    >>> import numpy as np
    >>> procrustes(np.array([[0.6], [0.8]]), np.array([[-1.0], [0.0]]))
    array([[-0.6],
           [-0.8]])
    """
    U, _, Vt = np.linalg.svd(Q.swapaxes(-1, -2) @ reference)
    return np.asarray(Q @ (U @ Vt))
