"""Log density of a column space: a weighted sum of log determinants of Q'MQ."""

import numpy as np

from libc.math cimport isfinite

from qbeconometrics.kernels._cholesky cimport (
    packed_cholesky,
    solve_lower,
    solve_lower_transposed,
)
from qbeconometrics.kernels._stiefel_density cimport MatrixDensity, MatrixTarget

# Work space is on the stack, so that threads may share a target.
cdef enum:
    MOST_COLUMNS = 32
    PACKED = 528  # 32 * 33 / 2

MOST_RANKS = <int>MOST_COLUMNS


cdef struct LogDeterminants:
    int p
    int k
    int count
    const double* matrices
    const double* weights


cdef class DeterminantRatioTarget(MatrixTarget):
    """log f = sum_j w_j log |Q'M_jQ|: two terms of opposite weights are the power of a ratio.

    Parameters
    ----------
    k : int
        Columns of Q, 1 to 32.
    matrices : ndarray, shape (count, p, p)
        M_j, symmetric and positive definite.
    weights : ndarray, shape (count,)
        w_j. Where they add up to zero f depends on the column space of Q alone, whether or not its
        columns are orthonormal.
    """

    cdef tuple arrays
    cdef LogDeterminants terms

    def __init__(self, int k, matrices, weights):
        M = np.array(matrices, dtype=np.float64, order="C")
        w = np.array(weights, dtype=np.float64, order="C")
        if M.ndim != 3 or M.shape[1] != M.shape[2] or w.shape != M.shape[:1] or len(w) < 1:
            raise ValueError("matrices must have shape (count, p, p), and weights (count,)")
        if not 1 <= k <= M.shape[1] or M.shape[1] < 2 or k > MOST_COLUMNS:
            raise ValueError(f"p must be at least 2, and k from 1 to p, at most {MOST_RANKS}")
        if not np.array_equal(M, M.swapaxes(1, 2)):
            raise ValueError("matrices must be symmetric")
        cdef double[:, :, ::1] m_view = M
        cdef double[::1] w_view = w
        self.arrays = M, w
        self.terms.p, self.terms.k, self.terms.count = M.shape[1], k, len(w)
        self.terms.matrices, self.terms.weights = &m_view[0, 0, 0], &w_view[0]
        self.c.p, self.c.k = M.shape[1], k
        self.c.context, self.c.evaluate = &self.terms, evaluate_log_determinants


cdef struct Sum:
    const MatrixDensity* first
    const MatrixDensity* second
    int cells
    double* slope


cdef class SumOfTargets(MatrixTarget):
    """The sum of two log densities of matrices of one shape.

    Its work space is its own: one object for each thread.

    Parameters
    ----------
    first, second : MatrixTarget
    """

    cdef tuple parts
    cdef double[::1] work
    cdef Sum both

    def __init__(self, MatrixTarget first not None, MatrixTarget second not None):
        if first.c.p != second.c.p or first.c.k != second.c.k:
            raise ValueError("both targets must be for matrices of one shape")
        if first.c.evaluate == NULL or second.c.evaluate == NULL:
            raise TypeError("a target is one of the classes that are derived from this one")
        self.parts = first, second
        self.work = np.empty(first.c.p * first.c.k)
        self.both.first, self.both.second = &first.c, &second.c
        self.both.cells, self.both.slope = first.c.p * first.c.k, &self.work[0]
        self.c.p, self.c.k = first.c.p, first.c.k
        self.c.context, self.c.evaluate = &self.both, evaluate_sum


cdef bint evaluate_sum(
    void* context, const double* Q, double* value, double* slope
) noexcept nogil:
    cdef const Sum* t = <const Sum*>context
    cdef double further
    cdef int i
    if not t.first.evaluate(t.first.context, Q, value, slope):
        return False
    if not t.second.evaluate(t.second.context, Q, &further, t.slope):
        return False
    value[0] += further
    for i in range(t.cells):
        slope[i] += t.slope[i]
    return isfinite(value[0])


cdef void row_of_product(
    const double* row, const double* Q, int p, int k, double* out
) noexcept nogil:
    """Write row (p,) times Q (p, k) to `out` (k,)."""
    cdef int i, l
    for l in range(k):
        out[l] = 0.0
    for i in range(p):
        for l in range(k):
            out[l] += row[i] * Q[i * k + l]


cdef bint evaluate_log_determinants(
    void* context, const double* Q, double* value, double* slope
) noexcept nogil:
    cdef const LogDeterminants* t = <const LogDeterminants*>context
    cdef int i, j, l, m, place, p = t.p, k = t.k
    cdef double inner[PACKED]
    cdef double row[MOST_COLUMNS]
    cdef double column[MOST_COLUMNS]
    cdef double log_determinant, total = 0.0
    cdef const double* M = t.matrices
    for i in range(p * k):
        slope[i] = 0.0
    for j in range(t.count):
        for i in range(k * (k + 1) // 2):
            inner[i] = 0.0
        for i in range(p):
            row_of_product(M + i * p, Q, p, k, row)
            place = 0
            for l in range(k):
                for m in range(l + 1):
                    inner[place] += Q[i * k + l] * row[m]
                    place += 1
        log_determinant = packed_cholesky(inner, k, column)
        if not isfinite(log_determinant):
            return False
        total += t.weights[j] * log_determinant
        for i in range(p):
            # Computed again: keeping M Q would need work space of the size of Q.
            row_of_product(M + i * p, Q, p, k, row)
            solve_lower(inner, k, row)
            solve_lower_transposed(inner, k, row)
            for l in range(k):
                slope[i * k + l] += 2.0 * t.weights[j] * row[l]
        M += p * p
    value[0] = total
    return isfinite(total)
