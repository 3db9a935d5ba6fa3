"""A loss that the user writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import LossFunctionError, OptionError
from qbeconometrics.losses.base import Loss

FloatArray = NDArray[np.float64]


class Custom(Loss):
    """A loss of the index that the user writes.

    Parameters
    ----------
    value : callable
        ``value(endog, index)`` -> losses (n,), of which a Gibbs posterior is made.
    score : callable
        ``score(endog, index)`` -> derivative of the losses by the index (n,), a subgradient at
        kinks, of which a Q-posterior is made.
    curvature : callable, optional
        ``curvature(endog, index)`` -> derivative of the score (n,). Without it differences of the
        score are taken, for proposals and standard errors only: draws are exact either way.
    name : str
        For the summary.
    jumps : bool
        Whether the score has jumps, as that of |r|: differences are then taken over a wide window.
    on_outcome_scale : bool
        Whether the index is in the units of the outcome, as in regression: this scales the default
        prior.

    Raises
    ------
    OptionError
        If a function is not callable, or another argument is of a wrong type.

    Notes
    -----
    Convexity is not known, so a flat prior is refused, and the search for the mode finds a local
    one. A score that falls back to zero for large residuals, such as Tukey's, lets the covariance
    of the scores vanish far away, where the determinant of ``"cue"`` then draws the Q-posterior:
    use ``posterior="gibbs"`` for such a loss. For a loss that is not a function of a linear index,
    give the gradient of the loss as moments to `QuasiBayesGMM`.

    Examples
    --------
    >>> import numpy as np
    >>> from qbeconometrics import losses
    >>> log_cosh = losses.Custom(
    ...     lambda y, index: np.log(np.cosh(y - index)),
    ...     lambda y, index: np.tanh(index - y),
    ...     name="log cosh",
    ... )
    >>> log_cosh.score(np.zeros(2), np.array([0.0, 100.0]))
    array([0., 1.])
    """

    formula = "written by the user"
    convex = False

    def __init__(
        self,
        value: Callable[[FloatArray, FloatArray], Any],
        score: Callable[[FloatArray, FloatArray], Any],
        curvature: Callable[[FloatArray, FloatArray], Any] | None = None,
        *,
        name: str = "custom",
        jumps: bool = False,
        on_outcome_scale: bool = True,
    ):
        functions = {"value": value, "score": score}
        if curvature is not None:
            functions["curvature"] = curvature
        for argument, function in functions.items():
            if not callable(function):
                raise OptionError(f"Custom {argument}={function!r} must be a function")
        if not isinstance(name, str):
            raise OptionError(f"Custom name={name!r} must be text")
        for argument, flag in (("jumps", jumps), ("on_outcome_scale", on_outcome_scale)):
            if not isinstance(flag, bool):
                raise OptionError(f"Custom {argument}={flag!r} must be True or False")
        self._functions, self._label = functions, name
        self.jumps, self.on_outcome_scale = jumps, on_outcome_scale
        self.has_curvature = curvature is not None

    @property
    def label(self) -> str:
        """The name that the user gave."""
        return self._label

    def _call(self, which: str, endog: FloatArray, index: FloatArray) -> FloatArray:
        try:
            found = np.asarray(self._functions[which](endog, index), dtype=np.float64)
        except (ArithmeticError, np.linalg.LinAlgError):
            return np.full(index.shape, np.nan)
        except Exception as error:
            raise LossFunctionError(
                f"{which} of the loss {self.label!r} raised {type(error).__name__}: {error}"
            ) from error
        if found.shape != index.shape:
            raise LossFunctionError(
                f"{which} of the loss {self.label!r} returned shape {found.shape}; needed is one "
                f"number a row, {index.shape}"
            )
        return found

    def value(self, endog: FloatArray, index: FloatArray) -> FloatArray:
        """Return what the user's function returns.

        Raises
        ------
        LossFunctionError
            If it raises (an ArithmeticError counts as NaN), or returns another shape than (n,).
        """
        return self._call("value", endog, index)

    def score(self, endog: FloatArray, index: FloatArray) -> FloatArray:
        """Return what the user's function returns; errors as of `value`."""
        return self._call("score", endog, index)

    def curvature(self, endog: FloatArray, index: FloatArray) -> FloatArray:
        """Return what the user's function returns; errors as of `value`."""
        return self._call("curvature", endog, index)

    def __repr__(self) -> str:
        return f"Custom({self.label!r})"
