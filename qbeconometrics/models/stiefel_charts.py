"""The chart that a parameterization's name stands for."""

from __future__ import annotations

import numpy as np

from qbeconometrics.exceptions import InputError
from qbeconometrics.stiefel import Cayley, Chart, Givens, Householder, Polar
from qbeconometrics.stiefel.checks import FloatArray


def _householder(p: int, k: int, near: FloatArray | None) -> Chart:
    if near is None:
        return Householder(p, k)
    det = -1 if p == k and np.linalg.det(near) < 0.0 else 1
    charts = [Householder(p, k, sign=sign, det=det) for sign in (1, -1)]
    return max(charts, key=lambda chart: _clearance(chart, near))


def _clearance(chart: Householder, Q: FloatArray) -> float:
    """How far the reflection vectors of Q stay from the hole: 2 at its opposite, 0 in it."""
    try:
        x = chart.from_matrix(Q)
    except InputError:
        return 0.0
    lengths = chart.p - np.arange(min(chart.k, chart.p - 1))
    vectors = np.split(x, np.cumsum(lengths)[:-1])
    return min(1.0 + chart.sign * float(v[0] / np.sqrt(v @ v)) for v in vectors)


def chart_for(parameterization: str | Chart, p: int, k: int, matrices: FloatArray | None) -> Chart:
    """Return a chart, one that suits the first of the matrices if there are some.

    Parameters
    ----------
    parameterization : str or Chart
        A chart is returned as it is.
    p, k : int
    matrices : ndarray, shape (chains, p, k), optional
        Where chains begin.

    Returns
    -------
    Chart

    Examples
    --------
    >>> chart_for("cayley", 3, 2, None)
    Cayley(3, 2)
    """
    if isinstance(parameterization, Chart):
        return parameterization
    near = None if matrices is None else matrices[0]
    if parameterization == "cayley":
        return Cayley(p, k, center=near)
    if parameterization == "householder":
        return _householder(p, k, near)
    return {"polar": Polar, "givens": Givens}[parameterization](p, k)
