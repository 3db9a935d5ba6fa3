"""What is read off a path, draw by draw: peak, half-life, area."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import check_choice

FloatArray = NDArray[np.float64]

PEAK_KINDS = ("abs", "max", "min")


def peak_places(paths: FloatArray, kind: str = "abs") -> NDArray[np.intp]:
    """Return where each path (..., n) is largest in absolute value, largest, or smallest.

    Examples
    --------
    >>> peak_places(np.array([[0.0, -3.0, 2.0]])), peak_places(np.array([[0.0, -3.0, 2.0]]), "max")
    (array([1]), array([2]))
    """
    check_choice(kind, PEAK_KINDS, "kind")
    height = {"abs": np.abs(paths), "max": paths, "min": -paths}[kind]
    return np.argmax(height, axis=-1)


def half_lives(paths: FloatArray) -> FloatArray:
    """Return how many steps after its peak each path (..., n) has come down to half of it.

    NaN where it has not within the path. The peak is the largest absolute value; down means at
    most half of it, on the same side.

    Examples
    --------
    >>> half_lives(np.array([[1.0, 4.0, 3.0, 2.0], [1.0, 2.0, 3.0, 4.0]]))
    array([ 2., nan])
    """
    places = peak_places(paths)[..., None]
    top = np.take_along_axis(paths, places, axis=-1)
    steps = np.arange(paths.shape[-1])
    below = (paths / np.where(top == 0.0, 1.0, top) <= 0.5) & (steps > places)
    first = np.argmax(below, axis=-1)
    return np.where(below.any(axis=-1), first - places[..., 0], np.nan)
