# NumPy's generators, used without their locks: each must belong to one chain alone.

from cpython.pycapsule cimport PyCapsule_GetPointer


cdef extern from "numpy/random/bitgen.h":
    ctypedef struct bitgen_t:
        void* state
        double (*next_double)(void* state) noexcept nogil

cdef extern from "numpy/random/distributions.h":
    void random_standard_normal_fill(bitgen_t*, Py_ssize_t, double*) noexcept nogil
    double random_chisquare(bitgen_t*, double) noexcept nogil
    double random_standard_gamma(bitgen_t*, double) noexcept nogil
    double random_standard_exponential(bitgen_t*) noexcept nogil


cdef inline bitgen_t* generator(bit_generator) except NULL:
    return <bitgen_t*>PyCapsule_GetPointer(bit_generator.capsule, "BitGenerator")
