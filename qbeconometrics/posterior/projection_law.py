"""The normal law of local projections under a fixed weight, and their prior as numbers.

Coefficients are ordered by path (response, then state), then horizon; moments by block (response,
then horizon), then instrument. Precisions are carried as roots, so that nothing is inverted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from qbeconometrics.exceptions import OptionError
from qbeconometrics.moments.projection import ProjectionMoments, check_rank_of_scores
from qbeconometrics.posterior.resolved_prior import (
    DataScale,
    ResolvedPrior,
    no_prior,
    resolve_prior,
)
from qbeconometrics.posterior.roughness import difference_matrix
from qbeconometrics.priors import DEFAULT_SCALE, Flat, Normal, PriorLike, Smoothness

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class PathLayout:
    """Where the coefficients of paths stand.

    Attributes
    ----------
    paths, horizons, states : int
        `paths` is responses times states.
    names : tuple of str
        Of all coefficients.
    active : ndarray of bool, shape (paths * horizons,)
        False for coefficients whose moment is degenerate: they are known without error.
    """

    paths: int
    horizons: int
    states: int
    names: tuple[str, ...]
    active: NDArray[np.bool_]

    def places(self) -> IntArray:
        """Place of each block's coefficients, shape (B, p)."""
        B = self.paths // self.states * self.horizons
        response, place = np.divmod(np.arange(B), self.horizons)
        state = np.arange(self.states)
        return (response[:, None] * self.states + state) * self.horizons + place[:, None]

    def path_of(self, r: int) -> slice:
        """Place of one path among all coefficients."""
        return slice(r * self.horizons, (r + 1) * self.horizons)


def path_layout(
    moments: ProjectionMoments, names: Sequence[str], *, responses: int, states: int
) -> PathLayout:
    """Return where the coefficients stand, and which of them are degenerate."""
    horizons = len(moments.cross) // responses
    layout = PathLayout(
        responses * states, horizons, states, tuple(names), np.ones(len(names), dtype=bool)
    )
    layout.active[layout.places()[moments.degenerate].ravel()] = False
    return layout


@dataclass(frozen=True, slots=True, eq=False)
class NormalLaw:
    """N(mean, (root'root)^-1) of the active coefficients.

    Attributes
    ----------
    root : ndarray, shape (k, k)
        Upper triangular.
    mean : ndarray, shape (k,)
    """

    root: FloatArray
    mean: FloatArray

    @property
    def covariance_root(self) -> FloatArray:
        """C (k, k) with C C' the covariance."""
        return np.asarray(solve_triangular(self.root, np.eye(len(self.root))))

    @property
    def covariance(self) -> FloatArray:
        """Covariance matrix (k, k)."""
        C = self.covariance_root
        return C @ C.T


def fixed_weight_law(
    moments: ProjectionMoments, layout: PathLayout, S: FloatArray, learning_rate: float = 1.0
) -> NormalLaw:
    """Return the quasi-posterior with a flat prior and the weight S^-1, which is normal.

    Parameters
    ----------
    moments : ProjectionMoments
    layout : PathLayout
    S : ndarray, shape (B L, B L)
    learning_rate : float

    Raises
    ------
    NumericalError
        If S is singular.
    """
    B, L = moments.cross.shape
    places = layout.places()
    blocks = np.flatnonzero(~moments.degenerate)
    chosen = (blocks[:, None] * L + np.arange(L)).ravel()
    G = np.zeros((B * L, len(layout.names)))
    for b in blocks:
        G[b * L : (b + 1) * L, places[b]] = moments.jacobian[b]
    factor = check_rank_of_scores(S[np.ix_(chosen, chosen)], moments.nobs, "local projections")
    scale = np.sqrt(learning_rate * moments.nobs)
    stacked = np.column_stack([G[chosen][:, layout.active], moments.cross.ravel()[chosen]])
    whitened = scale * solve_triangular(factor, stacked, lower=True)
    return _law_of_rows(whitened[:, :-1], whitened[:, -1])


def _law_of_rows(rows: FloatArray, target: FloatArray) -> NormalLaw:
    """Law proportional to exp(-|rows x - target|^2 / 2)."""
    Q, R = np.linalg.qr(rows)
    return NormalLaw(R, np.asarray(solve_triangular(R, Q.T @ target)))


def combine(law: NormalLaw, rows: FloatArray, target: FloatArray) -> NormalLaw:
    """Multiply a normal density by exp(-|rows x - target|^2 / 2)."""
    return _law_of_rows(np.vstack([law.root, rows]), np.concatenate([law.root @ law.mean, target]))


@dataclass(frozen=True, slots=True, eq=False)
class Roughness:
    """The roughness prior of one path: -tau/2 |D x + offset|^2 with tau = lambda / unit.

    Attributes
    ----------
    places : ndarray of int
        Of the path's coefficients among the active ones.
    differences : ndarray, shape (r, active coefficients of the path)
    offset : ndarray, shape (r,)
        From the coefficients that are known.
    unit : float
        s2, the mean variance of the path without prior.
    """

    places: IntArray
    differences: FloatArray
    offset: FloatArray
    unit: float


@dataclass(frozen=True, slots=True, eq=False)
class ProjectionPrior:
    """Prior of local projections as numbers.

    Attributes
    ----------
    rows, target : ndarray
        The normal part, exp(-|rows x - target|^2 / 2), of the active coefficients.
    roughness : tuple of Roughness
        One a path, or none.
    smoothness : Smoothness or None
    is_proper : bool
        Whether the normal part with the roughness integrates.
    description : tuple of str
    sds : ndarray, shape (k,), or None
        Of the normal part where it is all there is.
    """

    rows: FloatArray
    target: FloatArray
    roughness: tuple[Roughness, ...]
    smoothness: Smoothness | None
    is_proper: bool
    description: tuple[str, ...]
    sds: FloatArray | None


def default_sds(moments: ProjectionMoments, layout: PathLayout) -> FloatArray:
    """Standard deviations of the weak default: 2.5 sd(y) / sd(x), the largest over horizons."""
    responses = layout.paths // layout.states
    largest = DEFAULT_SCALE * moments.scale.reshape(responses, layout.horizons).max(axis=1)
    return np.repeat(largest, layout.states * layout.horizons)


def resolve_projection_prior(
    prior: PriorLike, moments: ProjectionMoments, layout: PathLayout, law: NormalLaw
) -> ProjectionPrior:
    """Turn what the user gave into numbers.

    Parameters
    ----------
    prior : Normal, Flat, Smoothness, mapping of name to Normal or Flat, or None
        None is the weak default N(0, sd^2) with the sds of `default_sds`.
    moments : ProjectionMoments
    layout : PathLayout
    law : NormalLaw
        Without prior.

    Raises
    ------
    OptionError, InputError
    """
    sds = default_sds(moments, layout)
    if isinstance(prior, Smoothness):
        return _resolve_smoothness(prior, moments, layout, law, sds)
    if prior is None:
        description = ("weak default: responses ~ Normal(0, (2.5 sd(y)/sd(shock))^2)",)
        return _normal_part(_independent(sds, layout.names, description), layout, moments)
    resolved = _resolve_given(prior, layout.names, sds)
    if not resolved.is_normal:
        raise OptionError(
            "local projections take priors.Normal, Flat or Smoothness; a Student-t prior has no "
            "normal posterior under a fixed weight"
        )
    return _normal_part(resolved, layout, moments)


def _resolve_given(prior: PriorLike, names: tuple[str, ...], sds: FloatArray) -> ResolvedPrior:
    ones = np.ones(len(names))
    # Without a constant the scale's default is 2.5 rms(y) / rms(x) = sds.
    scale = DataScale(names, 0.0, 1.0, 1.0, 0.0 * ones, ones, DEFAULT_SCALE / sds, None)
    if isinstance(prior, Mapping) and any(isinstance(one, Smoothness) for one in prior.values()):
        raise OptionError("priors.Smoothness is for all responses at once, not one by name")
    return resolve_prior(prior, scale)


def _independent(
    sds: FloatArray, names: tuple[str, ...], description: tuple[str, ...]
) -> ResolvedPrior:
    flat = no_prior(names)
    return ResolvedPrior(
        np.diag(1.0 / sds), np.zeros(len(names)), flat.df, flat.loc, flat.scale, (), description
    )


def _known_values(moments: ProjectionMoments, layout: PathLayout) -> FloatArray:
    """Values of all coefficients at the first-step estimate, shape (K,)."""
    values = np.empty(len(layout.names))
    values[layout.places()] = moments.estimate
    return values


def _normal_part(
    prior: ResolvedPrior, layout: PathLayout, moments: ProjectionMoments
) -> ProjectionPrior:
    active = layout.active
    known = np.where(active, 0.0, _known_values(moments, layout))
    rows, target = prior.root[:, active], prior.target - prior.root @ known
    used = np.any(rows != 0.0, axis=1)
    precision = np.diag(prior.precision)[active]
    with np.errstate(divide="ignore"):
        sds = 1.0 / np.sqrt(precision)
    return ProjectionPrior(
        rows[used], target[used], (), None, prior.is_proper, prior.description, sds
    )


def _resolve_smoothness(
    prior: Smoothness,
    moments: ProjectionMoments,
    layout: PathLayout,
    law: NormalLaw,
    sds: FloatArray,
) -> ProjectionPrior:
    order, K = prior.order, len(layout.names)
    known = np.where(layout.active, 0.0, _known_values(moments, layout))
    place_of = np.cumsum(layout.active) - 1
    variances = np.sum(law.covariance_root**2, axis=1)
    D = difference_matrix(order, layout.horizons)
    rows, targets, roughness = [], [], []
    for r in range(layout.paths):
        path = layout.path_of(r)
        own = layout.active[path]
        if not own.any():
            continue
        places = place_of[path][own]
        unit = float(variances[places].mean())
        roughness.append(Roughness(places, D[:, own], D[:, ~own] @ known[path][~own], unit))
        for row, centre, sd in _level_rows(prior, layout.horizons, sds[path.start]):
            full = np.zeros(K)
            full[path] = row
            if np.any(full[layout.active]):
                rows.append(full[layout.active] / sd)
                targets.append((centre - full @ known) / sd)
    k = int(layout.active.sum())
    level = "weak default" if prior.level is None else repr(prior.level)
    sampled = "" if prior.smoothing is not None else ", one smoothing parameter a response"
    sampled = sampled if len(roughness) > 1 else ""
    words = "" if order == "decay" else f"; level: {level}"
    return ProjectionPrior(
        np.array(rows).reshape(-1, k),
        np.array(targets),
        tuple(roughness),
        prior,
        order == "decay" or not isinstance(prior.level, Flat),
        (f"{prior!r}{sampled}{words}",),
        None,
    )


def _level_rows(
    prior: Smoothness, horizons: int, default: float
) -> list[tuple[FloatArray, float, float]]:
    """Coefficients, mean and sd of the priors of a path's level and first difference."""
    if prior.order == "decay" or isinstance(prior.level, Flat):
        return []
    centre, sd = 0.0, default
    if isinstance(prior.level, Normal):
        if prior.level.sd is None or np.ndim(prior.level.sd) or np.ndim(prior.level.mean):
            raise OptionError("Smoothness level must be Normal(mean, sd) with two numbers")
        centre, sd = float(np.asarray(prior.level.mean)), float(np.asarray(prior.level.sd))
    level, slope = np.eye(horizons)[0], np.zeros(horizons)
    slope[:2] = -1.0, 1.0
    return [(level, centre, sd), *([(slope, 0.0, sd)] if prior.order == 2 else [])]
