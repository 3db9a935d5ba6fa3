"""Linear moments z (y - x'theta): sums over rows that carry all that a posterior needs.

With w = (u, R'x) as in `basis`, the quasi-likelihood at any theta is a function of

    sum z w',   sum z z',   sum w w',   sum w,   sum w_a w_b z z'  (a <= b),

whose size does not depend on the number of rows, and which add over blocks of rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError
from qbeconometrics.moments.basis import MomentBasis, basis_change
from qbeconometrics.moments.covariance import CovarianceRule

FloatArray = NDArray[np.float64]

# Rows are taken in blocks whose products fill about this many numbers: the second-level cache.
BLOCK_NUMBERS = 250_000

# At most m / HIGH_LEVERAGE rows can be above this; only they can be, or share, leverage 1.
HIGH_LEVERAGE = 0.01


@dataclass(frozen=True, slots=True)
class ScaledRows:
    """Rows in a basis.

    Attributes
    ----------
    residual : ndarray, shape (n,)
    regressor : ndarray, shape (n, k)
    instrument : ndarray, shape (n, m)
    """

    residual: FloatArray
    regressor: FloatArray
    instrument: FloatArray


@dataclass(frozen=True, slots=True)
class LinearMomentStatistic:
    """Sums over rows, in the coordinates of `basis`.

    Attributes
    ----------
    basis : MomentBasis
    n : int
    cross : ndarray, shape (m, k + 1)
        Sum of z w'.
    instrument_product : ndarray, shape (m, m)
        Sum of z z'.
    row_product : ndarray, shape (k + 1, k + 1)
        Sum of w w'.
    row_sum : ndarray, shape (k + 1,)
        Sum of w.
    score_product : ndarray, shape (m, m), or None
        Sum of u^2 z z'; None if it was lost in a change of centre.
    fourth : ndarray, shape ((k + 1)(k + 2)/2, m (m + 1)/2), or None
        Sum of w_a w_b z_j z_l, both pairs packed by rows of the lower triangle; None if left out.
    dependence : str or None
        "HAC" or "cluster" where `score_product` and `fourth` are weighted sums over pairs of rows,
        as in `dependence`; None where they are sums over rows.
    weighted_cross : ndarray, shape (m, k + 1), or None
        Sum over pairs of rows of the weight times z w' of one of them; None for independent rows,
        where it is `cross`.
    weight_total : float or None
        Sum of the weights of all pairs of rows; None for independent rows, where it is n.
    df_absorbed : int
        Coefficients that were taken out of the rows before; they count with k for "HC1".
    """

    basis: MomentBasis
    n: int
    cross: FloatArray
    instrument_product: FloatArray
    row_product: FloatArray
    row_sum: FloatArray
    score_product: FloatArray | None
    fourth: FloatArray | None
    dependence: str | None = None
    weighted_cross: FloatArray | None = None
    weight_total: float | None = None
    df_absorbed: int = 0

    @property
    def k(self) -> int:
        """Number of coefficients."""
        return self.cross.shape[1] - 1

    @property
    def m(self) -> int:
        """Number of moments."""
        return self.cross.shape[0]

    def small_sample_factor(self, rule: CovarianceRule) -> float:
        """Return the factor on S."""
        return rule.small_sample_factor(self.n, self.k + self.df_absorbed)


def scale_rows(
    endog: FloatArray, exog: FloatArray, instrument: FloatArray, basis: MomentBasis
) -> ScaledRows:
    """Return rows (endog (n,), exog (n, k), instrument (n, m)) in the coordinates of `basis`."""
    return ScaledRows(
        residual=endog - exog @ basis.centre,
        regressor=exog @ basis.regressor_map,
        instrument=instrument @ basis.instrument_map,
    )


def block_slices(n: int, width: int) -> Iterator[slice]:
    """Yield slices of `n` rows whose products, `width` numbers a row, stay in the cache."""
    rows = max(256, min(4_096, BLOCK_NUMBERS // width))
    for start in range(0, n, rows):
        yield slice(start, min(n, start + rows))


def pair_products(columns: FloatArray) -> FloatArray:
    """Return products of the rows of `columns` (p, block), pairs packed by rows."""
    p, block = columns.shape
    products = np.empty((p * (p + 1) // 2, block))
    start = 0
    for j in range(p):
        np.multiply(columns[: j + 1], columns[j], out=products[start : start + j + 1])
        start += j + 1
    return products


def linear_moment_statistic(
    endog: FloatArray,
    exog: FloatArray,
    instrument: FloatArray,
    basis: MomentBasis,
    *,
    with_fourth: bool = True,
    df_absorbed: int = 0,
) -> LinearMomentStatistic:
    """Add up the statistic over blocks of rows.

    Parameters
    ----------
    endog : ndarray, shape (n,)
    exog : ndarray, shape (n, k)
    instrument : ndarray, shape (n, m)
    basis : MomentBasis
    with_fourth : bool
        Whether to form the fourth-order sums, which only the HC rules need.
    df_absorbed : int
        Coefficients that were taken out of the rows before.
    """
    n, k = exog.shape
    m = instrument.shape[1]
    cross = np.zeros((m, k + 1))
    instrument_product = np.zeros((m, m))
    row_product = np.zeros((k + 1, k + 1))
    row_sum = np.zeros(k + 1)
    score_product = np.zeros((m, m))
    pairs, packed = (k + 1) * (k + 2) // 2, m * (m + 1) // 2
    fourth = np.zeros((pairs, packed)) if with_fourth else None
    for block in block_slices(n, pairs + packed + k + m + 1):
        # Rows of the data lie along the last axis, so that products run over contiguous numbers.
        w = np.empty((k + 1, block.stop - block.start))
        w[0] = endog[block] - exog[block] @ basis.centre
        np.matmul(basis.regressor_map.T, exog[block].T, out=w[1:])
        z = basis.instrument_map.T @ instrument[block].T
        cross += z @ w.T
        instrument_product += z @ z.T
        row_product += w @ w.T
        row_sum += w.sum(axis=1)
        scores = z * w[0]
        score_product += scores @ scores.T
        if fourth is not None:
            fourth += pair_products(w) @ pair_products(z).T
    return LinearMomentStatistic(
        basis,
        n,
        cross,
        instrument_product,
        row_product,
        row_sum,
        score_product,
        fourth,
        df_absorbed=df_absorbed,
    )


def largest_leverage(
    endog: FloatArray, exog: FloatArray, instrument: FloatArray, basis: MomentBasis
) -> tuple[float, int]:
    """Return the largest z'(Z'Z)^-1 z of a row, and its position.

    Rows that are the same count together, since their residuals vanish together.

    Parameters
    ----------
    endog : ndarray, shape (n,)
    exog : ndarray, shape (n, k)
    instrument : ndarray, shape (n, m)
    basis : MomentBasis
        Made from the same rows, so that Z_w'Z_w = n I.
    """
    n, m = instrument.shape
    high: list[int] = []
    values: list[float] = []
    for block in block_slices(n, 2 * m):
        z = basis.instrument_map.T @ instrument[block].T
        of_block = np.einsum("ji,ji->i", z, z) / n
        (found,) = np.nonzero(of_block > HIGH_LEVERAGE)
        high.extend(int(row) + block.start for row in found)
        values.extend(of_block[found].tolist())
    if not high:
        return 0.0, 0
    rows = np.column_stack([endog[high], exog[high], instrument[high]])
    _, first, group = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    totals = np.bincount(group.ravel(), weights=values)
    largest = int(totals.argmax())
    return float(totals[largest]), high[int(first[largest])]


def unpack_symmetric(packed: FloatArray, order: int) -> FloatArray:
    """Return (..., order, order) from lower triangles packed by rows along the last axis."""
    row, column = np.tril_indices(order)
    full = np.empty((*packed.shape[:-1], order, order))
    full[..., row, column] = packed
    full[..., column, row] = packed
    return full


def pack_symmetric(full: FloatArray) -> FloatArray:
    """Return lower triangles of (..., order, order), packed by rows along the last axis."""
    row, column = np.tril_indices(full.shape[-1])
    return np.ascontiguousarray(full[..., row, column])


def change_basis(statistic: LinearMomentStatistic, basis: MomentBasis) -> LinearMomentStatistic:
    """Return the same sums in another basis: an exact linear map, without the rows."""
    rows, columns = basis_change(statistic.basis, basis)
    fourth, score_product = statistic.fourth, None
    if fourth is not None:
        fourth = change_fourth(fourth, rows, columns)
        score_product = unpack_symmetric(fourth[0], len(columns[0]))
    return replace(
        statistic,
        basis=basis,
        cross=columns.T @ statistic.cross @ rows,
        instrument_product=columns.T @ statistic.instrument_product @ columns,
        row_product=rows.T @ statistic.row_product @ rows,
        row_sum=rows.T @ statistic.row_sum,
        score_product=score_product,
        fourth=fourth,
        weighted_cross=None
        if statistic.weighted_cross is None
        else columns.T @ statistic.weighted_cross @ rows,
    )


def change_fourth(fourth: FloatArray, rows: FloatArray, columns: FloatArray) -> FloatArray:
    """Return packed sums of w_a w_b z_j z_l for rows'w and columns'z in place of w and z."""
    full = columns.T @ unpack_symmetric(fourth, len(columns)) @ columns
    full = unpack_symmetric(np.moveaxis(full, 0, -1), len(rows))
    full = np.moveaxis(full, (-2, -1), (0, 1))
    full = np.einsum("ca,db,cdjl->abjl", rows, rows, full, optimize=True)
    return pack_symmetric(full[np.tril_indices(rows.shape[1])])


def covariance_statistic(statistic: LinearMomentStatistic, rule: CovarianceRule) -> FloatArray:
    """Return T with S = sum c_ab phi_a phi_b T_ab for a rule other than nonrobust.

    Returns
    -------
    ndarray, shape ((k + 1)(k + 2)/2, m (m + 1)/2)
    """
    if statistic.fourth is None:
        raise InputError("the statistic was formed without the fourth-order sums")
    n = statistic.n
    tensor = statistic.fourth / n
    if rule.centered:
        mean, half = (part.T for part in _mean_parts(statistic))
        row, column = np.tril_indices(statistic.k + 1)
        first, second = np.tril_indices(statistic.m)
        for left, right in ((mean, half), (half, mean)):
            tensor -= 0.5 * (
                left[row][:, first] * right[column][:, second]
                + left[row][:, second] * right[column][:, first]
            )
    return tensor * statistic.small_sample_factor(rule)


def covariance_at_centre(statistic: LinearMomentStatistic, rule: CovarianceRule) -> FloatArray:
    """Return S (m, m) at the centre of the basis for a rule other than nonrobust."""
    if statistic.score_product is None:
        raise InputError("the sum of u^2 z z' about this centre was lost in a change of centre")
    S = statistic.score_product / statistic.n
    if rule.centered:
        mean, half = (part[:, 0] for part in _mean_parts(statistic))
        S = S - np.outer(mean, half) - np.outer(half, mean)
    return S * statistic.small_sample_factor(rule)


def _mean_parts(statistic: LinearMomentStatistic) -> tuple[FloatArray, FloatArray]:
    """Return A and B (m, k + 1), where subtracting the mean takes A_a B_b' + B_a A_b' off Omega_ab.

    sum kappa (M_a - A_a)(M_b - A_b)' = Omega_ab - A_a R_b' - R_a A_b' + total A_a A_b'.
    """
    n = statistic.n
    mean = statistic.cross / n
    if statistic.weighted_cross is None or statistic.weight_total is None:
        return mean, mean / 2
    return mean, statistic.weighted_cross / n - statistic.weight_total / n * mean / 2


def residual_variance_matrix(statistic: LinearMomentStatistic, rule: CovarianceRule) -> FloatArray:
    """Return W (k + 1, k + 1) with residual variance phi' W phi, for the nonrobust rule."""
    variance = statistic.row_product / statistic.n
    if rule.centered:
        mean = statistic.row_sum / statistic.n
        variance = variance - np.outer(mean, mean)
    return variance
