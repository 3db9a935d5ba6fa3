"""What shocks do to two variables once each has answered the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TotalEffects:
    """What shocks do once both variables have answered each other.

    Attributes
    ----------
    params : ndarray, shape (2, 2)
        params[i, j] is the effect of a unit of e_j on y_i: [1, b12; b21, 1] / (1 - b12 b21).
    bse : ndarray, shape (2, 2)
        Standard errors by the delta method.
    """

    params: FloatArray
    bse: FloatArray


def total_effects(params: ArrayLike, covariance: ArrayLike) -> TotalEffects:
    """Return the effects of unit shocks with all feedback, and their standard errors.

    Parameters
    ----------
    params : array_like, shape (2,)
        (b12, b21).
    covariance : array_like, shape (2, 2)

    Examples
    --------
    >>> found = total_effects([0.5, -0.4], 0.01 * np.eye(2))
    >>> found.params.round(4)
    array([[ 0.8333,  0.4167],
           [-0.3333,  0.8333]])
    >>> found.bse.round(4)
    array([[0.0445, 0.0716],
           [0.0703, 0.0445]])
    """
    b12, b21 = np.asarray(params, dtype=np.float64)
    # The inverse of B; d inverse = inverse (dB12 on the place (1, 2) and so on) inverse.
    inverse = np.array([[1.0, b12], [b21, 1.0]]) / (1.0 - b12 * b21)
    slopes = np.stack(
        [np.outer(inverse[:, 0], inverse[1]), np.outer(inverse[:, 1], inverse[0])], axis=-1
    )
    variance = np.einsum("ija,ab,ijb->ij", slopes, np.asarray(covariance, np.float64), slopes)
    return TotalEffects(inverse, np.sqrt(variance))
