"""The continuously updated quasi-posterior of local projections, and where it may be used."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from qbeconometrics.exceptions import ImproperPosteriorError, TailMassError
from qbeconometrics.kernels._projection import ProjectionTarget
from qbeconometrics.kernels._projection_gradient import projection_gradient
from qbeconometrics.moments.basis import MomentBasis
from qbeconometrics.moments.linear import pack_symmetric
from qbeconometrics.moments.projection import ProjectionMoments, ScoreCovariance
from qbeconometrics.posterior.projection_law import NormalLaw, PathLayout, ProjectionPrior
from qbeconometrics.posterior.resolved_prior import ResolvedPrior, no_prior
from qbeconometrics.posterior.smoothing import prior_rows
from qbeconometrics.posterior.surrogate import NormalSurrogate
from qbeconometrics.posterior.tail_check import TailCheck, check_tail

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class CueTarget:
    """Log density of coefficients and smoothing parameters, with what its sampler needs.

    Attributes
    ----------
    compiled : ProjectionTarget
    prior : ProjectionPrior
    hyperprior : tuple of float
        Shape and rate of the Gamma law of the smoothing parameters, rate of the half-Cauchy
        mixture.
    """

    compiled: ProjectionTarget
    prior: ProjectionPrior
    hyperprior: tuple[float, float, float]

    @property
    def n_params(self) -> int:
        """Coefficients and smoothing parameters."""
        return self.compiled.n_params + self.compiled.n_paths

    @property
    def n_moments(self) -> int:
        """Moments that are not degenerate."""
        return self.compiled.n_moments

    @property
    def form(self) -> str:
        """For the registry of samplers."""
        return "projection"

    @property
    def arrays(self) -> dict[str, FloatArray]:
        """Nothing: see `prior`."""
        return {}

    def evaluate(self, points: Any) -> tuple[FloatArray, FloatArray]:
        """Return log quasi-likelihood and log prior at points (points, k + paths)."""
        return self.compiled.evaluate(np.ascontiguousarray(points, dtype=np.float64))

    def log_density_and_gradient(self, x: FloatArray) -> tuple[float, FloatArray]:
        """Return log density and gradient in coefficients and logs of smoothing parameters.

        For a Gamma law of these.

        Parameters
        ----------
        x : ndarray, shape (k + paths,)
        """
        k = self.compiled.n_params
        smoothing = np.exp(x[k:])
        value, gradient = projection_gradient(self.compiled, np.concatenate([x[:k], smoothing]))
        shape, rate, _ = self.hyperprior
        gradient[k:] = smoothing * (gradient[k:] - rate) + shape
        return value + float(self.log_hyperprior(x[k:])), gradient

    def log_hyperprior(self, logs: FloatArray) -> FloatArray:
        """Return the log Gamma prior of logs of smoothing parameters (..., paths), of all paths."""
        shape, rate, _ = self.hyperprior
        return np.asarray(np.sum(shape * logs - rate * np.exp(logs), axis=-1))


def cue_target(
    moments: ProjectionMoments,
    layout: PathLayout,
    covariance: ScoreCovariance,
    prior: ProjectionPrior,
    learning_rate: float,
    hyperprior: tuple[float, float, float],
) -> CueTarget:
    """Join moments and prior to the log density that is sampled.

    Raises
    ------
    ImproperPosteriorError
        If the prior is flat in some direction: the criterion is bounded, so that the
        quasi-posterior would not integrate.
    """
    if not prior.is_proper:
        raise ImproperPosteriorError(
            "quasi_likelihood='cue' needs a proper prior: as a response grows, the criterion stays "
            "bounded. Use the default prior, a normal one, Smoothness with a normal level, or "
            "quasi_likelihood='two-step'"
        )
    _, L, p = moments.jacobian.shape
    blocks = np.flatnonzero(~moments.degenerate)
    chosen = (blocks[:, None] * L + np.arange(L)).ravel()
    active_place = np.cumsum(layout.active) - 1
    places = np.repeat(active_place[layout.places()[blocks]], L, axis=0)
    scale = np.sqrt(learning_rate * moments.nobs)
    order = 1 + p
    # The lower triangle of each is all that S needs, since S is symmetric.
    terms = np.array(
        [
            pack_symmetric(covariance.terms[a, c][np.ix_(chosen, chosen)])
            for a in range(order)
            for c in range(order)
        ]
    )
    k = int(layout.active.sum())
    sampled = prior.smoothness is not None and prior.smoothness.smoothing is None
    fixed = None if sampled or prior.smoothness is None else prior.smoothness.smoothing
    held = None if fixed is None else np.full(len(prior.roughness), float(fixed))
    rows, target = prior_rows(prior, held, k)
    rough_rows, offsets, path_of = [np.empty((0, k))], [np.empty(0)], [np.empty(0)]
    paths = []
    for r, one in enumerate(prior.roughness if sampled else ()):
        full = np.zeros((len(one.differences), k))
        full[:, one.places] = one.differences
        rough_rows.append(full)
        offsets.append(one.offset)
        path_of.append(np.full(len(full), r))
        paths.append((len(full), one.unit))
    compiled = ProjectionTarget(
        scale * moments.cross.ravel()[chosen],
        scale * moments.jacobian.reshape(-1, p)[chosen],
        np.repeat(moments.estimate[blocks], L, axis=0),
        np.ascontiguousarray(places, dtype=np.int64),
        terms,
        np.ascontiguousarray(rows),
        np.ascontiguousarray(target),
        np.concatenate(rough_rows),
        np.concatenate(offsets),
        np.concatenate(path_of).astype(np.int64),
        np.array(paths, dtype=np.float64).reshape(-1, 2),
    )
    return CueTarget(compiled, prior, hyperprior)


@dataclass(frozen=True, slots=True)
class _GivenSmoothing:
    """The quasi-posterior at given smoothing parameters, as the tail check takes it."""

    target: Any
    prior: ResolvedPrior
    basis: MomentBasis
    log_concave: bool = False


@dataclass(frozen=True, slots=True)
class _TargetGivenSmoothing:
    cue: CueTarget
    smoothing: FloatArray
    n_params: int
    arrays: dict[str, FloatArray]

    def evaluate(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        smoothing = np.broadcast_to(self.smoothing, (len(points), len(self.smoothing)))
        likelihood, _ = self.cue.evaluate(np.hstack([points, smoothing]))
        gap = points - self.arrays["prior_mean"]
        precision = self.arrays["prior_precision"]
        return likelihood, -0.5 * np.einsum("ni,ij,nj->n", gap, precision, gap)


def tail_of(target: CueTarget, law: NormalLaw, smoothing: FloatArray) -> TailCheck:
    """Compare the mass far from the mode with the mass around it.

    Parameters
    ----------
    target : CueTarget
    law : NormalLaw
        The fixed-weight posterior at the smoothing parameters.
    smoothing : ndarray, shape (paths,)
        At which a roughness prior is held, if there is one.
    """
    k = len(law.mean)
    rows, centre = prior_rows(target.prior, smoothing, k)
    root = np.asarray(np.linalg.qr(np.column_stack([rows, centre]), mode="r"))
    arrays = {
        "prior_precision": rows.T @ rows,
        "prior_mean": np.asarray(solve_triangular(root[:k, :k], root[:k, k])),
    }
    held = smoothing if target.compiled.n_paths else np.empty(0)
    given = _GivenSmoothing(
        _TargetGivenSmoothing(target, held, k, arrays),
        replace(no_prior([""] * k), root=root[:k, :k], target=root[:k, k], flat=()),
        MomentBasis(np.zeros(k), np.eye(k), np.eye(1)),
    )
    # The check wants a lower factor.
    covariance_root = np.asarray(np.linalg.cholesky(law.covariance), dtype=np.float64)
    surrogate = NormalSurrogate(law.mean, law.root.T @ law.root, covariance_root)
    found = check_tail(given, law.mean, surrogate, np.random.default_rng(0))  # type: ignore[arg-type]
    assert found is not None
    return found


def refuse_far_mass(tail: TailCheck, *, centered: bool) -> None:
    """Refuse a quasi-posterior whose far region is not negligible.

    Parameters
    ----------
    tail : TailCheck
    centered : bool
        Whether the scores' mean is subtracted already, which helps.

    Raises
    ------
    TailMassError
        With the figure.
    """
    if tail.noticeable:
        remedies = ["quasi_likelihood='two-step'", "a tighter or smoothness prior"]
        if not centered:
            remedies.append("cov_kwds={'centered': True}")
        raise TailMassError(
            "quasi_likelihood='cue' is refused here: all horizons share few instruments, so that "
            "far from the mode volume beats density. The log of the mass far out over the mass "
            f"around the mode is {tail.log_ratio:.1f} (allowed is {np.log(0.01):.1f}): chains that "
            "start at the mode may look converged without having seen that region. Use "
            f"{', or '.join(remedies)}"
        )
