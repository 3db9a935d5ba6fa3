"""Two-step criteria of bootstrap replications of local projections.

What is drawn are rows of the stacked sample: row t stands for the regressions of all responses and
horizons. In each replication the controls are partialled out of the rows that were drawn,
regression by regression, and first step and weight are computed anew. A row that is drawn w times
counts w times in S, not w squared; under "HAC" S is the mean product of sums over the blocks that
were drawn (Goetze and Kunsch 1996, Annals of Statistics 24, 1914-1933).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.calibration.replicated_moments import (
    SINGULAR,
    Criteria,
    Units,
    criteria_of,
    groups_of_replications,
)
from qbeconometrics.calibration.replications import Bootstrap
from qbeconometrics.inputs.projection_design import ProjectionDesign
from qbeconometrics.moments.projection import LongRunRule, orthonormal_basis

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

# Share of a control's length that must be left in the rows drawn, the others partialled out.
COLLINEAR = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class SharedRows:
    """Regressions that have the same rows, and regressors.

    Attributes
    ----------
    kept : ndarray of bool, shape (T,)
        Their rows among those of the stacked sample; T_s of them.
    controls : ndarray, shape (T_s, q)
        An orthonormal basis.
    columns : ndarray, shape (T_s, L + p + blocks)
        Instruments, regressors, left-hand sides.
    blocks : ndarray of int, shape (blocks,)
        Places of the regressions among those that are not degenerate.
    """

    kept: NDArray[np.bool_]
    controls: FloatArray
    columns: FloatArray
    blocks: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class ProjectionRows:
    """Rows of local projections, and what their replications are to do with them.

    B regressions that are not degenerate have L instruments and p coefficients each, k in all.

    Attributes
    ----------
    samples : tuple of SharedRows
    n : int
        Rows of the stacked sample, T.
    rule : LongRunRule
    n_params : int
        Coefficients of one regression, the controls' among them, for "HC1".
    places : ndarray of int, shape (B, p)
        Of the coefficients of each regression among the k.
    origin : ndarray, shape (B, p)
        The estimate.
    subtracted : ndarray, shape (B, L)
        What recentred moments have taken off, their mean at the estimate; else zero.
    moment_map : ndarray, shape (B L, B L)
        In coordinates g = moment_map x moments, S of the data is near the identity.
    coefficient_map : ndarray, shape (k, k)
        Coefficients are the estimate plus coefficient_map x.
    """

    samples: tuple[SharedRows, ...]
    n: int
    rule: LongRunRule
    n_params: int
    places: IntArray
    origin: FloatArray
    subtracted: FloatArray
    moment_map: FloatArray
    coefficient_map: FloatArray

    def stacked(self, slopes: FloatArray) -> FloatArray:
        """Return slopes (B L, k) of all moments in all coefficients, from blocks (B, L, p)."""
        B, L, _ = slopes.shape
        stacked = np.zeros((B, L, self.places.size))
        for b, own in enumerate(self.places):
            stacked[b][:, own] = slopes[b]
        return stacked.reshape(B * L, -1)


def shared_rows(design: ProjectionDesign, blocks: IntArray) -> tuple[SharedRows, ...]:
    """Sort regressions, given by response times horizons plus place, by rows and regressors."""
    used, H = design.used, len(design.horizons)
    layers = design.regressors.shape[1]
    sorted_blocks: dict[tuple[bytes, int], list[int]] = {}
    for place, block in enumerate(blocks):
        kept = design.kept[:, block // H, block % H]
        layer = int(block % H) if layers > 1 else 0
        sorted_blocks.setdefault((kept.tobytes(), layer), []).append(place)
    bases: dict[bytes, FloatArray] = {}
    found = []
    for (key, layer), places in sorted_blocks.items():
        response, horizon = np.divmod(blocks[places], H)
        kept = design.kept[:, response[0], horizon[0]]
        if key not in bases:
            bases[key] = orthonormal_basis(design.controls[kept])
        columns = np.column_stack(
            [
                design.instrument[kept],
                design.regressors[kept, layer],
                design.leads[kept][:, response, horizon],
            ]
        )
        found.append(SharedRows(kept[used], bases[key], columns, np.array(places, dtype=np.intp)))
    return tuple(found)


def projection_criteria(given: ProjectionRows, drawn: Bootstrap, memory_limit: int) -> Criteria:
    """Return the criteria of all replications that have one; others are left out.

    Parameters
    ----------
    given : ProjectionRows
    drawn : Bootstrap
        Of blocks of rows.
    memory_limit : int
        Bytes that the moments of replications, with their derivatives and covariances, may take at
        a time; one replication is the least.
    """
    m, k = len(given.moment_map), len(given.coefficient_map)
    units = Units(drawn)
    curvature, minimiser = [], []
    for part in groups_of_replications(m * (m + k) + given.n, drawn.replications, memory_limit):
        weights = drawn.weights(part)
        moments, slopes = np.zeros((len(weights), m)), np.zeros((len(weights), m, k))
        S = np.zeros((len(weights), m, m))
        usable = np.zeros(len(weights), dtype=bool)
        for i, own in enumerate(weights):
            found = _replicated(given, own)
            if found is None:
                continue
            usable[i] = True
            moments[i] = given.moment_map @ found.moments.ravel()
            slopes[i] = given.moment_map @ given.stacked(found.slopes)
            product = _score_product(given, found.scores, own, units, part.start + i)
            S[i] = given.moment_map @ product @ given.moment_map.T
        sizes = weights.sum(axis=1)
        criteria = criteria_of(sizes, moments, slopes @ given.coefficient_map, S, usable)
        curvature.append(criteria.curvature)
        minimiser.append(criteria.minimiser)
    return Criteria(np.concatenate(curvature), np.concatenate(minimiser))


@dataclass(frozen=True, slots=True, eq=False)
class _Replicated:
    """Moments (B, L) at the origin, slopes (B, L, p), and scores (T, B, L) at the first step."""

    moments: FloatArray
    slopes: FloatArray
    scores: FloatArray


def _replicated(given: ProjectionRows, weights: FloatArray) -> _Replicated | None:
    """Moments of one replication; None if its controls or its instruments are collinear."""
    (B, p), L = given.origin.shape, given.subtracted.shape[1]
    found = _Replicated(np.empty((B, L)), np.empty((B, L, p)), np.zeros((given.n, B, L)))
    total = weights.sum()
    for sample in given.samples:
        drawn = sample.kept & (weights > 0.0)
        own, w = drawn[sample.kept], weights[drawn]
        size, lost = w.sum(), given.n_params if given.rule.cov_type == "HC1" else 0
        left = _partialled_out(sample.controls[own], sample.columns[own], np.sqrt(w))
        if left is None or size <= lost:
            return None
        blocks = sample.blocks
        z, x, y = left[:, :L], left[:, L : L + p], left[:, L + p :]
        y = y - x @ given.origin[blocks].T
        off = given.subtracted[blocks]
        found.moments[blocks] = y.T @ z / size - off
        found.slopes[blocks] = z.T @ x / size
        first = _first_step(z, x, y, size * off)
        if first is None:
            return None
        residual = y - x @ first
        scores = z[:, None, :] * residual[:, :, None] / w[:, None, None] - off
        scale = total / size * np.sqrt(size / (size - lost))
        found.scores[np.ix_(drawn, blocks)] = scale * scores
    return found


def _partialled_out(
    controls: FloatArray, columns: FloatArray, roots: FloatArray
) -> FloatArray | None:
    """Rows times roots of their weights, less their projection on the controls' rows."""
    rows, q = controls.shape
    if rows <= q:
        return None
    basis, triangle = np.linalg.qr(roots[:, None] * controls)
    if not np.all(np.abs(np.diag(triangle)) > COLLINEAR):
        return None
    left = roots[:, None] * columns
    for _ in range(2):  # twice against rounding
        left = left - basis @ (basis.T @ left)
    return np.asarray(left)


def _first_step(z: FloatArray, x: FloatArray, y: FloatArray, off: FloatArray) -> FloatArray | None:
    """Two-stage least squares (p, blocks) of each column of y, with `off` (blocks, L) off z'y."""
    basis, triangle = np.linalg.qr(z)
    if not np.all(np.abs(np.diag(triangle)) > SINGULAR * np.linalg.norm(z, axis=0)):
        return None
    target = basis.T @ y - np.linalg.solve(triangle.T, off.T)
    return np.asarray(np.linalg.lstsq(basis.T @ x, target)[0])


def _score_product(
    given: ProjectionRows, scores: FloatArray, weights: FloatArray, units: Units, b: int
) -> FloatArray:
    """S (B L, B L) of a replication, from its scores (T, B, L)."""
    flat, total = scores.reshape(given.n, -1), weights.sum()
    off = weights @ flat / total if given.rule.centered else np.zeros(flat.shape[1])
    if given.rule.cov_type == "HAC":
        return units.product(b, flat, off) / total
    flat = flat - off
    return np.asarray((weights[:, None] * flat).T @ flat / total)
