"""Log quasi-posterior of a row space, loadings integrated out; twin of the compiled one."""

from __future__ import annotations

import numpy as np

from qbeconometrics.kernels.reference.density import FloatArray
from qbeconometrics.kernels.reference.stiefel_density import MatrixTarget


class ReducedRankTarget(MatrixTarget):
    """log f of an orthonormal B (q, r), where vec(A) given B is normal and integrated out.

    log f = constant + b'Lambda^-1 b / 2 - log|Lambda| / 2 + power log|B'N B| / 2, where Lambda =
    (I x B)'H (I x B) and b = (I x B)'c. Vectors go through A (m, r) and C = A B' (m, q) by rows.

    Parameters
    ----------
    precision : ndarray, shape (m q, m q)
        H, symmetric positive definite, the prior's part in it.
    linear : ndarray, shape (m q,)
        c.
    shape : ndarray, shape (q, q)
        N, symmetric positive definite.
    rank : int
    constant : float
    power : float, optional
        m by default, which makes f depend on the column space of B alone.

    Examples
    --------
    >>> target = ReducedRankTarget(np.diag([4.0, 1.0]), np.array([4.0, 1.0]), np.eye(2), 1)
    >>> round(target.log_density_and_gradient(np.array([[1.0], [0.0]]))[0], 4)
    1.3069
    """

    def __init__(
        self,
        precision: FloatArray,
        linear: FloatArray,
        shape: FloatArray,
        rank: int,
        constant: float = 0.0,
        power: float | None = None,
    ) -> None:
        H, c, N = (np.array(values, dtype=np.float64) for values in (precision, linear, shape))
        if N.ndim != 2 or N.shape[0] != N.shape[1] or N.shape[0] < 2:
            raise ValueError("shape must be a square matrix of order 2 at least")
        if c.ndim != 1 or len(c) == 0 or len(c) % len(N):
            raise ValueError(f"linear must have a multiple of {len(N)} elements")
        if H.shape != (len(c), len(c)):
            raise ValueError(f"precision must have shape ({len(c)}, {len(c)})")
        if not 1 <= rank <= len(N):
            raise ValueError(f"rank must be from 1 to {len(N)}")
        self.p, self.k, self._m = len(N), rank, len(c) // len(N)
        self._precision, self._linear, self._shape, self._constant = H, c, N, constant
        self._power = self._m if power is None else power

    def _evaluate(self, Q: FloatArray) -> tuple[float, FloatArray]:
        m, q, r = self._m, self.p, self.k
        spread = np.kron(np.eye(m), Q)
        product = spread.T @ self._precision
        lam, shaped = product @ spread, self._shape @ Q
        inner = Q.T @ shaped
        try:
            log_roots = [np.log(np.diag(np.linalg.cholesky(square))) for square in (lam, inner)]
        except np.linalg.LinAlgError:
            return np.nan, np.full(Q.shape, np.nan)
        b = spread.T @ self._linear
        a = np.linalg.solve(lam, b)
        value = self._constant + 0.5 * b @ a - log_roots[0].sum() + self._power * log_roots[1].sum()
        weight = (np.linalg.inv(lam) + np.outer(a, a)).reshape(m * r, m, r)
        slope = self._linear.reshape(m, q).T @ a.reshape(m, r)
        slope -= np.einsum("ciq,cik->qk", product.reshape(m * r, m, q), weight)
        slope += self._power * np.linalg.solve(inner, shaped.T).T
        return float(value), slope
