"""Stacked moments of local projections with the controls' coefficients among the parameters.

Their covariance S has as many rows as all regressions have coefficients, often more than the data
have rows, so it needs structure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import NumericalError, OptionError
from qbeconometrics.inputs.projection_design import ProjectionDesign
from qbeconometrics.moments.dependence import weighted_rows
from qbeconometrics.moments.projection import LongRunRule, ProjectionMoments

FloatArray = NDArray[np.float64]

STRUCTURES = ("kronecker", "block-diagonal")


@dataclass(frozen=True, slots=True, eq=False)
class FullMoments:
    """Moments of every regression in full, for one sample common to all.

    Attributes
    ----------
    left : ndarray, shape (T, B)
        Left-hand sides of the blocks.
    regressors : ndarray, shape (T, B or 1, p + k)
        The shock's columns, then the controls.
    instruments : ndarray, shape (T, L + k)
    residuals : ndarray, shape (T, B)
        At the first-step estimates.
    degenerate : ndarray of bool, shape (B,)
    """

    left: FloatArray
    regressors: FloatArray
    instruments: FloatArray
    residuals: FloatArray
    degenerate: NDArray[np.bool_]


def full_moments(design: ProjectionDesign, partialled: ProjectionMoments) -> FullMoments:
    """Form the regressions in full.

    Raises
    ------
    OptionError
        If each horizon has its own sample.
    """
    if design.sample != "common":
        raise OptionError("partial_out=False needs sample='common'")
    used = design.used
    T = int(used.sum())
    left = design.leads[used].reshape(T, -1)
    W = design.controls[used]
    layers = design.regressors[used]
    controls = np.broadcast_to(W[:, None, :], (T, layers.shape[1], W.shape[1]))
    regressors = np.concatenate([layers, controls], axis=2)
    horizons = len(design.horizons)
    residuals = np.empty_like(left)
    for b in range(left.shape[1]):
        X = layers[:, b % horizons if layers.shape[1] > 1 else 0]
        rest = left[:, b] - X @ partialled.estimate[b]
        residuals[:, b] = rest - W @ np.linalg.lstsq(W, rest)[0]
    instruments = np.hstack([design.instrument[used], W])
    return FullMoments(left, regressors, instruments, residuals, partialled.degenerate)


def whitened_rows(
    moments: FullMoments, rule: LongRunRule, structure: str | float, scale: float
) -> tuple[FloatArray, FloatArray]:
    """Return rows and target of the fixed-weight criterion, exp(-|rows theta - target|^2 / 2).

    Parameters
    ----------
    moments : FullMoments
    rule : LongRunRule
    structure : {"kronecker", "block-diagonal"} or float
        Covariance of the errors times the mean product of the instruments; own blocks only; or a
        share s, which mixes s times the former with 1 - s times the covariance without structure.
    scale : float
        Root of the learning rate times the rows.

    Returns
    -------
    rows : ndarray, shape (M, (p + k) active blocks)
        Coefficients by block; M moments.
    target : ndarray, shape (M,)

    Raises
    ------
    NumericalError
        In words, if S is singular.
    """
    blocks = np.flatnonzero(~moments.degenerate)
    T, size = moments.instruments.shape
    Z = moments.instruments
    own = moments.regressors.shape[2]
    E = moments.residuals[:, blocks] * rule.factor[blocks]
    layers = moments.regressors.shape[1]
    n = len(blocks)
    G = np.zeros((n * size, n * own))
    for i, b in enumerate(blocks):
        X = moments.regressors[:, b % layers]
        G[i * size : (i + 1) * size, i * own : (i + 1) * own] = Z.T @ X / T
    g = (Z.T @ moments.left[:, blocks] / T).T.ravel()
    stacked = np.column_stack([G, g])
    if structure == "kronecker":
        whitened = _kronecker_solve(_factor(E.T @ E / T), _factor(Z.T @ Z / T), stacked)
    else:
        scores = (Z[:, None, :] * E[:, :, None]).reshape(T, -1)
        S = scores.T @ weighted_rows(rule.weights, scores) / T
        if structure == "block-diagonal":
            S *= np.kron(np.eye(n), np.ones((size, size)))
        else:
            share = float(structure)
            S = share * np.kron(E.T @ E / T, Z.T @ Z / T) + (1.0 - share) * S
        whitened = np.linalg.solve(_factor((S + S.T) / 2.0), stacked)
    whitened *= scale
    return whitened[:, :-1], whitened[:, -1]


def _factor(S: FloatArray) -> FloatArray:
    """Lower Cholesky factor, in correlation scale."""
    scale = np.sqrt(np.diag(S))
    correlation = S / np.outer(scale, scale)
    if not np.linalg.eigvalsh(correlation)[0] > 1e-13:
        raise NumericalError(
            f"the covariance of the {len(S)} moments is singular: with partial_out=False give it "
            "structure='kronecker', a share of that such as structure=0.5, or take fewer horizons"
        )
    return np.asarray(np.linalg.cholesky(correlation) * scale[:, None])


def _kronecker_solve(left: FloatArray, right: FloatArray, columns: FloatArray) -> FloatArray:
    """Solve (left kron right) x = columns without forming the product."""
    n, size = len(left), len(right)
    inner = np.linalg.solve(right, columns.reshape(n, size, -1))
    outer = np.linalg.solve(left, inner.reshape(n, -1))
    return np.asarray(outer.reshape(n * size, -1))
