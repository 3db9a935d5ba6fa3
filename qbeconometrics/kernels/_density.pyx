"""Log densities with gradients, compiled or written in Python, behind one interface."""

import numpy as np

from libc.math cimport isfinite


cdef class CompiledDensity:
    """What a gradient sampler draws from; a base class, whose parts fill its C struct."""

    @property
    def size(self):
        """Number of coordinates."""
        return self.c.size

    def log_density_and_gradient(self, const double[::1] x not None):
        """Return the log density and its gradient (size,) at x (size,); NaN where there is none.

        Raises
        ------
        ValueError
        """
        if self.c.evaluate == NULL:
            raise TypeError("a density is one of the classes that are derived from this one")
        if x.shape[0] != self.c.size:
            raise ValueError(f"x must have {self.c.size} coordinates")
        cdef double value
        cdef bint fine
        found = np.empty(self.c.size)
        cdef double[::1] gradient = found
        with nogil:
            fine = self.c.evaluate(self.c.context, &x[0], &value, &gradient[0])
        if not fine:
            return np.nan, np.full(self.c.size, np.nan)
        return value, found


cdef class PythonDensity(CompiledDensity):
    """A Python function of x (size,) that returns a log density and its gradient (size,).

    Parameters
    ----------
    size : int
    function : callable
        An exception of it is kept in `error`, and the point is taken as one without density.
    """

    cdef object function
    cdef public object error

    def __init__(self, int size, function):
        if size < 1:
            raise ValueError("size must be positive")
        self.function = function
        self.error = None
        self.c.size, self.c.context, self.c.evaluate = size, <void*>self, evaluate_python

    cdef bint call(self, const double* x, double* value, double* gradient) noexcept:
        cdef Py_ssize_t i, size = self.c.size
        cdef double[::1] filled, found
        point = np.empty(size)
        filled = point
        for i in range(size):
            filled[i] = x[i]
        try:
            log_density, slope = self.function(point)
            value[0] = log_density
            found = np.ascontiguousarray(slope, dtype=np.float64)
            if found.shape[0] != size:
                raise ValueError(f"the gradient has {found.shape[0]} elements, not {size}")
        except BaseException as error:
            if self.error is None:
                self.error = error
            return False
        for i in range(size):
            gradient[i] = found[i]
            if not isfinite(found[i]):
                return False
        return isfinite(value[0])


cdef bint evaluate_python(
    void* context, const double* x, double* value, double* gradient
) noexcept nogil:
    with gil:
        return (<PythonDensity>context).call(x, value, gradient)
