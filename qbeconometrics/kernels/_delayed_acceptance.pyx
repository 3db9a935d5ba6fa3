"""Metropolis and delayed-acceptance chains for linear moments.

Each function advances one chain by len(draws) draws without the interpreter lock. It begins by
evaluating the target at `position`, so a chain is the same whatever the size of its blocks. Random
numbers come from NumPy's generator in the order that the docstrings give, which the twins in
``reference/`` repeat.
"""

from libc.math cimport INFINITY, exp, log, sqrt
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

from qbeconometrics.kernels._cholesky cimport multiply_lower, solve_lower_transposed
from qbeconometrics.kernels._linear_moments cimport (
    LinearMomentTarget,
    evaluate,
    frozen_quadratic,
    log_prior,
    moment_mean,
    place_point,
    point_size,
    scratch_size,
)
from qbeconometrics.kernels._random cimport (
    bitgen_t,
    generator,
    random_chisquare,
    random_standard_normal_fill,
)
from qbeconometrics.kernels._surrogate cimport (
    Surrogate,
    fit_surrogate,
    log_proposal,
    moment_distance,
    surrogate_distance,
)
from qbeconometrics.kernels._target cimport Point, Target


# What a chain counts, in the order of the `counters` array. Stage 1 is passed by every proposal of a
# sampler that has none; each pass costs one evaluation of S.
cdef enum:
    PROPOSED = 0
    PASSED_FIRST = 1
    ACCEPTED = 2
    NONFINITE = 3
    # DIVERGENT = 4: of Hamiltonian trajectories, see _hmc.pyx

COUNTERS = ("proposed", "passed_first", "accepted", "nonfinite", "divergent")

# Robbins-Monro: the gain of draw i is (i + 1)^-0.6.
cdef double GAIN_EXPONENT = 0.6

# Log sd of the scale of unscreened steps: one in fifteen or so is ten times as long.
cdef double SCATTER = 1.5


cdef int _check(
    LinearMomentTarget target, double[::1] position, double[:, ::1] draws,
    double[::1] log_density, int64_t[::1] counters,
) except -1:
    if position.shape[0] != target.c.k or draws.shape[1] != target.c.k:
        raise ValueError(f"position and draws must hold {target.c.k} coefficients")
    if log_density.shape[0] != draws.shape[0]:
        raise ValueError("log_density must be as long as draws")
    if counters.shape[0] != 5:
        raise ValueError("counters must hold 5 integers")
    return 0


cdef void adapt_scale(double* tuning, double acceptance, double goal) noexcept nogil:
    tuning[1] += 1.0
    tuning[0] += (acceptance - goal) * exp(-GAIN_EXPONENT * log(tuning[1]))


def random_walk(
    LinearMomentTarget target not None,
    bit_generator,
    double[::1] position not None,
    double[::1] tuning not None,
    const double[::1] proposal_root not None,
    double[:, ::1] draws not None,
    double[::1] log_density not None,
    int64_t[::1] counters not None,
    *,
    bint delayed,
    double goal=-1.0,
    int unscreened=0,
):
    """Advance a random-walk Metropolis chain, plain or with delayed acceptance.

    Random numbers a draw: k standard normals, one uniform; a second uniform if `delayed`; a
    standard normal if the step is unscreened.

    Parameters
    ----------
    target : LinearMomentTarget
    bit_generator : numpy.random.BitGenerator
        Used without its lock: it must belong to this chain alone.
    position : ndarray, shape (k,)
        Start; overwritten with the end.
    tuning : ndarray, shape (2,) or longer
        Log scale of the proposal, the number of adaptation steps, and what is not used; updated if
        `goal` > 0.
    proposal_root : ndarray, shape (k (k + 1)/2,)
        Packed lower factor of the proposal covariance at scale 1.
    draws : ndarray, shape (draws, k)
    log_density : ndarray, shape (draws,)
        Filled with the log quasi-posterior, without the prior's constant.
    counters : ndarray of int64, shape (5,)
        Increased; see `COUNTERS`.
    delayed : bool
        Screen each proposal with S frozen at the current position first (following Tanaka, arXiv
        2504.11761; Christen & Fox 2005).
    goal : float
        Acceptance rate to adapt the scale to; no adaptation if negative.
    unscreened : int
        If positive and `delayed`, every step whose number is a multiple of it is plain Metropolis
        at a scattered scale (ours): screening with S frozen where the chain stands makes a distant
        mode look impossible, so that a screened chain hardly ever changes modes.

    Returns
    -------
    bool
        False if the start has no finite log density; nothing is then done.
    """
    cdef const Target* t = &target.c
    cdef int a, k = t.k
    cdef Py_ssize_t i
    cdef bitgen_t* rng = generator(bit_generator)
    cdef double scale, u1, u2, quadratic, forward, backward, ratio, acceptance, new_prior
    cdef double scatter = 0.0
    cdef bint ready, passed, screened
    cdef Point current, proposal, swap
    _check(target, position, draws, log_density, counters)
    if tuning.shape[0] < 2 or proposal_root.shape[0] != k * (k + 1) // 2:
        raise ValueError("tuning must hold 2 numbers or more, proposal_root k (k + 1)/2")
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
                counters[PROPOSED] += 1
                screened = delayed and not (
                    unscreened > 0 and counters[PROPOSED] % unscreened == 0
                )
                scale = exp(tuning[0])
                if delayed and not screened:
                    random_standard_normal_fill(rng, 1, &scatter)
                    scale *= exp(SCATTER * scatter)
                multiply_lower(&proposal_root[0], k, normals, step)
                for a in range(k):
                    proposal.x[a] = current.x[a] + scale * step[a]
                passed = True
                forward = 0.0
                acceptance = 0.0
                if screened:
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
                        if screened:
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
                if goal > 0.0 and screened == delayed:
                    adapt_scale(&tuning[0], acceptance, goal)
                for a in range(k):
                    draws[i, a] = current.x[a]
                log_density[i] = current.log_likelihood + current.log_prior
            for a in range(k):
                position[a] = current.x[a]
    free(memory)
    return bool(ready)


def modified_delayed_acceptance(
    LinearMomentTarget target not None,
    bit_generator,
    double[::1] position not None,
    double df,
    double rho,
    const double[:, ::1] jacobian_inverse not None,
    const double[::1] root_of_moments not None,
    double[:, ::1] draws not None,
    double[::1] log_density not None,
    int64_t[::1] counters not None,
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
    cdef bitgen_t* rng = generator(bit_generator)
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
