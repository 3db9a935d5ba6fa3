"""What a stream has found, in the units of its rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError, NumericalError
from qbeconometrics.kernels._kernel_learning import MOMENTS
from qbeconometrics.online.effect_moments import EffectMoments
from qbeconometrics.online.heads import Heads
from qbeconometrics.online.random_scaling import RandomScaling
from qbeconometrics.online.stream import HIGH, LOW, feature_choice, make_learner, standardised
from qbeconometrics.online.stream_state import BATCH, FIRST_ROWS, StreamOptions, StreamState

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StreamMoments:
    """Means over the rows of the last two windows, or of other rows.

    Attributes
    ----------
    moments : EffectMoments
        For the instruments exp(-g1) and exp(-g2).
    variance_ratios : tuple of float
        Means of exp(g1 - g2) and of exp(g2 - g1).
    log_likelihood : float
        Mean quasi-log-likelihood of a row, without the constant -log(2 pi).
    """

    moments: EffectMoments
    variance_ratios: tuple[float, float]
    log_likelihood: float

    @property
    def kappa(self) -> float:
        """Identification strength: zero if both variances move in proportion."""
        return self.variance_ratios[0] * self.variance_ratios[1] - 1.0


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """How the effects and the fit moved.

    Attributes
    ----------
    rows : ndarray, shape (points,)
    effects : ndarray, shape (points, 2)
    log_likelihood : ndarray, shape (points,)
        Mean over the rows since the point before, each at what was known before its batch.
    """

    rows: FloatArray
    effects: FloatArray
    log_likelihood: FloatArray


def window_moments(state: StreamState) -> StreamMoments:
    """Return means over the last two windows, one half to three quarters of the rows.

    Each row was measured with heads that had not seen it.

    Raises
    ------
    InputError
        If the first rows have not come.
    NumericalError
        If steps were too large for the heads to stay finite.
    """
    if not state.started:
        raise InputError(
            f"{int(state.counts[0])} rows have come; an estimate needs at least {FIRST_ROWS:,}"
        )
    return in_units_of_rows(state, _refuse_diverged(state.window + state.last_window))


def measured_moments(
    state: StreamState, options: StreamOptions, blocks: Iterable[FloatArray]
) -> StreamMoments:
    """Return means over rows with the averaged heads frozen; nothing is learned.

    Parameters
    ----------
    state : StreamState
    options : StreamOptions
    blocks : iterable of ndarray, shape (n, 2 + k)

    Raises
    ------
    InputError
        If there are fewer than 1,000 rows.
    NumericalError
        As `window_moments`.
    """
    frozen = replace(state, params=averaged_params(state))
    learner = make_learner(frozen, options)
    sums = np.zeros(MOMENTS)
    for rows in blocks:
        for start in range(0, len(rows), FIRST_ROWS):
            learner.measure(*standardised(frozen, rows[start : start + FIRST_ROWS]), sums)
    if sums[-1] < FIRST_ROWS:
        raise InputError(
            f"the second pass has {int(sums[-1])} rows; an estimate needs at least {FIRST_ROWS:,}"
        )
    return in_units_of_rows(frozen, _refuse_diverged(sums))


def _refuse_diverged(sums: FloatArray) -> FloatArray:
    """Return the sums, if they are numbers."""
    if not np.isfinite(sums).all():
        raise NumericalError("the heads have diverged: begin again with a smaller learning_rate")
    return sums


def in_units_of_rows(state: StreamState, sums: FloatArray) -> StreamMoments:
    """Return means from sums over standardised rows, as `Learner` adds them up."""
    s1, s2 = state.spread[:2]
    n = int(sums[-1])
    # The entries of products are those of pairs of instruments and, a >= c, of q.
    products = np.zeros((3, 2, 3, 2))
    entries = sums[8:26].reshape(3, 6)
    for column, (a, c) in enumerate(zip(*np.tril_indices(3), strict=True)):
        for row, (i, j) in enumerate(((0, 0), (0, 1), (1, 1))):
            for one, other in (((a, i), (c, j)), ((a, j), (c, i))):
                products[*one, *other] = products[*other, *one] = entries[row, column]
    units = np.repeat([s1 * s2, s1**2, s2**2], 2)
    total = sums[:6] * units
    product = products.reshape(6, 6) * np.outer(units, units)
    variance_ratio = float((s1 / s2) ** 2)
    return StreamMoments(
        EffectMoments.from_sums(total, product, n),
        (float(sums[7] / n) * variance_ratio, float(sums[6] / n) / variance_ratio),
        float(sums[26] / n - np.log(s1 * s2)),
    )


def current_effects(state: StreamState) -> FloatArray:
    """Return (b12, b21) as they are now."""
    return effects_in_units_of_rows(state, state.b)


def averaged_effects(state: StreamState) -> FloatArray:
    """Return averages over the last two windows of (b12, b21) after each batch."""
    return effects_in_units_of_rows(state, averaged_params(state)[-2:])


def averaged_params(state: StreamState) -> FloatArray:
    """Return averages over the last two windows of all parameters, in standardised units."""
    rows = state.window[-1] + state.last_window[-1]
    return np.asarray((state.param_sums + state.last_param_sums) * (BATCH / rows))


def effects_in_units_of_rows(state: StreamState, b: FloatArray) -> FloatArray:
    """Return effects (..., 2) of standardised variables as effects of the variables."""
    ratio = state.spread[0] / state.spread[1]
    return np.asarray(b * np.array([ratio, 1.0 / ratio]))


def learning_curve(state: StreamState) -> LearningCurve:
    """Return the points of the learning curve."""
    points = state.curve[: int(state.counts[3])]
    shift = np.log(state.spread[0] * state.spread[1]) if len(points) else 0.0
    effects = effects_in_units_of_rows(state, points[:, 1:3]) if len(points) else points[:, 1:3]
    return LearningCurve(points[:, 0].copy(), effects, points[:, 3] - shift)


def path_of_effects(state: StreamState) -> RandomScaling:
    """Return averages along gradient steps of the effects, for random scaling intervals."""
    ratio = float(state.spread[0] / state.spread[1])
    units = np.array([ratio, 1.0 / ratio])
    T, path = int(state.path[0]), state.path
    centred = np.array([[path[3], path[4]], [path[4], path[5]]])
    return RandomScaling(path[1:3] * units, T, centred * np.outer(units, units), path[6:] * units)


def stream_heads(state: StreamState, options: StreamOptions, *, averaged: bool = True) -> Heads:
    """Return the fitted heads.

    Parameters
    ----------
    state : StreamState
    options : StreamOptions
    averaged : bool, optional
        Whether weights are averages over the last two windows, or the last ones.
    """
    params = averaged_params(state) if averaged else state.params
    return Heads(
        feature_choice(state, options),
        state.centre.copy(),
        state.spread.copy(),
        params[:-2].reshape(4, -1).copy(),
        np.full(2, LOW),
        np.full(2, HIGH),
    )
