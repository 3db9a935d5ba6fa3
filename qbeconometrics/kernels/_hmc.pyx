"""Hamiltonian Monte Carlo for linear moments.

A chain moves in coordinates y in which the quasi-posterior is nearly a standard normal law:

    x = centre + s^power F y,    s = (1 + u)/2,    u = |y|^2 / k

F is a lower factor of the covariance. Far out S grows, so the law is wider there than a normal one,
and `power` stretches the radius; power = 0 is the linear map. The stretching is ours.
"""

from libc.math cimport exp, isfinite, log
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

from qbeconometrics.kernels._cholesky cimport multiply_lower
from qbeconometrics.kernels._gradient cimport add_gradient, gradient_scratch_size
from qbeconometrics.kernels._linear_moments cimport (
    LinearMomentTarget,
    evaluate,
    place_point,
    point_size,
    scratch_size,
)
from qbeconometrics.kernels._random cimport bitgen_t, generator, random_standard_normal_fill
from qbeconometrics.kernels._step cimport adapt_step
from qbeconometrics.kernels._target cimport Point, Target


cdef enum:
    PROPOSED = 0
    EVALUATED = 1
    ACCEPTED = 2
    NONFINITE = 3
    DIVERGENT = 4

# Share of a step's force at its two ends, which keeps the energy better than the leapfrog's 1/4
# at the same two gradients (Blanes, Casas & Sanz-Serna 2014, SIAM J. Sci. Comput. 36, A1556-A1580).
cdef double END_SHARE = 0.21178

# An energy error above this is counted as a divergence, as in Stan.
cdef double DIVERGENCE = 1000.0

# A trajectory is at most this many steps, whatever its length.
cdef int MOST_STEPS = 512


cdef struct Map:
    int k
    double power
    const double* centre
    const double* root

cdef struct Place:
    double* y
    double* force        # gradient of the log density in y
    double log_density   # in y
    double log_target    # in x


cdef double scaled_square(const double* y, int k) noexcept nogil:
    cdef int a
    cdef double total = 0.0
    for a in range(k):
        total += y[a] * y[a]
    return total / k


cdef void to_target(const Map* f, const double* y, double* x) noexcept nogil:
    cdef int a
    cdef double stretch = exp(f.power * log((1.0 + scaled_square(y, f.k)) / 2.0))
    multiply_lower(f.root, f.k, y, x)
    for a in range(f.k):
        x[a] = f.centre[a] + stretch * x[a]


cdef bint settle(
    const Target* t, const Map* f, Place* here, Point* p, double* gradient, double* scratch
) noexcept nogil:
    """Fill log density and force at here.y; False where the target is not finite.

    With w = 1 + 2 power u/(1 + u) the Jacobian determinant of the map is |F| s^(k power) w.
    """
    cdef int a, b, k = f.k
    cdef double u, log_s, stretch, w, factor, along = 0.0
    cdef const double* row
    to_target(f, here.y, p.x)
    if not evaluate(t, p, scratch):
        return False
    add_gradient(t, p, gradient, scratch)
    u = scaled_square(here.y, k)
    log_s = log((1.0 + u) / 2.0)
    stretch = exp(f.power * log_s)
    w = 1.0 + 2.0 * f.power * u / (1.0 + u)
    for a in range(k):
        here.force[a] = 0.0
    for b in range(k):
        row = f.root + b * (b + 1) // 2
        for a in range(b + 1):
            here.force[a] += row[a] * gradient[b]
    for a in range(k):
        here.force[a] *= stretch
        along += here.force[a] * here.y[a]
    factor = 2.0 * f.power / (k * (1.0 + u)) * (along + k + 2.0 / ((1.0 + u) * w))
    for a in range(k):
        here.force[a] += factor * here.y[a]
    here.log_target = p.log_likelihood + p.log_prior
    here.log_density = here.log_target + k * f.power * log_s + log(w)
    return isfinite(here.log_density)


cdef double kinetic(const double* momentum, int k) noexcept nogil:
    cdef int a
    cdef double total = 0.0
    for a in range(k):
        total += momentum[a] * momentum[a]
    return 0.5 * total


cdef double kinetic_halfway(
    const double* momentum, const double* force, double push, int k
) noexcept nogil:
    """Kinetic energy after half of the push."""
    cdef int a
    cdef double total = 0.0, value
    for a in range(k):
        value = momentum[a] + 0.5 * push * force[a]
        total += value * value
    return 0.5 * total


def hamiltonian(
    LinearMomentTarget target not None,
    bit_generator,
    double[::1] position not None,
    double[::1] tuning not None,
    const double[::1] centre not None,
    const double[::1] root not None,
    double power,
    double length,
    double jitter,
    double[:, ::1] draws not None,
    double[::1] log_density not None,
    int64_t[::1] counters not None,
    *,
    double goal=-1.0,
):
    """Advance a Hamiltonian Monte Carlo chain (Duane et al. 1987; Neal 2011).

    Random numbers a draw: k standard normals (momentum), a uniform (length), a uniform.

    Parameters
    ----------
    target : LinearMomentTarget
    bit_generator : numpy.random.BitGenerator
        Used without its lock: it must belong to this chain alone.
    position : ndarray, shape (k,)
        Start, in the coordinates y of the module's first lines; overwritten with the end.
    tuning : ndarray, shape (5,)
        Log step, adaptation steps, mean error, mean log step, anchor of the dual averaging;
        updated if `goal` > 0.
    centre : ndarray, shape (k,)
    root : ndarray, shape (k (k + 1)/2,)
        F, packed by rows.
    power : float
        Not negative.
    length : float
        Mean length of a trajectory in y.
    jitter : float
        A trajectory's length is drawn uniformly within this share of the mean.
    draws : ndarray, shape (draws, k)
        Filled with x.
    log_density : ndarray, shape (draws,)
        Filled with the log quasi-posterior at x, without the prior's constant.
    counters : ndarray of int64, shape (5,)
        Increased: trajectories, gradients, accepted, ended where the target is not finite, and
        ended by a divergence.
    goal : float
        Acceptance rate to adapt the step to; no adaptation if negative.

    Returns
    -------
    bool
        False if the start has no finite log density; nothing is then done.
    """
    cdef const Target* t = &target.c
    cdef int a, stage, stages, k = t.k
    cdef Py_ssize_t i
    cdef bitgen_t* rng = generator(bit_generator)
    cdef double step, steps, energy, error, acceptance, u1, u2, end_push, middle_push, push, drift
    cdef bint ready, finite
    cdef Map f
    cdef Place here, there, swap
    cdef Point p
    if position.shape[0] != k or centre.shape[0] != k or draws.shape[1] != k:
        raise ValueError(f"position, centre and draws must hold {k} coefficients")
    if log_density.shape[0] != draws.shape[0]:
        raise ValueError("log_density must be as long as draws")
    if tuning.shape[0] != 5 or counters.shape[0] != 5:
        raise ValueError("tuning and counters must hold 5 numbers")
    if root.shape[0] != k * (k + 1) // 2:
        raise ValueError("root must hold k (k + 1)/2 numbers")
    if not (length > 0.0 and 0.0 <= jitter < 1.0 and power >= 0.0):
        raise ValueError("length must be positive, jitter in [0, 1), power 0 or more")
    cdef Py_ssize_t scratch_needed = scratch_size(t)
    if gradient_scratch_size(t) > scratch_needed:
        scratch_needed = gradient_scratch_size(t)
    cdef double* memory = <double*>malloc(
        (point_size(t) + scratch_needed + 6 * k) * sizeof(double)
    )
    if memory == NULL:
        raise MemoryError
    place_point(t, &p, memory)
    cdef double* scratch = memory + point_size(t)
    here.y = scratch + scratch_needed
    here.force = here.y + k
    there.y = here.force + k
    there.force = there.y + k
    cdef double* momentum = there.force + k
    cdef double* gradient = momentum + k
    f.k, f.power, f.centre, f.root = k, power, &centre[0], &root[0]
    with nogil:
        for a in range(k):
            here.y[a] = position[a]
        ready = settle(t, &f, &here, &p, gradient, scratch)
        if ready:
            for i in range(draws.shape[0]):
                random_standard_normal_fill(rng, k, momentum)
                u1 = rng.next_double(rng.state)
                u2 = rng.next_double(rng.state)
                step = exp(tuning[0])
                steps = length * (1.0 + jitter * (2.0 * u1 - 1.0)) / step
                stages = 2 * <int>(steps / 2.0 + 0.5) if steps < MOST_STEPS else MOST_STEPS
                stages = stages if stages > 2 else 2
                counters[PROPOSED] += 1
                energy = kinetic(momentum, k) - here.log_density
                for a in range(k):
                    there.y[a] = here.y[a]
                    there.force[a] = here.force[a]
                end_push = 2.0 * END_SHARE * step
                middle_push = 2.0 * (1.0 - 2.0 * END_SHARE) * step
                push = end_push
                there.log_density = here.log_density
                finite = True
                for stage in range(stages):
                    drift = kinetic_halfway(momentum, there.force, push, k)
                    drift = drift - there.log_density - energy
                    for a in range(k):
                        momentum[a] += push * there.force[a]
                        there.y[a] += step * momentum[a]
                    counters[EVALUATED] += 1
                    finite = settle(t, &f, &there, &p, gradient, scratch)
                    if not finite:
                        break
                    push = middle_push if stage % 2 == 0 else 2.0 * end_push
                acceptance = 0.0
                if finite:
                    for a in range(k):
                        momentum[a] += end_push * there.force[a]
                    error = kinetic(momentum, k) - there.log_density - energy
                    if not error < DIVERGENCE:
                        counters[DIVERGENT] += 1
                    acceptance = 1.0 if error <= 0.0 else exp(-error)
                    # A NaN fails the comparison and is rejected.
                    if log(u2) < -error:
                        counters[ACCEPTED] += 1
                        swap = here
                        here = there
                        there = swap
                else:
                    counters[NONFINITE] += 1
                    # A wall rejects at any step: what the step was like shows before it.
                    if stage > 0:
                        acceptance = 1.0 if drift <= 0.0 else exp(-drift)
                if goal > 0.0:
                    adapt_step(&tuning[0], acceptance, goal)
                to_target(&f, here.y, gradient)
                for a in range(k):
                    draws[i, a] = gradient[a]
                log_density[i] = here.log_target
            for a in range(k):
                position[a] = here.y[a]
    free(memory)
    return bool(ready)
