"""Log density of probabilistic principal components; the twin says what it does."""

import numpy as np

from libc.math cimport exp, isfinite, log

from qbeconometrics.kernels._density cimport CompiledDensity
from qbeconometrics.kernels._stiefel cimport (
    StiefelMap,
    chart_forward,
    chart_pull_back,
    chart_scratch_size,
)
from qbeconometrics.kernels._stiefel_chart cimport Chart, multiply


cdef struct Components:
    const Chart* chart
    const double* scatter
    double trace
    double n
    bint prior
    double* Q
    double* slope
    double* rotated       # (p, k): scatter times Q
    double* lengths
    double* by_length
    double* scratch


cdef class ComponentDensity(CompiledDensity):
    """Density of chart coordinates of Q, logs of increments of lengths, and the log noise sd.

    Its work space is its own: one object for each thread.

    Parameters
    ----------
    chart : StiefelMap
        Of matrices (p, k), k below p.
    scatter : ndarray, shape (p, p)
        Sums of products of centred data, in units of the prior sd of loadings.
    n : float
        Degrees of freedom of it.
    prior : bool
        Whether the prior and the Jacobian of the coordinates are added, or the likelihood is alone.
    """

    cdef StiefelMap chart
    cdef const double[:, ::1] scatter
    cdef double[::1] work
    cdef Components parts

    def __init__(
        self, StiefelMap chart not None, scatter not None, double n, bint prior=True
    ):
        cdef int p = chart.c.p, k = chart.c.k
        cdef size_t cells = p * k
        cdef Components* d = &self.parts
        kept = np.array(scatter, dtype=np.float64, order="C")
        if kept.shape != (p, p) or not np.array_equal(kept, kept.T):
            raise ValueError(f"scatter must be symmetric, of shape ({p}, {p})")
        if k >= p or not n > 0.0:
            raise ValueError("k must be below p, and n positive")
        self.chart, self.scatter = chart, kept
        self.work = np.empty(3 * cells + 2 * k + chart_scratch_size(&chart.c))
        d.chart, d.scatter = &chart.c, &self.scatter[0, 0]
        d.trace, d.n, d.prior = np.trace(kept), n, prior
        d.Q = &self.work[0]
        d.slope = d.Q + cells
        d.rotated = d.slope + cells
        d.lengths = d.rotated + cells
        d.by_length = d.lengths + k
        d.scratch = d.by_length + k
        self.c.size, self.c.context = chart.c.size + k + 1, d
        self.c.evaluate = evaluate_components


cdef double log_likelihood(Components* d, double noise, double* by_noise) noexcept nogil:
    """Return it at Q, `lengths` and the noise sd, and fill gradients."""
    cdef int p = d.chart.p, k = d.chart.k, i, l
    cdef double variance, along, share, value, left = d.trace, square = noise * noise
    multiply(d.scatter, d.Q, p, p, k, False, d.rotated)
    value = -0.5 * d.n * (p - k) * log(square)
    by_noise[0] = -d.n * (p - k) / noise
    for l in range(k):
        variance = d.lengths[l] * d.lengths[l] + square
        share = d.lengths[l] * d.lengths[l] / variance
        along = 0.0
        for i in range(p):
            along += d.Q[i * k + l] * d.rotated[i * k + l]
            d.slope[i * k + l] = share / square * d.rotated[i * k + l]
        left -= share * along
        value -= 0.5 * d.n * log(variance)
        d.by_length[l] = d.lengths[l] / variance * (along / variance - d.n)
        by_noise[0] -= d.n * noise / variance + along * share / (noise * variance)
    by_noise[0] += left / (square * noise)
    return value - 0.5 * left / square


cdef double add_prior(Components* d, double noise, double* by_noise) noexcept nogil:
    """Return the log prior of lengths and noise, and add its gradient."""
    cdef int p = d.chart.p, k = d.chart.k, l, m
    cdef double a, b, value = -0.5 * noise * noise
    by_noise[0] -= noise
    for l in range(k):
        a = d.lengths[l]
        value += (p - k) * log(a) - 0.5 * a * a
        d.by_length[l] += (p - k) / a - a
        for m in range(l):
            b = d.lengths[m]
            value += log((b - a) * (b + a))
            d.by_length[m] += 1.0 / (b - a) + 1.0 / (b + a)
            d.by_length[l] += 1.0 / (b + a) - 1.0 / (b - a)
    return value


cdef bint evaluate_components(
    void* context, const double* x, double* value, double* gradient
) noexcept nogil:
    cdef Components* d = <Components*>context
    cdef int k = d.chart.k, size = d.chart.size, l
    cdef double noise, by_noise, found, total = 0.0
    cdef const double* logs = x + size
    cdef double* slopes = gradient + size
    if not chart_forward(d.chart, x, d.Q, d.scratch):
        return False
    for l in range(k - 1, -1, -1):
        total += exp(logs[l])
        d.lengths[l] = total
    noise = exp(logs[k])
    found = log_likelihood(d, noise, &by_noise)
    if d.prior:
        found += add_prior(d, noise, &by_noise)
    total = 0.0
    for l in range(k):
        total += d.by_length[l]
        slopes[l] = total * exp(logs[l])
    slopes[k] = by_noise * noise
    if d.prior:
        for l in range(k + 1):
            found += logs[l]
            slopes[l] += 1.0
    if not chart_pull_back(d.chart, x, d.slope, value, gradient, d.scratch):
        return False
    value[0] += found
    for l in range(size + k + 1):
        if not isfinite(gradient[l]):
            return False
    return isfinite(value[0])
