"""Cayley transform of a skew matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import multigammaln

from qbeconometrics.exceptions import InputError
from qbeconometrics.stiefel.base import Chart
from qbeconometrics.stiefel.checks import FloatArray, check_dimensions, check_orthonormal

# Below this smallest singular value of Q_1 + I, x loses more than half of its digits.
NEAREST_CUT = 1e-8


class Cayley(Chart):
    """Q is the Cayley transform of a skew matrix X, with exactly as many coordinates as dimensions.

    Parameters
    ----------
    p, k : int
        Rows and columns of Q, p at least 2 and k from 1 to p.
    center : array_like, shape (p, k), optional
        The Q at x = 0; by default the first k columns of the identity. Best near the mode: the
        density is heavy-tailed far from it.

    Raises
    ------
    OptionError
        If there are no such matrices.
    InputError
        If the columns of `center` are not orthonormal.

    Notes
    -----
    Following Jauch, Hoff and Dunson, "Random orthogonal matrices and the Cayley transform"
    (arXiv:1810.02881). Q = C (I + X)(I - X)^-1 I, X = [B, -A'; A, 0], where the first columns of
    the square C are the centre; x holds the elements of B below its diagonal, by rows, and then
    those of A (p - k, k) by rows. The closed form 2^d det(I + A'A - B)^-(p-1) of the Jacobian, d
    being `size`, is ours. Matrices Q for which -1 is an eigenvalue of center'Q are not reached. For
    p = k all Q have the determinant of the centre. Far from the centre Q loses digits, for p < 2 k
    as the square of x.

    Examples
    --------
    >>> from qbeconometrics import stiefel
    >>> stiefel.Cayley(2, 1).to_matrix([0.5]).ravel()
    array([0.6, 0.8])
    >>> chart = stiefel.Cayley(2, 1, center=[[0.6], [0.8]])
    >>> chart.to_matrix([0.0]).ravel()
    array([0.6, 0.8])
    """

    def __init__(self, p: int, k: int, center: Any = None) -> None:
        p, k = check_dimensions(p, k)
        self._frame = None
        if center is not None:
            first = check_orthonormal(center, "center", p, k)
            rest = np.linalg.qr(first, mode="complete")[0][:, k:]
            self._frame = np.ascontiguousarray(np.hstack([first, rest]))
        super().__init__("cayley", p, k, frame=self._frame)
        # Minus the log volume, of half of it for p = k, where the other half has determinant -1.
        volume = k * np.log(2.0) + 0.5 * p * k * np.log(np.pi) - multigammaln(0.5 * p, k)
        self._log_constant = -float(volume) + (float(np.log(2.0)) if p == k else 0.0)

    def _coordinates(self, Q: FloatArray) -> FloatArray:
        k = self.k
        if self._frame is not None:
            if self.p == k and np.linalg.det(self._frame) * np.linalg.det(Q) < 0.0:
                raise InputError("Q does not have the determinant of the centre: change the centre")
            Q = self._frame.T @ Q
        elif self.p == k and np.linalg.det(Q) < 0.0:
            raise InputError(
                "Q has determinant -1, and this chart reaches determinant 1 only: give a center of "
                "determinant -1, change the sign of a column, or use Polar(p, k)"
            )
        shifted = Q[:k] + np.eye(k)
        if np.linalg.svd(shifted, compute_uv=False)[-1] < NEAREST_CUT:
            raise InputError(
                "the chart does not reach Q, because -1 is an eigenvalue of center'Q: give a "
                "center that is nearer to Q"
            )
        inverse = 2.0 * np.linalg.inv(shifted)
        B = 0.5 * (inverse.T - inverse)
        A = 0.5 * Q[k:] @ inverse
        return np.concatenate([B[np.tril_indices(k, -1)], A.ravel()])
