from qbeconometrics.kernels._target cimport Point, Target

cdef Py_ssize_t gradient_scratch_size(const Target* t) noexcept nogil
cdef void add_gradient(
    const Target* t, const Point* p, double* gradient, double* scratch
) noexcept nogil
cdef void invert_lower(const double* root, int m, int p, double* columns) noexcept nogil
