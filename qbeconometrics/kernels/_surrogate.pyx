"""The normal law of the quasi-posterior with S frozen at a point, as a proposal."""

from libc.math cimport INFINITY, isfinite, log

from qbeconometrics.kernels._cholesky cimport (
    packed_cholesky,
    solve_lower,
    solve_lower_columns,
    solve_lower_transposed,
    squared_norm_transposed,
)
from qbeconometrics.kernels._target cimport Point, Target


cdef bint fit_surrogate(
    const Target* t, const Point* p, Surrogate* s, bint with_prior, double* scratch
) noexcept nogil:
    """Fill `s` from the factor of S at `p`; `scratch` holds m k + m + k numbers."""
    cdef int i, a, b, k = t.k, m = t.m
    cdef double total
    cdef double* B = scratch
    cdef double* h = scratch + m * k
    cdef double* row
    cdef double* out
    for i in range(m * k):
        B[i] = t.jacobian[i]
    for i in range(m):
        h[i] = t.intercept[i]
    solve_lower_columns(p.root, m, B, k)
    solve_lower(p.root, m, h)
    for a in range(k):
        out = s.root + a * (a + 1) // 2
        for b in range(a + 1):
            out[b] = t.prior_precision[a * k + b] if with_prior else 0.0
        total = 0.0
        if with_prior:
            for b in range(k):
                total += t.prior_precision[a * k + b] * t.prior_mean[b]
        s.mean[a] = total
    for i in range(m):
        row = B + i * k
        for a in range(k):
            total = row[a]
            out = s.root + a * (a + 1) // 2
            for b in range(a + 1):
                out[b] += total * row[b]
            s.mean[a] += total * h[i]
    s.log_determinant = packed_cholesky(s.root, k, scratch + m * k + m)
    if not isfinite(s.log_determinant):
        return False
    solve_lower(s.root, k, s.mean)
    solve_lower_transposed(s.root, k, s.mean)
    return True


cdef double log_proposal(double log_determinant, double distance, double df, int k) noexcept nogil:
    """Log density, up to a constant, at squared scaled distance from the proposal's centre."""
    if df == INFINITY:
        return 0.5 * log_determinant - 0.5 * distance
    return 0.5 * log_determinant - 0.5 * (df + k) * log(1.0 + distance / df)


cdef double surrogate_distance(
    const Target* t, const Surrogate* s, const double* to, const double* start, double rho,
    double* scratch,
) noexcept nogil:
    """Squared distance of `to` from the centre of the proposal made at `start`."""
    cdef int a
    for a in range(t.k):
        scratch[a] = to[a] - s.mean[a] - rho * (start[a] - s.mean[a])
    return squared_norm_transposed(s.root, t.k, scratch) / (1.0 - rho * rho)


cdef double moment_distance(
    const Target* t, const Point* p, const double* to, const double* start, double rho,
    double* scratch,
) noexcept nogil:
    """The same without prior and with m = k, from the moment means `to` and `start`."""
    cdef int j
    cdef double total = 0.0
    for j in range(t.m):
        scratch[j] = to[j] - rho * start[j]
    solve_lower(p.root, t.m, scratch)
    for j in range(t.m):
        total += scratch[j] * scratch[j]
    return total / (1.0 - rho * rho)
