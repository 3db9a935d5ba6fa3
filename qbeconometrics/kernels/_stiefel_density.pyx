"""Log densities of orthonormal matrices, compiled or written in Python, joined to a chart."""

import numpy as np

from libc.math cimport isfinite

from qbeconometrics.kernels._density cimport CompiledDensity
from qbeconometrics.kernels._stiefel cimport (
    StiefelMap,
    chart_forward,
    chart_pull_back,
    chart_scratch_size,
)


cdef class MatrixTarget:
    """log f of an orthonormal matrix Q (p, k); a base class, whose parts fill its C function."""

    @property
    def p(self):
        """Rows of Q."""
        return self.c.p

    @property
    def k(self):
        """Columns of Q."""
        return self.c.k

    def log_density_and_gradient(self, const double[:, ::1] Q not None):
        """Return log f and its gradient (p, k) at Q (p, k); NaN where there is none.

        Raises
        ------
        ValueError
        """
        if self.c.evaluate == NULL:
            raise TypeError("a target is one of the classes that are derived from this one")
        if Q.shape[0] != self.c.p or Q.shape[1] != self.c.k:
            raise ValueError(f"Q must have shape ({self.c.p}, {self.c.k})")
        found = np.empty((self.c.p, self.c.k))
        cdef double value
        cdef double[:, ::1] slope = found
        if not self.c.evaluate(self.c.context, &Q[0, 0], &value, &slope[0, 0]):
            return np.nan, np.full((self.c.p, self.c.k), np.nan)
        return value, found


cdef int check_shape(int p, int k) except -1:
    if not 1 <= k <= p or p < 2:
        raise ValueError("p must be at least 2, and k from 1 to p")
    return 0


cdef struct QuadraticForm:
    int p
    int k
    const double* linear
    const double* quadratic
    const double* weights


cdef class QuadraticTarget(MatrixTarget):
    """log f = tr(M'Q) + tr(D Q'AQ): uniform, matrix von Mises-Fisher, Bingham, or both.

    Parameters
    ----------
    p, k : int
    linear : ndarray, shape (p, k), optional
        M; zero by default.
    quadratic : ndarray, shape (p, p), optional
        A, symmetric; zero by default.
    weights : ndarray, shape (k,), optional
        Diagonal of D; ones by default.
    """

    cdef tuple arrays
    cdef QuadraticForm form

    def __init__(self, int p, int k, linear=None, quadratic=None, weights=None):
        check_shape(p, k)
        M = np.zeros((p, k)) if linear is None else np.array(linear, dtype=np.float64, order="C")
        D = np.ones(k) if weights is None else np.array(weights, dtype=np.float64)
        A = np.zeros((0, 0))
        if quadratic is not None:
            A = np.array(quadratic, dtype=np.float64, order="C")
            if A.shape != (p, p) or not np.array_equal(A, A.T):
                raise ValueError(f"quadratic must be symmetric, of shape ({p}, {p})")
        if M.shape != (p, k) or D.shape != (k,):
            raise ValueError(f"linear must have shape ({p}, {k}), and weights ({k},)")
        cdef double[:, ::1] m_view = M, a_view = A
        cdef double[::1] d_view = D
        self.arrays = M, A, D
        self.form.p, self.form.k = p, k
        self.form.linear, self.form.weights = &m_view[0, 0], &d_view[0]
        self.form.quadratic = NULL if quadratic is None else &a_view[0, 0]
        self.c.p, self.c.k = p, k
        self.c.context, self.c.evaluate = &self.form, evaluate_quadratic


cdef bint evaluate_quadratic(
    void* context, const double* Q, double* value, double* slope
) noexcept nogil:
    cdef const QuadraticForm* t = <const QuadraticForm*>context
    cdef int i, j, l, p = t.p, k = t.k
    cdef double factor, total = 0.0
    cdef double* row
    for i in range(p):
        row = slope + i * k
        for l in range(k):
            row[l] = 0.0
        if t.quadratic != NULL:
            for j in range(p):
                factor = t.quadratic[i * p + j]
                for l in range(k):
                    row[l] += factor * Q[j * k + l]
        for l in range(k):
            factor = t.weights[l] * row[l]
            total += (t.linear[i * k + l] + factor) * Q[i * k + l]
            row[l] = t.linear[i * k + l] + 2.0 * factor
    value[0] = total
    return isfinite(total)


cdef class PythonMatrixTarget(MatrixTarget):
    """A Python function of Q (p, k) that returns log f and its gradient (p, k).

    Parameters
    ----------
    p, k : int
    function : callable
        An exception of it is kept in `error`, and the point is taken as one without density.
    """

    cdef object function
    cdef public object error

    def __init__(self, int p, int k, function):
        check_shape(p, k)
        self.c.p, self.c.k, self.function, self.error = p, k, function, None
        self.c.context, self.c.evaluate = <void*>self, evaluate_python

    cdef bint call(self, const double* Q, double* value, double* slope) noexcept:
        cdef Py_ssize_t i, j
        cdef double[:, ::1] filled, found
        try:
            point = np.empty((self.c.p, self.c.k))
            filled = point
            for i in range(self.c.p):
                for j in range(self.c.k):
                    filled[i, j] = Q[i * self.c.k + j]
            log_density, by_matrix = self.function(point)
            value[0] = log_density
            by_matrix = np.ascontiguousarray(by_matrix, dtype=np.float64)
            if by_matrix.shape != (self.c.p, self.c.k):
                raise ValueError(
                    f"the gradient has shape {by_matrix.shape}, not ({self.c.p}, {self.c.k})"
                )
            found = by_matrix
        except BaseException as error:
            if self.error is None:
                self.error = error
            return False
        for i in range(self.c.p):
            for j in range(self.c.k):
                slope[i * self.c.k + j] = found[i, j]
        return isfinite(value[0])


cdef bint evaluate_python(
    void* context, const double* Q, double* value, double* slope
) noexcept nogil:
    with gil:
        return (<PythonMatrixTarget>context).call(Q, value, slope)


cdef class StiefelDensity(CompiledDensity):
    """Density of the coordinates x (size,) of a chart under which Q has the density f.

    Its work space is its own: one object for each thread.

    Parameters
    ----------
    chart : StiefelMap
    target : MatrixTarget
    log_constant : float
        Added to the log density.
    """

    def __init__(
        self, StiefelMap chart not None, MatrixTarget target not None, double log_constant=0.0
    ):
        cdef Py_ssize_t cells = chart.c.p * chart.c.k
        if target.c.p != chart.c.p or target.c.k != chart.c.k or target.c.evaluate == NULL:
            raise ValueError(f"the target must take matrices ({chart.c.p}, {chart.c.k})")
        self.chart, self.target = chart, target
        self.work = np.empty(2 * cells + chart_scratch_size(&chart.c))
        self.joined.chart, self.joined.target = &chart.c, &target.c
        self.joined.log_constant = log_constant
        self.joined.Q = &self.work[0]
        self.joined.slope = self.joined.Q + cells
        self.joined.scratch = self.joined.slope + cells
        self.c.size, self.c.context = chart.c.size, &self.joined
        self.c.evaluate = evaluate_stiefel


cdef bint evaluate_stiefel(
    void* context, const double* x, double* value, double* gradient
) noexcept nogil:
    cdef Joined* d = <Joined*>context
    cdef int i
    cdef double log_f
    if not chart_forward(d.chart, x, d.Q, d.scratch):
        return False
    if not d.target.evaluate(d.target.context, d.Q, &log_f, d.slope):
        return False
    if not chart_pull_back(d.chart, x, d.slope, value, gradient, d.scratch):
        return False
    value[0] += log_f + d.log_constant
    for i in range(d.chart.size):
        if not isfinite(gradient[i]):
            return False
    return isfinite(value[0])
