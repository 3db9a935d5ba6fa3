# A log density with its gradient, for samplers that do not know what it is a density of.

# Fills value and gradient (size,); False where they are not finite, or could not be had.
ctypedef bint (*evaluate_t)(
    void* context, const double* x, double* value, double* gradient
) noexcept nogil

cdef struct Density:
    int size
    void* context
    evaluate_t evaluate

cdef class CompiledDensity:
    cdef Density c
