"""A user's moment function behind one small interface: moments, their mean, their Jacobian."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import IdentificationError, MomentFunctionError

FloatArray = NDArray[np.float64]

# Central differences: the cube root of the machine precision. The longer steps are for moments with
# jumps, whose derivative over a short step is zero.
DIFFERENCE_STEPS = (6e-6, 1e-3, 3e-2, 3e-1)

_DOUBLE = np.dtype(np.float64)


class MomentFunction:
    """Moments g_i(theta) of n rows, made by a function of the user.

    A point is unusable where a moment is NaN or infinite, or where the function raises an
    ArithmeticError or a LinAlgError.

    Parameters
    ----------
    momcond : callable
        params (k,) -> moments (n, m).
    jac : callable or None
        params (k,) -> derivative (m, k) of the mean of the moments; None takes differences.
    n, k, m : int
        Rows, parameters, moments.
    """

    __slots__ = ("_jac", "_momcond", "_shape", "_weights", "k", "m", "n")

    def __init__(
        self,
        momcond: Callable[[FloatArray], Any],
        jac: Callable[[FloatArray], Any] | None,
        *,
        n: int,
        k: int,
        m: int,
    ):
        self._momcond, self._jac = momcond, jac
        self._shape = (n, m)
        self._weights = np.full(n, 1.0 / n)
        self.n, self.k, self.m = n, k, m

    @property
    def has_jacobian(self) -> bool:
        """Whether the user gave the derivative."""
        return self._jac is not None

    def evaluate(self, params: FloatArray) -> tuple[FloatArray, FloatArray] | None:
        """Return moments (n, m) and their mean (m,) at `params` (k,); None where unusable.

        Raises
        ------
        MomentFunctionError
            If the function raises, or returns another shape than at the start.
        """
        try:
            # A copy, since the function may write to what it is given.
            moments = self._momcond(params.copy())
        except (ArithmeticError, np.linalg.LinAlgError):
            return None
        except Exception as error:
            raise MomentFunctionError(
                f"{_raised('momcond', params, error)}. Where the moments cannot be computed, let "
                "it return NaN: such points are rejected and counted."
            ) from error
        if type(moments) is not np.ndarray or moments.dtype != _DOUBLE:
            moments = _as_numbers(moments, params)
        if moments.shape != self._shape:
            raise MomentFunctionError(
                f"momcond returned shape {moments.shape} at params={_show(params)}, "
                f"but {self._shape} before"
            )
        mean: FloatArray = self._weights @ moments
        # NaN and infinity in any row carry over to the mean, and from there to its sum.
        return (moments, mean) if math.isfinite(mean.sum()) else None

    def jacobian(
        self, params: FloatArray, relative_step: float = DIFFERENCE_STEPS[0]
    ) -> FloatArray | None:
        """Return the derivative (m, k) of the mean of the moments; None where unusable.

        Raises
        ------
        MomentFunctionError
            If `jac` raises or returns another shape than (m, k).
        """
        if self._jac is None:
            return self._differences(params, relative_step)
        try:
            derivative = np.asarray(self._jac(params.copy()), dtype=np.float64)
        except (ArithmeticError, np.linalg.LinAlgError):
            return None
        except Exception as error:
            raise MomentFunctionError(_raised("jac", params, error)) from error
        if derivative.shape != (self.m, self.k):
            raise MomentFunctionError(
                f"jac returned shape {derivative.shape}; the derivative of the mean of {self.m} "
                f"moments by {self.k} parameters has shape ({self.m}, {self.k})"
            )
        return derivative if math.isfinite(derivative.sum()) else None

    def _differences(self, params: FloatArray, relative_step: float) -> FloatArray | None:
        derivative = np.empty((self.m, self.k))
        for j in range(self.k):
            step = relative_step * max(abs(params[j]), 0.1)
            above, below = params.copy(), params.copy()
            above[j] += step
            below[j] -= step
            upper, lower = self.evaluate(above), self.evaluate(below)
            if upper is None or lower is None:
                return None
            derivative[:, j] = (upper[1] - lower[1]) / (above[j] - below[j])
        return derivative


def check_moment_function(
    momcond: Callable[[FloatArray], Any],
    jac: Callable[[FloatArray], Any] | None,
    *,
    start: FloatArray,
    n: int,
) -> MomentFunction:
    """Call a user's functions once, at the start, and say what is wrong with them.

    Parameters
    ----------
    momcond, jac : callable
        As in `MomentFunction`.
    start : ndarray, shape (k,)
    n : int
        Rows of the data.

    Returns
    -------
    MomentFunction

    Raises
    ------
    MomentFunctionError
        If a function raises, or returns a wrong type or shape, or NaN or infinity.
    IdentificationError
        If there are fewer moments than parameters.
    """
    k = len(start)
    with np.errstate(all="ignore"):
        try:
            returned = momcond(start.copy())
        except Exception as error:
            raise MomentFunctionError(_raised("momcond", start, error)) from error
        moments = _as_numbers(returned, start)
        if moments.ndim != 2 or moments.shape[0] != n:
            raise MomentFunctionError(
                f"momcond returned shape {moments.shape}; needed is one row an observation and one "
                f"column a moment, ({n}, m)"
            )
        m = moments.shape[1]
        if m < k:
            raise IdentificationError(
                f"momcond returns {m} moments for {k} parameters; there must be at least as many "
                "moments as parameters"
            )
        bad = ~np.isfinite(moments)
        if bad.any():
            raise MomentFunctionError(_not_finite(bad, start))
        function = MomentFunction(momcond, jac, n=n, k=k, m=m)
        if jac is not None and function.jacobian(start) is None:
            raise MomentFunctionError(f"jac returns NaN or infinity at params={_show(start)}")
    return function


def _as_numbers(returned: Any, params: FloatArray) -> FloatArray:
    """Return what a function returned as floats; masked entries become NaN.

    Raises
    ------
    MomentFunctionError
        If it holds something else than real numbers.
    """
    try:
        array = np.asarray(returned)
        if array.dtype.kind not in "biufO":
            raise TypeError(f"dtype {array.dtype}")
        numbers = np.array(array, dtype=np.float64)
        if np.ma.isMaskedArray(returned):
            numbers[np.ma.getmaskarray(returned)] = np.nan
        return numbers
    except (TypeError, ValueError) as error:
        raise MomentFunctionError(
            f"momcond must return an array of real numbers of shape (n, m), not {returned!r:.80} "
            f"({error}), at params={_show(params)}"
        ) from error


def _not_finite(bad: NDArray[np.bool_], start: FloatArray) -> str:
    where = f"at the start, params={_show(start)}"
    remedy = "give start_params where all moments are finite"
    if bad.all():
        return f"momcond returns nothing but NaN or infinity {where}; {remedy}"
    row, moment = np.argwhere(bad)[0]
    return (
        f"momcond returns NaN or infinity for {bad.any(axis=1).sum()} of {len(bad)} rows {where} "
        f"(first in row {row}, moment {moment}); {remedy}"
    )


def _raised(name: str, params: FloatArray, error: Exception) -> str:
    return f"{name} raised {type(error).__name__} at params={_show(params)}: {error}"


def _show(params: FloatArray) -> str:
    return np.array2string(np.asarray(params), precision=6, separator=", ", threshold=20)
