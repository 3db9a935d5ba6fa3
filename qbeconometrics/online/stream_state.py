"""What a streaming estimator is told, and all that it knows between two rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import OptionError, StorageError, check_choice
from qbeconometrics.kernels._kernel_learning import MOMENTS, PATH, RUNNING
from qbeconometrics.online.features import (
    FEATURES,
    RANDOM_FEATURES,
    draw_frequencies,
    number_of_features,
)
from qbeconometrics.online.optimisers import Optimiser, is_positive_number, make_optimiser
from qbeconometrics.sampling.seeds import spawn_seeds

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

UPDATES = ("closed-form", "score", "gradient")

# Rows of a step of the heads; steps between updates in closed form; rows that fix scale and
# bandwidth.
BATCH = 100
STRIDE = 10
FIRST_ROWS = BATCH * STRIDE

# Points of the learning curve; when there are more, every second is dropped.
CURVE_POINTS = 512

# First rows whose x is kept, to average over when the dependence on one column is shown.
REFERENCE_ROWS = 500


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """Choices that do not change during a stream.

    Attributes
    ----------
    features : str
        One of FEATURES.
    n_features : int
        Number of random features.
    degree : int
        Of the polynomial.
    bandwidth : float or None
        Of the Gaussian kernel, for standardised x; None is a share of the median distance.
    optimiser : Optimiser
    update : str
        How the effects are updated, one of UPDATES.
    """

    features: str = "fourier"
    n_features: int = 100
    degree: int = 3
    bandwidth: float | None = None
    optimiser: Optimiser = field(default_factory=make_optimiser)
    update: str = "closed-form"

    def __post_init__(self) -> None:
        check_choice(self.features, FEATURES, "features")
        check_choice(self.update, UPDATES, "update")
        for name in ("n_features", "degree"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise OptionError(f"{name}={value!r} must be a whole number of at least 1")
        if self.bandwidth is not None and not is_positive_number(self.bandwidth):
            raise OptionError(f"bandwidth={self.bandwidth!r} must be None or a positive number")

    @property
    def random_features(self) -> int:
        """Their number, zero for a polynomial."""
        return self.n_features if self.features in RANDOM_FEATURES else 0

    @property
    def polynomial_degree(self) -> int:
        """The degree; one for linear features."""
        return 1 if self.features == "linear" else self.degree

    def size(self, columns: int) -> int:
        """Return the number of features, the constant and zeros among them."""
        return number_of_features(columns, self.random_features, self.polynomial_degree)

    def heads_only_rows(self, columns: int) -> int:
        """Return the rows after which the effects are updated: the heads learn first."""
        return max(2 * FIRST_ROWS, 20 * self.size(columns))


@dataclass(slots=True)
class StreamState:
    """Arrays that hold all that a stream has left behind.

    Attributes
    ----------
    buffer : ndarray, shape (FIRST_ROWS, 2 + k)
        Rows (y1, y2, x) that are not learned yet, at its beginning.
    counts : ndarray of int64, shape (4,)
        Rows in the buffer; batches learned; updates in closed form without a solution; points of
        the learning curve.
    centre, spread : ndarray, shape (2 + k,)
        Means and standard deviations of the first rows; a spread of zero is not fixed yet.
    frequencies : ndarray, shape (k, D)
        For bandwidth one; D = 0 if there are no random features.
    phases : ndarray, shape (D,)
    bandwidth : ndarray, shape (1,)
    scales : ndarray, shape (features,)
        Of products of columns; empty if there are random features.
    params, memory, running, window, param_sums, path : ndarray
        What the compiled `Learner` works on.
    last_window, last_param_sums : ndarray
        The same sums for the window before.
    curve : ndarray, shape (CURVE_POINTS, 4)
        Rows, b12, b21 in standardised units, and mean quasi-log-likelihood of the stride.
    mark : ndarray, shape (2,)
        Likelihood and rows of the window at the last point of the curve.
    reference : ndarray, shape (REFERENCE_ROWS, k)
        Regressors of the first rows.
    """

    buffer: FloatArray
    counts: IntArray
    centre: FloatArray
    spread: FloatArray
    frequencies: FloatArray
    phases: FloatArray
    bandwidth: FloatArray
    scales: FloatArray
    params: FloatArray
    memory: FloatArray
    running: FloatArray
    window: FloatArray
    param_sums: FloatArray
    path: FloatArray
    last_window: FloatArray
    last_param_sums: FloatArray
    curve: FloatArray
    mark: FloatArray
    reference: FloatArray

    @property
    def columns(self) -> int:
        """Number of regressors, k."""
        return int(self.buffer.shape[1]) - 2

    @property
    def batches(self) -> int:
        """Batches that were learned."""
        return int(self.counts[1])

    @property
    def rows_read(self) -> int:
        """Rows that have come, those that wait among them."""
        return self.batches * BATCH + int(self.counts[0])

    @property
    def started(self) -> bool:
        """Whether the first rows have come."""
        return self.batches > 0

    @property
    def b(self) -> FloatArray:
        """b12 and b21 in standardised units, a view."""
        return self.params[-2:]


def new_state(options: StreamOptions, columns: int, rng: Any = None) -> StreamState:
    """Return the state before the first of rows with so many regressors.

    Parameters
    ----------
    options : StreamOptions
    columns : int
    rng : None, int, SeedSequence, BitGenerator or Generator
        For the random features; nothing else is random.

    Examples
    --------
    >>> state = new_state(StreamOptions(n_features=10), 3, rng=0)
    >>> state.frequencies.shape, state.params.shape, state.started
    ((3, 10), (50,), False)
    """
    generator = np.random.default_rng(spawn_seeds(rng, 1)[0])
    frequencies, phases = np.zeros((columns, 0)), np.zeros(0)
    if options.random_features:
        orthogonal = options.features == "orthogonal"
        frequencies = draw_frequencies(
            columns, options.n_features, orthogonal=orthogonal, rng=generator
        )
        phases = generator.uniform(0.0, 2.0 * np.pi, options.n_features)
    size = options.size(columns)
    count = 4 * size + 2
    return StreamState(
        buffer=np.zeros((FIRST_ROWS, 2 + columns)),
        counts=np.zeros(4, dtype=np.int64),
        centre=np.zeros(2 + columns),
        spread=np.zeros(2 + columns),
        frequencies=frequencies,
        phases=phases,
        bandwidth=np.zeros(1),
        scales=np.zeros(0 if options.random_features else size),
        params=np.zeros(count),
        memory=np.zeros((3, count)),
        running=np.zeros(RUNNING),
        window=np.zeros(MOMENTS),
        param_sums=np.zeros(count),
        path=np.zeros(PATH),
        last_window=np.zeros(MOMENTS),
        last_param_sums=np.zeros(count),
        curve=np.zeros((CURVE_POINTS, 4)),
        mark=np.zeros(2),
        reference=np.zeros((REFERENCE_ROWS, columns)),
    )


def state_arrays(state: StreamState) -> dict[str, NDArray[Any]]:
    """Return copies of all arrays by name, from which `restored_state` goes on bit by bit.

    Examples
    --------
    >>> state = new_state(StreamOptions(features="linear"), 3)
    >>> sorted(state_arrays(state))[:3]
    ['bandwidth', 'buffer', 'centre']
    """
    return {part.name: getattr(state, part.name).copy() for part in fields(state)}


def copied_state(state: StreamState) -> StreamState:
    """Return a state of its own with the same numbers."""
    return StreamState(**state_arrays(state))


def restored_state(
    options: StreamOptions, columns: int, arrays: Mapping[str, NDArray[Any]]
) -> StreamState:
    """Return the state whose arrays were saved.

    Raises
    ------
    StorageError
        If arrays are missing, unknown, or of another type or shape than `options` give them.

    Examples
    --------
    >>> options = StreamOptions(features="linear")
    >>> arrays = state_arrays(new_state(options, 3))
    >>> restored_state(options, 3, arrays).columns
    3
    """
    expected = state_arrays(new_state(options, columns, rng=0))
    if set(arrays) != set(expected):
        wrong = ", ".join(sorted(set(arrays) ^ set(expected)))
        raise StorageError(f"the saved stream lacks arrays, or has unknown ones: {wrong}")
    for name, model in expected.items():
        saved = np.asarray(arrays[name])
        if saved.shape != model.shape or saved.dtype != model.dtype:
            raise StorageError(
                f"{name} of the saved stream is {saved.dtype} of shape {saved.shape}; these "
                f"options need {model.dtype} of shape {model.shape}"
            )
    return StreamState(**{name: np.array(arrays[name], order="C") for name in expected})
