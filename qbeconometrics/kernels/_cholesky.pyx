"""Cholesky factors and triangular solves for matrices of small order, packed by rows.

Loops run along rows so that the compiler vectorises them without reordering any sum: chains in
threads then share no library lock, and equal inputs give equal bits.
"""

import numpy as np

from libc.math cimport NAN, isfinite, log, sqrt


cdef double packed_cholesky(double* a, int n, double* column) noexcept nogil:
    """Factor `a` in place; return its log-determinant, or NaN if `a` is not positive definite.

    `column` is work space for n numbers. NaN and infinity anywhere in `a` give NaN.
    """
    cdef int i, j, l
    cdef double pivot, log_determinant = 0.0, factor
    cdef double* row
    for j in range(n):
        pivot = a[j * (j + 1) // 2 + j]
        if not (pivot > 0.0 and isfinite(pivot)):
            return NAN
        pivot = sqrt(pivot)
        log_determinant += log(pivot)
        a[j * (j + 1) // 2 + j] = pivot
        for i in range(j + 1, n):
            column[i] = a[i * (i + 1) // 2 + j] / pivot
            a[i * (i + 1) // 2 + j] = column[i]
        for i in range(j + 1, n):
            row = a + i * (i + 1) // 2
            factor = column[i]
            for l in range(j + 1, i + 1):
                row[l] -= factor * column[l]
    if not isfinite(log_determinant):
        return NAN
    return 2.0 * log_determinant


cdef void solve_lower(const double* root, int n, double* b) noexcept nogil:
    """Overwrite `b` with the solution of root x = b."""
    cdef int i, j
    cdef double total
    cdef const double* row
    for i in range(n):
        row = root + i * (i + 1) // 2
        total = b[i]
        for j in range(i):
            total -= row[j] * b[j]
        b[i] = total / row[i]


cdef void solve_lower_transposed(const double* root, int n, double* b) noexcept nogil:
    """Overwrite `b` with the solution of root' x = b."""
    cdef int i, j
    cdef const double* row
    for i in range(n - 1, -1, -1):
        row = root + i * (i + 1) // 2
        b[i] /= row[i]
        for j in range(i):
            b[j] -= row[j] * b[i]


cdef void solve_lower_columns(const double* root, int n, double* b, int columns) noexcept nogil:
    """Overwrite the n x columns matrix `b` (by rows) with the solution of root X = b."""
    cdef int i, j, c
    cdef double factor
    cdef const double* row
    cdef double* target
    cdef double* source
    for i in range(n):
        row = root + i * (i + 1) // 2
        target = b + i * columns
        for j in range(i):
            source = b + j * columns
            factor = row[j]
            for c in range(columns):
                target[c] -= factor * source[c]
        factor = 1.0 / row[i]
        for c in range(columns):
            target[c] *= factor


cdef void multiply_lower(const double* root, int n, const double* b, double* out) noexcept nogil:
    """Write root b to `out`."""
    cdef int i, j
    cdef double total
    cdef const double* row
    for i in range(n):
        row = root + i * (i + 1) // 2
        total = 0.0
        for j in range(i + 1):
            total += row[j] * b[j]
        out[i] = total


cdef double squared_norm_transposed(const double* root, int n, const double* b) noexcept nogil:
    """Return the squared length of root' b."""
    cdef int i, j
    cdef double total, norm = 0.0
    for j in range(n):
        total = 0.0
        for i in range(j, n):
            total += root[i * (i + 1) // 2 + j] * b[i]
        norm += total * total
    return norm


def cholesky(const double[::1] packed):
    """Factor a packed symmetric matrix.

    Parameters
    ----------
    packed : ndarray, shape (n (n + 1) / 2,)
        Lower triangle by rows; not changed.

    Returns
    -------
    root : ndarray, shape (n (n + 1) / 2,)
        Lower Cholesky factor by rows.
    log_determinant : float
        Of the matrix; NaN if it is not positive definite or not finite.
    """
    cdef int n = <int>((sqrt(8.0 * packed.shape[0] + 1.0) - 1.0) / 2.0 + 0.5)
    if n < 1 or n * (n + 1) // 2 != packed.shape[0]:
        raise ValueError("packed must hold n (n + 1) / 2 numbers, n at least 1")
    root = np.array(packed)
    column = np.empty(n)
    cdef double[::1] root_view = root
    cdef double[::1] column_view = column
    cdef double log_determinant
    with nogil:
        log_determinant = packed_cholesky(&root_view[0], n, &column_view[0])
    return root, log_determinant


def solve(const double[::1] root, const double[::1] b, bint transposed=False):
    """Solve root x = b, or root' x = b, for a packed lower factor.

    Parameters
    ----------
    root : ndarray, shape (n (n + 1) / 2,)
    b : ndarray, shape (n,)
    transposed : bool

    Returns
    -------
    ndarray, shape (n,)
    """
    cdef int n = <int>b.shape[0]
    if n < 1 or n * (n + 1) // 2 != root.shape[0]:
        raise ValueError("root must hold n (n + 1) / 2 numbers for b of length n, n at least 1")
    solution = np.array(b)
    cdef double[::1] view = solution
    with nogil:
        if transposed:
            solve_lower_transposed(&root[0], n, &view[0])
        else:
            solve_lower(&root[0], n, &view[0])
    return solution
