"""Particles of the Gibbs posterior of a weighted loss: one replication of a bootstrap.

The log density at x is -rate L(x) + log prior(x) with L the weighted sum of the losses of the index
offset + columns'x. L is kept with each particle, since particles of one rate are reweighted to
another by exp(-(difference of the rates) L). Rows come in multiples of `LANES`; rows of weight zero
fill them up.
"""

import numpy as np

from libc.math cimport exp, isfinite, log, log1p, pow
from libc.stdlib cimport free, malloc

from qbeconometrics.kernels._cholesky cimport multiply_lower
from qbeconometrics.kernels._random cimport bitgen_t, generator, random_standard_normal_fill


cdef extern from "_risk_loops.h":
    enum:
        C_LANES "LANES"
        HINGE
    double risk(
        int loss, const double* endog, const double* offset, const double* columns,
        const double* weight, const double* x, size_t n, int k, double a
    ) nogil

LANES = C_LANES

# Of the adaptation of the scale of a random walk: steps shrink as count to this power.
cdef double DECAY = 0.6


cdef struct Rows:
    int loss
    double option
    size_t n
    int k
    const double* endog
    const double* offset
    const double* columns
    const double* weight
    const double* prior_precision
    const double* prior_mean
    int student_terms
    const double* student_rows
    const double* student_offset
    const double* student_df


cdef double log_prior(const Rows* f, const double* x) noexcept nogil:
    cdef int a, b, j, k = f.k
    cdef double value = 0.0, total, df
    cdef const double* row
    for a in range(k):
        row = f.prior_precision + a * k
        total = 0.0
        for b in range(k):
            total += row[b] * (x[b] - f.prior_mean[b])
        value -= 0.5 * total * (x[a] - f.prior_mean[a])
    for j in range(f.student_terms):
        row = f.student_rows + j * k
        df = f.student_df[j]
        total = f.student_offset[j]
        for a in range(k):
            total += row[a] * x[a]
        value -= 0.5 * (df + 1.0) * log1p(total * total / df)
    return value


cdef double total_loss(const Rows* f, const double* x) noexcept nogil:
    return risk(f.loss, f.endog, f.offset, f.columns, f.weight, x, f.n, f.k, f.option)


cdef class LossRows:
    """Rows of one replication.

    Parameters
    ----------
    loss : int
        Which loss, by its place in `LOSSES` of reference/particles.py.
    option : float
        Its option, such as tau; anything if it has none.
    endog, offset, weight : ndarray, shape (n,)
        n a multiple of `LANES`.
    columns : ndarray, shape (k, n)
        Regressors.
    prior_precision : ndarray, shape (k, k)
    prior_mean : ndarray, shape (k,)
    student : tuple of ndarray, shapes (s, k), (s,), (s,)
        Rows, offset and degrees of freedom of Student-t terms, s of which may be 0.
    """

    cdef Rows c
    cdef tuple arrays

    def __init__(
        self,
        int loss,
        double option,
        const double[::1] endog not None,
        const double[::1] offset not None,
        const double[:, ::1] columns not None,
        const double[::1] weight not None,
        const double[:, ::1] prior_precision not None,
        const double[::1] prior_mean not None,
        tuple student not None,
    ):
        cdef const double[:, ::1] student_rows = student[0]
        cdef const double[::1] student_offset = student[1]
        cdef const double[::1] student_df = student[2]
        cdef Py_ssize_t n = endog.shape[0], k = columns.shape[0], s = student_rows.shape[0]
        if not 0 <= loss <= HINGE:
            raise ValueError(f"there is no loss number {loss}")
        if n == 0 or n % C_LANES or k == 0:
            raise ValueError(f"rows must come in multiples of {C_LANES}, with a column at least")
        if offset.shape[0] != n or weight.shape[0] != n or columns.shape[1] != n:
            raise ValueError("endog, offset, weight and columns must have as many rows")
        if (
            prior_precision.shape[0] != k
            or prior_precision.shape[1] != k
            or prior_mean.shape[0] != k
            or student_rows.shape[1] != k
            or student_offset.shape[0] != s
            or student_df.shape[0] != s
        ):
            raise ValueError(f"the prior must be that of {k} coefficients")
        # Kept alive for as long as their addresses are in use.
        self.arrays = (
            np.asarray(endog), np.asarray(offset), np.asarray(columns), np.asarray(weight),
            np.asarray(prior_precision), np.asarray(prior_mean), student,
        )
        self.c.loss, self.c.option, self.c.n, self.c.k = loss, option, n, k
        self.c.endog, self.c.offset = &endog[0], &offset[0]
        self.c.columns, self.c.weight = &columns[0, 0], &weight[0]
        self.c.prior_precision, self.c.prior_mean = &prior_precision[0, 0], &prior_mean[0]
        self.c.student_terms = <int>s
        self.c.student_rows = self.c.student_offset = self.c.student_df = NULL
        if s:
            self.c.student_rows = &student_rows[0, 0]
            self.c.student_offset, self.c.student_df = &student_offset[0], &student_df[0]

    def losses(self, const double[:, ::1] points not None):
        """Return L (M,) at `points` (M, k)."""
        if points.shape[1] != self.c.k:
            raise ValueError(f"points must have {self.c.k} columns")
        cdef Py_ssize_t i
        result = np.empty(points.shape[0])
        cdef double[::1] out = result
        with nogil:
            for i in range(points.shape[0]):
                out[i] = total_loss(&self.c, &points[i, 0])
        return result


cdef bint step(
    const Rows* f,
    const double* normals,
    double u,
    const double* root,
    double scale,
    double rate,
    double* x,
    double* loss,
    double* prior,
    double* proposal,
    double* acceptance,
) noexcept nogil:
    """One random-walk Metropolis step from x, which it moves, with given random numbers."""
    cdef int a
    cdef double candidate, candidate_prior, change
    multiply_lower(root, f.k, normals, proposal)
    for a in range(f.k):
        proposal[a] = x[a] + scale * proposal[a]
    candidate = total_loss(f, proposal)
    candidate_prior = log_prior(f, proposal)
    change = rate * (loss[0] - candidate) + candidate_prior - prior[0]
    # A NaN fails both comparisons and is rejected.
    acceptance[0] = 0.0
    if change >= 0.0:
        acceptance[0] = 1.0
    elif change < 0.0:
        acceptance[0] = exp(change)
    if not u < acceptance[0]:
        return False
    for a in range(f.k):
        x[a] = proposal[a]
    loss[0] = candidate
    prior[0] = candidate_prior
    return True


cdef void check(LossRows rows, const double[::1] root, Py_ssize_t columns) except *:
    cdef int k = rows.c.k
    if root.shape[0] != k * (k + 1) // 2:
        raise ValueError("root must hold k (k + 1)/2 numbers")
    if columns != k:
        raise ValueError(f"positions must have {k} coefficients")


def particle_walk(
    LossRows rows not None,
    bit_generator,
    double[::1] position not None,
    double[::1] tuning not None,
    const double[::1] root not None,
    double rate,
    double goal,
    double[:, ::1] draws not None,
    double[::1] losses not None,
):
    """Advance a random-walk Metropolis chain.

    Random numbers a draw: k standard normals, a uniform.

    Parameters
    ----------
    rows : LossRows
    bit_generator : numpy.random.BitGenerator
        Used without its lock.
    position : ndarray, shape (k,)
        Start; overwritten with the end.
    tuning : ndarray, shape (2,)
        Log scale of the proposal and adaptation steps so far; updated if `goal` > 0.
    root : ndarray, shape (k (k + 1)/2,)
        Of the proposal's covariance at scale one, packed by rows.
    rate : float
    goal : float
        Acceptance rate to adapt the scale to; no adaptation if negative.
    draws : ndarray, shape (draws, k)
    losses : ndarray, shape (draws,)

    Returns
    -------
    int
        Accepted steps; -1 if the loss is not finite at the start, and nothing is then done.
    """
    if losses.shape[0] != draws.shape[0] or tuning.shape[0] != 2:
        raise ValueError("losses must be as long as draws, tuning must hold 2 numbers")
    if position.shape[0] != draws.shape[1]:
        raise ValueError("position must be as long as a draw")
    check(rows, root, draws.shape[1])
    cdef const Rows* f = &rows.c
    cdef bitgen_t* rng = generator(bit_generator)
    cdef int a, k = f.k
    cdef double* memory = <double*>malloc(2 * k * sizeof(double))
    if memory == NULL:
        raise MemoryError
    cdef Py_ssize_t i, accepted = 0
    cdef double loss, prior, acceptance, scale
    with nogil:
        loss, prior = total_loss(f, &position[0]), log_prior(f, &position[0])
        if not isfinite(loss):
            accepted = -1
        else:
            for i in range(draws.shape[0]):
                scale = exp(tuning[0])
                random_standard_normal_fill(rng, k, memory)
                accepted += step(
                    f, memory, rng.next_double(rng.state), &root[0], scale, rate,
                    &position[0], &loss, &prior, memory + k, &acceptance,
                )
                if goal > 0.0:
                    tuning[1] += 1.0
                    tuning[0] += (acceptance - goal) / pow(tuning[1], DECAY)
                for a in range(k):
                    draws[i, a] = position[a]
                losses[i] = loss
    free(memory)
    return accepted


def move_particles(
    LossRows rows not None,
    bit_generator,
    double[:, ::1] positions not None,
    double[::1] losses not None,
    const double[::1] root not None,
    double scale,
    double rate,
    Py_ssize_t steps,
):
    """Move each particle by random-walk Metropolis steps.

    Random numbers a step: M k standard normals, then M uniforms.

    Parameters
    ----------
    rows : LossRows
    bit_generator : numpy.random.BitGenerator
        Used without its lock.
    positions : ndarray, shape (M, k)
        Overwritten.
    losses : ndarray, shape (M,)
        L at them; overwritten.
    root : ndarray, shape (k (k + 1)/2,)
    scale, rate : float
    steps : int
        Of each particle.

    Returns
    -------
    int
        Accepted steps.
    """
    if losses.shape[0] != positions.shape[0]:
        raise ValueError("losses must be as long as positions")
    check(rows, root, positions.shape[1])
    cdef const Rows* f = &rows.c
    cdef bitgen_t* rng = generator(bit_generator)
    cdef int k = f.k
    cdef Py_ssize_t i, j, size = positions.shape[0], accepted = 0
    cdef double prior, acceptance
    cdef double* normals = <double*>malloc((size * (k + 1) + k) * sizeof(double))
    if normals == NULL:
        raise MemoryError
    cdef double* uniforms = normals + size * k
    cdef double* proposal = uniforms + size
    with nogil:
        for j in range(steps):
            random_standard_normal_fill(rng, size * k, normals)
            for i in range(size):
                uniforms[i] = rng.next_double(rng.state)
            for i in range(size):
                prior = log_prior(f, &positions[i, 0])
                accepted += step(
                    f, normals + i * k, uniforms[i], &root[0], scale, rate,
                    &positions[i, 0], &losses[i], &prior, proposal, &acceptance,
                )
    free(normals)
    return accepted
