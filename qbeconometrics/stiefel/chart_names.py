"""Charts by their names, as models take them."""

from __future__ import annotations

import numpy as np

from qbeconometrics.exceptions import check_choice
from qbeconometrics.stiefel.base import Chart
from qbeconometrics.stiefel.cayley import Cayley
from qbeconometrics.stiefel.checks import FloatArray
from qbeconometrics.stiefel.givens import Givens
from qbeconometrics.stiefel.householder import Householder
from qbeconometrics.stiefel.polar import Polar

# Degrees of freedom beyond p, which keep coordinates out of their funnels.
MORE_DF = 18

PARAMETERIZATIONS = ("polar", "householder", "givens", "cayley")


def chart_around(parameterization: str, center: FloatArray) -> Chart:
    """Return a chart of matrices of the shape of `center`, where that of Cayley is centred.

    Raises
    ------
    OptionError
        If the name is not known.

    Examples
    --------
    >>> import numpy as np
    >>> chart_around("polar", np.eye(3, 1))
    Polar(3, 1, df=21.0)
    """
    check_choice(parameterization, PARAMETERIZATIONS, "parameterization")
    p, k = center.shape
    if parameterization == "cayley":
        return Cayley(p, k, center=center)
    if parameterization == "givens":
        return Givens(p, k)
    return {"polar": Polar, "householder": Householder}[parameterization](p, k, df=p + MORE_DF)


def away_from_holes(vectors: FloatArray) -> FloatArray:
    """Turn columns so that the i-th element of the i-th is >= 0, far from `Householder`'s hole."""
    return vectors * np.where(np.diag(vectors) < 0.0, -1.0, 1.0)
