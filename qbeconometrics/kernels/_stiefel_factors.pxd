# Charts by factors and inverses of matrices of order k: polar and Cayley.

from qbeconometrics.kernels._stiefel_chart cimport Chart

cdef bint polar_forward(
    const Chart* c, const double* x, double* Q, double* scratch
) noexcept nogil
cdef bint polar_pull_back(
    const Chart* c, const double* x, double* value, double* gradient, double* scratch
) noexcept nogil
cdef bint cayley_forward(
    const Chart* c, const double* x, double* Q, double* scratch
) noexcept nogil
cdef bint cayley_pull_back(
    const Chart* c, const double* x, double* value, double* gradient, double* scratch
) noexcept nogil
