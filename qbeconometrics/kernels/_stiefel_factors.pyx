"""Orthonormal matrices by polar factors and by the Cayley transform; see the twin of _stiefel."""

from libc.float cimport DBL_EPSILON
from libc.math cimport NAN, copysign, fabs, hypot, isfinite, log, sqrt
from libc.string cimport memset

from qbeconometrics.kernels._stiefel_chart cimport Chart, dot, extra_df, multiply, rotate

# One-sided rotations converge quadratically, in fewer than ten sweeps.
cdef int MOST_SWEEPS = 40


# Polar: scratch holds U' (k, p), V' (k, k), the singular values, G V' and work (k, k).


cdef bint polar_forward(const Chart* c, const double* x, double* Q, double* scratch) noexcept nogil:
    cdef int i, j, sweep, p = c.p, k = c.k
    cdef double* left = scratch + 2 * p * k
    cdef double* right = left + p * k
    cdef double* values = right + k * k
    cdef double alpha, beta, gamma, zeta, t, cos, tolerance = DBL_EPSILON * (p if p > 10 else 10)
    cdef bint turned
    memset(right, 0, k * k * sizeof(double))
    for j in range(k):
        right[j * k + j] = 1.0
        for i in range(p):
            left[j * p + i] = x[i * k + j]
    for sweep in range(MOST_SWEEPS):
        turned = False
        for i in range(k):
            for j in range(i + 1, k):
                alpha = dot(left + i * p, left + i * p, p)
                beta = dot(left + j * p, left + j * p, p)
                gamma = dot(left + i * p, left + j * p, p)
                if not fabs(gamma) > tolerance * sqrt(alpha) * sqrt(beta):
                    continue
                turned = True
                zeta = 0.5 * (beta - alpha) / gamma
                t = copysign(1.0, zeta) / (fabs(zeta) + hypot(1.0, zeta))
                cos = 1.0 / sqrt(1.0 + t * t)
                rotate(left + i * p, left + j * p, p, cos, cos * t)
                rotate(right + i * k, right + j * k, k, cos, cos * t)
        if not turned:
            break
    for j in range(k):
        values[j] = sqrt(dot(left + j * p, left + j * p, p))
        if not (values[j] > 0.0 and isfinite(values[j])):
            return False
        for i in range(p):
            left[j * p + i] /= values[j]
    multiply(left, right, p, k, k, True, Q)
    return True


cdef bint polar_pull_back(
    const Chart* c, const double* x, double* value, double* gradient, double* scratch
) noexcept nogil:
    cdef int a, b, i, p = c.p, k = c.k
    cdef double* slope = scratch + p * k
    cdef double* left = scratch + 2 * p * k
    cdef double* right = left + p * k
    cdef double* values = right + k * k
    cdef double* turned = values + k  # (G V)', one singular direction after the other
    cdef double* inner = turned + p * k
    cdef double factor, extra = extra_df(c, p), log_values = 0.0
    for b in range(k):
        for i in range(p):
            turned[b * p + i] = dot(slope + i * k, right + b * k, k)
        for a in range(k):
            inner[a * k + b] = dot(left + a * p, turned + b * p, p)
    for b in range(k):
        # What lies outside of the columns of U; nothing, were it not for rounding, if U is square.
        for i in range(p):
            turned[b * p + i] *= 1.0 / values[b] if p > k else 0.0
        for a in range(k):
            factor = (inner[a * k + b] - inner[b * k + a]) / (values[a] + values[b])
            if p > k:
                factor -= inner[a * k + b] / values[b]
            if a == b:
                factor += extra / values[b]
            for i in range(p):
                turned[b * p + i] += factor * left[a * p + i]
        log_values += log(values[b])
    multiply(turned, right, p, k, k, True, gradient)
    for i in range(p * k):
        gradient[i] -= x[i]
    value[0] = extra * log_values - 0.5 * dot(x, x, p * k)
    return True


# Cayley: scratch holds N, log det N, A N and work.


cdef double invert(double* matrix, int n, double* inverse) noexcept nogil:
    """Fill the inverse, destroy the matrix; return the log of the absolute determinant or NaN."""
    cdef int i, j, l, pivot
    cdef double factor, log_determinant = 0.0
    memset(inverse, 0, n * n * sizeof(double))
    for i in range(n):
        inverse[i * n + i] = 1.0
    for j in range(n):
        pivot = j
        for i in range(j + 1, n):
            if fabs(matrix[i * n + j]) > fabs(matrix[pivot * n + j]):
                pivot = i
        factor = matrix[pivot * n + j]
        if not (fabs(factor) > 0.0 and isfinite(factor)):
            return NAN
        log_determinant += log(fabs(factor))
        for l in range(n):
            # Rows change places, and the new row is divided by its pivot.
            matrix[pivot * n + l], matrix[j * n + l] = matrix[j * n + l], matrix[pivot * n + l]
            inverse[pivot * n + l], inverse[j * n + l] = inverse[j * n + l], inverse[pivot * n + l]
        for l in range(n):
            matrix[j * n + l] /= factor
            inverse[j * n + l] /= factor
        for i in range(n):
            factor = matrix[i * n + j]
            if i != j and factor != 0.0:
                for l in range(n):
                    matrix[i * n + l] -= factor * matrix[j * n + l]
                    inverse[i * n + l] -= factor * inverse[j * n + l]
    return log_determinant


cdef bint cayley_forward(const Chart* c, const double* x, double* Q, double* scratch) noexcept nogil:
    cdef int i, j, p = c.p, k = c.k
    cdef const double* A = x + k * (k - 1) // 2
    cdef const double* B = x
    cdef double* N = scratch + 2 * p * k
    cdef double* log_determinant = N + k * k
    cdef double* inner = log_determinant + 1
    multiply(A, A, k, p - k, k, True, inner)
    for i in range(k):
        inner[i * k + i] += 1.0
        for j in range(i):
            inner[i * k + j] -= B[0]
            inner[j * k + i] += B[0]
            B += 1
    log_determinant[0] = -invert(inner, k, N)
    if not isfinite(log_determinant[0]):
        return False
    multiply(A, N, p - k, k, k, False, Q + k * k)
    for i in range(p * k):
        Q[i] = 2.0 * (N[i] if i < k * k else Q[i])
    for i in range(k):
        Q[i * k + i] -= 1.0
    return True


cdef bint cayley_pull_back(
    const Chart* c, const double* x, double* value, double* gradient, double* scratch
) noexcept nogil:
    cdef int i, j, p = c.p, k = c.k, n = k * (k - 1) // 2
    cdef const double* A = x + n
    cdef double* upper = scratch + p * k
    cdef double* lower = upper + k * k
    cdef double* N = scratch + 2 * p * k
    cdef double* by_N = N + k * k + 1
    cdef double* first = by_N + k * k
    cdef double* by_A = gradient + n
    multiply(A, lower, k, p - k, k, True, by_N)
    for i in range(k * k):
        by_N[i] = 2.0 * (by_N[i] + upper[i])
    # -N' by_N N' - (p - 1) N'; then its symmetric part, twice.
    multiply(N, by_N, k, k, k, True, first)
    for i in range(k):
        for j in range(k):
            by_N[i * k + j] = -dot(first + i * k, N + j * k, k) - (p - 1) * N[j * k + i]
    for i in range(k):
        for j in range(i):
            gradient[0] = by_N[j * k + i] - by_N[i * k + j]
            gradient += 1
            by_N[i * k + j] += by_N[j * k + i]
            by_N[j * k + i] = by_N[i * k + j]
        by_N[i * k + i] *= 2.0
    multiply(A, by_N, p - k, k, k, False, by_A)
    for i in range(p - k):
        for j in range(k):
            by_A[i * k + j] += 2.0 * dot(lower + i * k, N + j * k, k)
    value[0] = c.size * log(2.0) + (p - 1) * N[k * k]
    return True
