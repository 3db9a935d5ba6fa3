# The quasi-posterior of linear moments in scaled coordinates: see _linear_moments.pyx.

from qbeconometrics.kernels._target cimport Point, Target

cdef class LinearMomentTarget:
    cdef Target c
    cdef readonly object arrays

cdef Py_ssize_t point_size(const Target* t) noexcept nogil
cdef void place_point(const Target* t, Point* p, double* memory) noexcept nogil
cdef Py_ssize_t scratch_size(const Target* t) noexcept nogil
cdef void moment_mean(const Target* t, const double* x, double* g) noexcept nogil
cdef double frozen_quadratic(const Target* t, const double* root, const double* g, double* scratch) noexcept nogil
cdef double log_prior(const Target* t, const double* x) noexcept nogil
cdef bint evaluate_covariance(const Target* t, Point* p, double* scratch) noexcept nogil
cdef bint evaluate(const Target* t, Point* p, double* scratch) noexcept nogil
