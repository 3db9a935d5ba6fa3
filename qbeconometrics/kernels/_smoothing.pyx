"""Gibbs sampler of impulse responses and the smoothing parameters of their roughness prior.

Given the smoothing parameters the coefficients are normal; for each path the precision and the
roughness are diagonal in one basis, found once, so that a sweep solves no equations.
"""

from libc.math cimport sqrt
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

from qbeconometrics.kernels._random cimport (
    bitgen_t,
    generator,
    random_standard_exponential,
    random_standard_gamma,
    random_standard_normal_fill,
)


def smoothing_gibbs(
    bit_generator,
    double[::1] position not None,
    const int64_t[::1] sizes not None,
    const double[:, ::1] basis not None,
    const double[:, ::1] coupling not None,
    const double[::1] linear not None,
    const double[::1] curvature not None,
    const double[::1] shift not None,
    const double[:, ::1] paths not None,
    double shape,
    double rate,
    double cauchy_rate,
    double[:, ::1] draws not None,
):
    """Advance a chain by len(draws) sweeps.

    For path r, with x_r = T_r u, tau = lambda_r / unit_r and m = linear_r - coupling_r x:
    u_i ~ N((m_i - tau shift_i) / (1 + tau d_i), 1 / (1 + tau d_i)); then lambda_r ~ Gamma(shape +
    rank_r / 2, rate + nu + q / (2 unit_r)) with q = sum_i d_i u_i^2 + 2 shift_i u_i + constant_r.
    nu is zero, or exponential with mean 1 / (lambda_r + cauchy_rate) (half-Cauchy hyperprior).

    Random numbers a path: a standard exponential if `cauchy_rate` > 0, as many standard normals as
    the path is long, a standard Gamma.

    Parameters
    ----------
    bit_generator : numpy.random.BitGenerator
        Used without its lock: it must belong to this chain alone.
    position : ndarray, shape (k + paths,)
        Coefficients, then smoothing parameters; overwritten with the end.
    sizes : ndarray of int64, shape (paths,)
    basis : ndarray, shape (k, k)
        T_r in diagonal blocks.
    coupling : ndarray, shape (k, k)
        T_r' times the precision, without the path's own columns.
    linear, curvature, shift : ndarray, shape (k,)
    paths : ndarray, shape (paths, 3)
        Rank of the roughness, constant, unit.
    shape, rate, cauchy_rate : float
    draws : ndarray, shape (draws, k + paths)
        Filled.
    """
    cdef Py_ssize_t k = linear.shape[0]
    cdef Py_ssize_t n_paths = sizes.shape[0]
    cdef Py_ssize_t i, j, s, r, start, stop, size, longest = 0, total_size = 0
    cdef double smoothing, tau, nu, total, quadratic, scale
    cdef bitgen_t* rng = generator(bit_generator)
    for r in range(n_paths):
        total_size += sizes[r]
        longest = max(longest, sizes[r])
    if total_size != k or position.shape[0] != k + n_paths or draws.shape[1] != k + n_paths:
        raise ValueError("sizes, position and draws must hold all coefficients and paths")
    for size in (basis.shape[0], basis.shape[1], coupling.shape[0], coupling.shape[1],
                 curvature.shape[0], shift.shape[0]):
        if size != k:
            raise ValueError(f"every array must be of length {k}")
    if paths.shape[0] != n_paths or paths.shape[1] != 3:
        raise ValueError("paths must hold three numbers a path")
    cdef double* u = <double*>malloc((longest + 1) * sizeof(double))
    if u == NULL:
        raise MemoryError
    with nogil:
        for s in range(draws.shape[0]):
            start = 0
            for r in range(n_paths):
                size = sizes[r]
                stop = start + size
                smoothing = position[k + r]
                tau = smoothing / paths[r, 2]
                nu = 0.0
                if cauchy_rate > 0.0:
                    nu = random_standard_exponential(rng) / (smoothing + cauchy_rate)
                random_standard_normal_fill(rng, size, u)
                quadratic = paths[r, 1]
                for i in range(start, stop):
                    total = linear[i]
                    if n_paths > 1:
                        for j in range(k):
                            total -= coupling[i, j] * position[j]
                    scale = 1.0 / (1.0 + tau * curvature[i])
                    total = (total - tau * shift[i]) * scale + sqrt(scale) * u[i - start]
                    u[i - start] = total
                    quadratic += (curvature[i] * total + 2.0 * shift[i]) * total
                for i in range(start, stop):
                    total = 0.0
                    for j in range(size):
                        total += basis[i, start + j] * u[j]
                    position[i] = total
                quadratic = quadratic if quadratic > 0.0 else 0.0
                position[k + r] = random_standard_gamma(rng, shape + 0.5 * paths[r, 0]) / (
                    rate + nu + 0.5 * quadratic / paths[r, 2]
                )
                start = stop
            for i in range(k + n_paths):
                draws[s, i] = position[i]
    free(u)
