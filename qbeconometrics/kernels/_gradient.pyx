"""The gradient of the log quasi-posterior of linear moments.

With v = S^-1 g, the derivative of the log quasi-likelihood by S is B = (v v' - S^-1)/2, without
S^-1 where the determinant is left out. Then, by form of S (see _linear_moments.pyx),

    gradient = jacobian' v + sum_jl B_jl dS_jl/dx + gradient of the log prior
    STATISTIC     -2 sum_b (sum_jl B_jl T_ab[j, l]) phi_b
    ROWS          -2 factor sum_i r_i (z_i' B z_i) x_i + 2 centering jacobian' B g
    PROPORTIONAL  -2 (sum_jl B_jl V_jl) (W phi)_a

following the derivatives of quadratic forms and log-determinants in any matrix calculus.
"""

import numpy as np

from libc.math cimport INFINITY
from libc.stdlib cimport free, malloc

from qbeconometrics.kernels._cholesky cimport solve_lower, solve_lower_transposed
from qbeconometrics.kernels._linear_moments cimport (
    LinearMomentTarget,
    evaluate,
    place_point,
    point_size,
    scratch_size,
)
from qbeconometrics.kernels._target cimport PROPORTIONAL, ROWS, STATISTIC, Point, Target


cdef extern from "_hot_loops.h":
    void add_four_rows(double* out, const double* rows, size_t size, const double* w) nogil
    void four_residuals(
        double* out, const double* start, const double* rows, const double* x, int k
    ) nogil
    void four_squared_lengths(
        double* out, const double* rows, const double* columns, int m, int p
    ) nogil
    void four_inner_products(
        double* out, const double* rows, const double* w, size_t size
    ) nogil
    int padded(int m) nogil


cdef Py_ssize_t gradient_scratch_size(const Target* t) noexcept nogil:
    """Numbers of work space that `add_gradient` needs."""
    cdef Py_ssize_t m = t.m, p = padded(t.m)
    cdef Py_ssize_t by_statistic = (t.k + 1) + t.pairs + m * (m + 1) // 2
    cdef Py_ssize_t by_rows = 4 * (m + t.k)
    return m + m * p + (by_statistic if by_statistic > by_rows else by_rows)


cdef void add_gradient(
    const Target* t, const Point* p, double* gradient, double* scratch
) noexcept nogil:
    """Write the gradient (k,) at an evaluated point."""
    cdef int j, a, m = t.m
    cdef double share = 1.0
    cdef double* v = scratch
    cdef double* work = scratch + m
    cdef const double* row
    for j in range(m):
        v[j] = p.g[j]
    solve_lower(p.root, m, v)
    solve_lower_transposed(p.root, m, v)
    prior_gradient(t, p.x, gradient)
    if t.form == STATISTIC:
        add_by_statistic(t, p, v, gradient, work)
    elif t.form == ROWS:
        add_by_rows(t, p, v, gradient, work)
        # 2 B g = v (g'v - 1), without the 1 where the determinant is left out.
        share += t.centering * (p.quadratic - (1.0 if t.use_determinant else 0.0))
    elif t.scale_matrix != NULL:
        add_by_scale(t, p, gradient)
    for j in range(m):
        row = t.jacobian + j * t.k
        for a in range(t.k):
            gradient[a] += share * v[j] * row[a]


cdef void prior_gradient(const Target* t, const double* x, double* gradient) noexcept nogil:
    cdef int a, b, j
    cdef double total, df
    cdef const double* row
    for a in range(t.k):
        row = t.prior_precision + a * t.k
        total = 0.0
        for b in range(t.k):
            total -= row[b] * (x[b] - t.prior_mean[b])
        gradient[a] = total
    for j in range(t.student_terms):
        row = t.student_rows + j * t.k
        df = t.student_df[j]
        total = t.student_offset[j]
        for a in range(t.k):
            total += row[a] * x[a]
        total *= (df + 1.0) / (df + total * total)
        for a in range(t.k):
            gradient[a] -= total * row[a]


cdef void invert_lower(const double* root, int m, int p, double* columns) noexcept nogil:
    """Write column l of the inverse of the packed factor to row l of `columns` (m, p).

    That is the inverse of the factor's transpose by rows, from the last row upwards.
    """
    cdef int i, j, l
    cdef double factor
    cdef double* out
    cdef const double* below
    for i in range(m - 1, -1, -1):
        out = columns + <Py_ssize_t>i * p
        for l in range(p):
            out[l] = 0.0
        out[i] = 1.0
        for j in range(i + 1, m):
            below = columns + <Py_ssize_t>j * p
            factor = root[j * (j + 1) // 2 + i]
            for l in range(j, m):
                out[l] -= factor * below[l]
        factor = 1.0 / root[i * (i + 1) // 2 + i]
        for l in range(i, m):
            out[l] *= factor


cdef void add_by_rows(
    const Target* t, const Point* p, const double* v, double* gradient, double* work
) noexcept nogil:
    cdef int c, a, rows, k = t.k, m = t.m, width = padded(t.m)
    cdef Py_ssize_t i = 0
    cdef double* columns = work
    cdef double* spare = work + <Py_ssize_t>m * width
    cdef double lengths[4]
    cdef double products[4]
    cdef double residuals[4]
    cdef double weight[4]
    cdef double nothing[4]
    cdef const double* z
    cdef const double* x
    cdef const double* residual
    for c in range(4):
        nothing[c] = 0.0
        lengths[c] = 0.0
    if t.use_determinant:
        invert_lower(p.root, m, width, columns)
    while i < t.n:
        rows = 4
        z = t.instrument + i * m
        x = t.regressor + i * k
        residual = t.residual + i
        if i + 4 > t.n:
            # The last rows are padded with rows of zeros, which add nothing.
            rows = <int>(t.n - i)
            for a in range(4 * (m + k)):
                spare[a] = 0.0
            for a in range(rows * m):
                spare[a] = z[a]
            for a in range(rows * k):
                spare[4 * m + a] = x[a]
            for c in range(4):
                weight[c] = residual[c] if c < rows else 0.0
            z = spare
            x = spare + 4 * m
            four_residuals(residuals, weight, x, p.x, k)
        else:
            four_residuals(residuals, residual, x, p.x, k)
        four_residuals(products, nothing, z, v, m)
        if t.use_determinant:
            four_squared_lengths(lengths, z, columns, m, width)
        for c in range(4):
            weight[c] = -t.row_factor * residuals[c] * (products[c] * products[c] - lengths[c])
        add_four_rows(gradient, x, k, weight)
        i += rows


cdef void add_by_statistic(
    const Target* t, const Point* p, const double* v, double* gradient, double* work
) noexcept nogil:
    cdef int a, b, j, l, i, q, k = t.k, m = t.m, width = padded(t.m)
    cdef Py_ssize_t size = m * (m + 1) // 2
    cdef double total
    cdef double* columns = work
    cdef double* phi = work + <Py_ssize_t>m * width
    cdef double* by_pair = phi + k + 1
    cdef double* by_covariance = by_pair + t.pairs
    cdef const double* first
    cdef const double* second
    # Twice B off the diagonal, where an element of S stands twice.
    q = 0
    for j in range(m):
        for l in range(j + 1):
            by_covariance[q] = v[j] * v[l] * (1.0 if l < j else 0.5)
            q += 1
    if t.use_determinant:
        invert_lower(p.root, m, width, columns)
        q = 0
        for j in range(m):
            first = columns + <Py_ssize_t>j * width
            for l in range(j + 1):
                second = columns + <Py_ssize_t>l * width
                total = 0.0
                for i in range(j, m):
                    total += first[i] * second[i]
                by_covariance[q] -= total * (1.0 if l < j else 0.5)
                q += 1
    q = 0
    while q + 3 < t.pairs:
        four_inner_products(by_pair + q, t.statistic + q * size, by_covariance, size)
        q += 4
    while q < t.pairs:
        total = 0.0
        for i in range(size):
            total += t.statistic[q * size + i] * by_covariance[i]
        by_pair[q] = total
        q += 1
    phi[0] = 1.0
    for a in range(k):
        phi[a + 1] = -p.x[a]
    q = 0
    for b in range(k + 1):
        for a in range(b + 1):
            if b > 0:
                gradient[b - 1] -= 2.0 * by_pair[q] * phi[a]
            if a > 0 and a < b:
                gradient[a - 1] -= 2.0 * by_pair[q] * phi[b]
            q += 1


cdef void add_by_scale(const Target* t, const Point* p, double* gradient) noexcept nogil:
    """S = s V: the sum of B V is (g'S^-1 g - m)/(2 s), without m where the determinant is left out."""
    cdef int a, b, width = t.k + 1
    cdef double scale = 0.0, total, factor
    cdef const double* row
    for a in range(width):
        row = t.scale_matrix + a * width
        total = row[0]
        for b in range(t.k):
            total -= row[b + 1] * p.x[b]
        scale += total * (1.0 if a == 0 else -p.x[a - 1])
    factor = (p.quadratic - (t.m if t.use_determinant else 0.0)) / scale
    for a in range(t.k):
        row = t.scale_matrix + (a + 1) * width
        total = row[0]
        for b in range(t.k):
            total -= row[b + 1] * p.x[b]
        gradient[a] -= factor * total


def log_density_and_gradient(LinearMomentTarget target not None, point):
    """Return the log density and its gradient at one point.

    Parameters
    ----------
    target : LinearMomentTarget
    point : ndarray, shape (k,)
        In scaled coordinates.

    Returns
    -------
    value : float
        Minus infinity where S is not positive definite.
    gradient : ndarray, shape (k,)
        Zero there.
    """
    cdef const Target* t = &target.c
    point = np.ascontiguousarray(point, dtype=np.float64)
    if point.shape != (t.k,):
        raise ValueError(f"point has shape {point.shape}, expected {(t.k,)}")
    gradient = np.zeros(t.k)
    cdef const double[::1] x = point
    cdef double[::1] out = gradient
    cdef int a
    cdef double value = -INFINITY
    cdef Point p
    cdef Py_ssize_t needed = point_size(t) + scratch_size(t) + gradient_scratch_size(t)
    cdef double* memory = <double*>malloc(needed * sizeof(double))
    if memory == NULL:
        raise MemoryError
    place_point(t, &p, memory)
    with nogil:
        for a in range(t.k):
            p.x[a] = x[a]
        if evaluate(t, &p, memory + point_size(t)):
            value = p.log_likelihood + p.log_prior
            add_gradient(t, &p, &out[0], memory + point_size(t) + scratch_size(t))
    free(memory)
    return value, gradient
