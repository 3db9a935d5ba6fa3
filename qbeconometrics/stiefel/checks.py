"""What a user gives to a chart -> checked arrays of float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError, OptionError

FloatArray = NDArray[np.float64]

# How far Q'Q may be from the identity.
TOLERANCE = 1e-8


def check_dimensions(p: Any, k: Any) -> tuple[int, int]:
    """Return p and k as ints, p at least 2 and k from 1 to p.

    Examples
    --------
    >>> check_dimensions(5, 2)
    (5, 2)
    """
    for name, value in (("p", p), ("k", k)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise OptionError(f"{name}={value!r} must be an int")
    if p < 2:
        raise OptionError(f"p={p} must be at least 2")
    if k < 1:
        raise OptionError(f"k={k} must be at least 1")
    if k > p:
        raise OptionError(
            f"k={k} columns of length p={p} cannot be orthonormal: k must not exceed p"
        )
    return int(p), int(k)


def check_df(df: Any, p: int) -> float:
    """Return degrees of freedom, at least p.

    Examples
    --------
    >>> check_df(20, 4)
    20.0
    """
    if isinstance(df, bool) or not isinstance(df, (int, float, np.integer, np.floating)):
        raise OptionError(f"df={df!r} must be a number")
    if not p <= df < np.inf:
        raise OptionError(f"df={df!r} must be finite and at least p={p}")
    return float(df)


def check_sign(value: Any, name: str) -> int:
    """Return 1 or -1.

    Examples
    --------
    >>> check_sign(-1, "sign")
    -1
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or abs(value) != 1:
        raise OptionError(f"{name}={value!r} is not known. Choose one of: 1, -1.")
    return int(value)


def check_array(value: Any, name: str, shape: tuple[int, ...]) -> FloatArray:
    """Return a C-ordered copy of this shape, all of it finite.

    Examples
    --------
    >>> check_array([1, 2], "x", (2,))
    array([1., 2.])
    """
    try:
        if np.iscomplexobj(value):
            raise TypeError
        array = np.array(value, dtype=np.float64, order="C")
    except (TypeError, ValueError):
        raise InputError(f"{name} must be an array of real numbers") from None
    if array.shape != shape:
        raise InputError(f"{name} must have shape {shape}, not {array.shape}")
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        place = ", ".join(str(int(index)) for index in wrong[0])
        raise InputError(f"{name}[{place}] is {array[tuple(wrong[0])]}: {name} must be finite")
    return array


def check_orthonormal(value: Any, name: str, p: int, k: int) -> FloatArray:
    """Return a copy of a matrix (p, k) with orthonormal columns.

    Examples
    --------
    >>> check_orthonormal([[1.0], [0.0]], "Q", 2, 1).ravel()
    array([1., 0.])
    """
    Q = check_array(value, name, (p, k))
    distance = float(np.max(np.abs(Q.T @ Q - np.eye(k))))
    if distance > TOLERANCE:
        raise InputError(
            f"the columns of {name} are not orthonormal: {name}'{name} differs from the identity "
            f"by up to {distance:.2g}. The nearest matrix that has them is "
            f"scipy.linalg.polar({name})[0]."
        )
    return Q
