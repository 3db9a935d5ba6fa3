"""Products of the entries of rows, laid out for one matrix product a block.

Rows of the data lie along the last axis of what is filled, so that every loop runs over contiguous
numbers and is vectorised by the compiler.
"""

from libc.stdlib cimport free, malloc
from scipy.linalg.cython_blas cimport dgemm

cdef extern from "_hot_loops.h" nogil:
    void multiply_pairs(double* out, const double* rows, int count, int n, int stride)
    void transform_rows(
        double* out,
        const double* rows,
        const double* linear,
        int n,
        int columns,
        int stride,
        double* turned,
    )
    int TILE


def row_products(
    const double[::1] endog,
    const double[:, ::1] exog,
    const double[:, ::1] instrument,
    const double[::1] centre,
    const double[:, ::1] regressor_map,
    const double[:, ::1] instrument_map,
    double[:, ::1] w,
    double[:, ::1] z,
    double[:, ::1] w_pairs,
    double[:, ::1] z_pairs,
    double[::1] lengths,
    double[:, ::1] fourth,
):
    """Fill rows in a basis, and the products of their entries.

    Parameters
    ----------
    endog : ndarray, shape (n,)
    exog : ndarray, shape (n, k)
    instrument : ndarray, shape (n, m)
    centre : ndarray, shape (k,)
    regressor_map : ndarray, shape (k, k)
    instrument_map : ndarray, shape (m, m)
    w : ndarray, shape (k + 1, size), size >= n unless `fourth` is asked for
        Filled with y - x'centre and R'x, in the first n places of each row.
    z : ndarray, shape (m, size)
        Filled with C'z.
    w_pairs : ndarray, shape ((k + 1)(k + 2)/2, size)
        Filled with w_a w_b, b <= a, by rows of the lower triangle.
    z_pairs : ndarray, shape (m (m + 1)/2, size)
        Filled with z_j z_l.
    lengths : ndarray, shape (n,)
        Filled with the sums of z_j^2.
    fourth : ndarray, shape ((k + 1)(k + 2)/2, m (m + 1)/2) or (0, 0)
        To which the sums of w_a w_b z_j z_l are added, piece by piece of `size` rows, which then
        need not be as many as n. Empty: there is one piece, of at most `size` rows.
    """
    cdef int n = <int>endog.shape[0], k = <int>exog.shape[1], m = <int>instrument.shape[1]
    cdef int size = <int>w.shape[1], i, j
    cdef double weight
    cdef int start, piece
    cdef int rows_of_fourth = <int>fourth.shape[0], columns_of_fourth = <int>fourth.shape[1]
    cdef double one = 1.0
    cdef double* residual
    cdef double* turned
    cdef const double* square
    if (
        exog.shape[0] != n or instrument.shape[0] != n or size < 1
        or (size < n and fourth.shape[0] == 0)
        or centre.shape[0] != k
        or regressor_map.shape[0] != k or regressor_map.shape[1] != k
        or instrument_map.shape[0] != m or instrument_map.shape[1] != m
        or w.shape[0] != k + 1 or z.shape[0] != m or z.shape[1] != size
        or w_pairs.shape[0] != (k + 1) * (k + 2) // 2 or w_pairs.shape[1] != size
        or z_pairs.shape[0] != m * (m + 1) // 2 or z_pairs.shape[1] != size
        or lengths.shape[0] != n
        or (fourth.shape[0] != 0 and fourth.shape[0] != w_pairs.shape[0])
        or (fourth.shape[0] != 0 and fourth.shape[1] != z_pairs.shape[0])
    ):
        raise ValueError("the shapes do not go together")
    if n == 0:
        return
    turned = <double*> malloc(max(k, m) * TILE * sizeof(double))
    if turned == NULL:
        raise MemoryError
    with nogil:
        start = 0
        while start < n:
            piece = min(size, n - start)
            transform_rows(
                &w[1, 0], &exog[start, 0], &regressor_map[0, 0], piece, k, size, turned
            )
            transform_rows(
                &z[0, 0], &instrument[start, 0], &instrument_map[0, 0], piece, m, size, turned
            )
            residual = &w[0, 0]
            for i in range(piece):
                weight = endog[start + i]
                for j in range(k):
                    weight = weight - exog[start + i, j] * centre[j]
                residual[i] = weight
            multiply_pairs(&w_pairs[0, 0], &w[0, 0], k + 1, piece, size)
            multiply_pairs(&z_pairs[0, 0], &z[0, 0], m, piece, size)
            for i in range(piece):
                lengths[start + i] = 0.0
            for j in range(m):
                square = &z_pairs[j * (j + 3) // 2, 0]
                for i in range(piece):
                    lengths[start + i] += square[i]
            if rows_of_fourth > 0:
                # Column by column, as BLAS has it, `fourth` is its transpose.
                dgemm(
                    "T", "N", &columns_of_fourth, &rows_of_fourth, &piece, &one,
                    &z_pairs[0, 0], &size, &w_pairs[0, 0], &size, &one,
                    &fourth[0, 0], &columns_of_fourth,
                )
            start += piece
    free(turned)
