"""Four charts of the orthonormal matrices; the twin names the sources and says what they do."""

import numpy as np

from libc.math cimport INFINITY, NAN
from libc.string cimport memcpy

from qbeconometrics.kernels._stiefel_chart cimport Chart, multiply
from qbeconometrics.kernels._stiefel_factors cimport (
    cayley_forward,
    cayley_pull_back,
    polar_forward,
    polar_pull_back,
)
from qbeconometrics.kernels._stiefel_products cimport (
    givens_forward,
    givens_pull_back,
    householder_forward,
    householder_pull_back,
)

cdef enum:
    POLAR
    HOUSEHOLDER
    GIVENS
    CAYLEY

CHARTS = ("polar", "householder", "givens", "cayley")


cdef Py_ssize_t chart_scratch_size(const Chart* c) noexcept nogil:
    return 4 * c.p * c.k + 3 * c.k * c.k + c.p + 3 * c.k


cdef bint chart_forward(
    const Chart* c, const double* x, double* Q, double* scratch
) noexcept nogil:
    cdef bint fine
    if c.kind == POLAR:
        fine = polar_forward(c, x, scratch, scratch)
    elif c.kind == HOUSEHOLDER:
        fine = householder_forward(c, x, scratch, scratch)
    elif c.kind == GIVENS:
        fine = givens_forward(c, x, scratch, scratch)
    else:
        fine = cayley_forward(c, x, scratch, scratch)
    if c.frame == NULL:
        memcpy(Q, scratch, c.p * c.k * sizeof(double))
    else:
        multiply(c.frame, scratch, c.p, c.p, c.k, False, Q)
    return fine


cdef bint chart_pull_back(
    const Chart* c,
    const double* x,
    const double* slope,
    double* value,
    double* gradient,
    double* scratch,
) noexcept nogil:
    cdef double* own = scratch + c.p * c.k
    if c.frame == NULL:
        memcpy(own, slope, c.p * c.k * sizeof(double))
    else:
        multiply(c.frame, slope, c.p, c.p, c.k, True, own)
    if c.kind == POLAR:
        return polar_pull_back(c, x, value, gradient, scratch)
    if c.kind == HOUSEHOLDER:
        return householder_pull_back(c, x, value, gradient, scratch)
    if c.kind == GIVENS:
        return givens_pull_back(c, x, value, gradient, scratch)
    return cayley_pull_back(c, x, value, gradient, scratch)


cdef class StiefelMap:
    """A chart of the orthonormal matrices (p, k); safe to share between threads."""

    def __init__(self, str chart, int p, int k, int sign=1, int det=1, frame=None, double df=0.0):
        cdef int dimension = p * k - k * (k + 1) // 2, i
        if chart not in CHARTS or not 1 <= k <= p or p < 2:
            raise ValueError("chart must be known, and p at least 2, and k from 1 to p")
        if abs(sign) != 1 or abs(det) != 1:
            raise ValueError("sign and det must be 1 or -1")
        if df != 0.0 and not p <= df < INFINITY:
            raise ValueError("df must be 0 or at least p")
        self.c.kind = CHARTS.index(chart)
        self.c.p, self.c.k, self.c.sign, self.c.last_sign = p, k, sign, 1
        if self.c.kind == POLAR:
            self.c.size = p * k
        elif self.c.kind == HOUSEHOLDER:
            self.c.size = dimension + min(k, p - 1)
        else:
            self.c.size = dimension * (2 if self.c.kind == GIVENS else 1)
        if k == p:
            self.c.last_sign = det
            # Of p - 1 reflections, and of the sign of all.
            if (p - 1 + (p if sign == 1 else 0)) % 2 == 1:
                self.c.last_sign *= -1
        self.c.frame, self.c.df = NULL, df
        if frame is not None:
            self.frame = np.array(frame, dtype=np.float64, order="C")
            if self.frame.shape != (p, p):
                raise ValueError(f"frame must have shape ({p}, {p})")
            self.frame_view = self.frame
            self.c.frame = &self.frame_view[0, 0]

    @property
    def size(self):
        """Number of coordinates."""
        return self.c.size

    def forward(self, const double[::1] x not None):
        """Return Q (p, k) at x (size,); NaN where there is none."""
        self.check(x)
        Q, work = np.empty((self.c.p, self.c.k)), np.empty(chart_scratch_size(&self.c))
        cdef double[:, ::1] matrix = Q
        cdef double[::1] scratch = work
        if not chart_forward(&self.c, &x[0], &matrix[0, 0], &scratch[0]):
            Q.fill(np.nan)
        return Q

    def pull_back(self, const double[::1] x not None, const double[:, ::1] slope not None):
        """Return the chart's own log density at x and the gradient of log f(Q) plus it.

        `slope` (p, k) is the gradient of log f by Q; NaN where there is no density.
        """
        self.check(x)
        if slope.shape[0] != self.c.p or slope.shape[1] != self.c.k:
            raise ValueError(f"slope must have shape ({self.c.p}, {self.c.k})")
        found, work = np.empty(self.c.size), np.empty(chart_scratch_size(&self.c))
        Q = np.empty((self.c.p, self.c.k))
        cdef double[:, ::1] matrix = Q
        cdef double[::1] gradient = found
        cdef double[::1] scratch = work
        cdef double value = NAN
        if chart_forward(&self.c, &x[0], &matrix[0, 0], &scratch[0]) and chart_pull_back(
            &self.c, &x[0], &slope[0, 0], &value, &gradient[0], &scratch[0]
        ):
            return value, found
        return np.nan, np.full(self.c.size, np.nan)

    cdef int check(self, const double[::1] x) except -1:
        if x.shape[0] != self.c.size:
            raise ValueError(f"x must have {self.c.size} coordinates")
        return 0
