"""Metropolis and delayed-acceptance chains for linear moments.

Each function advances one chain by len(draws) draws without the interpreter lock. It begins by
evaluating the target at `position`, so a chain is the same whatever the size of its blocks. Random
numbers come from NumPy's generator in the order that the docstrings give, which the twins in
``reference/`` repeat.
"""

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.math cimport INFINITY, exp, isfinite, log, sqrt
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

from qbeconometrics.kernels._cholesky cimport (
    multiply_lower,
    packed_cholesky,
    solve_lower,
    solve_lower_columns,
    solve_lower_transposed,
    squared_norm_transposed,
)
from qbeconometrics.kernels._linear_moments cimport (
    LinearMomentTarget,
    Point,
    Target,
    evaluate,
    evaluate_covariance,
    frozen_quadratic,
    log_prior,
    moment_mean,
    place_point,
    point_size,
    scratch_size,
)


cdef extern from "numpy/random/bitgen.h":
    ctypedef struct bitgen_t:
        void* state
        double (*next_double)(void* state) noexcept nogil

cdef extern from "numpy/random/distributions.h":
    void random_standard_normal_fill(bitgen_t*, Py_ssize_t, double*) noexcept nogil
    double random_chisquare(bitgen_t*, double) noexcept nogil


# What a chain counts, in the order of the `counters` array. Stage 1 is passed by every proposal of a
# sampler that has none; each pass costs one evaluation of S.
cdef enum:
    PROPOSED = 0
    PASSED_FIRST = 1
    ACCEPTED = 2
    NONFINITE = 3

COUNTERS = ("proposed", "passed_first", "accepted", "nonfinite")

# Robbins-Monro: the gain of draw i is (i + 1)^-0.6.
cdef double GAIN_EXPONENT = 0.6


cdef bitgen_t* _generator(bit_generator) except NULL:
    return <bitgen_t*>PyCapsule_GetPointer(bit_generator.capsule, "BitGenerator")


cdef int _check(
    LinearMomentTarget target, double[::1] position, double[:, ::1] draws,
    double[::1] log_density, int64_t[::1] counters,
) except -1:
    if position.shape[0] != target.c.k or draws.shape[1] != target.c.k:
        raise ValueError(f"position and draws must hold {target.c.k} coefficients")
    if log_density.shape[0] != draws.shape[0]:
        raise ValueError("log_density must be as long as draws")
    if counters.shape[0] != 4:
        raise ValueError("counters must hold 4 integers")
    return 0


cdef void adapt_scale(double* tuning, double acceptance, double goal) noexcept nogil:
    tuning[1] += 1.0
    tuning[0] += (acceptance - goal) * exp(-GAIN_EXPONENT * log(tuning[1]))


def random_walk(
    LinearMomentTarget target,
    bit_generator,
    double[::1] position,
    double[::1] tuning,
    const double[::1] proposal_root,
    double[:, ::1] draws,
    double[::1] log_density,
    int64_t[::1] counters,
    *,
    bint delayed,
    double goal=-1.0,
):
    """Advance a random-walk Metropolis chain, plain or with delayed acceptance.

    Random numbers a draw: k standard normals, one uniform; a second uniform if `delayed`.

    Parameters
    ----------
    target : LinearMomentTarget
    bit_generator : numpy.random.BitGenerator
        Used without its lock: it must belong to this chain alone.
    position : ndarray, shape (k,)
        Start; overwritten with the end.
    tuning : ndarray, shape (2,)
        Log scale of the proposal and the number of adaptation steps; updated if `goal` > 0.
    proposal_root : ndarray, shape (k (k + 1)/2,)
        Packed lower factor of the proposal covariance at scale 1.
    draws : ndarray, shape (draws, k)
    log_density : ndarray, shape (draws,)
        Filled with the log quasi-posterior, without the prior's constant.
    counters : ndarray of int64, shape (4,)
        Increased; see `COUNTERS`.
    delayed : bool
        Screen each proposal with S frozen at the current position first (following Tanaka, arXiv
        2504.11761; Christen & Fox 2005).
    goal : float
        Acceptance rate to adapt the scale to; no adaptation if negative.

    Returns
    -------
    bool
        False if the start has no finite log density; nothing is then done.
    """
    cdef const Target* t = &target.c
    cdef int a, k = t.k
    cdef Py_ssize_t i
    cdef bitgen_t* rng = _generator(bit_generator)
    cdef double scale, u1, u2, quadratic, forward, backward, ratio, acceptance, new_prior
    cdef bint ready, passed
    cdef Point current, proposal, swap
    _check(target, position, draws, log_density, counters)
    if tuning.shape[0] != 2 or proposal_root.shape[0] != k * (k + 1) // 2:
        raise ValueError("tuning must hold 2 numbers, proposal_root k (k + 1)/2")
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
        for a in range(k):
            current.x[a] = position[a]
        ready = evaluate(t, &current, scratch)
        if ready:
            for i in range(draws.shape[0]):
                random_standard_normal_fill(rng, k, normals)
                u1 = rng.next_double(rng.state)
                u2 = rng.next_double(rng.state) if delayed else 0.0
                scale = exp(tuning[0])
                multiply_lower(&proposal_root[0], k, normals, step)
                for a in range(k):
                    proposal.x[a] = current.x[a] + scale * step[a]
                counters[PROPOSED] += 1
                passed = True
                forward = 0.0
                acceptance = 0.0
                if delayed:
                    moment_mean(t, proposal.x, proposal.g)
                    new_prior = log_prior(t, proposal.x)
                    quadratic = frozen_quadratic(t, current.root, proposal.g, scratch)
                    forward = 0.5 * (current.quadratic - quadratic) + new_prior - current.log_prior
                    # A NaN fails the comparison and is rejected.
                    passed = log(u1) < forward
                    forward = forward if forward < 0.0 else 0.0
                if passed:
                    counters[PASSED_FIRST] += 1
                    if evaluate(t, &proposal, scratch):
                        ratio = (
                            proposal.log_likelihood + proposal.log_prior
                            - current.log_likelihood - current.log_prior
                        )
                        if delayed:
                            quadratic = frozen_quadratic(t, proposal.root, current.g, scratch)
                            backward = (
                                0.5 * (proposal.quadratic - quadratic)
                                + current.log_prior - proposal.log_prior
                            )
                            ratio += (backward if backward < 0.0 else 0.0) - forward
                        acceptance = 1.0 if ratio >= 0.0 else exp(ratio)
                        if log(u2 if delayed else u1) < ratio:
                            counters[ACCEPTED] += 1
                            swap = current
                            current = proposal
                            proposal = swap
                    else:
                        counters[NONFINITE] += 1
                if goal > 0.0:
                    adapt_scale(&tuning[0], acceptance, goal)
                for a in range(k):
                    draws[i, a] = current.x[a]
                log_density[i] = current.log_likelihood + current.log_prior
            for a in range(k):
                position[a] = current.x[a]
    free(memory)
    return bool(ready)


# The normal approximation with S frozen at a point: N(mean, precision^-1).
cdef struct Surrogate:
    double* root            # packed (k,) factor of the precision; unused when m = k without prior
    double* mean            # (k,)
    double log_determinant  # of the precision


cdef bint fit_surrogate(
    const Target* t, const Point* p, Surrogate* s, bint with_prior, double* scratch
) noexcept nogil:
    """Fill `s` from the factor of S at `p`; `scratch` holds m k + m + k numbers."""
    cdef int i, a, b, k = t.k, m = t.m
    cdef double total
    cdef double* B = scratch
    cdef double* h = scratch + m * k
    cdef double* row
    cdef double* out
    for i in range(m * k):
        B[i] = t.jacobian[i]
    for i in range(m):
        h[i] = t.intercept[i]
    solve_lower_columns(p.root, m, B, k)
    solve_lower(p.root, m, h)
    for a in range(k):
        out = s.root + a * (a + 1) // 2
        for b in range(a + 1):
            out[b] = t.prior_precision[a * k + b] if with_prior else 0.0
        total = 0.0
        if with_prior:
            for b in range(k):
                total += t.prior_precision[a * k + b] * t.prior_mean[b]
        s.mean[a] = total
    for i in range(m):
        row = B + i * k
        for a in range(k):
            total = row[a]
            out = s.root + a * (a + 1) // 2
            for b in range(a + 1):
                out[b] += total * row[b]
            s.mean[a] += total * h[i]
    s.log_determinant = packed_cholesky(s.root, k, scratch + m * k + m)
    if not isfinite(s.log_determinant):
        return False
    solve_lower(s.root, k, s.mean)
    solve_lower_transposed(s.root, k, s.mean)
    return True


cdef double log_proposal(double log_determinant, double distance, double df, int k) noexcept nogil:
    """Log density, up to a constant, at squared scaled distance from the proposal's centre."""
    if df == INFINITY:
        return 0.5 * log_determinant - 0.5 * distance
    return 0.5 * log_determinant - 0.5 * (df + k) * log(1.0 + distance / df)


cdef double surrogate_distance(
    const Target* t, const Surrogate* s, const double* to, const double* start, double rho,
    double* scratch,
) noexcept nogil:
    """Squared distance of `to` from the centre of the proposal made at `start`."""
    cdef int a
    for a in range(t.k):
        scratch[a] = to[a] - s.mean[a] - rho * (start[a] - s.mean[a])
    return squared_norm_transposed(s.root, t.k, scratch) / (1.0 - rho * rho)


cdef double moment_distance(
    const Target* t, const Point* p, const double* to, const double* start, double rho,
    double* scratch,
) noexcept nogil:
    """The same without prior and with m = k, from the moment means `to` and `start`."""
    cdef int j
    cdef double total = 0.0
    for j in range(t.m):
        scratch[j] = to[j] - rho * start[j]
    solve_lower(p.root, t.m, scratch)
    for j in range(t.m):
        total += scratch[j] * scratch[j]
    return total / (1.0 - rho * rho)


def modified_delayed_acceptance(
    LinearMomentTarget target,
    bit_generator,
    double[::1] position,
    double df,
    double rho,
    const double[:, ::1] jacobian_inverse,
    const double[::1] root_of_moments,
    double[:, ::1] draws,
    double[::1] log_density,
    int64_t[::1] counters,
    *,
    bint exact,
):
    """Advance a chain that proposes from the normal or Student-t surrogate at its position.

    The variants Exact and Approx follow Tanaka (arXiv 2511.17117); the Student-t form and partial
    refreshment are ours. With S frozen at the current position the quasi-posterior is normal:
    N(mean, precision^-1). A proposal is mean + rho (x - mean) + sqrt(1 - rho^2) times a draw from
    that normal law, or from the Student-t law with the same scale, about zero. Exact has the normal
    prior in the surrogate; its first stage always accepts. Approx leaves the prior out and screens
    with the prior's ratio first.

    Random numbers a draw: k standard normals; a chi-square if `df` is finite; a uniform if not
    `exact`; a uniform.

    Parameters
    ----------
    target : LinearMomentTarget
    bit_generator : numpy.random.BitGenerator
        Used without its lock: it must belong to this chain alone.
    position : ndarray, shape (k,)
        Start; overwritten with the end.
    df : float
        Degrees of freedom; infinity for the normal proposal.
    rho : float
        Share kept of the current position, 0 <= rho < 1.
    jacobian_inverse : ndarray, shape (k, k) or (0, 0)
        Inverse of the target's jacobian when m = k: Approx then needs no k x k factor.
    root_of_moments : ndarray, shape (k,) or (0,)
        With `jacobian_inverse`, the solution of g(x) = 0.
    draws, log_density, counters
        As for `random_walk`.
    exact : bool

    Returns
    -------
    bool
        False if the start has no finite log density or no surrogate; nothing is then done.
    """
    cdef const Target* t = &target.c
    cdef int a, b, k = t.k, m = t.m
    cdef Py_ssize_t i
    cdef bitgen_t* rng = _generator(bit_generator)
    cdef bint square = jacobian_inverse.shape[0] > 0
    cdef bint ready, passed, usable
    cdef double spread, chi_square, u1, u2, ratio, total, new_prior, forward, backward
    cdef Point current, proposal, swap
    cdef Surrogate here, there, swap_surrogate
    _check(target, position, draws, log_density, counters)
    if not 0.0 <= rho < 1.0:
        raise ValueError("rho must be in [0, 1)")
    if not df > 0.0:
        raise ValueError("df must be positive")
    if square and (
        exact or m != k or jacobian_inverse.shape[0] != k or jacobian_inverse.shape[1] != k
        or root_of_moments.shape[0] != k
    ):
        raise ValueError("jacobian_inverse is for Approx with as many moments as coefficients")
    cdef Py_ssize_t surrogate_size = k * (k + 1) // 2 + k
    cdef Py_ssize_t scratch_needed = scratch_size(t) + m * k + m + k
    cdef Py_ssize_t needed = 2 * point_size(t) + 2 * surrogate_size + scratch_needed + 2 * k + m
    cdef double* memory = <double*>malloc(needed * sizeof(double))
    if memory == NULL:
        raise MemoryError
    place_point(t, &current, memory)
    place_point(t, &proposal, memory + point_size(t))
    here.root = memory + 2 * point_size(t)
    here.mean = here.root + k * (k + 1) // 2
    there.root = here.mean + k
    there.mean = there.root + k * (k + 1) // 2
    cdef double* scratch = there.mean + k
    cdef double* normals = scratch + scratch_needed
    cdef double* step = normals + k
    here.log_determinant = 0.0
    there.log_determinant = 0.0
    with nogil:
        for a in range(k):
            current.x[a] = position[a]
        ready = evaluate(t, &current, scratch)
        if square:
            for a in range(k):
                here.mean[a] = root_of_moments[a]
                there.mean[a] = root_of_moments[a]
        elif ready:
            ready = fit_surrogate(t, &current, &here, exact, scratch)
        if ready:
            for i in range(draws.shape[0]):
                random_standard_normal_fill(rng, k, normals)
                chi_square = random_chisquare(rng, df) if df != INFINITY else 1.0
                u1 = 0.0 if exact else rng.next_double(rng.state)
                u2 = rng.next_double(rng.state)
                spread = sqrt(1.0 - rho * rho)
                if df != INFINITY:
                    spread *= sqrt(df / chi_square)
                if square:
                    multiply_lower(current.root, m, normals, scratch)
                    for a in range(k):
                        total = 0.0
                        for b in range(k):
                            total += jacobian_inverse[a, b] * scratch[b]
                        step[a] = total
                else:
                    for a in range(k):
                        step[a] = normals[a]
                    solve_lower_transposed(here.root, k, step)
                for a in range(k):
                    proposal.x[a] = (
                        here.mean[a] + rho * (current.x[a] - here.mean[a]) + spread * step[a]
                    )
                counters[PROPOSED] += 1
                passed = True
                if not exact:
                    new_prior = log_prior(t, proposal.x)
                    passed = log(u1) < new_prior - current.log_prior
                if passed:
                    counters[PASSED_FIRST] += 1
                    usable = evaluate(t, &proposal, scratch)
                    if usable and not square:
                        usable = fit_surrogate(t, &proposal, &there, exact, scratch)
                    if usable:
                        ratio = proposal.log_likelihood - current.log_likelihood
                        if exact:
                            ratio += proposal.log_prior - current.log_prior
                        if square:
                            # The precision is jacobian' S^-1 jacobian: its determinant is that of
                            # S^-1 up to a constant.
                            forward = log_proposal(
                                -current.log_determinant,
                                moment_distance(t, &current, proposal.g, current.g, rho, scratch),
                                df, k,
                            )
                            backward = log_proposal(
                                -proposal.log_determinant,
                                moment_distance(t, &proposal, current.g, proposal.g, rho, scratch),
                                df, k,
                            )
                        else:
                            forward = log_proposal(
                                here.log_determinant,
                                surrogate_distance(t, &here, proposal.x, current.x, rho, scratch),
                                df, k,
                            )
                            backward = log_proposal(
                                there.log_determinant,
                                surrogate_distance(t, &there, current.x, proposal.x, rho, scratch),
                                df, k,
                            )
                        if log(u2) < ratio + backward - forward:
                            counters[ACCEPTED] += 1
                            swap = current
                            current = proposal
                            proposal = swap
                            swap_surrogate = here
                            here = there
                            there = swap_surrogate
                    else:
                        counters[NONFINITE] += 1
                for a in range(k):
                    draws[i, a] = current.x[a]
                log_density[i] = current.log_likelihood + current.log_prior
            for a in range(k):
                position[a] = current.x[a]
    free(memory)
    return bool(ready)
