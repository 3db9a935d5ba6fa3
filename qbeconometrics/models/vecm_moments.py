"""The moment form of an error-correction model: E[(dy - alpha beta' y_-1 - Gamma w)(y_-1, w)'] = 0.

Moments with y_-1 are of another order in the number of rows than those with w; dividing them by its
square root, or taking any other basis of the regressors, changes nothing here, where there are as
many moments as coefficients and the weight is the inverse of their covariance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError, NumericalError, OptionError
from qbeconometrics.inputs.cointegration_design import CointegrationDesign
from qbeconometrics.kernels._cointegration import DeterminantRatioTarget, SumOfTargets
from qbeconometrics.models.row_weights import Dependence, RowsOfModel, resolve_dependence
from qbeconometrics.moments.covariance import CovarianceRule, parse_covariance
from qbeconometrics.moments.row_covariance import row_covariance
from qbeconometrics.moments.triangular import solve_upper
from qbeconometrics.posterior.centered_spaces import CenteredSpaces
from qbeconometrics.posterior.cointegration import CointegrationLaw
from qbeconometrics.posterior.cointegration_draws import ErrorCorrectionDraws
from qbeconometrics.posterior.projection_full import ControlsLaw
from qbeconometrics.posterior.reduced_rank import ReducedRankLaw, fit_moments, split_controls

FloatArray = NDArray[np.float64]

# Below this smallest eigenvalue of its correlations, S cannot be inverted to any use.
SMALLEST_EIGENVALUE = 1e-11


@dataclass(frozen=True, slots=True, eq=False)
class MomentSpaces:
    """Quasi-posterior of spaces in centred coordinates, as `CenteredSpaces` for the likelihood.

    Attributes
    ----------
    centered : CenteredSpaces
        Whose coordinates these are.
    reduced : ReducedRankLaw
        Of C = a c', c uniform.
    controls : ControlsLaw
    """

    centered: CenteredSpaces
    reduced: ReducedRankLaw
    controls: ControlsLaw

    def target(self) -> SumOfTargets:
        """Return the compiled density; one for each thread."""
        own = self.centered
        of_measure = DeterminantRatioTarget(own.rank, own.matrices[2:], own.weights[2:])
        return SumOfTargets(self.reduced.target(), of_measure)

    def log_density(self, c: FloatArray) -> FloatArray:
        """Log density at orthonormal c (..., n, rank), with respect to the uniform law of c."""
        target = self.target()
        stacked = np.ascontiguousarray(c.reshape(-1, *c.shape[-2:]))
        values = [target.log_density_and_gradient(one)[0] for one in stacked]
        return np.reshape(values, c.shape[:-2]) + self.centered.log_constant


@dataclass(frozen=True, slots=True, eq=False)
class MomentForm:
    """Rows without units, and how their moments are weighted.

    Attributes
    ----------
    law : CointegrationLaw
        Of the likelihood, whose units and prior these are.
    changes, levels : ndarray, shapes (T, m) and (T, n)
        The latter without what short-run terms explain.
    basis : ndarray, shape (T, q)
        Of the short-run terms, orthonormal but for sqrt(T).
    rule : CovarianceRule
    dependence : Dependence or None
    residuals : ndarray, shape (T, m)
        Of the unrestricted regressions, at which S is formed.
    """

    law: CointegrationLaw
    changes: FloatArray
    levels: FloatArray
    basis: FloatArray
    rule: CovarianceRule
    dependence: Dependence | None
    residuals: FloatArray

    def spaces(self, centered: CenteredSpaces) -> MomentSpaces:
        """Return the quasi-posterior in the coordinates of `centered`.

        Raises
        ------
        NumericalError
            If the covariance of the moments is singular.
        """
        reduced, controls = self._reduced(centered.to_law, centered.rank)
        return MomentSpaces(centered, reduced, controls)

    def log_marginal(self, rank: int) -> float:
        """Log quasi-marginal likelihood where there is one space of this rank."""
        reduced, _ = self._reduced(self._whitening(), max(rank, 1))
        if rank == 0:
            return reduced.log_density_of_zero
        return reduced.target().log_density_and_gradient(np.eye(self.law.size))[0]

    def _whitening(self) -> FloatArray:
        """A (n, n) that makes levels A orthonormal but for sqrt(T)."""
        root = np.linalg.qr(self.levels, mode="r")
        return np.sqrt(len(self.levels)) * np.asarray(np.linalg.inv(root), dtype=np.float64)

    def _reduced(self, A: FloatArray, rank: int) -> tuple[ReducedRankLaw, ControlsLaw]:
        nobs = len(self.changes)
        levels = self.levels @ A
        regressors = np.hstack([levels, self.basis])
        moments = _moments(self.residuals, regressors)
        S = row_covariance(
            self.rule,
            n=nobs,
            n_params=regressors.shape[1],
            weights=None if self.dependence is None else self.dependence.weights,
            instrument=regressors,
        )(moments, moments.mean(axis=0))
        _refuse_singular(S)
        whole = fit_moments(
            regressors.T @ self.changes / nobs,
            regressors.T @ regressors / nobs,
            np.linalg.inv(S).astype(np.float64),
            nobs,
        )
        fit, controls = split_controls(whole, levels.shape[1])
        sigma = self.residuals.T @ self.residuals / nobs
        precision = self.law.prior_observations * np.linalg.inv(sigma)
        shape = levels.T @ levels / nobs
        law = ReducedRankLaw(
            fit, rank, np.asarray(0.5 * (precision + precision.T)), 0.5 * (shape + shape.T)
        )
        return law, controls

    def draw(
        self, spaces: MomentSpaces | None, c: FloatArray, rng: np.random.Generator | None
    ) -> ErrorCorrectionDraws:
        """Draw coefficients given centred spaces c (..., n, r); the means given one without `rng`.

        Parameters
        ----------
        spaces : MomentSpaces or None
            None where there is one space: c is then taken of whitened levels.
        """
        m, r = self.law.series, c.shape[-1]
        A = self._whitening() if spaces is None else spaces.centered.to_law
        reduced, controls = (
            self._reduced(A, max(r, 1)) if spaces is None else (spaces.reduced, spaces.controls)
        )
        lead = c.shape[:-2]
        stacked = c.reshape(int(np.prod(lead)), *c.shape[-2:])
        if r == 0:
            loadings = np.zeros((len(stacked), m, 0))
        elif rng is None:
            loadings = reduced.loadings_given(stacked)[0]
        else:
            loadings = reduced.draw_loadings(stacked, rng)
        C = loadings @ stacked.swapaxes(1, 2)
        flat = C.reshape(len(stacked), -1)
        others = controls.conditional_mean(flat[0]) if rng is None else controls.draw(flat, rng)
        D = np.asarray(others).reshape(len(stacked), m, -1)
        return self._in_units(A, C, D, A @ stacked, loadings, lead)

    def _in_units(
        self,
        A: FloatArray,
        C: FloatArray,
        D: FloatArray,
        b: FloatArray,
        loadings: FloatArray,
        lead: tuple[int, ...],
    ) -> ErrorCorrectionDraws:
        law, nobs = self.law, len(self.changes)
        rows = np.hstack([self.changes, self.levels @ A, self.basis])
        eye = np.broadcast_to(np.eye(law.series), (len(C), law.series, law.series))
        combined = np.concatenate([eye, -C, -D], axis=2)
        sigma = combined @ (rows.T @ rows / nobs) @ combined.swapaxes(1, 2)
        inverse = solve_upper(law.short_run_root, np.eye(law.regressors))
        # w = basis R / sqrt(T), and levels hold K'w of the short-run terms.
        short_run = np.sqrt(nobs) * D @ inverse.T - C @ A.T @ law.short_run_levels.T
        scale = law.scale[:, None]
        parts = {
            "beta": law.to_levels @ b,
            "alpha": scale * loadings,
            "short_run": scale * short_run,
            "sigma_u": scale * law.scale * sigma,
        }
        return ErrorCorrectionDraws(
            **{name: part.reshape(*lead, *part.shape[1:]) for name, part in parts.items()}
        )


def moment_form(
    design: CointegrationDesign,
    law: CointegrationLaw,
    cov_type: str,
    cov_kwds: Mapping[str, Any] | None,
) -> MomentForm:
    """Prepare the moments of a design.

    Raises
    ------
    InputError
        If there are fewer rows than moments.
    OptionError
    """
    rule = parse_covariance(cov_type, cov_kwds)
    if rule.cov_type == "cluster":
        raise OptionError("cov_type='cluster' does not apply to series in time; use 'HAC'")
    nobs, q = design.nobs, design.short_run.shape[1]
    changes = design.differences / law.scale
    basis = np.linalg.qr(design.short_run)[0]
    levels = design.levels @ law.to_levels
    levels -= basis @ (basis.T @ levels)
    levels -= basis @ (basis.T @ levels)
    regressors = np.hstack([np.linalg.qr(levels)[0], basis]) * np.sqrt(nobs)
    residuals = changes - regressors @ (regressors.T @ changes) / nobs
    size = changes.shape[1] * (levels.shape[1] + q)
    if rule.cov_type != "nonrobust" and nobs <= size:
        raise InputError(
            f"There are {nobs} rows but {size} moments, one for each equation and regressor: their "
            "covariance would be singular. Use fewer lags, or cov_type='nonrobust'."
        )
    dependence = None
    if rule.is_dependent:
        rows = RowsOfModel(
            nobs,
            size,
            size,
            labels=design.endog.index[-nobs:],
            kept=None,
            first_step="least-squares",
            what_moments="moments, one for each equation and regressor",
            what_fewer="lags or series",
        )
        dependence = resolve_dependence(rule, rows, lambda: _moments(residuals, regressors))
    return MomentForm(law, changes, levels, basis * np.sqrt(nobs), rule, dependence, residuals)


def _moments(residuals: FloatArray, regressors: FloatArray) -> FloatArray:
    return np.asarray((residuals[:, :, None] * regressors[:, None, :]).reshape(len(residuals), -1))


def _refuse_singular(S: FloatArray) -> None:
    scale = np.sqrt(np.diag(S))
    if not np.all(scale > 0.0) or np.linalg.eigvalsh(S / scale / scale[:, None])[0] < (
        SMALLEST_EIGENVALUE
    ):
        raise NumericalError(
            "The covariance of the moments is singular or not positive definite. Use fewer lags, "
            "or cov_type='nonrobust'."
        )
