# S(x) in each of its forms: see _covariance.pyx. `scratch` is that of _linear_moments.

from qbeconometrics.kernels._target cimport Target

cdef void covariance_from_statistic(
    const Target* t, const double* x, double* packed, double* scratch
) noexcept nogil
cdef void covariance_from_rows(
    const Target* t, const double* x, const double* g, double* packed, double* scratch
) noexcept nogil
cdef double proportional_scale(const Target* t, const double* x) noexcept nogil
