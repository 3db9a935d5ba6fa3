"""Continuously updated local projections: S from its band structure, never from rows.

The quasi-likelihood of the coefficients x is -1/2 log det S(x) - 1/2 g(x)' S(x)^-1 g(x), where g is
scaled by the root of the learning rate times the rows, and entry (i, l) of S is sum_ac w_ia w_lc
terms_ac,il with w_i = (1, -d_i1, ..., -d_ip), d the deviation of the moment's own coefficients
from the first-step estimate.
"""

import numpy as np

from libc.math cimport INFINITY, isfinite, log, sqrt
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

from qbeconometrics.kernels._cholesky cimport packed_cholesky, solve_lower
from qbeconometrics.kernels._random cimport (
    bitgen_t,
    generator,
    random_chisquare,
    random_standard_exponential,
    random_standard_gamma,
    random_standard_normal_fill,
)


cdef class ProjectionTarget:
    """Quasi-likelihood and prior of local projections; see the module.

    Parameters
    ----------
    cross : ndarray, shape (M,)
    jacobian, estimate : ndarray, shape (M, p)
        Of g, and the first-step estimate of each moment's own coefficients.
    places : ndarray of int64, shape (M, p)
        Where each moment's own coefficients stand.
    terms : ndarray, shape ((1 + p)^2, M (M + 1) / 2)
        Lower triangles by rows, for (a, c) in order.
    prior_rows : ndarray, shape (q, k)
    prior_target : ndarray, shape (q,)
        The normal part of the prior, exp(-|rows x - target|^2 / 2).
    rough_rows : ndarray, shape (r, k)
    rough_offset : ndarray, shape (r,)
    rough_path : ndarray of int64, shape (r,)
        Path whose smoothing parameter multiplies the squared row.
    paths : ndarray, shape (paths, 2)
        Rank of the roughness, unit of the smoothing parameter.
    """

    def __cinit__(
        self,
        const double[::1] cross not None,
        const double[:, ::1] jacobian not None,
        const double[:, ::1] estimate not None,
        const int64_t[:, ::1] places not None,
        const double[:, ::1] terms not None,
        const double[:, ::1] prior_rows not None,
        const double[::1] prior_target not None,
        const double[:, ::1] rough_rows not None,
        const double[::1] rough_offset not None,
        const int64_t[::1] rough_path not None,
        const double[:, ::1] paths not None,
    ):
        cdef int M = <int>cross.shape[0], p = <int>jacobian.shape[1]
        self.n_moments, self.own, self.n_params = M, p, <int>prior_rows.shape[1]
        self.n_paths = <int>paths.shape[0]
        if M < 1 or p < 1 or self.n_params < 1:
            raise ValueError("there must be moments and coefficients")
        if (
            jacobian.shape[0] != M or estimate.shape[0] != M or estimate.shape[1] != p
            or places.shape[0] != M or places.shape[1] != p
            or terms.shape[0] != (1 + p) * (1 + p) or terms.shape[1] != M * (M + 1) // 2
        ):
            raise ValueError("jacobian, estimate, places and terms must fit the moments")
        if not 0 <= np.min(places) <= np.max(places) < self.n_params:
            raise ValueError("places must point at coefficients")
        if (
            prior_target.shape[0] != prior_rows.shape[0]
            or rough_rows.shape[0] != rough_offset.shape[0]
            or rough_rows.shape[0] != rough_path.shape[0]
            or (rough_rows.shape[0] and rough_rows.shape[1] != self.n_params)
            or (self.n_paths and paths.shape[1] != 2)
        ):
            raise ValueError("the rows of the prior must fit the coefficients")
        if rough_path.shape[0] and not 0 <= np.min(rough_path) <= np.max(rough_path) < self.n_paths:
            raise ValueError("rough_path must point at paths")
        self.cross, self.jacobian, self.estimate, self.places = cross, jacobian, estimate, places
        self.terms, self.prior_rows, self.prior_target = terms, prior_rows, prior_target
        self.rough_rows, self.rough_offset = rough_rows, rough_offset
        self.rough_path, self.paths = rough_path, paths

    def evaluate(self, const double[:, ::1] points not None):
        """Return the quasi-likelihood and the log prior, up to a constant, at `points`.

        Parameters
        ----------
        points : ndarray, shape (points, k + paths)
            Coefficients, then smoothing parameters.

        Returns
        -------
        tuple of ndarray, each of shape (points,)
            Minus infinity where S is not positive definite.
        """
        cdef Py_ssize_t i, j, n = points.shape[0]
        cdef int k = self.n_params
        if points.shape[1] != k + self.n_paths:
            raise ValueError(f"points must have {k + self.n_paths} columns")
        likelihood, prior = np.empty(n), np.empty(n)
        cdef double[::1] first = likelihood, second = prior
        cdef Point point
        cdef Py_ssize_t needed = point_size(self) + scratch_size(self)
        cdef double* memory = <double*>malloc(needed * sizeof(double))
        if memory == NULL:
            raise MemoryError
        place_point(self, &point, memory)
        with nogil:
            for i in range(n):
                for j in range(k):
                    point.x[j] = points[i, j]
                evaluate(self, &point, memory + point_size(self))
                first[i] = point.likelihood
                second[i] = log_prior(self, point.x, &points[i, 0] + k, True)
        free(memory)
        return likelihood, prior


cdef Py_ssize_t point_size(ProjectionTarget t) noexcept nogil:
    return t.n_params + t.n_moments + t.n_moments * (t.n_moments + 1) // 2


cdef Py_ssize_t scratch_size(ProjectionTarget t) noexcept nogil:
    return t.n_moments * (t.own + 2)


cdef void place_point(ProjectionTarget t, Point* point, double* memory) noexcept nogil:
    point.x = memory
    point.g = point.x + t.n_params
    point.root = point.g + t.n_moments


cdef void moment_mean(ProjectionTarget t, const double* x, double* g) noexcept nogil:
    cdef int i, j
    for i in range(t.n_moments):
        g[i] = t.cross[i]
        for j in range(t.own):
            g[i] -= t.jacobian[i, j] * x[t.places[i, j]]


cdef double quadratic_form(const double* root, int M, const double* g, double* work) noexcept nogil:
    """g' S^-1 g from the factor of S."""
    cdef int i
    cdef double total = 0.0
    for i in range(M):
        work[i] = g[i]
    solve_lower(root, M, work)
    for i in range(M):
        total += work[i] * work[i]
    return total


cdef bint evaluate(ProjectionTarget t, Point* point, double* scratch) noexcept nogil:
    """Fill g, root, quadratic and likelihood at point.x; False if S cannot be factored."""
    cdef int i, l, a, c, M = t.n_moments, order = 1 + t.own
    cdef double* weights = scratch + M
    cdef double total, left, log_determinant
    cdef double* row
    cdef Py_ssize_t start
    moment_mean(t, point.x, point.g)
    for i in range(M):
        weights[i * order] = 1.0
        for a in range(t.own):
            weights[i * order + a + 1] = t.estimate[i, a] - point.x[t.places[i, a]]
    for i in range(M):
        start = i * (i + 1) // 2
        row = point.root + start
        for l in range(i + 1):
            total = 0.0
            for a in range(order):
                left = weights[i * order + a]
                for c in range(order):
                    total += left * weights[l * order + c] * t.terms[a * order + c, start + l]
            row[l] = total
    log_determinant = packed_cholesky(point.root, M, scratch)
    point.likelihood = -INFINITY
    if not isfinite(log_determinant):
        return False
    point.quadratic = quadratic_form(point.root, M, point.g, scratch)
    point.likelihood = -0.5 * (log_determinant + point.quadratic)
    return isfinite(point.likelihood)


cdef double rough_form(ProjectionTarget t, const double* x, int path) noexcept nogil:
    """Roughness of one path: the sum of its squared rows."""
    cdef Py_ssize_t i, j
    cdef double total, value = 0.0
    for i in range(t.rough_rows.shape[0]):
        if t.rough_path[i] != path:
            continue
        total = t.rough_offset[i]
        for j in range(t.n_params):
            total += t.rough_rows[i, j] * x[j]
        value += total * total
    return value


cdef double log_prior(
    ProjectionTarget t, const double* x, const double* smoothing, bint normalised
) noexcept nogil:
    """Log prior of x given the smoothing parameters; with its dependence on them if asked."""
    cdef Py_ssize_t i, j
    cdef int r
    cdef double total, value = 0.0
    for i in range(t.prior_rows.shape[0]):
        total = -t.prior_target[i]
        for j in range(t.n_params):
            total += t.prior_rows[i, j] * x[j]
        value -= 0.5 * total * total
    for r in range(t.n_paths):
        value -= 0.5 * smoothing[r] / t.paths[r, 1] * rough_form(t, x, r)
        if normalised:
            value += 0.5 * t.paths[r, 0] * log(smoothing[r])
    return value


cdef double log_proposal(double distance, double df, Py_ssize_t size) noexcept nogil:
    if df == INFINITY:
        return -0.5 * distance
    return -0.5 * (df + size) * log(1.0 + distance / df)


def projection_chain(
    ProjectionTarget target not None,
    bit_generator,
    double[::1] position not None,
    const int64_t[::1] blocks not None,
    const double[::1] centre not None,
    const double[:, ::1] whitening not None,
    const double[:, ::1] colouring not None,
    double df,
    double shape,
    double rate,
    double cauchy_rate,
    double[:, ::1] draws not None,
    double[::1] log_density not None,
    int64_t[::1] counters not None,
    *,
    int unscreened=0,
):
    """Advance a chain by len(draws) sweeps of delayed acceptance within Gibbs.

    In the coordinates u = whitening (x - centre) of a fixed normal law, each block is proposed from
    a standard Student-t law about zero. The first stage screens with S frozen at the current point,
    the second corrects with the exact S, so that the target stays invariant (Christen & Fox 2005,
    Journal of Computational and Graphical Statistics 14). S frozen near the mode lets hardly any
    proposal into the tails, so some are not screened. The smoothing parameters follow by their
    Gibbs steps, as in `smoothing_gibbs`.

    Random numbers a block: as many standard normals as it is long, a chi-square if `df` is finite,
    two uniforms; then for each path a standard exponential if `cauchy_rate` > 0, a standard Gamma.

    Parameters
    ----------
    target : ProjectionTarget
    bit_generator : numpy.random.BitGenerator
        Used without its lock: it must belong to this chain alone.
    position : ndarray, shape (k + paths,)
        Start; overwritten with the end.
    blocks : ndarray of int64, shape (blocks + 1,)
        Where the blocks start, and k.
    centre : ndarray, shape (k,)
    whitening, colouring : ndarray, shape (k, k)
        Inverses of each other.
    df, shape, rate, cauchy_rate : float
    draws : ndarray, shape (draws, k + paths)
    log_density : ndarray, shape (draws,)
        Filled.
    counters : ndarray of int64, shape (5,)
        Proposed, passed the first stage, accepted, not finite; added to.

    unscreened : int
        One proposal in so many is not screened; 0 screens all. No divisor of the number of blocks,
        or the same blocks would be meant each time.

    Returns
    -------
    bool
        False if the start has no finite log density; nothing is then done.
    """
    cdef ProjectionTarget t = target
    cdef int k = t.n_params, M = t.n_moments, r
    cdef Py_ssize_t n_blocks = blocks.shape[0] - 1, s, b, i, j, start, size
    cdef double u1, u2, spread, here, there, forward, backward, ratio, quadratic, nu, total
    cdef bint ready, screened
    cdef Point current, proposal, swap
    cdef bitgen_t* rng = generator(bit_generator)
    if position.shape[0] != k + t.n_paths or draws.shape[1] != k + t.n_paths:
        raise ValueError("position and draws must hold all coefficients and paths")
    if n_blocks < 1 or blocks[0] != 0 or blocks[n_blocks] != k or np.min(np.diff(blocks)) < 1:
        raise ValueError("blocks must run from 0 to the number of coefficients")
    shapes = {whitening.shape[0], whitening.shape[1], colouring.shape[0], colouring.shape[1]}
    if centre.shape[0] != k or shapes != {k}:
        raise ValueError("centre, whitening and colouring must fit the coefficients")
    if log_density.shape[0] != draws.shape[0] or counters.shape[0] != 5:
        raise ValueError("log_density must be as long as draws, and counters hold 5 integers")
    if unscreened < 0:
        raise ValueError("unscreened must not be negative")
    if not df > 0.0:
        raise ValueError("df must be positive")
    cdef Py_ssize_t needed = 2 * point_size(t) + scratch_size(t) + 2 * k
    cdef double* memory = <double*>malloc(needed * sizeof(double))
    if memory == NULL:
        raise MemoryError
    place_point(t, &current, memory)
    place_point(t, &proposal, memory + point_size(t))
    cdef double* scratch = memory + 2 * point_size(t)
    cdef double* normals = scratch + scratch_size(t)
    cdef double* step = normals + k
    with nogil:
        for i in range(k):
            current.x[i] = position[i]
        ready = evaluate(t, &current, scratch)
        if ready:
            for s in range(draws.shape[0]):
                current.prior = log_prior(t, current.x, &position[0] + k, False)
                for b in range(n_blocks):
                    start = blocks[b]
                    size = blocks[b + 1] - start
                    random_standard_normal_fill(rng, size, normals)
                    spread = 1.0
                    if df != INFINITY:
                        spread = sqrt(df / random_chisquare(rng, df))
                    u1 = rng.next_double(rng.state)
                    u2 = rng.next_double(rng.state)
                    here = 0.0
                    there = 0.0
                    for i in range(size):
                        total = 0.0
                        for j in range(k):
                            total += whitening[start + i, j] * (current.x[j] - centre[j])
                        here += total * total
                        normals[i] *= spread
                        there += normals[i] * normals[i]
                        step[i] = normals[i] - total
                    for j in range(k):
                        total = current.x[j]
                        for i in range(size):
                            total += colouring[j, start + i] * step[i]
                        proposal.x[j] = total
                    screened = unscreened == 0 or counters[0] % unscreened != 0
                    counters[0] += 1
                    moment_mean(t, proposal.x, proposal.g)
                    proposal.prior = log_prior(t, proposal.x, &position[0] + k, False)
                    total = log_proposal(here, df, size) - log_proposal(there, df, size)
                    total += proposal.prior - current.prior
                    forward = 0.0
                    backward = 0.0
                    if screened:
                        quadratic = quadratic_form(current.root, M, proposal.g, scratch)
                        forward = 0.5 * (current.quadratic - quadratic) + total
                        forward = forward if forward < 0.0 else 0.0
                        if not log(u1) < forward:
                            continue
                    counters[1] += 1
                    if not evaluate(t, &proposal, scratch):
                        counters[3] += 1
                        continue
                    if screened:
                        quadratic = quadratic_form(proposal.root, M, current.g, scratch)
                        backward = 0.5 * (proposal.quadratic - quadratic) - total
                        backward = backward if backward < 0.0 else 0.0
                    ratio = proposal.likelihood - current.likelihood + total + backward - forward
                    if log(u2) < ratio:
                        counters[2] += 1
                        swap = current
                        current = proposal
                        proposal = swap
                for r in range(t.n_paths):
                    nu = 0.0
                    if cauchy_rate > 0.0:
                        nu = random_standard_exponential(rng) / (position[k + r] + cauchy_rate)
                    position[k + r] = random_standard_gamma(rng, shape + 0.5 * t.paths[r, 0]) / (
                        rate + nu + 0.5 * rough_form(t, current.x, r) / t.paths[r, 1]
                    )
                for i in range(k):
                    position[i] = current.x[i]
                for i in range(k + t.n_paths):
                    draws[s, i] = position[i]
                total = log_prior(t, current.x, &position[0] + k, True)
                log_density[s] = current.likelihood + total
    free(memory)
    return bool(ready)
