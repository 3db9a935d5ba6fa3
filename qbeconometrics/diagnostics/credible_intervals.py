"""Credible intervals of draws: equal-tailed and narrowest."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qbeconometrics.diagnostics.convergence import check_probability, three_dimensional
from qbeconometrics.exceptions import InputError

FloatArray = NDArray[np.float64]


def eti(draws: ArrayLike, probability: float = 0.95) -> FloatArray:
    """Equal-tailed interval: the same probability is left out on either side.

    Parameters
    ----------
    draws : array_like
        Shape (chain, draw) or (chain, draw, parameter).
    probability : float
        Content of the interval, strictly between 0 and 1.

    Returns
    -------
    ndarray
        Lower and upper end, shape (2,), or (parameter, 2) for three-dimensional draws.

    Raises
    ------
    OptionError
        If `probability` is not between 0 and 1.

    Examples
    --------
    >>> eti(np.arange(101.0).reshape(1, 101), 0.9)
    array([ 5., 95.])
    """
    tail = (1.0 - check_probability(probability, "probability")) / 2.0
    pooled, single = _pooled(draws)
    ends = np.quantile(pooled, [tail, 1.0 - tail], axis=0).T
    return ends[0] if single else ends


def hdi(draws: ArrayLike, probability: float = 0.95) -> FloatArray:
    """Highest-density interval: the narrowest single interval with the given content.

    Parameters
    ----------
    draws : array_like
        Shape (chain, draw) or (chain, draw, parameter).
    probability : float
        Content of the interval, strictly between 0 and 1.

    Returns
    -------
    ndarray
        Lower and upper end, shape (2,), or (parameter, 2) for three-dimensional draws.
        NaN for a parameter with a NaN draw.

    Raises
    ------
    OptionError
        If `probability` is not between 0 and 1.

    Notes
    -----
    Chen and Shao (1999, Journal of Computational and Graphical Statistics 8(1), 69-92).

    Examples
    --------
    >>> hdi(np.array([[0.0, 8.0, 9.0, 10.0, 20.0]]), 0.5)
    array([ 8., 10.])
    """
    check_probability(probability, "probability")
    pooled, single = _pooled(draws)
    ordered = np.sort(pooled, axis=0)
    inside = int(np.floor(probability * len(ordered)))
    width = ordered[inside:] - ordered[: len(ordered) - inside]
    start = np.argmin(width, axis=0)
    column = np.arange(ordered.shape[1])
    ends = np.column_stack([ordered[start, column], ordered[start + inside, column]])
    # NaN sorts last, so it shows in the last row.
    ends[np.isnan(ordered[-1])] = np.nan
    return ends[0] if single else ends


def _pooled(draws: ArrayLike) -> tuple[FloatArray, bool]:
    array, single = three_dimensional(draws)
    pooled = array.reshape(-1, array.shape[2])
    if len(pooled) == 0:
        raise InputError("draws are empty, so there is no interval.")
    return pooled, single
