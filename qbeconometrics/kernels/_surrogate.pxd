# The normal law with S frozen at a point: see _surrogate.pyx.

from qbeconometrics.kernels._target cimport Point, Target

# The normal approximation with S frozen at a point: N(mean, precision^-1).
cdef struct Surrogate:
    double* root            # packed (k,) factor of the precision; unused when m = k without prior
    double* mean            # (k,)
    double log_determinant  # of the precision

cdef bint fit_surrogate(
    const Target* t, const Point* p, Surrogate* s, bint with_prior, double* scratch
) noexcept nogil
cdef double log_proposal(double log_determinant, double distance, double df, int k) noexcept nogil
cdef double surrogate_distance(
    const Target* t, const Surrogate* s, const double* to, const double* start, double rho,
    double* scratch,
) noexcept nogil
cdef double moment_distance(
    const Target* t, const Point* p, const double* to, const double* start, double rho,
    double* scratch,
) noexcept nogil
