"""Reduction of the first stage ``D = X1 A + Z2 Pi + V`` to arrays whose size is free of n.

``X1`` (n, q) are the controls, ``D`` (n, p) the endogenous regressors, ``Z2`` (n, l) the excluded
instruments. One QR factor of ``[X1, Z2, D]``, taken in blocks of rows, partials the controls out
of both ``Z2`` and ``D``; a second pass over the blocks sums the products of the scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular

from qbeconometrics.exceptions import (
    IdentificationError,
    InputError,
    NumericalError,
    OptionError,
    RankError,
    check_choice,
)
from qbeconometrics.moments.covariance import COV_TYPES, DEPENDENT_COV_TYPES
from qbeconometrics.moments.dependence import RowWeights, pair_product

FloatArray = NDArray[np.float64]


_NO_FIRST_STAGE = (
    "There is no endogenous regressor, so there is no first stage: instrument at least one "
    "regressor or leave these statistics out."
)

# Elements of the widest temporary array: 8 MB in double precision.
_BLOCK_ELEMENTS = 2**20

# A column whose part orthogonal to the columns before it is smaller than this share of its length
# is a linear combination of them: what is left is rounding.
_RANK_TOLERANCE = 1e-13


@dataclass(frozen=True, slots=True)
class FirstStageMoments:
    """
    What the first-stage statistics need to know about the data; its size is free of n.

    The instruments enter in the orthonormal coordinates ``Q2`` (n, l) of the excluded instruments
    with the controls partialled out, ``Q2'Q2 = I``; every statistic is free of that choice.

    Attributes
    ----------
    coefficients : ndarray, shape (l, p)
        ``Q2'D``: the first-stage coefficients on ``Q2``.
    residual_factor : ndarray, shape (p, p)
        Upper triangular; its cross product is ``V'V`` for the first-stage residuals ``V``.
    score_covariance : ndarray, shape (l p, l p)
        Estimated covariance of ``coefficients``, stacked column by column (all instruments of the
        first regressor, then of the second), under `cov_type`.
    nobs : int
        Number of observations, n.
    n_controls : int
        Number of controls, q, the constant counted.
    cov_type : str
        "nonrobust", "HC0", "HC1", "HAC" or "cluster".
    """

    coefficients: FloatArray
    residual_factor: FloatArray
    score_covariance: FloatArray
    nobs: int
    n_controls: int
    cov_type: str

    @property
    def n_excluded(self) -> int:
        """Number of excluded instruments, l."""
        return int(self.coefficients.shape[0])

    @property
    def n_endogenous(self) -> int:
        """Number of endogenous regressors, p."""
        return int(self.coefficients.shape[1])

    @property
    def df_resid(self) -> int:
        """Residual degrees of freedom of the first stage, n - q - l."""
        return self.nobs - self.n_controls - self.n_excluded


def first_stage_moments(
    endogenous: ArrayLike,
    controls: ArrayLike,
    excluded: ArrayLike,
    *,
    endogenous_names: Sequence[str],
    cov_type: str = "HC0",
    weights: RowWeights | None = None,
    df_absorbed: int = 0,
) -> FirstStageMoments:
    """
    Reduce the rows of a linear instrumental-variable model to `FirstStageMoments`.

    Parameters
    ----------
    endogenous : array_like, shape (n, p)
        Endogenous regressors.
    controls : array_like, shape (n, q)
        Exogenous regressors of the equation, with the constant if it has one; q may be 0.
    excluded : array_like, shape (n, l)
        Instruments that are not in the equation, l >= p.
    endogenous_names : sequence of str
        Names of the p endogenous regressors, for the messages.
    cov_type : {"nonrobust", "HC0", "HC1", "HAC", "cluster"}, optional
        Covariance of the first-stage coefficients. "HC1" is "HC0" times n / (n - q - l).
    weights : RowWeights, optional
        Weights of pairs of rows, for "HAC" and "cluster".
    df_absorbed : int, optional
        Controls that were partialled out of all columns before; they count among q.

    Returns
    -------
    FirstStageMoments

    Raises
    ------
    OptionError
        If `weights` are missing, or given for another covariance.
    InputError
        If there is no endogenous regressor, the shapes do not match, n is too small or a value is
        not finite.
    IdentificationError
        If there are fewer excluded instruments than endogenous regressors.
    RankError
        If a control or an instrument is a linear combination of the columns before it.
    NumericalError
        If the instruments and controls fit an endogenous regressor exactly.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.array([[1.0], [2.0], [3.0], [4.0]])
    >>> d = np.array([[1.0], [3.0], [2.0], [5.0]])
    >>> moments = first_stage_moments(d, np.ones((4, 1)), z, endogenous_names=["d"])
    >>> moments.n_excluded, moments.df_resid
    (1, 2)
    """
    check_choice(cov_type, COV_TYPES, "cov_type")
    if (weights is not None) != (cov_type in DEPENDENT_COV_TYPES):
        raise OptionError(f"weights of pairs of rows do not go with cov_type={cov_type!r}.")
    blocks = _checked_blocks(endogenous, controls, excluded, endogenous_names)
    q, n_excluded = blocks[0].shape[1], blocks[1].shape[1]
    m = q + n_excluded
    nobs = blocks[0].shape[0]
    factor = _triangular_factor(blocks)
    if not np.isfinite(factor).all():
        _name_non_finite_column(blocks)
    _check_factor(factor, q, n_excluded, endogenous_names)
    df_resid = nobs - m - df_absorbed
    if cov_type == "nonrobust":
        residual_gram = factor[m:, m:].T @ factor[m:, m:]
        covariance = np.kron(residual_gram / df_resid, np.eye(n_excluded))
    else:
        covariance = _robust_score_covariance(blocks, factor, weights)
        covariance *= nobs / df_resid if cov_type == "HC1" else 1.0
    return FirstStageMoments(
        coefficients=np.ascontiguousarray(factor[q:m, m:]),
        residual_factor=np.ascontiguousarray(factor[m:, m:]),
        score_covariance=covariance,
        nobs=nobs,
        n_controls=q + df_absorbed,
        cov_type=cov_type,
    )


def first_stage_without_rows(
    endogenous: FloatArray,
    controls: FloatArray,
    excluded: FloatArray,
    *,
    nobs: int,
    endogenous_names: Sequence[str],
) -> FirstStageMoments:
    """
    Reduce columns given in orthonormal coordinates, for identically distributed errors.

    Parameters
    ----------
    endogenous : ndarray, shape (c, p)
        Coordinates of the endogenous regressors, in place of their rows.
    controls : ndarray, shape (c, q)
    excluded : ndarray, shape (c, l)
    nobs : int
        Number of observations, n.
    endogenous_names : sequence of str

    Returns
    -------
    FirstStageMoments
        With ``cov_type`` "nonrobust".

    Raises
    ------
    InputError, NumericalError, RankError
        As `first_stage_moments`.
    """
    if endogenous.shape[1] == 0:
        raise InputError(_NO_FIRST_STAGE)
    q, n_excluded = controls.shape[1], excluded.shape[1]
    m = q + n_excluded
    factor = _triangular_factor([controls, excluded, endogenous])
    _check_factor(factor, q, n_excluded, endogenous_names)
    residual_gram = factor[m:, m:].T @ factor[m:, m:]
    return FirstStageMoments(
        coefficients=np.ascontiguousarray(factor[q:m, m:]),
        residual_factor=np.ascontiguousarray(factor[m:, m:]),
        score_covariance=np.kron(residual_gram / (nobs - m), np.eye(n_excluded)),
        nobs=nobs,
        n_controls=q,
        cov_type="nonrobust",
    )


def _checked_blocks(
    endogenous: ArrayLike, controls: ArrayLike, excluded: ArrayLike, names: Sequence[str]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Controls, excluded instruments and endogenous regressors as matching float matrices."""
    named = {"controls": controls, "excluded": excluded, "endogenous": endogenous}
    blocks = {name: np.asarray(block, dtype=np.float64) for name, block in named.items()}
    for name, block in blocks.items():
        if block.ndim != 2:
            raise InputError(f"{name} has {block.ndim} dimensions: give a matrix, one row a case.")
        if block.shape[0] != blocks["endogenous"].shape[0]:
            raise InputError(
                f"{name} has {block.shape[0]} rows and endogenous has "
                f"{blocks['endogenous'].shape[0]}: give the same rows in each."
            )
    nobs, p = blocks["endogenous"].shape
    q, n_excluded = blocks["controls"].shape[1], blocks["excluded"].shape[1]
    if p == 0:
        raise InputError(_NO_FIRST_STAGE)
    if len(names) != p:
        raise InputError(f"endogenous_names has {len(names)} names for {p} columns: give {p}.")
    if n_excluded < p:
        raise IdentificationError(
            f"There are {n_excluded} excluded instruments for {p} endogenous regressors "
            f"({', '.join(map(str, names))}): add instruments."
        )
    if nobs < q + n_excluded + p:
        raise InputError(
            f"The first stage has {nobs} rows for {q} controls, {n_excluded} instruments and {p} "
            f"endogenous regressors: give at least {q + n_excluded + p} rows."
        )
    return blocks["controls"], blocks["excluded"], blocks["endogenous"]


def _row_blocks(blocks: Sequence[FloatArray], columns: int) -> Iterator[FloatArray]:
    """Rows of the side-by-side `blocks`, few enough that `columns` of them stay small."""
    rows = max(2 * columns, _BLOCK_ELEMENTS // columns)
    for start in range(0, blocks[0].shape[0], rows):
        yield np.hstack([block[start : start + rows] for block in blocks])


def _triangular_factor(blocks: Sequence[FloatArray]) -> FloatArray:
    """Upper triangular factor of the QR decomposition of the side-by-side `blocks`."""
    columns = sum(block.shape[1] for block in blocks)
    factor = np.empty((0, columns))
    for rows in _row_blocks(blocks, columns):
        factor = np.asarray(np.linalg.qr(np.vstack([factor, rows]), mode="r"))
    return factor


def _name_non_finite_column(blocks: Sequence[FloatArray]) -> None:
    """Raise for the first column with a NaN or an infinite value, or one too large to square."""
    for name, block in zip(("controls", "excluded", "endogenous"), blocks, strict=True):
        for column in range(block.shape[1]):
            if not np.isfinite(block[:, column]).all():
                raise InputError(
                    f"Column {column} of {name} holds NaN or infinite values: drop those rows."
                )
    raise InputError("The values are too large for their squares to be finite: rescale them.")


def _check_factor(factor: FloatArray, q: int, n_excluded: int, names: Sequence[str]) -> None:
    """Raise if a column of the factored matrix depends linearly on those before it."""
    lengths = np.sqrt(np.sum(factor**2, axis=0))
    dependent = np.abs(np.diag(factor)) <= _RANK_TOLERANCE * lengths
    for column in np.flatnonzero(dependent).tolist():
        if column >= q + n_excluded:
            raise NumericalError(
                f"The endogenous regressor {names[column - q - n_excluded]!r} is an exact linear "
                "combination of controls, instruments and the endogenous regressors before it: "
                "treat it as exogenous or drop it."
            )
        block, position = ("controls", column) if column < q else ("excluded", column - q)
        raise RankError(
            f"Column {position} of {block} is a linear combination of the columns before it "
            "(controls come before excluded instruments): drop it."
        )


def _robust_score_covariance(
    blocks: Sequence[FloatArray], factor: FloatArray, weights: RowWeights | None
) -> FloatArray:
    """Sum of the outer products of residual times orthonormal instrument, (l p, l p).

    Over rows, or over pairs of rows with their weights, which takes the scores of all rows at once.
    """
    q, n_excluded, p = (block.shape[1] for block in blocks)
    if weights is not None:
        return pair_product(weights, _scores(np.hstack(blocks), factor, q, n_excluded))
    m = q + n_excluded
    covariance = np.zeros((n_excluded * p, n_excluded * p))
    for rows in _row_blocks(blocks, max(m + p, n_excluded * p)):
        stacked = _scores(rows, factor, q, n_excluded)
        covariance += stacked.T @ stacked
    return covariance


def _scores(rows: FloatArray, factor: FloatArray, q: int, n_excluded: int) -> FloatArray:
    """Residual times orthonormal instrument of each row, regressor by regressor, (rows, l p)."""
    m = q + n_excluded
    orthonormal = solve_triangular(factor[:m, :m], rows[:, :m].T, trans="T").T
    residuals = rows[:, m:] - orthonormal @ factor[:m, m:]
    scores: FloatArray = residuals[:, :, None] * orthonormal[:, None, q:]
    return scores.reshape(len(rows), -1)
