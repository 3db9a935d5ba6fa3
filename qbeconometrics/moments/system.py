"""Moments of several regressions on the same regressors, in coordinates without units.

With X and Y divided by the standard deviations that the controls W leave over, and W replaced by
an orthonormal basis, the regressions are y = C x + D w + e, where x is orthogonal to w. Moments go
equation by equation: u1 x1, u1 x2, ..., u1 w1, ..., u2 x1, ...
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ScaledSystem:
    """Rows without units, and the way back.

    Attributes
    ----------
    endog : ndarray, shape (n, m)
        Y divided by `endog_sds`.
    regressors : ndarray, shape (n, q + k)
        What the controls leave of X, divided by `exog_sds`; then the basis of the controls, whose
        cross product is n times the identity.
    endog_sds, exog_sds : ndarray, shapes (m,) and (q,)
        Root mean squares of what the controls leave over.
    exog_on_controls : ndarray, shape (q, k)
        Coefficients of X / `exog_sds` on the basis.
    control_root : ndarray, shape (k, k)
        The controls are the basis times this upper triangular matrix.
    """

    endog: FloatArray
    regressors: FloatArray
    endog_sds: FloatArray
    exog_sds: FloatArray
    exog_on_controls: FloatArray
    control_root: FloatArray

    @property
    def q(self) -> int:
        """Regressors that are not controls."""
        return len(self.exog_sds)

    def estimate(self) -> FloatArray:
        """Return the least-squares coefficients (m, q + k)."""
        Q, R = np.linalg.qr(self.regressors)
        return np.asarray(solve_triangular(R, Q.T @ self.endog), dtype=np.float64).T.copy()

    def moments(self, coefficients: FloatArray) -> FloatArray:
        """Return residuals times regressors (n, m (q + k)) at coefficients (m, q + k)."""
        residuals = self.endog - self.regressors @ coefficients.T
        return np.asarray(
            (residuals[:, :, None] * self.regressors[:, None, :]).reshape(len(residuals), -1)
        )

    def in_units(self, C: FloatArray, D: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the coefficients of X and of the controls, in the units of the data.

        Parameters
        ----------
        C : ndarray, shape (..., m, q)
        D : ndarray, shape (..., m, k)
        """
        own = D - C @ self.exog_on_controls
        k = self.control_root.shape[0]
        if k:
            inverse = np.asarray(solve_triangular(self.control_root, np.eye(k)))
            own = self.endog_sds[:, None] * (own @ inverse.T)
        return self.endog_sds[:, None] * C / self.exog_sds, own


def scale_system(endog: FloatArray, exog: FloatArray, controls: FloatArray) -> ScaledSystem:
    """Take the controls out of the regressors, and the units out of everything.

    Parameters
    ----------
    endog : ndarray, shape (n, m)
    exog : ndarray, shape (n, q)
    controls : ndarray, shape (n, k)
        Of full column rank, with `exog`; k may be zero.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((50, 2))
    >>> y = 1.0 + x @ np.array([[1.0], [2.0]])
    >>> system = scale_system(y, x, np.ones((50, 1)))
    >>> estimate = system.estimate()
    >>> C, D = system.in_units(estimate[:, :2], estimate[:, 2:])
    >>> C.round(6), D.round(6)
    (array([[1., 2.]]), array([[1.]]))
    """
    n = len(endog)
    lengths = np.sqrt(np.einsum("ij,ij->j", controls, controls) / n)
    Q, R = np.linalg.qr(controls / lengths)
    basis, root = np.sqrt(n) * Q, R * lengths / np.sqrt(n)
    on_controls = basis.T @ exog / n
    left = exog - basis @ on_controls
    # Twice is enough to be orthogonal to the last digits.
    left -= basis @ (basis.T @ left / n)
    own = endog - basis @ (basis.T @ endog / n)
    exog_sds = np.sqrt(np.einsum("ij,ij->j", left, left) / n)
    endog_sds = np.sqrt(np.einsum("ij,ij->j", own, own) / n)
    return ScaledSystem(
        endog=endog / endog_sds,
        regressors=np.hstack([left / exog_sds, basis]),
        endog_sds=endog_sds,
        exog_sds=exog_sds,
        exog_on_controls=(on_controls / exog_sds).T.copy(),
        control_root=root,
    )
