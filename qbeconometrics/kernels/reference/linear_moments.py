"""The log quasi-posterior of linear moments, written for reading; twin of the compiled target.

Coordinates x are scaled, theta = centre + R x, and the moment mean is multiplied by
sqrt(learning rate * n), so that neither n nor the learning rate appears below:

    g(x) = intercept - jacobian x
    log quasi-likelihood = -1/2 log det S(x) - 1/2 g(x)' S(x)^-1 g(x)     (determinant optional)
    log prior = -1/2 (x - b)' P (x - b) - sum_j (df_j + 1)/2 log(1 + t_j(x)^2 / df_j)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.kernels.reference.cholesky import cholesky_factor, unpack_symmetric

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Position:
    """A point, and what costs little to know of it.

    Attributes
    ----------
    x : ndarray, shape (k,)
    moment_mean : ndarray, shape (m,)
    log_prior : float
    """

    x: FloatArray
    moment_mean: FloatArray
    log_prior: float


@dataclass(frozen=True, slots=True)
class Evaluation(Position):
    """A point at which S was formed and factored.

    Attributes
    ----------
    root : ndarray, shape (m, m)
        Lower Cholesky factor of S.
    log_likelihood : float
    """

    root: FloatArray
    log_likelihood: float

    @property
    def log_density(self) -> float:
        """Log quasi-posterior."""
        return self.log_likelihood + self.log_prior

    def quadratic(self, moment_mean: FloatArray) -> float:
        """Return g' S^-1 g for any moment mean g (m,), with this point's S."""
        return squared_norm(np.linalg.solve(self.root, moment_mean))


def squared_norm(vector: NDArray[np.floating[Any]]) -> float:
    """Return the sum of squares."""
    return float(vector @ vector)


class LinearMomentTarget:
    """A log quasi-posterior in scaled coordinates; see the module's first lines.

    Parameters
    ----------
    intercept : ndarray, shape (m,)
    jacobian : ndarray, shape (m, k)
    prior_precision : ndarray, shape (k, k)
        Of the normal part of the prior; zeros where the prior is flat.
    prior_mean : ndarray, shape (k,)
    determinant : bool
        Whether -1/2 log det S belongs to the quasi-likelihood.
    statistic : ndarray, shape ((k + 1)(k + 2)/2, m (m + 1)/2), optional
        T_ab packed by rows in both directions: S = sum_ab phi_a phi_b T_ab with phi = (1, -x).
    rows : tuple, optional
        residual (n,), regressor (n, k), instrument (n, m), factor, centering:
        S = factor sum_i r_i^2 z_i z_i' - centering g g' with r_i = residual_i - regressor_i' x.
    proportional : tuple, optional
        V packed (m (m + 1)/2,) and W (k + 1, k + 1) or None: S = (phi' W phi) V, or V.
    student : tuple, optional
        rows (q, k), offset (q,), df (q,): t_j(x) = rows_j' x + offset_j.

    Raises
    ------
    ValueError
        If not exactly one form of S is given, or V is not positive definite.

    Examples
    --------
    One moment of unit variance and a flat prior: a normal quasi-posterior about 1.5.

    >>> target = LinearMomentTarget(
    ...     np.array([3.0]), np.array([[2.0]]), np.zeros((1, 1)), np.zeros(1),
    ...     determinant=True, proportional=(np.ones(1), None),
    ... )
    >>> target.evaluate(np.array([[1.5], [2.0]]))[0]
    array([-0. , -0.5])
    """

    def __init__(
        self,
        intercept: FloatArray,
        jacobian: FloatArray,
        prior_precision: FloatArray,
        prior_mean: FloatArray,
        *,
        determinant: bool,
        statistic: FloatArray | None = None,
        rows: tuple[FloatArray, FloatArray, FloatArray, float, float] | None = None,
        proportional: tuple[FloatArray, FloatArray | None] | None = None,
        student: tuple[FloatArray, FloatArray, FloatArray] | None = None,
    ):
        if (statistic is not None) + (rows is not None) + (proportional is not None) != 1:
            raise ValueError("give exactly one of statistic, rows and proportional")
        self.n_moments, self.n_params = jacobian.shape
        self.determinant = determinant
        self.row_factor = self.centering = 0.0
        self.arrays = {
            "intercept": intercept,
            "jacobian": jacobian,
            "prior_precision": prior_precision,
            "prior_mean": prior_mean,
        }
        if statistic is not None:
            self.form = "statistic"
            self.arrays["statistic"] = statistic
            self._tensor = self._unpack_statistic(statistic)
        elif rows is not None:
            self.form = "rows"
            residual, regressor, instrument, self.row_factor, self.centering = rows
            self.arrays |= {
                "residual": residual,
                "regressor": regressor,
                "instrument": instrument,
            }
        elif proportional is not None:
            self.form = "proportional"
            base, scale_matrix = proportional
            self._base = unpack_symmetric(base)
            base_root = np.asarray(np.linalg.cholesky(self._base), dtype=np.float64)
            self.arrays["base_root"] = base_root[np.tril_indices(self.n_moments)]
            if scale_matrix is not None:
                self.arrays["scale_matrix"] = scale_matrix
        if student is not None:
            names = ("student_rows", "student_offset", "student_df")
            self.arrays |= dict(zip(names, student, strict=True))

    def _unpack_statistic(self, statistic: FloatArray) -> FloatArray:
        """Return T (k + 1, k + 1, m, m)."""
        by_pair = np.array([unpack_symmetric(packed) for packed in statistic])
        tensor = np.empty((self.n_params + 1, self.n_params + 1, *by_pair.shape[1:]))
        row, column = np.tril_indices(self.n_params + 1)
        tensor[row, column] = by_pair
        tensor[column, row] = by_pair
        return tensor

    def moment_mean(self, x: FloatArray) -> FloatArray:
        """Return g(x) (m,)."""
        mean: FloatArray = self.arrays["intercept"] - self.arrays["jacobian"] @ x
        return mean

    def log_prior(self, x: FloatArray) -> float:
        """Return the log prior without its constant."""
        deviation = x - self.arrays["prior_mean"]
        value = -0.5 * float(deviation @ self.arrays["prior_precision"] @ deviation)
        if "student_df" in self.arrays:
            df = self.arrays["student_df"]
            t = self.arrays["student_rows"] @ x + self.arrays["student_offset"]
            value -= float(np.sum((df + 1) / 2 * np.log1p(t**2 / df)))
        return value

    def covariance(self, x: FloatArray) -> FloatArray:
        """Return S(x) (m, m)."""
        phi = np.concatenate([[1.0], -x])
        if self.form == "statistic":
            by_row = np.tensordot(phi, self._tensor, 1)
            return np.asarray(np.tensordot(phi, by_row, 1))
        if self.form == "rows":
            residual = self.arrays["residual"] - self.arrays["regressor"] @ x
            scores = self.arrays["instrument"] * residual[:, None]
            g = self.moment_mean(x)
            return self.row_factor * scores.T @ scores - self.centering * np.outer(g, g)
        if "scale_matrix" not in self.arrays:
            return self._base
        return float(phi @ self.arrays["scale_matrix"] @ phi) * self._base

    def position(self, x: FloatArray) -> Position:
        """Return what is known of x without S."""
        return Position(x, self.moment_mean(x), self.log_prior(x))

    def evaluated(self, position: Position) -> Evaluation | None:
        """Form S at a position; None where S is not positive definite or a value is not finite."""
        factored = cholesky_factor(self.covariance(position.x))
        if factored is None:
            return None
        root, log_determinant = factored
        g = position.moment_mean
        log_likelihood = -0.5 * squared_norm(np.linalg.solve(root, g))
        if self.determinant:
            log_likelihood -= 0.5 * log_determinant
        if not np.isfinite(log_likelihood + position.log_prior):
            return None
        return Evaluation(position.x, g, position.log_prior, root, log_likelihood)

    def evaluate(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return log quasi-likelihood and log prior at each point.

        Parameters
        ----------
        points : ndarray, shape (N, k)

        Returns
        -------
        log_likelihood : ndarray, shape (N,)
            Minus infinity where S is not positive definite.
        log_prior : ndarray, shape (N,)
            Without its constant.
        """
        positions = [self.position(x) for x in points]
        evaluations = [self.evaluated(position) for position in positions]
        log_likelihood = [-np.inf if e is None else e.log_likelihood for e in evaluations]
        return np.array(log_likelihood), np.array([position.log_prior for position in positions])

    def covariance_root(self, point: FloatArray) -> tuple[FloatArray, float]:
        """Return the Cholesky factor of S at one point.

        Parameters
        ----------
        point : ndarray, shape (k,)

        Returns
        -------
        root : ndarray, shape (m, m)
            Lower triangular; NaN where there is none.
        log_determinant : float
            NaN if S is not positive definite.
        """
        factored = cholesky_factor(self.covariance(point))
        return factored or (np.full((self.n_moments, self.n_moments), np.nan), np.nan)
