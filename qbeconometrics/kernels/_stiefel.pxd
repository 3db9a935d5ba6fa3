# Maps from coordinates to orthonormal matrices Q (p, k), by rows, and back for gradients.

from qbeconometrics.kernels._stiefel_chart cimport Chart

cdef Py_ssize_t chart_scratch_size(const Chart* c) noexcept nogil

# Fills Q; False where there is none.
cdef bint chart_forward(
    const Chart* c, const double* x, double* Q, double* scratch
) noexcept nogil

# Fills the chart's log density and the gradient of log f(Q) plus it from the gradient of log f by
# Q. Call it after chart_forward at the same x, with the scratch that it left; False if there is no
# density.
cdef bint chart_pull_back(
    const Chart* c,
    const double* x,
    const double* slope,
    double* value,
    double* gradient,
    double* scratch,
) noexcept nogil

cdef class StiefelMap:
    cdef Chart c
    cdef object frame
    cdef const double[:, ::1] frame_view
    cdef int check(self, const double[::1] x) except -1
