"""Stacked moments of local projections, controls partialled out.

Block b is a response at a horizon. With the controls partialled out of y_b, x_b and z on the rows
of that regression (Frisch, Waugh and Lovell), its moments are

    g_b(beta_b) = (1/T) sum_t z_t (y_tb - x_tb beta_b) = cross_b - jacobian_b beta_b.

Rows that a block has not are zero in the sums, which are scaled by T / T_b: g and its covariance
are then those of the block's own estimate, and the joint covariance stays positive semi-definite
whatever the rows of the blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import IdentificationError, NumericalError, OptionError
from qbeconometrics.inputs.projection_design import ProjectionDesign
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.moments.dependence import RowWeights, weighted_rows
from qbeconometrics.moments.lag_windows import (
    andrews_bandwidth,
    bandwidth_of_lags,
    lag_weights,
    newey_west_lags,
)

FloatArray = NDArray[np.float64]

# Share of the variance of a response below which its residual counts as zero.
DEGENERATE = 1e-12

# Cosine of the angle between instruments and regressors below which nothing is explained.
UNMOVED = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class ProjectionMoments:
    """Moments of B blocks, L instruments and p coefficients a block.

    Attributes
    ----------
    cross : ndarray, shape (B, L)
    jacobian : ndarray, shape (B, L, p)
    estimate : ndarray, shape (B, p)
        Two-stage least squares, block by block: the first step.
    scores : ndarray, shape (T, B, L)
        z times the residual at `estimate`, zero where a block has no row.
    regressor_scores : ndarray, shape (T, B, L, p)
        z times each regressor.
    rows : ndarray of int, shape (B,)
        Rows of each block.
    n_regressors : int
        Coefficients of each regression, the controls' among them.
    degenerate : ndarray of bool, shape (B,)
        Blocks whose residual is zero, such as a variable's response to itself at once.
    scale : ndarray, shape (B,)
        sd(y) / sd(x), controls partialled out.
    """

    cross: FloatArray
    jacobian: FloatArray
    estimate: FloatArray
    scores: FloatArray
    regressor_scores: FloatArray
    rows: NDArray[np.int64]
    n_regressors: int
    degenerate: NDArray[np.bool_]
    scale: FloatArray

    @property
    def nobs(self) -> int:
        """T: rows that enter any block."""
        return len(self.scores)


def projection_moments(design: ProjectionDesign) -> ProjectionMoments:
    """Partial the controls out and form the sums.

    Raises
    ------
    IdentificationError
        If the instruments do not move the shock.
    """
    used = design.used
    T = int(used.sum())
    n_responses, n_horizons = design.leads.shape[1:]
    L, p = design.instrument.shape[1], design.regressors.shape[2]
    B = n_responses * n_horizons
    moments = ProjectionMoments(
        cross=np.empty((B, L)),
        jacobian=np.empty((B, L, p)),
        estimate=np.empty((B, p)),
        scores=np.zeros((T, B, L)),
        regressor_scores=np.zeros((T, B, L, p)),
        rows=design.kept.sum(axis=0).reshape(B),
        n_regressors=design.n_regressors,
        degenerate=np.zeros(B, dtype=bool),
        scale=np.empty(B),
    )
    bases: dict[bytes, FloatArray] = {}
    for b in range(B):
        response, place = divmod(b, n_horizons)
        kept = design.kept[:, response, place]
        y, x, z = partialled_block(design, b, bases)
        _fill_block(
            moments,
            b,
            kept[used],
            y,
            x,
            z,
            float(np.var(design.leads[kept, response, place])),
            f"{design.response_names[response]!r} at horizon {design.horizons[place]}",
        )
    return moments


def partialled_block(
    design: ProjectionDesign, block: int, bases: dict[bytes, FloatArray] | None = None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return y (n,), x (n, p) and z (n, L) of one block, controls partialled out.

    Parameters
    ----------
    design : ProjectionDesign
    block : int
        Response times horizons plus place of the horizon.
    bases : dict, optional
        Orthonormal bases of the controls by rows, kept from block to block.
    """
    response, place = divmod(block, len(design.horizons))
    kept = design.kept[:, response, place]
    bases = {} if bases is None else bases
    key = kept.tobytes()
    if key not in bases:
        bases[key] = orthonormal_basis(design.controls[kept])
    basis = bases[key]
    layer = place if design.regressors.shape[1] > 1 else 0
    return (
        _residual(basis, design.leads[kept, response, place][:, None])[:, 0],
        _residual(basis, design.regressors[kept, layer]),
        _residual(basis, design.instrument[kept]),
    )


def orthonormal_basis(columns: FloatArray) -> FloatArray:
    """Return orthonormal columns with the same span."""
    lengths = np.linalg.norm(columns, axis=0)
    return np.linalg.qr(columns / np.where(lengths > 0.0, lengths, 1.0))[0]


def _residual(basis: FloatArray, columns: FloatArray) -> FloatArray:
    """What the controls leave over, projected twice against rounding."""
    left = columns - basis @ (basis.T @ columns)
    return left - basis @ (basis.T @ left)


def _fill_block(
    moments: ProjectionMoments,
    b: int,
    kept: NDArray[np.bool_],
    y: FloatArray,
    x: FloatArray,
    z: FloatArray,
    variance: float,
    what: str,
) -> None:
    """Estimate and sums of one block."""
    own, T = len(y), moments.nobs
    Q = orthonormal_basis(z)
    fitted = Q.T @ x
    length = np.linalg.norm(x, axis=0)
    if not (np.linalg.svd(fitted / length, compute_uv=False)[-1] > UNMOVED):
        raise IdentificationError(
            f"The instruments do not move the shock for {what}, controls partialled out, so its "
            "response is not identified. Use other instruments or fewer controls."
        )
    beta = np.linalg.lstsq(fitted, Q.T @ y)[0]
    residual = y - x @ beta
    moments.estimate[b] = beta
    moments.cross[b] = z.T @ y / own
    moments.jacobian[b] = z.T @ x / own
    moments.scores[kept, b] = z * residual[:, None] * (T / own)
    moments.regressor_scores[kept, b] = z[:, :, None] * x[:, None, :] * (T / own)
    moments.degenerate[b] = residual @ residual <= DEGENERATE * own * variance
    if moments.degenerate[b]:
        # A recursive scheme's zero is known too, and is no number of the size of rounding errors.
        beta[np.abs(beta) * length <= np.sqrt(DEGENERATE * own * variance)] = 0.0
        moments.estimate[b] = beta
    moments.scale[b] = np.linalg.norm(y) / length.min()


@dataclass(frozen=True, slots=True, eq=False)
class LongRunRule:
    """How the covariance of the stacked scores is formed.

    Attributes
    ----------
    cov_type : str
        "HC0", "HC1" or "HAC".
    weights : RowWeights
    factor : ndarray, shape (B,)
        On the scores of each block; T_b / (T_b - k) on their covariance for "HC1".
    centered : bool
    options : dict
        For the record of a fit: kernel, lags, centring.
    """

    cov_type: str
    weights: RowWeights
    factor: FloatArray
    centered: bool
    options: dict[str, object]


def long_run_rule(moments: ProjectionMoments, rule: CovarianceRule) -> LongRunRule:
    """Settle kernel, lags and factors; one number of lags for all blocks.

    Lags that are selected from the data come from the scores of the blocks that are not degenerate.
    """
    B = len(moments.rows)
    factor = np.ones(B)
    options: dict[str, object] = {"centered": rule.centered}
    if rule.cov_type != "HAC":
        if rule.cov_type == "HC1":
            factor = np.sqrt(moments.rows / (moments.rows - moments.n_regressors))
        return LongRunRule(
            rule.cov_type, RowWeights(lags=np.ones(1)), factor, rule.centered, options
        )
    assert rule.kernel is not None
    T = moments.nobs
    active = moments.scores[:, ~moments.degenerate].reshape(T, -1)
    options["kernel"] = rule.kernel
    if rule.maxlags == "andrews":
        bandwidth = andrews_bandwidth(active, rule.kernel)
        options.update(maxlags="andrews", bandwidth=bandwidth)
    else:
        lags = rule.maxlags
        if lags == "newey-west":
            lags = newey_west_lags(active, rule.kernel)
        assert isinstance(lags, int)
        if lags >= T:
            raise OptionError(f"cov_kwds['maxlags']={lags} must be below the {T} rows")
        bandwidth = bandwidth_of_lags(rule.kernel, lags)
        options["maxlags"] = lags
    weights = RowWeights(lags=lag_weights(rule.kernel, bandwidth, T))
    return LongRunRule(rule.cov_type, weights, factor, rule.centered, options)


@dataclass(frozen=True, slots=True, eq=False)
class ScoreCovariance:
    """Long-run covariances from which S at any coefficients follows, without rows.

    With d = beta - estimate and w_b = (1, -d_b1, ..., -d_bp), the block of S for b and b' is
    sum_aa' w_ba w_b'a' terms[a, a'], which are long-run covariances of z times the residual
    (a = 0) and z times the regressors.

    Attributes
    ----------
    terms : ndarray, shape (1 + p, 1 + p, B L, B L)
        Moments are ordered by block, then instrument.
    """

    terms: FloatArray

    def at(self, deviations: FloatArray) -> FloatArray:
        """Return S (B L, B L) at `deviations` (B, p) from the first-step estimate."""
        order, size = self.terms.shape[0], self.terms.shape[2]
        L = size // len(deviations)
        weights = np.vstack([np.ones(size), -np.repeat(deviations, L, axis=0).T])
        S = np.zeros((size, size))
        for a in range(order):
            for c in range(order):
                S += weights[a][:, None] * self.terms[a, c] * weights[c]
        return (S + S.T) / 2.0


def score_covariance(
    moments: ProjectionMoments, rule: LongRunRule, *, regressors: bool = True
) -> ScoreCovariance:
    """Return the long-run covariances of the scores; without `regressors` only at the estimate."""
    T, B, L = moments.scores.shape
    p = moments.jacobian.shape[2] if regressors else 0
    columns = [moments.scores * rule.factor[:, None]]
    columns += [moments.regressor_scores[..., j] * rule.factor[:, None] for j in range(p)]
    stacked = np.concatenate([column.reshape(T, B * L) for column in columns], axis=1)
    if rule.centered:
        stacked = stacked - stacked.mean(axis=0)
    product = stacked.T @ weighted_rows(rule.weights, stacked) / T
    size = B * L
    terms = product.reshape(1 + p, size, 1 + p, size).transpose(0, 2, 1, 3)
    return ScoreCovariance(np.ascontiguousarray(terms))


def check_rank_of_scores(S: FloatArray, n: int, what: str) -> FloatArray:
    """Return the lower Cholesky factor of S in correlation scale.

    Raises
    ------
    NumericalError
        In words, if S is singular.
    """
    scale = np.sqrt(np.diag(S))
    if not (np.all(np.isfinite(S)) and np.all(scale > 0.0)):
        raise NumericalError(f"the covariance of the moments is not finite or zero for {what}")
    correlation = S / np.outer(scale, scale)
    smallest = float(np.linalg.eigvalsh(correlation)[0])
    if not smallest > 1e-13:
        raise NumericalError(
            f"the covariance of the {len(S)} stacked moments is singular (smallest eigenvalue of "
            f"the correlations {smallest:.1e}, {n} rows): horizons x instruments x responses must "
            "stay well below the rows. Use fewer horizons, responses or instruments, or a HAC "
            "kernel with fewer lags"
        )
    return np.linalg.cholesky(correlation) * scale[:, None]
