# Parts of a trajectory of the no-U-turn sampler, which are joined two by two.

from libc.math cimport exp, fabs, log, log1p


cdef struct Edge:
    double* x
    double* force        # L' gradient
    double* momentum

# A part of a trajectory, and the point of it that was drawn.
cdef struct Branch:
    int level            # of 2^level points
    double* first        # momentum at the end where the part began
    double* last         # momentum at its other end
    double* total        # sum of its momenta
    double log_weight
    double* x
    double* force
    double log_density
    double energy


cdef inline double log_sum(double a, double b) noexcept nogil:
    """log(exp(a) + exp(b)) of finite numbers."""
    return (a if a > b else b) + log1p(exp(-fabs(a - b)))


cdef inline bint has_turned(const Branch* a, const Branch* b, int size) noexcept nogil:
    """Whether a followed by b turns around: as a whole, or a and the first of b, or the last of a
    and b, which catches turns that fall between the two."""
    cdef int i
    cdef double whole, early, late
    cdef double from_first = 0.0, to_last = 0.0
    cdef double early_first = 0.0, early_last = 0.0, late_first = 0.0, late_last = 0.0
    for i in range(size):
        whole = a.total[i] + b.total[i]
        early = a.total[i] + b.first[i]
        late = a.last[i] + b.total[i]
        from_first += a.first[i] * whole
        to_last += b.last[i] * whole
        early_first += a.first[i] * early
        early_last += b.first[i] * early
        late_first += a.last[i] * late
        late_last += b.last[i] * late
    return not (
        from_first > 0.0 and to_last > 0.0
        and early_first > 0.0 and early_last > 0.0
        and late_first > 0.0 and late_last > 0.0
    )


cdef inline void swap(double** a, double** b) noexcept nogil:
    cdef double* kept = a[0]
    a[0] = b[0]
    b[0] = kept


cdef inline void join(
    Branch* a, Branch* b, int size, double uniform, bint prefer_newer
) noexcept nogil:
    """Append b to a. The draw becomes that of b with the share of its weight in the whole, or in a
    alone if the newer half is preferred."""
    cdef int i
    cdef double whole = log_sum(a.log_weight, b.log_weight)
    if log(uniform) < b.log_weight - (a.log_weight if prefer_newer else whole):
        swap(&a.x, &b.x)
        swap(&a.force, &b.force)
        a.log_density = b.log_density
        a.energy = b.energy
    swap(&a.last, &b.last)
    for i in range(size):
        a.total[i] += b.total[i]
    a.log_weight = whole
    a.level += 1


cdef inline void plant(
    Branch* branch, const Edge* edge, int size, double log_density, double energy, double start
) noexcept nogil:
    """Make a branch of one point."""
    cdef int a
    branch.level = 0
    for a in range(size):
        branch.first[a] = edge.momentum[a]
        branch.last[a] = edge.momentum[a]
        branch.total[a] = edge.momentum[a]
        branch.x[a] = edge.x[a]
        branch.force[a] = edge.force[a]
    branch.log_density = log_density
    branch.energy = energy
    branch.log_weight = start - energy


cdef inline double* place_branch(Branch* branch, double* memory, int size) noexcept nogil:
    """Point the arrays of a branch into memory; return what comes behind them."""
    branch.first = memory
    branch.last = memory + size
    branch.total = memory + 2 * size
    branch.x = memory + 3 * size
    branch.force = memory + 4 * size
    return memory + 5 * size


cdef inline double* place_edge(Edge* edge, double* memory, int size) noexcept nogil:
    edge.x = memory
    edge.force = memory + size
    edge.momentum = memory + 2 * size
    return memory + 3 * size
