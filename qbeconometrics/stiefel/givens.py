"""Products of Givens rotations."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from qbeconometrics.exceptions import InputError
from qbeconometrics.stiefel.base import Chart
from qbeconometrics.stiefel.checks import FloatArray


class Givens(Chart):
    """Q is a product of rotations in coordinate planes, by as many angles as Q has dimensions.

    Each angle is that of two coordinates (r cos, r sin) with r near 1, so that no angle has an end.

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
    Following Pourzanjani, Jiang, Mitchell, Atzberger and Petzold, "Bayesian inference over the
    Stiefel manifold via the Givens representation" (2021, Bayesian Analysis, arXiv:1710.09443). x
    holds pairs (cosine, sine), times r, for the planes (1, 2), ..., (1, p), (2, 3), ..., (k, p); r
    is normal around 1 with standard deviation 0.1. Angles of planes (i, j) with j > i + 1 have
    density proportional to |cos|^(j - i - 1) for uniform Q; letting them go all the way round,
    which is ours, covers every Q equally often. For p = k the determinant is 1. The density
    vanishes at the poles, where a cosine is zero: samplers by gradients are slow here.

    Examples
    --------
    >>> from qbeconometrics import stiefel
    >>> chart = stiefel.Givens(2, 1)
    >>> chart.from_matrix([[0.6], [0.8]])
    array([0.6, 0.8])
    >>> chart.angles([0.0, 1.1])
    array([1.57079633])
    """

    _hole = "a pair of coordinates is zero"

    def __init__(self, p: int, k: int) -> None:
        super().__init__("givens", p, k)
        gaps = np.array([j - i for i, j in self._planes()])
        # Integrals of |cos|^(gap - 1) over the circle, and of the density of a radius.
        circles = np.log(2.0 * np.sqrt(np.pi)) + gammaln(0.5 * gaps) - gammaln(0.5 * (gaps + 1))
        radii = len(gaps) * np.log(0.1 * np.sqrt(2.0 * np.pi))
        self._log_constant = -float(np.sum(circles)) - float(radii)

    def _planes(self) -> list[tuple[int, int]]:
        return [(i, j) for i in range(self.k) for j in range(i + 1, self.p)]

    def angles(self, x: FloatArray) -> FloatArray:
        """Return the angles, from -pi to pi, in the order of the planes.

        Parameters
        ----------
        x : array_like, shape (size,)

        Returns
        -------
        ndarray, shape (size / 2,)

        Raises
        ------
        ValueError
            If x is not made of pairs.

        Examples
        --------
        >>> from qbeconometrics import stiefel
        >>> stiefel.Givens(2, 1).angles([1.0, 0.0])
        array([0.])
        """
        pairs = np.asarray(x, dtype=np.float64).reshape(-1, 2)
        return np.asarray(np.arctan2(pairs[:, 1], pairs[:, 0]))

    def _coordinates(self, Q: FloatArray) -> FloatArray:
        if self.p == self.k and np.linalg.det(Q) < 0.0:
            raise InputError(
                "Q has determinant -1, and rotations reach determinant 1 only: change the sign of "
                "a column, or use Householder(p, k, det=-1) or Polar(p, k)"
            )
        pairs = []
        for i, j in self._planes():
            r = float(np.hypot(Q[i, i], Q[j, i]))
            cos, sin = (Q[i, i] / r, Q[j, i] / r) if r > 0.0 else (1.0, 0.0)
            pairs.append((cos, sin))
            Q[i], Q[j] = cos * Q[i] + sin * Q[j], cos * Q[j] - sin * Q[i]
        return np.array(pairs).ravel()
