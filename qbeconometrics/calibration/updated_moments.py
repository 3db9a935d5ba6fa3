"""Continuously updated criteria of bootstrap replications of linear moments.

S of a replication is quadratic in the coefficients, S = sum_ab phi_a phi_b T_ab with
phi = (1, -x), and each replication has its own T, formed as `replicated_moments` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.calibration.replicated_moments import (
    Criteria,
    MomentRows,
    Units,
    groups_of_replications,
    is_definite,
    replicated_sums,
)
from qbeconometrics.calibration.replications import Bootstrap
from qbeconometrics.moments.linear import block_slices, pack_symmetric, pair_products

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class UpdatedCriteria:
    """What the compiled log density takes of each replication.

    Attributes
    ----------
    intercept : ndarray, shape (B, m)
        Mean moment at the origin times the root of the number of rows.
    jacobian : ndarray, shape (B, m, k)
        Minus its derivative, times the same.
    forms : list of dict
        How S is formed: "statistic" or "proportional" of `LinearMomentTarget`.
    """

    intercept: FloatArray
    jacobian: FloatArray
    forms: list[dict[str, Any]]


def from_two_step(criteria: Criteria) -> UpdatedCriteria:
    """Return quadratic criteria in the same form: k moments whose S is the identity."""
    roots = np.asarray(np.linalg.cholesky(criteria.curvature).swapaxes(1, 2), dtype=np.float64)
    identity = pack_symmetric(np.eye(roots.shape[1]))
    return UpdatedCriteria(
        np.einsum("bij,bj->bi", roots, criteria.minimiser),
        roots,
        [{"proportional": (identity, None)} for _ in roots],
    )


def updated_criteria(given: MomentRows, drawn: Bootstrap, memory_limit: int) -> UpdatedCriteria:
    """Return the criteria of all replications that have one; others are left out.

    Parameters
    ----------
    given : MomentRows
        In coordinates whose origin is the estimate.
    drawn : Bootstrap
    memory_limit : int
        Bytes, as of `two_step_criteria`; the T of all replications come on top.
    """
    intercepts, jacobians, forms = [], [], []
    for part in groups_of_replications(given.n, drawn.replications, memory_limit):
        weights = drawn.weights(part)
        sizes = weights.sum(axis=1)
        cross, product = replicated_sums(given.rows, weights)
        mean = cross / sizes[:, None, None]
        off = np.zeros_like(mean)
        if given.subtracted is not None:
            off[:, :, 0] = given.subtracted
        found: list[dict[str, Any]]
        if given.rule.cov_type == "nonrobust":
            variances = _row_products(given, weights)
            found = [
                {"proportional": (pack_symmetric(V), W)}
                for V, W in zip(product / sizes[:, None, None], variances, strict=True)
            ]
        else:
            centre = mean if given.rule.centered else off
            found = [{"statistic": T} for T in _tensors(given, drawn, part, weights, mean, centre)]
        slopes = mean[:, :, 1:]
        # Collinear regressors or instruments: no minimum.
        usable = is_definite(product) & is_definite(slopes.swapaxes(1, 2) @ slopes)
        roots = np.sqrt(sizes)[usable, None]
        intercepts.append(roots * (mean - off)[usable, :, 0])
        jacobians.append(roots[:, :, None] * slopes[usable])
        forms += [one for one, good in zip(found, usable, strict=True) if good]
    return UpdatedCriteria(np.concatenate(intercepts), np.concatenate(jacobians), forms)


def _row_products(given: MomentRows, weights: FloatArray) -> FloatArray:
    """Mean of w w' (B, k + 1, k + 1), of which the residual variance is made."""
    rows, k = given.rows, given.k
    w = np.column_stack([rows.residual, rows.regressor])
    sizes = weights.sum(axis=1)[:, None, None]
    total = np.zeros((len(weights), (k + 1) ** 2))
    for block in block_slices(given.n, (k + 1) ** 2):
        total += weights[:, block] @ (w[block, :, None] * w[block, None, :]).reshape(
            -1, (k + 1) ** 2
        )
    variance = total.reshape(-1, k + 1, k + 1) / sizes
    if given.rule.centered:
        mean = weights @ w / sizes[:, :, 0]
        variance -= mean[:, :, None] * mean[:, None, :]
    return np.asarray(variance)


def _tensors(
    given: MomentRows,
    drawn: Bootstrap,
    part: slice,
    weights: FloatArray,
    mean: FloatArray,
    off: FloatArray,
) -> FloatArray:
    """T of each replication, with `off` phi taken off the moments."""
    sizes, n_params = weights.sum(axis=1), given.n_params
    if given.rule.is_dependent:
        units = Units(drawn)
        w = np.column_stack([given.rows.residual, given.rows.regressor])
        products = (given.rows.instrument[:, :, None] * w[:, None, :]).reshape(given.n, -1)
        sums = [
            units.product(b, products, own.ravel())
            for b, own in zip(range(part.start, part.stop), off, strict=True)
        ]
        full = np.stack(sums) / sizes[:, None, None]
        return _packed(full.reshape(-1, given.m, given.k + 1, given.m, given.k + 1))
    factor = [given.rule.small_sample_factor(round(n), n_params) for n in sizes]
    product = mean[:, :, :, None, None] * off[:, None, None, :, :]
    correction = off[:, :, :, None, None] * off[:, None, None, :, :] - product
    correction -= product.transpose(0, 3, 4, 1, 2)
    total = _fourth_order_sums(given, weights) / sizes[:, None, None] + _packed(correction)
    return np.asarray(np.array(factor)[:, None, None] * total)


def _packed(full: FloatArray) -> FloatArray:
    """T from (B, m, k + 1, m, k + 1), pairs of coefficients and of moments packed by rows."""
    order = full.shape[2]
    first, second = np.tril_indices(order)
    chosen = full[:, :, first, :, second]  # (pairs, B, m, m): the pair comes to the front
    chosen = np.moveaxis(chosen, 0, 1)
    return pack_symmetric((chosen + chosen.swapaxes(2, 3)) / 2.0)


def _fourth_order_sums(given: MomentRows, weights: FloatArray) -> FloatArray:
    rows = given.rows
    pairs, packed = (given.k + 1) * (given.k + 2) // 2, given.m * (given.m + 1) // 2
    total = np.zeros((len(weights), pairs * packed))
    for block in block_slices(given.n, pairs * packed):
        w = pair_products(np.vstack([rows.residual[block], rows.regressor[block].T]))
        z = pair_products(np.ascontiguousarray(rows.instrument[block].T))
        own = np.ascontiguousarray(weights[:, block])
        total += own @ (w[:, None] * z[None]).reshape(pairs * packed, -1).T
    return total.reshape(-1, pairs, packed)
