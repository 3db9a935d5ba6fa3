"""Quasi-posterior of a coefficient matrix of reduced rank, C = A B', from moments linear in C.

With a fixed weight the log quasi-likelihood is quadratic in C (m, q). B (q, r) is orthonormal and
A (m, r) free with a normal prior, so that A given B is normal and integrated out exactly: what is
left is a density of B that depends on its column space alone. Vectors go through A and C by rows,
equation by equation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import NumericalError
from qbeconometrics.kernels._reduced_rank import ReducedRankTarget
from qbeconometrics.posterior.projection_full import ControlsLaw

FloatArray = NDArray[np.float64]

# Numbers that draws of A hold at a time.
BLOCK_NUMBERS = 4_000_000


@dataclass(frozen=True, slots=True, eq=False)
class MomentFit:
    """A log quasi-likelihood quadratic in C, seen from its maximum.

    It is -misfit / 2 - vec(C - estimate)' precision vec(C - estimate) / 2.

    Attributes
    ----------
    estimate : ndarray, shape (m, q)
        C of full rank.
    precision : ndarray, shape (m q, m q)
        Learning rate included.
    misfit : float
        Zero where there are as many moments as coefficients.
    """

    estimate: FloatArray
    precision: FloatArray
    misfit: float = 0.0


def fit_moments(
    cross: FloatArray,
    product: FloatArray,
    weight: FloatArray,
    n: int,
    learning_rate: float = 1.0,
) -> MomentFit:
    """Return the quadratic form of the moments E[(y - C x) z'] = 0.

    For controls w, whose coefficients have a flat prior, give x and w as regressors and z and w as
    instruments, and take the coefficients of w out by `split_controls`.

    Parameters
    ----------
    cross : ndarray, shape (l, m)
        Z'Y / n, l at least q.
    product : ndarray, shape (l, q)
        Z'X / n, of full column rank.
    weight : ndarray, shape (m l, m l)
        Inverse of the covariance of sqrt(n) times the mean of the moments, which are u1 z1, u1 z2,
        ..., u2 z1, ...
    n : int
    learning_rate : float

    Returns
    -------
    MomentFit

    Raises
    ------
    NumericalError
        If the quadratic form is singular.

    Examples
    --------
    >>> fit = fit_moments(np.array([[1.0], [0.5]]), np.eye(2), np.eye(2), n=100)
    >>> fit.estimate, float(fit.precision[0, 0])
    (array([[1. , 0.5]]), 100.0)
    """
    (rows, m), q = cross.shape, product.shape[1]
    # (I x Z'X)' W, as an array with the axes of W split.
    half = np.tensordot(product, weight.reshape(m, rows, m * rows), axes=(0, 1))
    half = half.swapaxes(0, 1).reshape(m * q, m * rows) * (learning_rate * n)
    precision = (half.reshape(m * q, m, rows) @ product).reshape(m * q, m * q)
    precision = 0.5 * (precision + precision.T)
    moments = cross.T.ravel()
    try:
        np.linalg.cholesky(precision)
    except np.linalg.LinAlgError as error:
        raise NumericalError(
            "The precision of the coefficients is singular: a regressor is a combination of others."
        ) from error
    if rows == q:
        return MomentFit(_solve(product, cross).T.copy(), precision)
    found = _solve(precision, half @ moments).reshape(m, q)
    left = moments - (found @ product.T).ravel()
    return MomentFit(found, precision, float(learning_rate * n * (left @ weight @ left)))


def split_controls(fit: MomentFit, q: int) -> tuple[MomentFit, ControlsLaw]:
    """Split the law of all coefficients into that of the first q and the rest given them.

    Parameters
    ----------
    fit : MomentFit
        Of C and the coefficients D of controls, (m, q + k), D of a flat prior.
    q : int
        Regressors that are not controls.

    Returns
    -------
    fit : MomentFit
        Of C (m, q), D integrated out.
    controls : ControlsLaw
        Of vec(D) given vec(C), both by rows.

    Examples
    --------
    >>> whole = MomentFit(np.array([[1.0, 0.5, 3.0]]), np.diag([4.0, 4.0, 1.0]))
    >>> fit, controls = split_controls(whole, 2)
    >>> fit.estimate, controls.mean
    (array([[1. , 0.5]]), array([3.]))
    """
    m, columns = fit.estimate.shape
    places = np.arange(m * columns).reshape(m, columns)
    first, rest = places[:, :q].ravel(), places[:, q:].ravel()
    root = np.linalg.cholesky(fit.precision[np.ix_(rest, rest)]).T
    tilt = _solve(root.T, fit.precision[np.ix_(rest, first)])
    precision = fit.precision[np.ix_(first, first)] - tilt.T @ tilt
    estimate = fit.estimate.ravel()
    return (
        MomentFit(fit.estimate[:, :q].copy(), 0.5 * (precision + precision.T), fit.misfit),
        ControlsLaw(root, tilt, estimate[rest], estimate[first]),
    )


@dataclass(frozen=True, slots=True, eq=False)
class ReducedRankLaw:
    """Quasi-posterior of C = A B' of rank r, B uniform and A given B normal.

    Under the prior B has the uniform distribution of orthonormal matrices (q, r), and vec(A) given
    B is normal with mean zero and precision P x (B'N B). The densities are normalised: their mean
    over uniform B is the quasi-marginal likelihood, that is the mean over the prior of
    exp(log quasi-likelihood).

    Parameters
    ----------
    fit : MomentFit
    rank : int
        r, from 1 to min(m, q).
    prior_precision : ndarray, shape (m, m)
        P.
    prior_shape : ndarray, shape (q, q)
        N; the identity gives each row of A the covariance P^-1 whatever B is.

    Notes
    -----
    The density does not change if B is multiplied by an orthogonal matrix (r, r) from the right:
    only its column space is identified.

    Examples
    --------
    >>> from qbeconometrics.stiefel import Polar
    >>> fit = MomentFit(np.array([[1.0, 0.5], [2.0, 1.0]]), 100.0 * np.eye(4))
    >>> law = ReducedRankLaw(fit, 1, np.eye(2), np.eye(2))
    >>> density = Polar(2, 1).density(law.target())
    >>> B = np.array([[[2.0], [1.0]]]) / np.sqrt(5.0)
    >>> A = law.draw_loadings(B, np.random.default_rng(0))
    >>> A.shape
    (1, 2, 1)
    """

    fit: MomentFit
    rank: int
    prior_precision: FloatArray
    prior_shape: FloatArray

    @property
    def shape(self) -> tuple[int, int]:
        """m and q."""
        return self.fit.estimate.shape[0], self.fit.estimate.shape[1]

    @property
    def log_density_of_zero(self) -> float:
        """Log quasi-likelihood of C = 0: the quasi-marginal likelihood of rank zero."""
        estimate = self.fit.estimate.ravel()
        return float(-0.5 * (self.fit.misfit + estimate @ self.fit.precision @ estimate))

    def target(self) -> ReducedRankTarget:
        """Return the log density of B with its gradient; one for each thread.

        Examples
        --------
        >>> fit = MomentFit(np.array([[1.0, 0.5]]), 100.0 * np.eye(2))
        >>> target = ReducedRankLaw(fit, 1, np.eye(1), np.eye(2)).target()
        >>> round(target.log_density_and_gradient(np.array([[0.8], [0.6]]))[0], 2)
        -4.91
        """
        return ReducedRankTarget(
            self._total_precision(), self._linear(), self.prior_shape, self.rank, self._constant()
        )

    def centered_target(self, root: FloatArray) -> ReducedRankTarget:
        """Return the log density of Z, orthonormal (q, r), where B spans root Z.

        Uniform Z are B of the matrix angular central Gaussian law with covariance root root'
        (Chikuse 1990, Journal of Multivariate Analysis 33, 265-274): near the law of B, this
        density is nearly flat. It is normalised as that of `target`.

        Parameters
        ----------
        root : ndarray, shape (q, q)
            Not singular.

        Raises
        ------
        NumericalError
            If the prior's shape is not the identity.

        Examples
        --------
        >>> fit = MomentFit(np.array([[1.0, 0.5]]), 100.0 * np.eye(2))
        >>> law = ReducedRankLaw(fit, 1, np.eye(1), np.eye(2))
        >>> target, Z = law.centered_target(2.0 * np.eye(2)), np.array([[0.8], [0.6]])
        >>> round(target.log_density_and_gradient(Z)[0], 2)
        -4.91
        """
        m, q = self.shape
        if not np.array_equal(self.prior_shape, np.eye(q)):
            raise NumericalError("centred coordinates need the identity as the prior's shape")
        spread = np.kron(np.eye(m), root)
        total = spread.T @ self._total_precision() @ spread
        return ReducedRankTarget(
            0.5 * (total + total.T),
            spread.T @ self._linear(),
            root.T @ root,
            self.rank,
            self._constant() + 0.5 * self.rank * float(np.linalg.slogdet(root @ root.T)[1]),
            m - q,
        )

    def loadings_given(self, B: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the mean and the precision of A given B.

        Parameters
        ----------
        B : ndarray, shape (..., q, r)

        Returns
        -------
        mean : ndarray, shape (..., m, r)
        precision : ndarray, shape (..., m r, m r)
            Of vec(A) by rows.
        """
        (m, q), r = self.shape, self.rank
        stacked = B.reshape(-1, q, r)
        total = self._total_precision().reshape(m, q, m, q)
        # Axes: draw, k, i, i', k'.
        half = np.tensordot(stacked, total, axes=(1, 1)).reshape(-1, r * m * m, q)
        precision = (half @ stacked).reshape(-1, r, m, m, r).transpose(0, 2, 1, 3, 4)
        precision = precision.reshape(-1, m * r, m * r)
        linear = (self._linear().reshape(m, q) @ stacked).reshape(-1, m * r, 1)
        mean = _solve(precision, linear)
        return (
            mean.reshape(*B.shape[:-2], m, r),
            precision.reshape(*B.shape[:-2], m * r, m * r),
        )

    def draw_loadings(self, B: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Draw A given each B, independently and exactly.

        Parameters
        ----------
        B : ndarray, shape (..., q, r)
        rng : Generator

        Returns
        -------
        ndarray, shape (..., m, r)
        """
        (m, q), r = self.shape, self.rank
        stacked = B.reshape(-1, q, r)
        drawn = np.empty((len(stacked), m, r))
        step = max(1, BLOCK_NUMBERS // (m * m * r * max(q, r)))
        for start in range(0, len(stacked), step):
            block = slice(start, start + step)
            mean, precision = self.loadings_given(stacked[block])
            upper = np.linalg.cholesky(precision).swapaxes(-1, -2)
            normal = rng.standard_normal((len(mean), m * r, 1))
            drawn[block] = mean + _solve(upper, normal).reshape(mean.shape)
        return drawn.reshape(*B.shape[:-2], m, r)

    def _constant(self) -> float:
        log_determinant = float(np.linalg.slogdet(self.prior_precision)[1])
        return self.log_density_of_zero + 0.5 * self.rank * log_determinant

    def _total_precision(self) -> FloatArray:
        return self.fit.precision + np.kron(self.prior_precision, self.prior_shape)

    def _linear(self) -> FloatArray:
        return np.asarray(self.fit.precision @ self.fit.estimate.ravel())


def _solve(matrix: NDArray[Any], right: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.solve(matrix, right), dtype=np.float64)
