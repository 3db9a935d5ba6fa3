"""The quasi-posterior of linear moments in scaled coordinates: what the samplers are given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import NumericalError, OptionError
from qbeconometrics.kernels._linear_moments import LinearMomentTarget
from qbeconometrics.moments.basis import MomentBasis
from qbeconometrics.moments.cost import ProblemSize
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.moments.linear import (
    LinearMomentStatistic,
    ScaledRows,
    covariance_at_centre,
    covariance_statistic,
    pack_symmetric,
    residual_variance_matrix,
)
from qbeconometrics.posterior.mode import Mode, find_mode
from qbeconometrics.posterior.resolved_prior import ResolvedPrior
from qbeconometrics.posterior.surrogate import NormalSurrogate, normal_surrogate

FloatArray = NDArray[np.float64]

QUASI_LIKELIHOODS = ("cue", "cue-nodet", "two-step")

SINGULAR = 1e-12


@dataclass(frozen=True, slots=True)
class QuasiPosterior:
    """A log density in scaled coordinates x, with theta = centre + R x.

    Attributes
    ----------
    target : LinearMomentTarget
        The compiled log density.
    basis : MomentBasis
    prior : ResolvedPrior
        On the printed coefficients.
    size : ProblemSize
    log_constant : float
        To add to the target's log density so that S and the moments are in the data's units.
    moments : LinearMomentStatistic
        What it was built from.
    """

    target: LinearMomentTarget
    basis: MomentBasis
    prior: ResolvedPrior
    size: ProblemSize
    log_constant: float
    moments: LinearMomentStatistic

    @property
    def exactly_normal(self) -> bool:
        """A fixed weight and a normal prior make it so."""
        fixed = self.target.form == "proportional" and "scale_matrix" not in self.target.arrays
        return fixed and self.prior.is_normal

    @property
    def log_concave(self) -> bool:
        """Not even where it is normal, which has a property of its own."""
        return False

    @property
    def other_modes(self) -> FloatArray:
        """None is searched for: shape (0, k)."""
        return np.empty((0, self.target.n_params))

    def find_mode(self) -> Mode:
        """Return the mode reached from the two-step estimate."""
        return find_mode(self.target)

    def surrogate_at(self, point: FloatArray) -> NormalSurrogate:
        """Return the normal law with S frozen at `point` (k,)."""
        return normal_surrogate(self.target, point)


@dataclass(frozen=True, slots=True)
class ScaledPrior:
    """A prior in scaled coordinates, as the kernels take it."""

    precision: FloatArray
    mean: FloatArray
    student: tuple[FloatArray, FloatArray, FloatArray] | None


def scale_prior(prior: ResolvedPrior, basis: MomentBasis) -> ScaledPrior:
    """Move a prior to the coordinates of `basis`."""
    R = basis.regressor_map
    root = prior.root @ R
    target = prior.target - prior.root @ basis.centre
    mean = np.linalg.lstsq(root, target)[0]
    student = None
    has_term = ~np.isnan(prior.df)
    if has_term.any():
        scale = prior.scale[has_term]
        student = (
            R[has_term] / scale[:, None],
            (basis.centre[has_term] - prior.loc[has_term]) / scale,
            prior.df[has_term],
        )
    return ScaledPrior(root.T @ root, np.asarray(mean, dtype=np.float64), student)


def check_weight(weight_matrix: object, m: int, argument: str, moments: str) -> FloatArray:
    """Return a weight of `m` `moments` ("instruments", say), which may be "identity".

    Raises
    ------
    OptionError
        Naming `argument`, unless it is "identity" or symmetric positive definite of shape (m, m).
    """
    if isinstance(weight_matrix, str):
        if weight_matrix != "identity":
            raise OptionError(f"{argument}={weight_matrix!r} is not known; use 'identity'")
        return np.eye(m)
    try:
        weight = np.asarray(weight_matrix, dtype=float)
    except (TypeError, ValueError) as error:
        raise OptionError(f"{argument} must be numeric") from error
    if weight.shape != (m, m):
        raise OptionError(
            f"{argument} has shape {weight.shape}; there are {m} {moments}, so it must be "
            f"({m}, {m})"
        )
    if not np.all(np.isfinite(weight)) or not np.allclose(weight, weight.T, rtol=1e-8, atol=0):
        raise OptionError(f"{argument} must be finite and symmetric")
    if np.linalg.eigvalsh(weight)[0] <= 0:
        raise OptionError(f"{argument} is not positive definite")
    return weight


def fixed_covariance(
    statistic: LinearMomentStatistic,
    rule: CovarianceRule,
    weight_matrix: FloatArray | str | None,
) -> FloatArray:
    """Return the S (m, m), in the statistic's basis, whose inverse is the two-step weight.

    Raises
    ------
    OptionError
        If `weight_matrix` is not "identity" or a symmetric positive definite (m, m) array.
    """
    C = statistic.basis.instrument_map
    m = statistic.m
    if weight_matrix is None:
        return _covariance_at_centre(statistic, rule)
    weight = check_weight(weight_matrix, m, "weight_matrix", "instruments")
    return C.T @ np.linalg.solve(weight, C)


def _covariance_at_centre(statistic: LinearMomentStatistic, rule: CovarianceRule) -> FloatArray:
    """S at the two-stage least squares estimate, the origin of the scaled coordinates."""
    if rule.cov_type == "nonrobust":
        variance = residual_variance_matrix(statistic, rule)[0, 0]
        S = variance * statistic.instrument_product / statistic.n
    elif statistic.dependence != (rule.cov_type if rule.is_dependent else None):
        raise NumericalError(
            f"the statistic was formed for {statistic.dependence or 'independent rows'}, not for "
            f"cov_type={rule.cov_type!r}"
        )
    else:
        S = covariance_at_centre(statistic, rule)
    # The instruments are orthonormal in this basis, so scale plays no part.
    eigenvalues = np.linalg.eigvalsh(S)
    if eigenvalues[0] > SINGULAR * eigenvalues[-1]:
        return S
    if rule.cov_type == "cluster" and eigenvalues[0] < -SINGULAR * eigenvalues[-1]:
        raise NumericalError(
            "the two-way clustered covariance of the moments is not positive definite at the "
            "two-stage least squares estimate; cluster one way, or use fewer instruments"
        )
    raise NumericalError(
        "the covariance of the moments is singular at the two-stage least squares estimate; "
        "look for an instrument that is zero but for a row or two"
        + (", or in all but one cluster" if rule.cov_type == "cluster" else "")
    )


def build_quasi_posterior(
    statistic: LinearMomentStatistic,
    rows: ScaledRows | None,
    *,
    rule: CovarianceRule,
    quasi_likelihood: str,
    learning_rate: float,
    prior: ResolvedPrior,
    weight_matrix: FloatArray | str | None = None,
) -> QuasiPosterior:
    """Join moments, covariance rule and prior into one log density.

    Parameters
    ----------
    statistic : LinearMomentStatistic
        With the fourth-order sums if an HC rule needs them and `rows` is None.
    rows : ScaledRows or None
        If given, S is formed from the rows where it depends on the coefficients.
    rule : CovarianceRule
    quasi_likelihood : str
        "cue", "cue-nodet" or "two-step".
    learning_rate : float
    prior : ResolvedPrior
    weight_matrix : ndarray, shape (m, m), "identity" or None
        For "two-step"; None is the inverse of S at the two-stage least squares estimate.

    Returns
    -------
    QuasiPosterior

    Raises
    ------
    NumericalError
        If S is singular at the first-step estimate, or the statistic is of another rule.
    """
    n, k, m = statistic.n, statistic.k, statistic.m
    basis = statistic.basis
    root_scale = np.sqrt(learning_rate * n)
    scaled = scale_prior(prior, basis)
    if rule.is_dependent and weight_matrix is None:
        _covariance_at_centre(statistic, rule)
    form: dict[str, object] = {}
    if quasi_likelihood == "two-step":
        S = fixed_covariance(statistic, rule, weight_matrix)
        form["proportional"] = (pack_symmetric(S), None)
    elif rule.cov_type == "nonrobust":
        form["proportional"] = (
            pack_symmetric(statistic.instrument_product / n),
            residual_variance_matrix(statistic, rule),
        )
    elif rows is not None and not rule.is_dependent:
        factor = statistic.small_sample_factor(rule)
        centering = factor / (learning_rate * n) if rule.centered else 0.0
        form["rows"] = (rows.residual, rows.regressor, rows.instrument, factor / n, centering)
    elif statistic.fourth is not None:
        form["statistic"] = covariance_statistic(statistic, rule)
    else:
        raise NumericalError("S needs the rows or the fourth-order sums")
    target = LinearMomentTarget(
        root_scale * statistic.cross[:, 0] / n,
        root_scale * statistic.cross[:, 1:] / n,
        scaled.precision,
        scaled.mean,
        determinant=quasi_likelihood == "cue",
        student=scaled.student,
        **form,
    )
    # S is in whitened units: log det S_data = log det S - 2 log |det C|.
    log_constant = 0.0
    if quasi_likelihood == "cue":
        log_constant = float(np.linalg.slogdet(basis.instrument_map)[1])
    size = ProblemSize(n, k, m, target.form)
    return QuasiPosterior(target, basis, prior, size, log_constant, statistic)
