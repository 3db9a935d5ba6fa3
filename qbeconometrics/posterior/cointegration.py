"""The law of a cointegrating space: its density, and the constants that make ranks comparable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from scipy.special import multigammaln

from qbeconometrics.inputs.cointegration_design import CointegrationDesign
from qbeconometrics.moments.triangular import solve_upper

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class CointegrationLaw:
    """Posterior of span(b), (n, r), for every rank r, in coordinates without units.

    Series are divided by the residual standard deviations of the unrestricted regressions, levels
    centred where there is a constant. The density of span(b) with respect to the uniform law is
    proportional to (|b'Mb| / |b'Nb|)^exponent, and alpha, Gamma and Sigma given b are normal and
    inverse Wishart; see the notes of `QuasiBayesVECM`.

    Attributes
    ----------
    unrestricted, restricted : ndarray, shape (n, n)
        M and N.
    exponent : float
        Half of T - q + nu + m - 1.
    outcome : ndarray, shape (m, m)
        Sums of squares of the changes under rank 0, the prior's among them.
    cross : ndarray, shape (n, m)
        Of levels with changes.
    scale : ndarray, shape (m,)
        Residual standard deviations.
    to_levels : ndarray, shape (n, n)
        A: b in these coordinates is A b in those of the data.
    prior_observations : float
        nu.
    nobs, regressors : int
        T and q.
    log_constant : float
        What the log marginal likelihood of every rank has in common.
    short_run_root : ndarray, shape (q, q)
        Upper triangular R, with R'R the sums of squares of the short-run terms.
    short_run_changes, short_run_levels : ndarray, shapes (q, m) and (q, n)
        Least squares of changes and of levels on the short-run terms, in the coordinates above.
    """

    unrestricted: FloatArray
    restricted: FloatArray
    exponent: float
    outcome: FloatArray
    cross: FloatArray
    scale: FloatArray
    to_levels: FloatArray
    prior_observations: float
    nobs: int
    regressors: int
    log_constant: float
    short_run_root: FloatArray
    short_run_changes: FloatArray
    short_run_levels: FloatArray

    @property
    def series(self) -> int:
        """Number of series m."""
        return len(self.scale)

    @property
    def size(self) -> int:
        """Rows n of b."""
        return len(self.to_levels)

    def log_constant_of(self, rank: int) -> float:
        """Log marginal likelihood of a rank less the log of the mean of `log_ratio`'s power."""
        share = self.prior_observations / (self.nobs + self.prior_observations)
        return self.log_constant + 0.5 * self.series * rank * float(np.log(share))

    def log_density(self, b: FloatArray) -> FloatArray:
        """Log of the integrand over spans, of b (..., n, r) with independent columns."""
        upper, lower = (
            np.linalg.slogdet(b.swapaxes(-1, -2) @ matrix @ b)[1]
            for matrix in (self.unrestricted, self.restricted)
        )
        return np.asarray(self.exponent * (upper - lower))

    def is_closed(self, rank: int) -> bool:
        """Whether there is only one space of this rank."""
        return rank in (0, self.size)

    def log_marginal(self, rank: int) -> float:
        """Log marginal likelihood where `is_closed`."""
        b = np.eye(self.size)[:, :rank]
        return self.log_constant_of(rank) + float(self.log_density(b))

    def mode(self, rank: int) -> FloatArray:
        """Return b (n, rank), orthonormal, where the density is highest."""
        return np.linalg.qr(self.directions()[1][:, :rank])[0]

    def directions(self) -> tuple[FloatArray, FloatArray]:
        """Squared correlations, largest first, and directions V (n, n): V'MV = I, V'NV diagonal."""
        values, vectors = scipy.linalg.eigh(self.restricted, self.unrestricted)
        return 1.0 - values, vectors


def cointegration_law(design: CointegrationDesign, prior_observations: float) -> CointegrationLaw:
    """Reduce the rows of a design to the law of its cointegrating spaces.

    Parameters
    ----------
    design : CointegrationDesign
    prior_observations : float
        nu, the observations whose weight the prior has.

    Returns
    -------
    CointegrationLaw
    """
    m, nobs, q = len(design.endog_names), design.nobs, design.short_run.shape[1]
    scale = _residual_scale(design)
    to_levels = _unit_free(design, scale)
    short_basis, short_root = np.linalg.qr(design.short_run)
    blocks = design.differences / scale, design.levels @ to_levels
    loadings = [short_basis.T @ block for block in blocks]
    changes, levels = (
        block - short_basis @ loading for block, loading in zip(blocks, loadings, strict=True)
    )
    # Once more, so that what is left is orthogonal to the last digit.
    changes, levels = (block - short_basis @ (short_basis.T @ block) for block in (changes, levels))
    outcome = changes.T @ changes + prior_observations * np.eye(m)
    cross = levels.T @ changes
    unrestricted = (1.0 + prior_observations / nobs) * (levels.T @ levels)
    explained = cross @ scipy.linalg.cho_solve(scipy.linalg.cho_factor(outcome), cross.T)
    df = nobs - q + prior_observations + m - 1
    return CointegrationLaw(
        unrestricted=_symmetric(unrestricted),
        restricted=_symmetric(unrestricted - explained),
        exponent=0.5 * df,
        outcome=_symmetric(outcome),
        cross=cross,
        scale=scale,
        to_levels=to_levels,
        prior_observations=prior_observations,
        nobs=nobs,
        regressors=q,
        log_constant=_log_constant(m, nobs - q, prior_observations, outcome, short_root, scale),
        short_run_root=short_root,
        short_run_changes=solve_upper(short_root, loadings[0]),
        short_run_levels=solve_upper(short_root, loadings[1]),
    )


def _residual_scale(design: CointegrationDesign) -> FloatArray:
    """Residual standard deviations of the regressions without a restriction of rank."""
    basis = np.linalg.qr(np.column_stack([design.short_run, design.levels]))[0]
    residual = design.differences - basis @ (basis.T @ design.differences)
    residual -= basis @ (basis.T @ residual)
    return np.sqrt(np.sum(residual**2, axis=0) / (design.nobs - basis.shape[1]))


def _unit_free(design: CointegrationDesign, scale: FloatArray) -> FloatArray:
    """A (n, n): the columns of levels A are series and terms of the relation without units."""
    m, n = len(scale), design.levels.shape[1]
    A = np.diag(np.concatenate([1.0 / scale, np.ones(n - m)]))
    if "const" in design.restricted_names:
        constant = m + design.restricted_names.index("const")
        means = design.levels.mean(axis=0)
        for column in range(n):
            if column != constant:
                A[constant, column] = -means[column] * A[column, column]
    return A


def _log_constant(
    m: int, df: int, nu: float, outcome: FloatArray, short_root: FloatArray, scale: FloatArray
) -> float:
    """Log density of the data under rank 0, with a flat prior of density one of Gamma.

    Of it |outcome| has the power of the whole formula, so that ranks differ by a factor alone.
    """
    d0 = nu + m - 1
    value = -0.5 * m * df * np.log(np.pi) + 0.5 * m * d0 * np.log(nu)
    value += multigammaln(0.5 * (df + d0), m) - multigammaln(0.5 * d0, m)
    value -= 0.5 * (df + d0) * np.linalg.slogdet(outcome)[1]
    value -= m * np.sum(np.log(np.abs(np.diag(short_root))))
    return float(value - df * np.sum(np.log(scale)))


def _symmetric(matrix: FloatArray) -> FloatArray:
    return np.asarray(0.5 * (matrix + matrix.T))
