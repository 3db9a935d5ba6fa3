# What the charts of orthonormal matrices Q (p, k) share. Matrices are held by rows. Scratch begins
# with Q and the gradient of log f by Q, both in the frame of the chart.

from libc.string cimport memset

cdef struct Chart:
    int kind
    int p
    int k
    int size
    int sign       # of the reflections
    int last_sign  # of the last column, which gives a square Q its determinant
    double df      # of the law of lengths; zero for as many as there are elements
    const double* frame  # (p, p), multiplies Q from the left; or NULL


cdef inline double dot(const double* a, const double* b, int n) noexcept nogil:
    cdef int i
    cdef double total = 0.0
    for i in range(n):
        total += a[i] * b[i]
    return total


cdef inline double extra_df(const Chart* c, int elements) noexcept nogil:
    return c.df - elements if c.df > 0.0 else 0.0


cdef inline void rotate(double* a, double* b, int n, double cos, double sin) noexcept nogil:
    """Replace a and b by cos a - sin b and sin a + cos b."""
    cdef int i
    cdef double old
    for i in range(n):
        old = a[i]
        a[i] = cos * old - sin * b[i]
        b[i] = sin * old + cos * b[i]


cdef inline void multiply(
    const double* a, const double* b, int m, int n, int l, bint transposed, double* out
) noexcept nogil:
    """Write a b (m, l) of a (m, n), by rows, and b (n, l); or a' b, of a (n, m)."""
    cdef int i, j, h
    cdef double factor
    memset(out, 0, m * l * sizeof(double))
    for i in range(m):
        for j in range(n):
            factor = a[j * m + i] if transposed else a[i * n + j]
            for h in range(l):
                out[i * l + h] += factor * b[j * l + h]
