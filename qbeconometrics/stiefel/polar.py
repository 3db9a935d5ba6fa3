"""Polar expansion."""

from __future__ import annotations

import numpy as np
from scipy.special import multigammaln

from qbeconometrics.stiefel.base import Chart
from qbeconometrics.stiefel.checks import FloatArray, check_df, check_dimensions


class Polar(Chart):
    """Q = X (X'X)^(-1/2) for a matrix X (p, k), whose X'X has a Wishart distribution given Q.

    Uniform Q belong to independent standard normal elements of X. The coordinates have a density
    everywhere, and the chart looks the same from every Q: the one to begin with.

    Parameters
    ----------
    p, k : int
        Rows and columns of Q, p at least 2 and k from 1 to p.
    df : float, optional
        Degrees of freedom of the Wishart law, at least p, which is the default. More of them keep X
        away from singular matrices; take 20 or so where Q is concentrated and p is small.

    Raises
    ------
    OptionError
        If there are no such matrices, or for fewer degrees of freedom.

    Notes
    -----
    Following Jauch, Hoff and Dunson, "Monte Carlo simulation on the Stiefel manifold via polar
    expansion" (arXiv:1906.07684). x holds the p k elements of X by rows. Its density is f(Q) times
    that of independent standard normals; other degrees of freedom (ours) multiply it by
    |X'X|^((df - p)/2). Where Q is concentrated and X'X may be nearly singular, the density of X is
    a funnel, which steps of one length do not enter. The gradient goes through a singular-value
    decomposition without dividing by differences of singular values. For p = k both determinants
    are reached, and the density has a jump where X is singular.

    Examples
    --------
    >>> from qbeconometrics import stiefel
    >>> chart = stiefel.Polar(5, 2)
    >>> Q = chart.to_matrix(range(10))
    >>> bool(abs(Q.T @ Q - [[1, 0], [0, 1]]).max() < 1e-12)
    True
    >>> stiefel.Polar(5, 2, df=20)
    Polar(5, 2, df=20.0)
    """

    _hole = "the columns of X are linearly dependent"

    def __init__(self, p: int, k: int, df: float | None = None) -> None:
        p, k = check_dimensions(p, k)
        self.df = float(p) if df is None else check_df(df, p)
        super().__init__("polar", p, k, df=self.df)
        # Of the normal law, and of the mean of the determinant's power under it.
        self._log_constant = -0.5 * (
            self.size * np.log(2.0 * np.pi) + k * (self.df - p) * np.log(2.0)
        )
        self._log_constant += float(multigammaln(0.5 * p, k) - multigammaln(0.5 * self.df, k))

    def __repr__(self) -> str:
        return super().__repr__()[:-1] + (")" if self.df == self.p else f", df={self.df})")

    def _coordinates(self, Q: FloatArray) -> FloatArray:
        # (X'X)^(1/2) has its mode at this multiple of the identity.
        return (np.sqrt(self.df - 0.5 * (self.k + 1)) * Q).ravel()
