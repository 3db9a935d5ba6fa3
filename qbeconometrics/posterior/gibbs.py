"""The Gibbs posterior of a loss: propriety, mode and scaled coordinates."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import NumericalError
from qbeconometrics.losses import Loss
from qbeconometrics.moments.basis import MomentBasis
from qbeconometrics.moments.cost import ProblemSize
from qbeconometrics.posterior.mode import Mode
from qbeconometrics.posterior.resolved_prior import ResolvedPrior
from qbeconometrics.posterior.risk_mode import find_risk_mode
from qbeconometrics.posterior.risk_target import RiskTarget
from qbeconometrics.posterior.score_slope import default_window
from qbeconometrics.posterior.surrogate import NormalSurrogate

FloatArray = NDArray[np.float64]

SINGULAR = 1e-13
# Times that the window about the jumps of a score is doubled to hold enough rows.
WIDENINGS = 20


@dataclass(frozen=True, slots=True)
class GibbsPosterior:
    """A log density in scaled coordinates x, with theta = centre + R x.

    Attributes
    ----------
    target : RiskTarget
    basis : MomentBasis
        Centred at the mode.
    prior : ResolvedPrior
    size : ProblemSize
    mode : Mode
        In scaled coordinates.
    at_mode : NormalSurrogate
    log_constant : float
    """

    target: RiskTarget
    basis: MomentBasis
    prior: ResolvedPrior
    size: ProblemSize
    mode: Mode
    at_mode: NormalSurrogate
    log_constant: float = 0.0

    @property
    def exactly_normal(self) -> bool:
        """Only with squared loss, which has linear moments."""
        return False

    @property
    def log_concave(self) -> bool:
        """With a convex loss and a normal prior."""
        return self.target.loss.convex and self.prior.is_normal

    @property
    def other_modes(self) -> FloatArray:
        """None is searched for: shape (0, k)."""
        return np.empty((0, self.target.n_params))

    def find_mode(self) -> Mode:
        """Return the mode."""
        return self.mode

    def surrogate_at(self, point: FloatArray) -> NormalSurrogate:
        """Return the normal law with the curvature of the log density at `point` (k,)."""
        return curvature_surrogate(self.target, point)


def curvature_surrogate(target: RiskTarget, point: FloatArray) -> NormalSurrogate:
    """Return the normal law about `point` (k,) with the curvature of the log density there.

    Where the score jumps the curvature is estimated from a window, widened until it is regular.

    Raises
    ------
    NumericalError
        If the curvature is singular.
    """
    window = default_window(target.loss, target.endog, target.index(point))
    prior_curvature = target.prior_derivatives(point)[1]
    for _ in range(WIDENINGS if target.loss.jumps else 1):
        precision = target.precision(point, window) + prior_curvature
        scale = np.sqrt(np.diag(precision))
        if np.isfinite(precision).all() and (scale > 0.0).all():
            eigenvalues = np.linalg.eigvalsh(precision / np.outer(scale, scale))
            if eigenvalues[0] > SINGULAR:
                covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
                root = np.asarray(np.linalg.cholesky((covariance + covariance.T) / 2), dtype=float)
                return NormalSurrogate(point, precision, root)
        window *= 2.0
    raise NumericalError(
        f"the loss {target.loss.label!r} has no curvature in some direction at its minimum; give a "
        "normal prior, or check curvature"
    )


def build_gibbs_posterior(
    loss: Loss,
    endog: FloatArray,
    exog: FloatArray,
    *,
    prior: ResolvedPrior,
    learning_rate: float,
    basis: MomentBasis,
    starts: list[FloatArray],
) -> GibbsPosterior:
    """Find the mode and join all into one log density.

    Parameters
    ----------
    loss : Loss
    endog : ndarray, shape (n,)
    exog : ndarray, shape (n, k)
    prior : ResolvedPrior
    learning_rate : float
    basis : MomentBasis
        Well-conditioned coordinates to search in.
    starts : list of ndarray, each of shape (k,)
        Coefficients to search from.

    Returns
    -------
    GibbsPosterior

    Raises
    ------
    NumericalError
        If the loss is not finite, or has no curvature at the mode.
    """
    with np.errstate(all="ignore"):
        first = RiskTarget(loss, endog, exog, prior, basis, learning_rate=learning_rate)
        found = [find_risk_mode(first, basis.to_scaled(start)) for start in starts]
        best = max(found, key=lambda mode: mode.log_density)
        root = curvature_surrogate(first, best.point).root
        near = MomentBasis(
            basis.to_params(best.point), basis.regressor_map @ root, np.eye(exog.shape[1])
        )
        target = RiskTarget(loss, endog, exog, prior, near, learning_rate=learning_rate)
        origin = np.zeros(exog.shape[1])
        at_mode = curvature_surrogate(target, origin)
    size = ProblemSize(len(endog), exog.shape[1], exog.shape[1], target.form)
    return GibbsPosterior(target, near, prior, size, replace(best, point=origin), at_mode)
