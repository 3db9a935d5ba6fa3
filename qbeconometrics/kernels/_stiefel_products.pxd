# Charts by products of reflections or of rotations: Householder and Givens.

from qbeconometrics.kernels._stiefel_chart cimport Chart

cdef bint householder_forward(
    const Chart* c, const double* x, double* Q, double* scratch
) noexcept nogil
cdef bint householder_pull_back(
    const Chart* c, const double* x, double* value, double* gradient, double* scratch
) noexcept nogil
cdef bint givens_forward(
    const Chart* c, const double* x, double* Q, double* scratch
) noexcept nogil
cdef bint givens_pull_back(
    const Chart* c, const double* x, double* value, double* gradient, double* scratch
) noexcept nogil
