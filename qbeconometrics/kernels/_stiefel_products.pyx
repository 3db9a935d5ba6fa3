"""Orthonormal matrices by reflections and by rotations; see the twin of _stiefel."""

from libc.math cimport fabs, hypot, isfinite, log, sqrt
from libc.string cimport memcpy, memset

from qbeconometrics.kernels._stiefel_chart cimport Chart, dot, extra_df, rotate

# Of the radius that carries an angle.
cdef double RADIUS_SD = 0.1


# Householder: scratch holds a and two rows of work.


cdef double reflector(const double* v, int m, int sign, double* a, double* length) noexcept nogil:
    """Fill a and ||v|| of the reflection; return a'a."""
    cdef double tail = dot(v + 1, v + 1, m - 1)
    length[0] = sqrt(v[0] * v[0] + tail)
    memcpy(a, v, m * sizeof(double))
    if sign * v[0] < 0.0:
        a[0] = sign * tail / (length[0] - sign * v[0])
    else:
        a[0] = v[0] + sign * length[0]
    return 2.0 * length[0] * fabs(a[0])


cdef void products(
    const double* a, const double* block, int m, int n, int stride, double* out
) noexcept nogil:
    """Write a' block, of m rows and n columns."""
    cdef int i, j
    memset(out, 0, n * sizeof(double))
    for i in range(m):
        for j in range(n):
            out[j] += a[i] * block[i * stride + j]


cdef void reflect(
    const double* a, double square, double* block, int m, int n, int stride, double* work
) noexcept nogil:
    cdef int i, j
    cdef double factor
    products(a, block, m, n, stride, work)
    for i in range(m):
        factor = 2.0 / square * a[i]
        for j in range(n):
            block[i * stride + j] -= factor * work[j]


cdef bint householder_forward(
    const Chart* c, const double* x, double* Q, double* scratch
) noexcept nogil:
    cdef int i, p = c.p, k = c.k
    cdef Py_ssize_t begin = c.size
    cdef double* a = scratch + 2 * p * k
    cdef double square, length
    memset(Q, 0, p * k * sizeof(double))
    for i in range(k):
        Q[i * k + i] = 1.0
    Q[p * k - 1] *= c.last_sign
    for i in range((k if k < p else p - 1) - 1, -1, -1):
        begin -= p - i
        square = reflector(x + begin, p - i, c.sign, a, &length)
        if not (square > 0.0 and isfinite(square)):
            return False
        reflect(a, square, Q + i * k + i, p - i, k - i, k, a + p)
    for i in range(p * k):
        Q[i] *= -c.sign
    return True


cdef bint householder_pull_back(
    const Chart* c, const double* x, double* value, double* gradient, double* scratch
) noexcept nogil:
    cdef int i, r, m, n, p = c.p, k = c.k
    cdef Py_ssize_t begin = 0
    cdef double* a = scratch + 2 * p * k
    cdef double* by_a = a + p
    cdef double* of_a = by_a + k
    cdef double* work = of_a + k
    cdef double* block
    cdef double* slope
    cdef double square, length, change, both, first, extra, pull
    value[0] = 0.0
    for i in range(2 * p * k):
        scratch[i] *= -c.sign
    for i in range(k if k < p else p - 1):
        m, n = p - i, k - i
        block, slope = scratch + i * k + i, scratch + p * k + i * k + i
        square = reflector(x + begin, m, c.sign, a, &length)
        products(a, slope, m, n, k, by_a)
        reflect(a, square, block, m, n, k, work)
        products(a, block, m, n, k, of_a)
        both = 2.0 * dot(by_a, of_a, n) / square
        for r in range(m):
            change = dot(slope + r * k, of_a, n) + dot(block + r * k, by_a, n) - both * a[r]
            gradient[begin + r] = -2.0 * change / square
        reflect(a, square, slope, m, n, k, work)
        first = gradient[begin]
        gradient[begin] *= fabs(a[0]) / length
        for r in range(1, m):
            gradient[begin + r] += c.sign * first / length * x[begin + r]
        extra = extra_df(c, m)
        pull = extra / length / length - 1.0
        for r in range(m):
            gradient[begin + r] += pull * x[begin + r]
        value[0] += extra * log(length)
        begin += m
    value[0] -= 0.5 * dot(x, x, c.size)
    return True


# Givens: no more scratch.


cdef bint givens_forward(
    const Chart* c, const double* x, double* Q, double* scratch
) noexcept nogil:
    cdef int i, j, p = c.p, k = c.k
    cdef const double* pair = x + c.size
    cdef double r
    memset(Q, 0, p * k * sizeof(double))
    for i in range(k):
        Q[i * k + i] = 1.0
    for i in range(k - 1, -1, -1):
        for j in range(p - 1, i, -1):
            pair -= 2
            r = hypot(pair[0], pair[1])
            if not (r > 0.0 and isfinite(r)):
                return False
            rotate(Q + i * k + i, Q + j * k + i, k - i, pair[0] / r, pair[1] / r)
    return True


cdef bint givens_pull_back(
    const Chart* c, const double* x, double* value, double* gradient, double* scratch
) noexcept nogil:
    cdef int i, j, n, power, p = c.p, k = c.k
    cdef Py_ssize_t place = 0
    cdef double* Q = scratch
    cdef double* slope = scratch + p * k
    cdef double r, cos, sin, by_angle, by_radius
    value[0] = 0.0
    for i in range(k):
        n = k - i
        for j in range(i + 1, p):
            r, power = hypot(x[place], x[place + 1]), j - i - 1
            cos, sin = x[place] / r, x[place + 1] / r
            if power > 0 and cos == 0.0:
                return False
            by_angle = dot(slope + j * k + i, Q + i * k + i, n)
            by_angle -= dot(slope + i * k + i, Q + j * k + i, n)
            if power > 0:
                value[0] += power * log(fabs(cos))
                by_angle -= power * sin / cos
            by_radius = (1.0 - r) / (RADIUS_SD * RADIUS_SD) - 1.0 / r
            value[0] -= 0.5 * (r - 1.0) * (r - 1.0) / (RADIUS_SD * RADIUS_SD) + log(r)
            gradient[place] = by_radius * cos - by_angle * sin / r
            gradient[place + 1] = by_radius * sin + by_angle * cos / r
            rotate(Q + i * k + i, Q + j * k + i, n, cos, -sin)
            rotate(slope + i * k + i, slope + j * k + i, n, cos, -sin)
            place += 2
    return True
