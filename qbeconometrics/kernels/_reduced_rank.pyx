"""Log quasi-posterior of the row space of a coefficient matrix of reduced rank, its loadings
integrated out."""

import numpy as np

from libc.math cimport isfinite

from qbeconometrics.kernels._cholesky cimport (
    packed_cholesky,
    solve_lower,
    solve_lower_columns,
    solve_lower_transposed,
)
from qbeconometrics.kernels._stiefel_density cimport MatrixTarget


cdef struct ReducedRank:
    int m
    int q
    int r
    double constant
    double power
    const double* precision
    const double* linear
    const double* shape
    # (I x B)'H (m r, m q), the packed factor, its inverse and Lambda^-1 + a a' (m r, m r).
    double* product
    double* root
    double* inverse
    double* weight
    # Work for m r numbers, a (m r,), and N B (q, r).
    double* column
    double* loadings
    double* shaped


cdef class ReducedRankTarget(MatrixTarget):
    """log f of an orthonormal B (q, r), where vec(A) given B is normal and integrated out:

    log f = constant + b'Lambda^-1 b / 2 - log|Lambda| / 2 + power log|B'N B| / 2, where Lambda =
    (I x B)'H (I x B) and b = (I x B)'c. Vectors go through A (m, r) and C = A B' (m, q) by rows.

    Its work space is its own: one object for each thread.

    Parameters
    ----------
    precision : ndarray, shape (m q, m q)
        H, symmetric positive definite, the prior's part in it.
    linear : ndarray, shape (m q,)
        c.
    shape : ndarray, shape (q, q)
        N, symmetric positive definite.
    rank : int
    constant : float
    power : float, optional
        m by default, which makes f depend on the column space of B alone.
    """

    cdef tuple arrays
    cdef double[::1] work
    cdef ReducedRank form

    def __init__(self, precision, linear, shape, int rank, double constant=0.0, power=None):
        H = np.array(precision, dtype=np.float64, order="C")
        c = np.array(linear, dtype=np.float64)
        N = np.array(shape, dtype=np.float64, order="C")
        if N.ndim != 2 or N.shape[0] != N.shape[1] or N.shape[0] < 2:
            raise ValueError("shape must be a square matrix of order 2 at least")
        cdef int q = N.shape[0]
        if c.ndim != 1 or len(c) == 0 or len(c) % q:
            raise ValueError(f"linear must have a multiple of {q} elements")
        if H.shape != (len(c), len(c)):
            raise ValueError(f"precision must have shape ({len(c)}, {len(c)})")
        if not 1 <= rank <= q:
            raise ValueError(f"rank must be from 1 to {q}")
        cdef int m = len(c) // q
        cdef Py_ssize_t size = m * rank
        cdef double[:, ::1] h_view = H, n_view = N
        cdef double[::1] c_view = c
        self.arrays = H, c, N
        self.work = np.empty(
            size * m * q + size * (size + 1) // 2 + 2 * size * size + 2 * size + q * rank
        )
        self.form.m, self.form.q, self.form.r, self.form.constant = m, q, rank, constant
        self.form.power = m if power is None else power
        self.form.precision, self.form.linear = &h_view[0, 0], &c_view[0]
        self.form.shape = &n_view[0, 0]
        self.form.product = &self.work[0]
        self.form.root = self.form.product + size * m * q
        self.form.inverse = self.form.root + size * (size + 1) // 2
        self.form.weight = self.form.inverse + size * size
        self.form.column = self.form.weight + size * size
        self.form.loadings = self.form.column + size
        self.form.shaped = self.form.loadings + size
        self.c.p, self.c.k = q, rank
        self.c.context, self.c.evaluate = &self.form, evaluate_reduced_rank


cdef void invert_factor(const double* root, int size, double* inverse) noexcept nogil:
    """Write the inverse of a packed lower factor, by rows."""
    cdef Py_ssize_t i
    for i in range(<Py_ssize_t>size * size):
        inverse[i] = 0.0
    for i in range(size):
        inverse[i * size + i] = 1.0
    solve_lower_columns(root, size, inverse, size)


cdef void fill_precision(const ReducedRank* t, const double* B) noexcept nogil:
    """Fill `product`, `root` (Lambda, not factored yet) and `loadings` (b, not solved yet)."""
    cdef int m = t.m, q = t.q, r = t.r, i, j, k, l, other
    cdef Py_ssize_t cells = m * q
    cdef double factor, total
    cdef double* row
    cdef double* target
    cdef const double* source
    for i in range(m):
        for k in range(r):
            row = t.product + (i * r + k) * cells
            for l in range(cells):
                row[l] = 0.0
            total = 0.0
            for j in range(q):
                factor = B[j * r + k]
                source = t.precision + (i * q + j) * cells
                for l in range(cells):
                    row[l] += factor * source[l]
                total += factor * t.linear[i * q + j]
            t.loadings[i * r + k] = total
            target = t.root + (i * r + k) * (i * r + k + 1) // 2
            for other in range(i * r + k + 1):
                total = 0.0
                source = row + (other // r) * q
                l = other % r
                for j in range(q):
                    total += source[j] * B[j * r + l]
                target[other] = total


cdef bint add_shape(
    const ReducedRank* t, const double* B, double* value, double* slope
) noexcept nogil:
    """Add power log|B'N B| / 2 and its gradient power N B (B'N B)^-1; overwrites root and inverse."""
    cdef int q = t.q, r = t.r, i, j, k, l
    cdef double total
    cdef double* row
    for i in range(q):
        row = t.shaped + i * r
        for k in range(r):
            row[k] = 0.0
        for j in range(q):
            for k in range(r):
                row[k] += t.shape[i * q + j] * B[j * r + k]
    for k in range(r):
        for l in range(k + 1):
            total = 0.0
            for j in range(q):
                total += B[j * r + k] * t.shaped[j * r + l]
            t.root[k * (k + 1) // 2 + l] = total
    value[0] += 0.5 * t.power * packed_cholesky(t.root, r, t.column)
    for i in range(q):
        row = t.shaped + i * r
        solve_lower(t.root, r, row)
        solve_lower_transposed(t.root, r, row)
        for k in range(r):
            slope[i * r + k] += t.power * row[k]
    return isfinite(value[0])


cdef bint evaluate_reduced_rank(
    void* context, const double* B, double* value, double* slope
) noexcept nogil:
    cdef const ReducedRank* t = <const ReducedRank*>context
    cdef int m = t.m, q = t.q, r = t.r, size = m * r, i, j, k, l, row
    cdef Py_ssize_t cells = m * q
    cdef double log_determinant, square = 0.0, factor
    cdef const double* source
    cdef double* target
    fill_precision(t, B)
    log_determinant = packed_cholesky(t.root, size, t.column)
    if not isfinite(log_determinant):
        return False
    solve_lower(t.root, size, t.loadings)
    for i in range(size):
        square += t.loadings[i] * t.loadings[i]
    solve_lower_transposed(t.root, size, t.loadings)
    value[0] = t.constant + 0.5 * (square - log_determinant)
    # The second moments of A: covariance plus the square of the mean.
    invert_factor(t.root, size, t.inverse)
    for i in range(size):
        target = t.weight + i * size
        for j in range(size):
            target[j] = t.loadings[i] * t.loadings[j]
    for l in range(size):
        source = t.inverse + l * size
        for i in range(l + 1):
            factor = source[i]
            target = t.weight + i * size
            for j in range(l + 1):
                target[j] += factor * source[j]
    for j in range(q):
        for k in range(r):
            factor = 0.0
            for i in range(m):
                factor += t.linear[i * q + j] * t.loadings[i * r + k]
            slope[j * r + k] = factor
    for row in range(size):
        for i in range(m):
            source = t.product + row * cells + i * q
            target = t.weight + row * size + i * r
            for j in range(q):
                factor = source[j]
                for k in range(r):
                    slope[j * r + k] -= factor * target[k]
    return add_shape(t, B, value, slope)
