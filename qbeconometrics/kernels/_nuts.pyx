"""The no-U-turn sampler for any log density with a gradient.

A trajectory doubles, forwards or backwards, until it turns around or a step breaks down. Draws are
taken from all its points by their densities, with a preference for the newer half (Hoffman & Gelman
2014, JMLR 15, 1593-1623; Betancourt 2017, arXiv:1701.02434). Momenta are those of coordinates in
which the metric is the identity: with x = L y and L a scale or a lower factor, a standard normal
momentum moves x by step L momentum and is pushed by step L' gradient.
"""

from libc.math cimport exp, isfinite
from libc.stdlib cimport free, malloc

from qbeconometrics.kernels._branch cimport (
    Branch,
    Edge,
    has_turned,
    join,
    place_branch,
    place_edge,
    plant,
    swap,
)
from qbeconometrics.kernels._cholesky cimport multiply_lower
from qbeconometrics.kernels._density cimport CompiledDensity, Density
from qbeconometrics.kernels._random cimport bitgen_t, generator, random_standard_normal_fill
from qbeconometrics.kernels._step cimport adapt_step


# What is recorded of every draw: the columns of its statistics.
STATISTICS = (
    "depth",
    "gradients",
    "divergent",
    "nonfinite",
    "acceptance",
    "step",
    "energy",
    "energy_error",
    "log_density",
)

cdef enum:
    DEPTH = 0          # completed doublings
    GRADIENTS = 1
    DIVERGENT = 2
    NONFINITE = 3
    ACCEPTANCE = 4     # mean over the trajectory
    STEP = 5
    ENERGY = 6         # of the draw
    ENERGY_ERROR = 7   # the largest on the trajectory
    LOG_DENSITY = 8
    COLUMNS = 9

cdef enum Outcome:
    GROWN = 0
    TURNED = 1
    DIVERGED = 2
    LEFT = 3           # no finite density there

# An energy error above this is a divergence, as in Stan.
cdef double DIVERGENCE = 1000.0

# Doublings that there is room for.
cdef int DEEPEST = 20


cdef struct Field:
    Density density
    int size
    bint dense
    const double* scale
    double* gradient
    double* velocity


cdef void push_back(const Field* f, double* force) noexcept nogil:
    """Write L' gradient to `force`."""
    cdef int a, b
    cdef const double* row
    if not f.dense:
        for a in range(f.size):
            force[a] = f.scale[a] * f.gradient[a]
        return
    for a in range(f.size):
        force[a] = 0.0
    for b in range(f.size):
        row = f.scale + b * (b + 1) // 2
        for a in range(b + 1):
            force[a] += row[a] * f.gradient[b]


cdef bint settle(Field* f, const double* x, double* log_density, double* force) noexcept nogil:
    """Fill log density and force at x; False where they are not finite."""
    if not f.density.evaluate(f.density.context, x, log_density, f.gradient):
        return False
    push_back(f, force)
    return isfinite(log_density[0])


cdef bint leapfrog(Field* f, Edge* edge, double step, double* log_density) noexcept nogil:
    """Move an edge by one step; False where the density is not finite."""
    cdef int a
    for a in range(f.size):
        edge.momentum[a] += 0.5 * step * edge.force[a]
    if f.dense:
        multiply_lower(f.scale, f.size, edge.momentum, f.velocity)
        for a in range(f.size):
            edge.x[a] += step * f.velocity[a]
    else:
        for a in range(f.size):
            edge.x[a] += step * (f.scale[a] * edge.momentum[a])
    if not settle(f, edge.x, log_density, edge.force):
        return False
    for a in range(f.size):
        edge.momentum[a] += 0.5 * step * edge.force[a]
    return True


cdef double kinetic(const double* momentum, int size) noexcept nogil:
    cdef int a
    cdef double total = 0.0
    for a in range(size):
        total += momentum[a] * momentum[a]
    return 0.5 * total


cdef Outcome grow(
    Field* f,
    Edge* edge,
    Branch* parts,
    int depth,
    double step,
    double start,
    bitgen_t* rng,
    double* statistics,
) noexcept nogil:
    """Make the branch parts[0] of 2^depth points beyond an edge, or find that it breaks down.

    Two neighbouring parts of the same length are joined as soon as there are two. Acceptance is
    added up, to be divided later.
    """
    cdef int leaf, filled = 0
    cdef double log_density, energy, error
    for leaf in range(1 << depth):
        statistics[GRADIENTS] += 1.0
        if not leapfrog(f, edge, step, &log_density):
            return LEFT
        energy = kinetic(edge.momentum, f.size) - log_density
        error = energy - start
        if error > statistics[ENERGY_ERROR]:
            statistics[ENERGY_ERROR] = error
        # A NaN fails the comparison.
        if not error < DIVERGENCE:
            return DIVERGED
        statistics[ACCEPTANCE] += 1.0 if error <= 0.0 else exp(-error)
        plant(&parts[filled], edge, f.size, log_density, energy, start)
        filled += 1
        while filled > 1 and parts[filled - 2].level == parts[filled - 1].level:
            if has_turned(&parts[filled - 2], &parts[filled - 1], f.size):
                return TURNED
            join(
                &parts[filled - 2], &parts[filled - 1], f.size, rng.next_double(rng.state), False
            )
            filled -= 1
    return GROWN


cdef void set_edge(Edge* edge, const Branch* tree, int size) noexcept nogil:
    cdef int a
    for a in range(size):
        edge.x[a] = tree.x[a]
        edge.force[a] = tree.force[a]
        edge.momentum[a] = tree.first[a]


cdef Outcome draw(
    Field* f,
    Branch* tree,
    Branch* parts,
    Edge* ahead,
    Edge* behind,
    double step,
    int max_depth,
    bitgen_t* rng,
    double* statistics,
) noexcept nogil:
    """Replace the point of `tree` by a draw from a trajectory through it."""
    cdef int a, depth = 0
    cdef bint forwards, facing_forwards = True, turned
    cdef double start
    cdef Edge edge
    cdef Outcome outcome = GROWN
    for a in range(COLUMNS):
        statistics[a] = 0.0
    statistics[STEP] = step
    random_standard_normal_fill(rng, f.size, tree.first)
    start = kinetic(tree.first, f.size) - tree.log_density
    tree.level, tree.log_weight, tree.energy = 0, 0.0, start
    for a in range(f.size):
        tree.last[a] = tree.first[a]
        tree.total[a] = tree.first[a]
    set_edge(ahead, tree, f.size)
    set_edge(behind, tree, f.size)
    while depth < max_depth:
        forwards = rng.next_double(rng.state) < 0.5
        if forwards != facing_forwards:
            # The tree is looked at from its other end, where it goes on.
            swap(&tree.first, &tree.last)
            facing_forwards = forwards
        edge = ahead[0] if forwards else behind[0]
        outcome = grow(
            f, &edge, parts, depth, step if forwards else -step, start, rng, statistics
        )
        if outcome != GROWN:
            break
        depth += 1
        turned = has_turned(tree, parts, f.size)
        join(tree, parts, f.size, rng.next_double(rng.state), True)
        if turned:
            break
    statistics[DEPTH] = depth
    statistics[DIVERGENT] = outcome == DIVERGED
    statistics[NONFINITE] = outcome == LEFT
    statistics[ACCEPTANCE] /= statistics[GRADIENTS]
    statistics[ENERGY] = tree.energy
    statistics[LOG_DENSITY] = tree.log_density
    return outcome


def nuts(
    CompiledDensity density not None,
    bit_generator,
    double[::1] position not None,
    double[::1] tuning not None,
    const double[::1] scale not None,
    int max_depth,
    double[:, ::1] draws not None,
    double[:, ::1] statistics not None,
    *,
    double goal=-1.0,
):
    """Advance a chain by len(draws) draws.

    Random numbers a draw: standard normals (momentum); for every doubling a uniform (direction),
    then one for each two parts that are joined, in the order of their joining.

    Parameters
    ----------
    density : CompiledDensity
        If it has an attribute `error` that is not None after a point without density, the chain
        stops before the draw at hand.
    bit_generator : numpy.random.BitGenerator
        Used without its lock: it must belong to this chain alone.
    position : ndarray, shape (size,)
        Start; overwritten with the end.
    tuning : ndarray, shape (5,)
        Log step, adaptation steps, mean error, mean log step, anchor of the dual averaging;
        updated if `goal` > 0.
    scale : ndarray, shape (size,) or (size (size + 1)/2,)
        Standard deviations, or a lower factor of the covariance packed by rows: the inverse metric.
    max_depth : int
        Most doublings, 1 to 20.
    draws : ndarray, shape (draws, size)
        Filled.
    statistics : ndarray, shape (draws, 9)
        Filled with `STATISTICS`.
    goal : float
        Acceptance statistic to adapt the step to; no adaptation if negative.

    Returns
    -------
    int
        Complete draws; -1 if the start has no finite log density.
    """
    cdef int a, level, size = density.c.size
    cdef Py_ssize_t i, done = 0
    cdef bitgen_t* rng = generator(bit_generator)
    cdef Outcome outcome
    cdef bint ready, failed = False, watched = hasattr(density, "error")
    cdef Field f
    cdef Branch tree
    cdef Branch parts[20]
    cdef Edge ahead, behind
    if density.c.evaluate == NULL:
        raise ValueError("density is not one: its base class evaluates nothing")
    if position.shape[0] != size or draws.shape[1] != size:
        raise ValueError(f"position and draws must hold {size} coordinates")
    if tuning.shape[0] != 5:
        raise ValueError("tuning must hold 5 numbers")
    if scale.shape[0] != size and scale.shape[0] != size * (size + 1) // 2:
        raise ValueError("scale must hold standard deviations or a packed lower factor")
    if not 1 <= max_depth <= DEEPEST:
        raise ValueError(f"max_depth must be from 1 to {DEEPEST}")
    if statistics.shape[0] != draws.shape[0] or statistics.shape[1] != COLUMNS:
        raise ValueError(f"statistics must be as long as draws and {COLUMNS} wide")
    cdef double* memory = <double*>malloc(
        <size_t>(5 * (max_depth + 1) + 8) * size * sizeof(double)
    )
    if memory == NULL:
        raise MemoryError
    cdef double* free_memory = place_branch(&tree, memory, size)
    for level in range(max_depth):
        free_memory = place_branch(&parts[level], free_memory, size)
    free_memory = place_edge(&behind, place_edge(&ahead, free_memory, size), size)
    f.density, f.size, f.scale, f.dense = density.c, size, &scale[0], scale.shape[0] > size
    f.gradient, f.velocity = free_memory, free_memory + size
    with nogil:
        for a in range(size):
            tree.x[a] = position[a]
        ready = settle(&f, tree.x, &tree.log_density, tree.force)
        if ready:
            for i in range(draws.shape[0]):
                outcome = draw(
                    &f, &tree, parts, &ahead, &behind, exp(tuning[0]), max_depth, rng,
                    &statistics[i, 0],
                )
                if outcome == LEFT and watched:
                    with gil:
                        failed = getattr(density, "error") is not None
                    if failed:
                        break
                if goal > 0.0:
                    adapt_step(&tuning[0], statistics[i, ACCEPTANCE], goal)
                for a in range(size):
                    draws[i, a] = tree.x[a]
                    position[a] = tree.x[a]
                done += 1
    free(memory)
    return done if ready else -1
