"""What every loss of a linear index gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError, OptionError

FloatArray = NDArray[np.float64]


class Loss(ABC):
    """Base of the losses; use one of the subclasses, `Custom` for a loss of your own.

    Attributes
    ----------
    formula : str
        The value of a row, which fixes the scale of the loss.
    has_curvature : bool
        Whether `curvature` is there.
    jumps : bool
        Whether the score has jumps, so that its mean is a step function of theta.
    on_outcome_scale : bool
        Whether the index is in the units of the outcome.
    convex : bool
        Whether it is known to be convex in the index.
    bounded_score : bool
        Whether the score is bounded on some side, so that the mean score need not grow with theta.
    """

    formula: str = ""
    has_curvature: bool = True
    jumps: bool = False
    on_outcome_scale: bool = True
    convex: bool = True
    bounded_score: bool = True

    @property
    @abstractmethod
    def label(self) -> str:
        """Name with its options, for the summary."""

    @abstractmethod
    def value(self, endog: FloatArray, index: FloatArray) -> FloatArray:
        """Return the loss of each row (n,)."""

    @abstractmethod
    def score(self, endog: FloatArray, index: FloatArray) -> FloatArray:
        """Return the derivative of the loss by the index (n,), a subgradient at kinks."""

    def curvature(self, endog: FloatArray, index: FloatArray) -> FloatArray:
        """Return the derivative of the score by the index (n,)."""
        raise NotImplementedError(f"the loss {self.label} has no curvature")

    def check_endog(self, endog: FloatArray, name: str) -> None:  # noqa: B027
        """Refuse an outcome that the loss is not for; by default none.

        Raises
        ------
        InputError
            Naming the outcome.
        """

    def sinking_sides(self, endog: FloatArray) -> tuple[FloatArray, FloatArray] | None:
        """Return how far each index may move, for ever, without its loss rising (two of (n,)).

        Entries are zero or infinite. None: no index can move for ever, so that the risk of a
        design of full rank grows in every direction.
        """
        return None

    def centre(self, endog: FloatArray) -> float:
        """Return the index about which the default prior is centred, off the outcome's scale."""
        return 0.0

    def mean(self, index: FloatArray) -> FloatArray | None:
        """Return the fitted values that belong to an index; None where there are none."""
        return index


def number_between(value: Any, low: float, high: float, argument: str) -> float:
    """Return `value` as a number strictly between the two.

    Raises
    ------
    OptionError
        Naming `argument`.
    """
    if isinstance(value, (int, float, np.number)) and not isinstance(value, bool):
        number = float(value)
        if low < number < high:
            return number
    raise OptionError(f"{argument}={value!r} must be a number between {low:g} and {high:g}")


def refuse_values(
    endog: FloatArray, usable: NDArray[np.bool_], name: str, needed: str, loss: str
) -> None:
    """Raise `InputError`, naming the first row, unless all values are `usable` (n,)."""
    if usable.all():
        return
    row = int(np.argmin(usable))
    raise InputError(
        f"endog {name!r} has {(~usable).sum()} value(s) that are not {needed}, first "
        f"{endog[row]:g} in row {row}. The {loss} loss is for an outcome of {needed}."
    )
