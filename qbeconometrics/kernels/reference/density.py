"""Log densities with gradients behind one interface; twin of the compiled ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class CompiledDensity:
    """What a gradient sampler draws from; a base class, whose parts write `_evaluate`."""

    size: int

    def _evaluate(self, x: FloatArray) -> tuple[float, FloatArray]:
        raise TypeError("a density is one of the classes that are derived from this one")

    def log_density_and_gradient(self, x: FloatArray) -> tuple[float, FloatArray]:
        """Return the log density and its gradient (size,) at x (size,); NaN where there is none.

        Raises
        ------
        ValueError
        """
        if getattr(self, "size", len(x)) != len(x):
            raise ValueError(f"x must have {self.size} coordinates")
        value, gradient = self._evaluate(x)
        if not (np.isfinite(value) and np.all(np.isfinite(gradient))):
            return np.nan, np.full(self.size, np.nan)
        return value, gradient


class PythonDensity(CompiledDensity):
    """A Python function of x (size,) that returns a log density and its gradient (size,).

    Parameters
    ----------
    size : int
    function : callable
        An exception of it is kept in `error`, and the point is taken as one without density.

    Examples
    --------
    >>> normal = PythonDensity(2, lambda x: (-0.5 * x @ x, -x))
    >>> normal.log_density_and_gradient(np.ones(2))[1]
    array([-1., -1.])
    """

    error: BaseException | None

    def __init__(
        self, size: int, function: Callable[[FloatArray], tuple[float, FloatArray]]
    ) -> None:
        if size < 1:
            raise ValueError("size must be positive")
        self.size, self._function, self.error = size, function, None

    def _evaluate(self, x: FloatArray) -> tuple[float, FloatArray]:
        try:
            value, gradient = self._function(x.copy())
            value, gradient = float(value), np.array(gradient, dtype=np.float64)
            if gradient.shape != (self.size,):
                raise ValueError(f"the gradient has {gradient.size} elements, not {self.size}")
        except BaseException as error:
            if self.error is None:
                self.error = error
            return np.nan, np.full(self.size, np.nan)
        return value, gradient
