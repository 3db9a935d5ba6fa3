"""The gradient of continuously updated local projections, from the band structure of S.

With v = S^-1 g and B = (v v' - S^-1)/2, the derivative of the quasi-likelihood by S, the gradient by
the weights w of _projection.pyx is sum_lc (B_il + B_li) w_lc terms_ac,il, and the derivative of
w_ia by its coefficient is -1. g itself adds jacobian' v.
"""

import numpy as np

from libc.math cimport INFINITY, isfinite
from libc.stdlib cimport free, malloc

from qbeconometrics.kernels._cholesky cimport solve_lower, solve_lower_transposed
from qbeconometrics.kernels._gradient cimport invert_lower
from qbeconometrics.kernels._projection cimport (
    Point,
    ProjectionTarget,
    evaluate,
    log_prior,
    place_point,
    point_size,
    rough_form,
    scratch_size,
)


cdef Py_ssize_t gradient_size(ProjectionTarget t) noexcept nogil:
    return t.n_moments * (1 + 2 * (1 + t.own) + t.n_moments)


cdef void add_likelihood_gradient(
    ProjectionTarget t, const Point* point, double* gradient, double* scratch
) noexcept nogil:
    """Add the gradient by the coefficients at an evaluated point."""
    cdef int i, l, j, a, c, M = t.n_moments, order = 1 + t.own
    cdef Py_ssize_t q = 0
    cdef double by_covariance, term
    cdef double* v = scratch
    cdef double* weights = v + M
    cdef double* by_weight = weights + M * order
    cdef double* columns = by_weight + M * order
    cdef const double* first
    cdef const double* second
    for i in range(M):
        v[i] = point.g[i]
        weights[i * order] = 1.0
        by_weight[i * order] = 0.0
        for a in range(t.own):
            weights[i * order + a + 1] = t.estimate[i, a] - point.x[t.places[i, a]]
            by_weight[i * order + a + 1] = 0.0
    solve_lower(point.root, M, v)
    solve_lower_transposed(point.root, M, v)
    invert_lower(point.root, M, M, columns)
    for i in range(M):
        first = columns + <Py_ssize_t>i * M
        for l in range(i + 1):
            second = columns + <Py_ssize_t>l * M
            by_covariance = v[i] * v[l]
            for j in range(i, M):
                by_covariance -= first[j] * second[j]
            # B, doubled off the diagonal, where an element of S stands twice.
            if l == i:
                by_covariance *= 0.5
            for a in range(order):
                for c in range(order):
                    term = by_covariance * t.terms[a * order + c, q]
                    by_weight[i * order + a] += term * weights[l * order + c]
                    by_weight[l * order + c] += term * weights[i * order + a]
            q += 1
    for i in range(M):
        for a in range(t.own):
            gradient[t.places[i, a]] += v[i] * t.jacobian[i, a] - by_weight[i * order + a + 1]


cdef void add_prior_gradient(
    ProjectionTarget t, const double* x, const double* smoothing, double* gradient
) noexcept nogil:
    """Add the gradient by coefficients and smoothing parameters."""
    cdef Py_ssize_t i, j
    cdef int r, k = t.n_params
    cdef double total
    for i in range(t.prior_rows.shape[0]):
        total = -t.prior_target[i]
        for j in range(k):
            total += t.prior_rows[i, j] * x[j]
        for j in range(k):
            gradient[j] -= total * t.prior_rows[i, j]
    for i in range(t.rough_rows.shape[0]):
        total = t.rough_offset[i]
        for j in range(k):
            total += t.rough_rows[i, j] * x[j]
        total *= smoothing[t.rough_path[i]] / t.paths[t.rough_path[i], 1]
        for j in range(k):
            gradient[j] -= total * t.rough_rows[i, j]
    for r in range(t.n_paths):
        gradient[k + r] += 0.5 * t.paths[r, 0] / smoothing[r]
        gradient[k + r] -= 0.5 * rough_form(t, x, r) / t.paths[r, 1]


def projection_gradient(ProjectionTarget target not None, const double[::1] point not None):
    """Return quasi-likelihood plus log prior, and the gradient, at one point.

    Parameters
    ----------
    target : ProjectionTarget
    point : ndarray, shape (k + paths,)
        Coefficients, then smoothing parameters.

    Returns
    -------
    value : float
        Minus infinity where it is not finite.
    gradient : ndarray, shape (k + paths,)
        Zero there.
    """
    cdef int i, k = target.n_params, size = target.n_params + target.n_paths
    if point.shape[0] != size:
        raise ValueError(f"point must hold {size} numbers")
    gradient = np.zeros(size)
    cdef double[::1] out = gradient
    cdef double value = -INFINITY
    cdef Point here
    cdef Py_ssize_t needed = point_size(target) + scratch_size(target)
    cdef double* memory = <double*>malloc((needed + gradient_size(target)) * sizeof(double))
    if memory == NULL:
        raise MemoryError
    place_point(target, &here, memory)
    with nogil:
        for i in range(k):
            here.x[i] = point[i]
        if evaluate(target, &here, memory + point_size(target)):
            value = here.likelihood + log_prior(target, here.x, &point[0] + k, True)
            if isfinite(value):
                add_likelihood_gradient(target, &here, &out[0], memory + needed)
                add_prior_gradient(target, here.x, &point[0] + k, &out[0])
            else:
                value = -INFINITY
    free(memory)
    return value, gradient
