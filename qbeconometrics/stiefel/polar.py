"""Polar expansion."""

from __future__ import annotations

import numpy as np

from qbeconometrics.stiefel.base import Chart
from qbeconometrics.stiefel.checks import FloatArray


class Polar(Chart):
    """Q = X (X'X)^(-1/2) for a matrix X (p, k), whose X'X has a Wishart distribution given Q.

    Uniform Q belong to independent standard normal elements of X. The coordinates have a density
    everywhere, and the chart looks the same from every Q: the one to begin with.

    Parameters
    ----------
    p, k : int
        Rows and columns of Q, p at least 2 and k from 1 to p.

    Raises
    ------
    OptionError
        If there are no such matrices.

    Notes
    -----
    Following Jauch, Hoff and Dunson, "Monte Carlo simulation on the Stiefel manifold via polar
    expansion" (arXiv:1906.07684). x holds the p k elements of X by rows. Its density is f(Q) times
    that of independent standard normals. The gradient goes through a singular-value decomposition
    without dividing by differences of singular values. For p = k both determinants are reached, and
    the density has a jump where X is singular.

    Examples
    --------
    >>> from qbeconometrics import stiefel
    >>> chart = stiefel.Polar(5, 2)
    >>> Q = chart.to_matrix(range(10))
    >>> bool(abs(Q.T @ Q - [[1, 0], [0, 1]]).max() < 1e-12)
    True
    """

    _hole = "the columns of X are linearly dependent"

    def __init__(self, p: int, k: int) -> None:
        super().__init__("polar", p, k)
        self._log_constant = -0.5 * self.size * float(np.log(2.0 * np.pi))

    def _coordinates(self, Q: FloatArray) -> FloatArray:
        # (X'X)^(1/2) has its mode at this multiple of the identity.
        return (np.sqrt(self.p - 0.5 * (self.k + 1)) * Q).ravel()
