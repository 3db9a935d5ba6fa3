"""Differences of paths that roughness priors penalise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import OptionError

FloatArray = NDArray[np.float64]


def difference_matrix(order: int | str, n: int) -> FloatArray:
    """Return D (r, n) with r independent rows: the roughness of a path is |D path|^2.

    Parameters
    ----------
    order : {1, 2, "decay"}
        First or second differences; "decay" adds the difference from the last value to zero.
    n : int
        Length of the path.

    Raises
    ------
    OptionError
        If the path is too short.

    Examples
    --------
    >>> difference_matrix(2, 4)
    array([[ 1., -2.,  1.,  0.],
           [ 0.,  1., -2.,  1.]])
    >>> difference_matrix("decay", 2)
    array([[-1.,  1.],
           [ 0., -1.]])
    """
    steps = 1 if order == "decay" else int(order)
    if n <= steps:
        raise OptionError(
            f"Smoothness(order={order!r}) needs more than {steps} horizons; there are {n}"
        )
    D = np.diff(np.eye(n), n=steps, axis=0)
    if order == "decay":
        last = np.zeros((1, n))
        last[0, -1] = -1.0
        D = np.vstack([D, last])
    return D
