"""Rows of a stream, in pieces of any size, to heads and effects.

Rows are learned in batches of 100. The first 1,000 fix the units of all columns and the bandwidth,
and are then learned like the others. Effects are updated after every tenth batch; before
max(2,000, 20 features) rows they are zero, and the heads learn alone. Sums over rows restart
whenever the number of tens of batches is a power of two, and those of the window before are kept.
Nothing depends on how rows are split into pieces, to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import IdentificationError, InputError
from qbeconometrics.kernels._kernel_learning import Learner
from qbeconometrics.online.closed_form import WEAK, solve_effects
from qbeconometrics.online.features import median_bandwidth, monomial_scales
from qbeconometrics.online.heads import FeatureChoice
from qbeconometrics.online.stream_state import (
    BATCH,
    CURVE_POINTS,
    FIRST_ROWS,
    STRIDE,
    StreamOptions,
    StreamState,
)
from qbeconometrics.online.units import column_units

FloatArray = NDArray[np.float64]

# Bounds of log variances, for y in units of the spread of its first rows. The lower one is far
# away, because errors are small against y where b12 b21 is near one.
LOW, HIGH = -12.0, 6.0


def push(
    state: StreamState,
    options: StreamOptions,
    rows: FloatArray,
    *,
    names: Sequence[str] | None = None,
) -> None:
    """Learn from the next rows of a stream.

    Parameters
    ----------
    state : StreamState
        Changed in place.
    options : StreamOptions
    rows : ndarray, shape (n, 2 + k)
        Columns (y1, y2, x), all finite. Rows that do not fill a batch wait for the next call.
    names : sequence of str, optional
        Of (y1, y2, x), for messages.

    Raises
    ------
    InputError
        If the number of regressors differs from that of earlier rows, or a column does not vary
        over the first 1,000 rows, or an outcome is a linear function of another column.

    Examples
    --------
    >>> from qbeconometrics.online.stream_state import new_state
    >>> options = StreamOptions(features="linear")
    >>> state = new_state(options, 1)
    >>> rng = np.random.default_rng(0)
    >>> for size in (700, 850):
    ...     push(state, options, rng.standard_normal((size, 3)))
    >>> state.batches, int(state.counts[0])
    (15, 50)
    """
    if rows.ndim != 2 or rows.shape[1] != state.columns + 2:
        raise InputError(f"x must have {state.columns} columns, as in the rows before")
    learner = make_learner(state, options) if state.started else None
    taken = 0
    while taken < len(rows):
        held = int(state.counts[0])
        room = FIRST_ROWS - (state.batches % STRIDE) * BATCH - held
        some = rows[taken : taken + room]
        state.buffer[held : held + len(some)] = some
        held, taken = held + len(some), taken + len(some)
        state.counts[0] = held
        if learner is None:
            if held < FIRST_ROWS:
                return
            fix_units(state, options, names)
            learner = make_learner(state, options)
        learn_buffer(state, options, learner)


def fix_units(
    state: StreamState, options: StreamOptions, names: Sequence[str] | None = None
) -> None:
    """Set centre, spread and bandwidth from the first rows."""
    try:
        centre, spread = column_units(
            state.buffer,
            names,
            seen=f" over the first {FIRST_ROWS:,} rows, which fix the units",
            remedy=", or shuffle the rows",
        )
    except InputError:
        # The stream is empty again, so that it may begin with better rows.
        state.counts[0] = 0
        raise
    x = np.ascontiguousarray(((state.buffer - centre) / spread)[:, 2:])
    if len(state.phases):
        bandwidth = median_bandwidth(x) if options.bandwidth is None else options.bandwidth
        state.bandwidth[0] = bandwidth
    else:
        state.scales[:] = monomial_scales(x, options.polynomial_degree)
    state.centre[:], state.spread[:] = centre, spread
    state.reference[:] = state.buffer[: len(state.reference), 2:]


def feature_choice(state: StreamState, options: StreamOptions) -> FeatureChoice:
    """Return the features of a stream."""
    return FeatureChoice(
        state.frequencies,
        state.phases,
        float(state.bandwidth[0]),
        options.polynomial_degree,
        state.scales,
    )


def make_learner(state: StreamState, options: StreamOptions) -> Learner:
    """Return the compiled learner that works on the arrays of a state."""
    rule = options.optimiser
    return Learner(
        feature_choice(state, options).feature_map(),
        state.params,
        state.memory,
        state.running,
        state.window,
        state.param_sums,
        state.path,
        rule.rule,
        rule.learning_rate,
        decay=rule.decay,
        second_decay=rule.second_decay,
        power=rule.power,
        low=LOW,
        high=HIGH,
    )


def learn_buffer(state: StreamState, options: StreamOptions, learner: Learner) -> None:
    """Learn from the whole batches in the buffer, at most up to the end of a stride."""
    held = int(state.counts[0])
    whole = held // BATCH * BATCH
    if whole == 0:
        return
    y, x = standardised(state, state.buffer[:whole])
    ready = state.batches * BATCH >= options.heads_only_rows(state.columns)
    moving = ready and options.update != "closed-form"
    learner.learn(y, x, BATCH, state.batches, options.update if moving else "held")
    state.buffer[: held - whole] = state.buffer[whole:held].copy()
    state.counts[:2] = held - whole, state.batches + whole // BATCH
    if state.batches % STRIDE == 0:
        end_stride(state, options)


def standardised(state: StreamState, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return y (n, 2) and x (n, k) in the units of the first rows."""
    scaled = (rows - state.centre) / state.spread
    return np.ascontiguousarray(scaled[:, :2]), np.ascontiguousarray(scaled[:, 2:])


def end_stride(state: StreamState, options: StreamOptions) -> None:
    """Update the effects if that is in closed form, the learning curve and the windows."""
    ready = state.batches * BATCH >= options.heads_only_rows(state.columns)
    if ready and options.update == "closed-form":
        update_effects(state)
    strides = state.batches // STRIDE
    extend_curve(state, strides)
    if strides & (strides - 1) == 0:
        state.last_window[:], state.last_param_sums[:] = state.window, state.param_sums
        for sums in (state.window, state.param_sums, state.mark):
            sums[:] = 0.0


def update_effects(state: StreamState) -> None:
    """Solve for the effects; where there is no solution they stay, and are counted."""
    A, B, C = state.running.reshape(3, 2)
    try:
        found = solve_effects(A, B, C)
    except (InputError, IdentificationError):
        state.counts[2] += 1
        return
    if found.status == WEAK:
        state.counts[2] += 1
    else:
        state.b[:] = found.params


def extend_curve(state: StreamState, strides: int) -> None:
    """Add a point to the learning curve, at strides that are multiples of its spacing."""
    points = int(state.counts[3])
    spacing = 1 if points < 2 else int(state.curve[1, 0] - state.curve[0, 0]) // FIRST_ROWS
    if strides % spacing:
        return
    new = state.window[-2:] - state.mark
    state.mark[:] = state.window[-2:]
    state.curve[points] = strides * FIRST_ROWS, *state.b, new[0] / new[1]
    points += 1
    if points == CURVE_POINTS:
        points //= 2
        state.curve[:points] = state.curve[1::2].copy()
        state.curve[points:] = 0.0
    state.counts[3] = points
