"""S(x), packed by rows, in each of its forms: see _linear_moments.pyx."""

from qbeconometrics.kernels._target cimport Target


cdef extern from "_hot_loops.h":
    void add_four_rows(double* out, const double* rows, size_t size, const double* w) nogil
    void add_four_outer_products(double* out, const double* scores, int m, int p) nogil
    void four_residuals(
        double* out, const double* start, const double* rows, const double* x, int k
    ) nogil
    int padded(int m) nogil


cdef void covariance_from_statistic(
    const Target* t, const double* x, double* packed, double* scratch
) noexcept nogil:
    cdef int a, b, p, q
    cdef int size = t.m * (t.m + 1) // 2
    cdef double* phi = scratch
    cdef double* weight = scratch + t.k + 1
    cdef double w0
    cdef const double* row
    phi[0] = 1.0
    for a in range(t.k):
        phi[a + 1] = -x[a]
    p = 0
    for b in range(t.k + 1):
        for a in range(b):
            weight[p] = 2.0 * phi[a] * phi[b]
            p += 1
        weight[p] = phi[b] * phi[b]
        p += 1
    for q in range(size):
        packed[q] = weight[0] * t.statistic[q]
    p = 1
    # Four pairs at a time: S is read and written once for four products.
    while p + 3 < t.pairs:
        add_four_rows(packed, t.statistic + <Py_ssize_t>p * size, size, weight + p)
        p += 4
    while p < t.pairs:
        row = t.statistic + <Py_ssize_t>p * size
        w0 = weight[p]
        for q in range(size):
            packed[q] += w0 * row[q]
        p += 1


cdef void covariance_from_rows(
    const Target* t, const double* x, const double* g, double* packed, double* scratch
) noexcept nogil:
    """Add four rows at a time: S is read and written once for four outer products."""
    cdef int j, l, c, m = t.m, p = padded(t.m), rows
    cdef Py_ssize_t i = 0
    cdef double* scores = scratch
    cdef double* square = scratch + 4 * p
    cdef double* out
    cdef const double* z
    cdef double residuals[4]
    for j in range((4 + m) * p):
        scratch[j] = 0.0
    while i < t.n:
        rows = 4
        if i + 4 <= t.n:
            four_residuals(residuals, t.residual + i, t.regressor + i * t.k, x, t.k)
        else:
            rows = <int>(t.n - i)
            for j in range(4 * p):
                scores[j] = 0.0
            for c in range(rows):
                residuals[c] = t.residual[i + c]
                for l in range(t.k):
                    residuals[c] -= t.regressor[(i + c) * t.k + l] * x[l]
        for c in range(rows):
            z = t.instrument + (i + c) * m
            out = scores + c * p
            for j in range(m):
                out[j] = residuals[c] * z[j]
        add_four_outer_products(square, scores, m, p)
        i += rows
    for j in range(m):
        out = packed + j * (j + 1) // 2
        for l in range(j + 1):
            out[l] = t.row_factor * square[j * p + l] - t.centering * g[j] * g[l]


cdef double proportional_scale(const Target* t, const double* x) noexcept nogil:
    """Return phi' W phi, or 1 when there is no W."""
    cdef int a, b
    cdef double total = 0.0, row_total, phi_a
    cdef const double* row
    if t.scale_matrix == NULL:
        return 1.0
    for a in range(t.k + 1):
        row = t.scale_matrix + a * (t.k + 1)
        row_total = row[0]
        for b in range(t.k):
            row_total -= row[b + 1] * x[b]
        phi_a = 1.0 if a == 0 else -x[a - 1]
        total += phi_a * row_total
    return total
