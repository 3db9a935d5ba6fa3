"""Log densities with gradients behind one interface, written for reading."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class CompiledDensity:
    """What a gradient sampler draws from; a base class, whose parts fill `evaluate`.

    Attributes
    ----------
    size : int
        Number of coordinates.
    """

    size: int

    def evaluate(self, x: FloatArray) -> tuple[float, FloatArray] | None:
        """Return log density and gradient; None where they are not finite, or cannot be had."""
        raise NotImplementedError

    def log_density_and_gradient(self, x: FloatArray) -> tuple[float, FloatArray]:
        """Return the log density and its gradient (size,) at x (size,); NaN where there is none.

        Raises
        ------
        ValueError
        """
        if len(x) != self.size:
            raise ValueError(f"x must have {self.size} coordinates")
        found = self.evaluate(x)
        return found if found is not None else (np.nan, np.full(self.size, np.nan))


class PythonDensity(CompiledDensity):
    """A Python function of x (size,) that returns a log density and its gradient (size,).

    Examples
    --------
    >>> density = PythonDensity(2, lambda x: (-0.5 * float(x @ x), -x))
    >>> density.log_density_and_gradient(np.array([1.0, 2.0]))
    (-2.5, array([-1., -2.]))
    """

    def __init__(
        self, size: int, function: Callable[[FloatArray], tuple[float, FloatArray]]
    ) -> None:
        if size < 1:
            raise ValueError("size must be positive")
        self.size, self.function = size, function
        self.error: BaseException | None = None

    def evaluate(self, x: FloatArray) -> tuple[float, FloatArray] | None:
        """Call the function; its first exception is kept in `error`."""
        try:
            log_density, slope = self.function(x.copy())
            value, gradient = float(log_density), np.array(slope, dtype=float)
            if gradient.shape != (self.size,):
                raise ValueError(f"the gradient has shape {gradient.shape}, not {(self.size,)}")
        except BaseException as error:
            self.error = self.error or error
            return None
        fine = np.isfinite(value) and np.isfinite(gradient).all()
        return (value, gradient) if fine else None
