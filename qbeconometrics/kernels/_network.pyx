"""Log density of the network eigenmodel; the twin names the source and says what it does."""

import numpy as np

from libc.math cimport isfinite, log
from libc.string cimport memset

from qbeconometrics.kernels._density cimport CompiledDensity
from qbeconometrics.kernels._stiefel cimport (
    StiefelMap,
    chart_forward,
    chart_pull_back,
    chart_scratch_size,
)
from qbeconometrics.kernels._stiefel_chart cimport Chart

cdef extern from "_network_loops.h":
    double CERTAIN
    int LANES
    int padded(int m) nogil
    double log_probit_loop(const double* z, double* mills, size_t count) nogil
    void minus_combination(
        double* out, const double* columns, const double* factors, int k, size_t stride, size_t count
    ) nogil
    void add_pairs(
        double* others, double* node, const double* columns, const double* at_node,
        const double* w, int k, size_t stride, size_t count,
    ) nogil

cdef double LOG_TWO_PI = 1.8378770664093454836


def log_probit(const double[::1] z not None):
    """Return log Phi(z) and phi(z) / Phi(z), each of shape (size,).

    Examples
    --------
    >>> log_probit(np.array([-1e8, 0.0]))[1].round(4)
    array([1.000e+08, 7.979e-01])
    """
    cdef Py_ssize_t i
    cdef double[8] one, slope
    value, ratio = np.empty(z.shape[0]), np.empty(z.shape[0])
    cdef double[::1] values = value, ratios = ratio
    for i in range(8):
        one[i] = CERTAIN
    for i in range(z.shape[0]):
        one[0] = z[i]
        values[i] = log_probit_loop(one, slope, 8)
        ratios[i] = slope[0]
    return value, ratio


cdef struct Network:
    const Chart* chart
    const int* starts     # of the links of each node with later ones
    const int* neighbours
    double eigenvalue_scale
    double intercept_scale
    double log_constant
    size_t stride         # length of a column of Q with its rest
    double* Q
    double* slope
    double* columns       # (k + 1, stride): those of Q, and ones
    double* sums          # (k + 1, stride): over the pairs of a node, of weights times columns
    double* z
    double* weights
    double* factors
    double* at_node
    double* scratch


cdef class NetworkDensity(CompiledDensity):
    """Density of chart coordinates of Q, scaled eigenvalues and the intercept, given a network.

    Its work space is its own: one object for each thread.

    Parameters
    ----------
    chart : StiefelMap
    links : ndarray of bool, shape (p, p)
        Links of pairs i < j; the rest is not read.
    eigenvalue_scale, intercept_scale : float
        Prior sds; coordinates of eigenvalues are divided by theirs.
    log_constant : float
        Added to the log density.
    """

    cdef StiefelMap chart
    cdef const int[::1] starts, neighbours
    cdef double[::1] work
    cdef Network network

    def __init__(
        self,
        StiefelMap chart not None,
        links not None,
        double eigenvalue_scale,
        double intercept_scale,
        double log_constant=0.0,
    ):
        cdef int p = chart.c.p, k = chart.c.k
        cdef size_t cells = p * k, stride = p + LANES
        cdef Network* d = &self.network
        if links.shape != (p, p) or links.dtype != np.bool_:
            raise ValueError(f"links must be of bool and have shape ({p}, {p})")
        if not (eigenvalue_scale > 0.0 and intercept_scale > 0.0):
            raise ValueError("scales must be positive")
        upper = np.triu(links, 1)
        starts = np.concatenate([[0], np.cumsum(upper.sum(axis=1))]).astype(np.intc)
        # One more, so that there is a first one.
        neighbours = np.append(np.nonzero(upper)[1], 0).astype(np.intc)
        self.chart, self.starts, self.neighbours = chart, starts, neighbours
        self.work = np.zeros(
            2 * cells + 2 * (k + 1) * stride + 2 * stride + 2 * (k + 1)
            + chart_scratch_size(&chart.c)
        )
        d.chart, d.starts, d.neighbours = &chart.c, &self.starts[0], &self.neighbours[0]
        d.eigenvalue_scale, d.intercept_scale = eigenvalue_scale, intercept_scale
        d.log_constant = log_constant - 0.5 * (k + 1) * LOG_TWO_PI - log(intercept_scale)
        d.stride = stride
        d.Q = &self.work[0]
        d.slope = d.Q + cells
        d.columns = d.slope + cells
        d.sums = d.columns + (k + 1) * stride
        d.z = d.sums + (k + 1) * stride
        d.weights = d.z + stride
        d.factors = d.weights + stride
        d.at_node = d.factors + k + 1
        d.scratch = d.at_node + k + 1
        self.c.size, self.c.context = chart.c.size + k + 1, d
        self.c.evaluate = evaluate_network


cdef double log_likelihood(Network* d, const double* eigenvalues, double intercept) noexcept nogil:
    """Return the sum of log probabilities of all pairs at Q, and fill `sums`."""
    cdef int p = d.chart.p, k = d.chart.k, i, j, l, count, whole
    cdef double total = 0.0
    memset(d.sums, 0, (k + 1) * d.stride * sizeof(double))
    for i in range(p):
        for l in range(k):
            d.columns[l * d.stride + i] = d.Q[i * k + l]
        d.columns[k * d.stride + i] = 1.0
    for i in range(p - 1):
        count = p - 1 - i
        whole = padded(count)
        for l in range(k + 1):
            d.at_node[l] = d.columns[l * d.stride + i]
            d.factors[l] = d.at_node[l] * (eigenvalues[l] if l < k else intercept)
        minus_combination(d.z, d.columns + i + 1, d.factors, k + 1, d.stride, whole)
        for j in range(count, whole):
            d.z[j] = CERTAIN
        # A link has probability Phi(index), its absence Phi(-index).
        for l in range(d.starts[i], d.starts[i + 1]):
            j = d.neighbours[l] - i - 1
            d.z[j] = -d.z[j]
        total += log_probit_loop(d.z, d.weights, whole)
        for l in range(d.starts[i], d.starts[i + 1]):
            j = d.neighbours[l] - i - 1
            d.weights[j] = -d.weights[j]
        add_pairs(
            d.sums + i + 1, d.sums + i, d.columns + i + 1, d.at_node, d.weights, k + 1,
            d.stride, whole,
        )
    return total


cdef bint evaluate_network(
    void* context, const double* x, double* value, double* gradient
) noexcept nogil:
    cdef Network* d = <Network*>context
    cdef int p = d.chart.p, k = d.chart.k, size = d.chart.size, i, l
    cdef double found, sum
    cdef double* slopes = gradient + size
    cdef const double* scaled = x + size
    if not chart_forward(d.chart, x, d.Q, d.scratch):
        return False
    # The gradient holds the eigenvalues until its own turn.
    for l in range(k):
        slopes[l] = d.eigenvalue_scale * scaled[l]
    found = log_likelihood(d, slopes, scaled[k])
    for l in range(k + 1):
        sum = 0.0
        for i in range(p):
            sum -= 0.5 * d.columns[l * d.stride + i] * d.sums[l * d.stride + i]
            if l < k:
                d.slope[i * k + l] = -slopes[l] * d.sums[l * d.stride + i]
        if l < k:
            slopes[l] = d.eigenvalue_scale * sum - scaled[l]
            found -= 0.5 * scaled[l] * scaled[l]
        else:
            slopes[l] = sum - scaled[l] / (d.intercept_scale * d.intercept_scale)
            found -= 0.5 * (scaled[l] / d.intercept_scale) * (scaled[l] / d.intercept_scale)
    if not chart_pull_back(d.chart, x, d.slope, value, gradient, d.scratch):
        return False
    value[0] += found + d.log_constant
    for i in range(size + k + 1):
        if not isfinite(gradient[i]):
            return False
    return isfinite(value[0])
