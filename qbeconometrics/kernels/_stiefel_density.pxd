# Log densities of orthonormal matrices, joined to a chart.

from qbeconometrics.kernels._density cimport CompiledDensity
from qbeconometrics.kernels._stiefel cimport StiefelMap
from qbeconometrics.kernels._stiefel_chart cimport Chart

# Fills log f and its gradient by Q (p, k), by rows; False where they are not finite.
ctypedef bint (*evaluate_matrix_t)(
    void* context, const double* Q, double* value, double* slope
) noexcept nogil

cdef struct MatrixDensity:
    int p
    int k
    void* context
    evaluate_matrix_t evaluate

cdef struct Joined:
    const Chart* chart
    const MatrixDensity* target
    double log_constant
    double* Q
    double* slope
    double* scratch

cdef class MatrixTarget:
    cdef MatrixDensity c

cdef class StiefelDensity(CompiledDensity):
    cdef StiefelMap chart
    cdef readonly MatrixTarget target
    cdef double[::1] work
    cdef Joined joined
