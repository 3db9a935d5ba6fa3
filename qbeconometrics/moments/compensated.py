"""Sums of arrays that keep the rounding of each addition.

The error of a sum of many blocks is then that of a single addition, however many blocks there are
and in whatever order they are merged (Knuth 1997, The Art of Computer Programming, volume 2,
section 4.2.2; Neumaier 1974, Zeitschrift fuer Angewandte Mathematik und Mechanik 54, 39-51).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CompensatedSum:
    """A sum and what its rounding has left out so far, of one shape.

    Attributes
    ----------
    high, low : ndarray
        The sum is high + low.

    Examples
    --------
    >>> one, tiny = np.ones(1), np.full(1, 1e-17)
    >>> total = CompensatedSum.zeros(1).add(one)
    >>> for _ in range(1000):
    ...     total = total.add(tiny)
    >>> float(total.value[0] - 1.0) > 9e-15
    True
    """

    high: FloatArray
    low: FloatArray

    @classmethod
    def zeros(cls, shape: int | tuple[int, ...]) -> CompensatedSum:
        """Return a sum of nothing."""
        return cls(np.zeros(shape), np.zeros(shape))

    @property
    def value(self) -> FloatArray:
        """The sum, rounded once."""
        return self.high + self.low

    def add(self, term: FloatArray) -> CompensatedSum:
        """Return the sum with one more term."""
        high = self.high + term
        part = high - self.high
        return CompensatedSum(high, self.low + ((self.high - (high - part)) + (term - part)))

    def merge(self, other: CompensatedSum) -> CompensatedSum:
        """Return the sum of two sums."""
        total = self.add(other.high)
        return CompensatedSum(total.high, total.low + other.low)

    def map(self, linear: Callable[[FloatArray], FloatArray]) -> CompensatedSum:
        """Return the sum under a linear map."""
        return CompensatedSum(linear(self.high), linear(self.low))
