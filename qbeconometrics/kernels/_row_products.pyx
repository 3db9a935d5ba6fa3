"""Sums over rows of products of their entries.

Rows are taken in tiles that stay in the first-level cache, so that nothing but the data is read from
memory.
"""

from libc.stdint cimport int64_t, uintptr_t
from libc.stdlib cimport calloc, free
from scipy.linalg.cython_blas cimport dgemm

cdef extern from "_product_loops.h" nogil:
    const int ROWS
    void ask_for(const double* start, size_t count)
    void turn_tile(double* out, const double* rows, int count, int columns)
    void transform_tile(
        double* out, const double* sources, const double* linear, int count, int width
    )
    void multiply_pairs(double* out, const double* columns, int count)
    void add_squares(double* out, const double* rows, size_t fours, int columns)
    void squared_lengths(double* out, const double* columns, int count)
    void add_column_sums(double* out, const double* columns, int count)
    bint add_inner_products(
        double* out, const double* left, const double* right, int rows, int columns
    )

# Where sums are more than this, BLAS is faster than the loops here.
cdef enum:
    FEW_SUMS = 2048


cdef inline void add_products(
    double* out, const double* left, const double* right, int rows, int columns
) noexcept nogil:
    """out[a, b] += inner product of columns a of `left` and b of `right`."""
    cdef double one = 1.0
    cdef int tile = ROWS
    if rows * columns <= FEW_SUMS and add_inner_products(out, left, right, rows, columns):
        return
    # Column by column, as BLAS has it, the sums are transposed.
    dgemm(
        "T", "N", &columns, &rows, &tile, &one, <double*>right, &tile, <double*>left, &tile, &one,
        out, &columns,
    )


cdef inline Py_ssize_t padded(Py_ssize_t count, Py_ssize_t step) noexcept nogil:
    return (count + step - 1) // step * step


cdef inline double* taken(double** free_space, Py_ssize_t count) noexcept nogil:
    cdef double* start = free_space[0]
    # Vectors lie on the bounds of cache lines.
    free_space[0] = start + padded(count, 8)
    return start


def sum_row_products(
    const double[::1] endog,
    const double[:, ::1] exog,
    const double[:, ::1] instrument,
    const double[:, ::1] row_map,
    const double[:, ::1] instrument_map,
    double[::1] lengths,
    double[:, ::1] fourth,
    double[:, ::1] cross,
    double[::1] instrument_product,
    double[::1] row_product,
):
    """Add the products of entries of rows w = row_map'[y, x] and z = instrument_map' instrument.

    Parameters
    ----------
    endog : ndarray, shape (n,)
        y.
    exog : ndarray, shape (n, k)
        x.
    instrument : ndarray, shape (n, m)
    row_map : ndarray, shape (k + 1, k + 1)
    instrument_map : ndarray, shape (m, m)
    lengths : ndarray, shape (n,)
        Filled with z'z of each row.
    fourth : ndarray, shape ((k + 1)(k + 2)/2, m (m + 1)/2) or (0, 0)
        To which the sums of w_a w_b z_j z_l are added, unless it is empty; pairs are packed by rows
        of the lower triangle.
    cross : ndarray, shape (m + 1, k + 2)
        To which the sum of [1, z] [1, w]' is added.
    instrument_product : ndarray, shape (m (m + 1)/2,)
        To which the sums of z_j z_l are added.
    row_product : ndarray, shape ((k + 1)(k + 2)/2,)
        To which the sums of w_a w_b are added.
    """
    cdef Py_ssize_t n = endog.shape[0], k = exog.shape[1], m = instrument.shape[1]
    cdef Py_ssize_t pairs = (k + 1) * (k + 2) // 2, packed = m * (m + 1) // 2
    cdef bint with_fourth = fourth.shape[0] != 0
    if (
        k < 1 or m < 1 or exog.shape[0] != n or instrument.shape[0] != n or lengths.shape[0] != n
        or row_map.shape[0] != k + 1 or row_map.shape[1] != k + 1
        or instrument_map.shape[0] != m or instrument_map.shape[1] != m
        or fourth.shape[0] != (pairs if with_fourth else 0)
        or fourth.shape[1] != (packed if with_fourth else 0)
        or cross.shape[0] != m + 1 or cross.shape[1] != k + 2
        or instrument_product.shape[0] != packed or row_product.shape[0] != pairs
    ):
        raise ValueError("the shapes do not go together")
    if n == 0:
        return

    # Widths of rows and pairs, filled up with zeros to whole vectors and blocks of sums.
    cdef int w_width = <int>padded(k + 1, 4), z_width = <int>padded(m, 4)
    cdef int w_rows = <int>padded(k + 1, 3)
    cdef int pair_rows = <int>padded(pairs, 3), pair_columns = <int>padded(packed, 4)
    cdef Py_ssize_t columns = max(k + 1, m) + w_width + 2 + z_width + pair_rows + 3 + pair_columns + 1
    cdef Py_ssize_t numbers = (
        columns * ROWS
        + (k + 1) * w_width
        + m * z_width
        + (<Py_ssize_t>pair_rows * pair_columns if with_fourth else 0)
        + w_rows * z_width + w_width + z_width + pair_rows + 3 + pair_columns
        + 8 * 16
    )
    cdef void* memory = calloc(numbers, sizeof(double))
    if memory == NULL:
        raise MemoryError
    cdef double* space = <double*>((<uintptr_t>memory + 63) // 64 * 64)
    cdef double* turned = taken(&space, max(k + 1, m) * ROWS)
    cdef double* w = taken(&space, (w_width + 2) * ROWS)
    cdef double* z = taken(&space, z_width * ROWS)
    cdef double* w_pairs = taken(&space, (pair_rows + 3) * ROWS)
    cdef double* z_pairs = taken(&space, pair_columns * ROWS)
    cdef double* squares = taken(&space, ROWS)
    cdef double* w_map = taken(&space, (k + 1) * w_width)
    cdef double* z_map = taken(&space, m * z_width)
    cdef double* crossed = taken(&space, w_rows * z_width)
    cdef double* w_sums = taken(&space, w_width)
    cdef double* z_sums = taken(&space, z_width)
    cdef double* w_pair_sums = taken(&space, pair_rows + 3)
    cdef double* z_pair_sums = taken(&space, pair_columns)
    cdef double* sums = NULL
    if with_fourth:
        sums = taken(&space, <Py_ssize_t>pair_rows * pair_columns)
    cdef int size
    cdef Py_ssize_t i, j, following, start = 0
    with nogil:
        for i in range(k + 1):
            for j in range(k + 1):
                w_map[i * w_width + j] = row_map[i, j]
        for i in range(m):
            for j in range(m):
                z_map[i * z_width + j] = instrument_map[i, j]
        while start < n:
            size = <int>min(<Py_ssize_t>ROWS, n - start)
            following = min(<Py_ssize_t>ROWS, n - start - size)
            if following > 0:
                ask_for(&endog[start + size], following)
                ask_for(&exog[start + size, 0], following * k)
                ask_for(&instrument[start + size, 0], following * m)
            turn_tile(turned, &endog[start], size, 1)
            turn_tile(turned + ROWS, &exog[start, 0], size, <int>k)
            transform_tile(w, turned, w_map, <int>(k + 1), w_width)
            turn_tile(turned, &instrument[start, 0], size, <int>m)
            transform_tile(z, turned, z_map, <int>m, z_width)
            multiply_pairs(w_pairs, w, <int>(k + 1))
            multiply_pairs(z_pairs, z, <int>m)
            squared_lengths(squares, z, <int>m)
            for i in range(size):
                lengths[start + i] = squares[i]
            if with_fourth:
                add_products(sums, w_pairs, z_pairs, pair_rows, pair_columns)
            add_products(crossed, w, z, w_rows, z_width)
            add_column_sums(w_sums, w, w_width)
            add_column_sums(z_sums, z, z_width)
            add_column_sums(w_pair_sums, w_pairs, <int>pairs)
            add_column_sums(z_pair_sums, z_pairs, pair_columns)
            start += size
        if with_fourth:
            for i in range(pairs):
                for j in range(packed):
                    fourth[i, j] += sums[i * pair_columns + j]
        cross[0, 0] += n
        for i in range(k + 1):
            cross[0, i + 1] += w_sums[i]
            for j in range(m):
                cross[j + 1, i + 1] += crossed[i * z_width + j]
        for j in range(m):
            cross[j + 1, 0] += z_sums[j]
        for i in range(pairs):
            row_product[i] += w_pair_sums[i]
        for i in range(packed):
            instrument_product[i] += z_pair_sums[i]
    free(memory)


# Rows that are looked at twice while the cache has them; a multiple of four.
cdef enum:
    SEEN_ROWS = 1024


def compare_columns(
    const double[:, ::1] left,
    const double[:, ::1] right,
    const int64_t[:, ::1] pairs,
    double[::1] left_squares,
    double[::1] right_squares,
):
    """Add up the squares of all columns, and tell whether some are the same, in one pass.

    Parameters
    ----------
    left : ndarray, shape (n, a)
    right : ndarray, shape (n, b)
    pairs : ndarray of int64, shape (p, 2)
        Columns of `left` and of `right` that are compared.
    left_squares : ndarray, shape (a,)
        Filled with the sum of squares of each column.
    right_squares : ndarray, shape (b,)

    Returns
    -------
    bool
        Whether the two columns of every pair are equal in every row. NaN equals nothing.
    """
    cdef Py_ssize_t n = left.shape[0], a = left.shape[1], b = right.shape[1], p, i, c
    if (
        a < 1 or b < 1 or right.shape[0] != n or pairs.shape[1] != 2
        or left_squares.shape[0] != a or right_squares.shape[0] != b
    ):
        raise ValueError("the shapes do not go together")
    for p in range(pairs.shape[0]):
        if not (0 <= pairs[p, 0] < a and 0 <= pairs[p, 1] < b):
            raise ValueError("pairs name columns that are not there")
    left_squares[:] = 0.0
    right_squares[:] = 0.0
    cdef double* totals = <double*>calloc(4 * (a + b), sizeof(double))
    if totals == NULL:
        raise MemoryError
    cdef Py_ssize_t start = 0, stop, whole
    cdef int64_t first, second
    cdef bint differ = False
    with nogil:
        while start < n:
            stop = min(n, start + <Py_ssize_t>SEEN_ROWS)
            whole = (stop - start) // 4
            if whole > 0:
                add_squares(totals, &left[start, 0], whole, <int>a)
                add_squares(totals + 4 * a, &right[start, 0], whole, <int>b)
            for i in range(start + 4 * whole, stop):
                for c in range(a):
                    totals[c] += left[i, c] * left[i, c]
                for c in range(b):
                    totals[4 * a + c] += right[i, c] * right[i, c]
            for p in range(pairs.shape[0]):
                first, second = pairs[p, 0], pairs[p, 1]
                for i in range(start, stop):
                    differ |= left[i, first] != right[i, second]
            start = stop
        for i in range(4):
            for c in range(a):
                left_squares[c] += totals[i * a + c]
            for c in range(b):
                right_squares[c] += totals[4 * a + i * b + c]
    free(totals)
    return not differ
