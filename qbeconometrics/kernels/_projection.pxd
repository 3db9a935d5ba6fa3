# Continuously updated local projections: see _projection.pyx.

from libc.stdint cimport int64_t


cdef struct Point:
    double* x          # (k,)
    double* g          # (M,)
    double* root       # packed (M,) factor of S
    double likelihood  # quasi-likelihood
    double quadratic   # g' S^-1 g
    double prior       # log prior of the coefficients given the smoothing parameters


cdef class ProjectionTarget:
    cdef const double[::1] cross, prior_target, rough_offset
    cdef const double[:, ::1] jacobian, estimate, terms, prior_rows, rough_rows, paths
    cdef const int64_t[:, ::1] places
    cdef const int64_t[::1] rough_path
    cdef readonly int n_params, n_moments, n_paths
    cdef int own


cdef Py_ssize_t point_size(ProjectionTarget t) noexcept nogil
cdef Py_ssize_t scratch_size(ProjectionTarget t) noexcept nogil
cdef void place_point(ProjectionTarget t, Point* point, double* memory) noexcept nogil
cdef bint evaluate(ProjectionTarget t, Point* point, double* scratch) noexcept nogil
cdef double rough_form(ProjectionTarget t, const double* x, int path) noexcept nogil
cdef double log_prior(
    ProjectionTarget t, const double* x, const double* smoothing, bint normalised
) noexcept nogil
