"""Learning from batches of a stream; the twin says what is computed, and names the sources."""

import numpy as np

from libc.math cimport exp, fabs, log, pow, sqrt
from libc.string cimport memset

cdef extern from "_learning_loops.h" nogil:
    void four_inner_products(double* out, const double* rows, const double* w, size_t size)
    void fourier_row(
        double* out, const double* x, const double* frequencies, const double* phases,
        const double* scales, size_t k, size_t size,
    )
    void add_to_four(double* out, const double* factors, const double* row, size_t size)

RULES = ("adagrad", "rmsprop", "adam", "amsgrad", "sgd")
EFFECTS = ("held", "score", "gradient")
MOMENTS = 28  # sums over rows
RUNNING = 6  # those of them with a running average
PATH = 8  # sums over steps of the effects

# In the order of RULES and EFFECTS.
cdef enum:
    ADAGRAD, RMSPROP, ADAM, AMSGRAD, SGD

cdef enum:
    HELD, SCORE, GRADIENT

# Features come in fours; sums of a row, and those of them with a running average.
cdef enum:
    LANES = 4
    ROW_SUMS = 28
    RUNNING_SUMS = 6

# Batch k has the weight k^-RUNNING_POWER in running averages.
cdef double RUNNING_POWER = 0.7

# The largest |b12 b21| of steps along gradients, for which the density has no bound at 1.
cdef double MOST_PRODUCT = 0.99


cdef class FeatureMap:
    """Features of rows; see the twin."""

    cdef readonly Py_ssize_t columns, size
    cdef const double[::1] scales

    def __reduce__(self):
        raise TypeError("a map is not pickled; its arrays are")

    cdef void fill(self, const double* x, double* out) noexcept nogil:
        pass

    def evaluate(self, const double[:, ::1] x not None):
        """Return the features of rows, shape (n, size)."""
        cdef Py_ssize_t i, n = x.shape[0]
        if x.shape[1] != self.columns:
            raise ValueError(f"x must have {self.columns} columns")
        out = np.empty((n, self.size))
        cdef double[:, ::1] rows = out
        with nogil:
            for i in range(n):
                self.fill(&x[i, 0], &rows[i, 0])
        return out


cdef class FourierMap(FeatureMap):
    """Random Fourier features; see the twin."""

    cdef const double[:, ::1] frequencies
    cdef const double[::1] phases

    def __init__(
        self,
        const double[:, ::1] frequencies not None,
        const double[::1] phases not None,
        const double[::1] scales not None,
    ):
        self.columns, self.size = frequencies.shape[0], frequencies.shape[1]
        if self.columns < 1 or self.size < 1 or self.size % LANES:
            raise ValueError(f"features must come in {LANES}s")
        if phases.shape[0] != self.size or scales.shape[0] != self.size:
            raise ValueError("the shapes do not go together")
        self.frequencies, self.phases, self.scales = frequencies, phases, scales

    cdef void fill(self, const double* x, double* out) noexcept nogil:
        fourier_row(
            out, x, &self.frequencies[0, 0], &self.phases[0], &self.scales[0], self.columns,
            self.size,
        )


cdef class MonomialMap(FeatureMap):
    """Products of columns; see the twin."""

    cdef const int[::1] parents, factors

    def __init__(
        self,
        const int[::1] parents not None,
        const int[::1] factors not None,
        const double[::1] scales not None,
        Py_ssize_t columns,
    ):
        cdef Py_ssize_t q
        self.columns, self.size = columns, scales.shape[0]
        if columns < 1 or self.size < 1 or self.size % LANES:
            raise ValueError(f"features must come in {LANES}s")
        if parents.shape[0] != self.size or factors.shape[0] != self.size:
            raise ValueError("the shapes do not go together")
        for q in range(1, self.size):
            if not (0 <= parents[q] < q and 0 <= factors[q] < columns):
                raise ValueError("a monomial must be an earlier one times a column")
        self.parents, self.factors, self.scales = parents, factors, scales

    cdef void fill(self, const double* x, double* out) noexcept nogil:
        cdef Py_ssize_t q
        out[0] = 1.0
        for q in range(1, self.size):
            out[q] = out[self.parents[q]] * x[self.factors[q]]
        for q in range(self.size):
            out[q] *= self.scales[q]


cdef struct Row:
    double u1, u2, e1, e2, w1, w2
    double[2] g
    bint[2] clipped


cdef class Learner:
    """Heads and effects that learn from batches; see the twin."""

    cdef FeatureMap features
    cdef double[::1] params, running, window, param_sums, path
    cdef double[:, ::1] memory
    cdef double[::1] gradient, row_features
    cdef double[ROW_SUMS] batch_sums
    cdef int rule
    cdef double determinant, log_determinant  # of the effects while rows are added
    cdef double rate, decay, second_decay, epsilon, power, low, high, most_ratio, most_norm

    def __init__(
        self,
        FeatureMap features not None,
        double[::1] params not None,
        double[:, ::1] memory not None,
        double[::1] running not None,
        double[::1] window not None,
        double[::1] param_sums not None,
        double[::1] path not None,
        str rule not None,
        double rate,
        *,
        double decay=0.9,
        double second_decay=0.999,
        double epsilon=1e-8,
        double power=0.51,
        double low=-6.0,
        double high=6.0,
        double most_ratio=20.0,
        double most_norm=5.0,
    ):
        cdef Py_ssize_t count = 4 * features.size + 2
        if rule not in RULES:
            raise ValueError(f"rule must be one of {RULES}")
        if (
            features.size < 1
            or params.shape[0] != count or memory.shape[0] != 3 or memory.shape[1] != count
            or running.shape[0] != RUNNING or window.shape[0] != MOMENTS
            or param_sums.shape[0] != count or path.shape[0] != PATH
        ):
            raise ValueError("the shapes do not go together")
        if not (rate > 0.0 and low < high and most_ratio > 0.0 and most_norm > 0.0):
            raise ValueError("rate and bounds must be positive, and low below high")
        self.features, self.params, self.memory = features, params, memory
        self.running, self.window, self.param_sums, self.path = running, window, param_sums, path
        self.gradient, self.row_features = np.zeros(count), np.zeros(features.size)
        self.rule = RULES.index(rule)
        # RMSProp is Adam without its first moment.
        self.decay = 0.0 if self.rule == RMSPROP else decay
        self.rate, self.second_decay = rate, second_decay
        self.epsilon, self.power, self.low, self.high = epsilon, power, low, high
        self.most_ratio, self.most_norm = most_ratio, most_norm

    def __reduce__(self):
        raise TypeError("a learner is not pickled; its arrays are")

    def learn(
        self,
        const double[:, ::1] y not None,
        const double[:, ::1] x not None,
        Py_ssize_t batch,
        Py_ssize_t step,
        str effects="held",
    ):
        """Learn from whole batches of rows, of which `step` came before; see the twin."""
        cdef Py_ssize_t n = self.check(y, x), i, start = 0
        cdef int update
        if batch < 1 or step < 0 or n % batch:
            raise ValueError("rows must be whole batches")
        if effects not in EFFECTS:
            raise ValueError(f"effects must be one of {EFFECTS}")
        update = EFFECTS.index(effects)
        with nogil:
            while start < n:
                step += 1
                self.start_rows()
                memset(&self.gradient[0], 0, self.gradient.shape[0] * sizeof(double))
                memset(self.batch_sums, 0, sizeof(self.batch_sums))
                for i in range(start, start + batch):
                    self.add_row(&y[i, 0], &x[i, 0], self.batch_sums, update, True)
                self.end_batch(<double>batch, <double>step, update)
                start += batch

    def measure(
        self,
        const double[:, ::1] y not None,
        const double[:, ::1] x not None,
        double[::1] sums not None,
    ):
        """Add the moments of rows to `sums`, and learn nothing; see the twin."""
        cdef Py_ssize_t n = self.check(y, x), i
        if sums.shape[0] != MOMENTS:
            raise ValueError("the shapes do not go together")
        with nogil:
            self.start_rows()
            for i in range(n):
                self.add_row(&y[i, 0], &x[i, 0], &sums[0], HELD, False)

    cdef Py_ssize_t check(self, const double[:, ::1] y, const double[:, ::1] x) except -1:
        if y.shape[0] != x.shape[0] or y.shape[1] != 2 or x.shape[1] != self.features.columns:
            raise ValueError("the shapes do not go together")
        return y.shape[0]

    cdef void start_rows(self) noexcept nogil:
        cdef const double* b = &self.params[4 * self.features.size]
        self.determinant = 1.0 - b[0] * b[1]
        self.log_determinant = log(fabs(self.determinant))

    cdef void add_row(
        self, const double* y, const double* x, double* sums, int update, bint learning
    ) noexcept nogil:
        """Add the moments of a row to `sums`, and its gradient."""
        cdef Py_ssize_t size = self.features.size
        cdef double* phi = &self.row_features[0]
        cdef const double* b = &self.params[4 * size]
        cdef double[4] heads, factors
        cdef double* slope
        cdef double ratio, determinant = self.determinant
        cdef Row r
        cdef int j
        self.features.fill(x, phi)
        four_inner_products(heads, &self.params[0], phi, size)
        r.u1, r.u2 = y[0] - heads[0], y[1] - heads[1]
        r.e1, r.e2 = r.u1 - b[0] * r.u2, r.u2 - b[1] * r.u1
        for j in range(2):
            r.g[j] = min(max(heads[2 + j], self.low), self.high)
            r.clipped[j] = r.g[j] != heads[2 + j]
        r.w1, r.w2 = exp(-r.g[0]), exp(-r.g[1])
        add_moments(sums, &r, self.log_determinant)
        if not learning:
            return
        factors[0] = r.e1 * r.w1 - b[1] * (r.e2 * r.w2)
        factors[1] = r.e2 * r.w2 - b[0] * (r.e1 * r.w1)
        for j in range(2):
            ratio = r.e2 * r.e2 * r.w2 if j else r.e1 * r.e1 * r.w1
            factors[2 + j] = 0.5 * (min(ratio, self.most_ratio) - 1.0)
            # A log variance at its bound may only come back.
            if r.clipped[j] and (factors[2 + j] > 0.0) == (r.g[j] > 0.5 * (self.low + self.high)):
                factors[2 + j] = 0.0
        add_to_four(&self.gradient[0], factors, phi, size)
        slope = &self.gradient[4 * size]
        if update == SCORE:
            slope[0] += r.e1 * r.e2 * r.w1 / determinant
            slope[1] += r.e1 * r.e2 * r.w2 / determinant
        elif update == GRADIENT:
            slope[0] += r.e1 * r.u2 * r.w1 - b[1] / determinant
            slope[1] += r.e2 * r.u1 * r.w2 - b[0] / determinant

    cdef void end_batch(self, double batch, double step, int update) noexcept nogil:
        """Make the step of a batch, and bring the averages up to date."""
        cdef Py_ssize_t count = self.params.shape[0], q
        cdef double norm = 0.0, factor = 1.0 / batch, weight = pow(step, -RUNNING_POWER)
        for q in range(count):
            norm += self.gradient[q] * self.gradient[q]
        norm = sqrt(norm) / batch
        if norm > self.most_norm:
            factor *= self.most_norm / norm
        for q in range(count):
            self.gradient[q] *= factor
        make_step(self, 0, count - 2, step)
        if update != HELD:
            # Their steps are counted from the first on which they move.
            make_step(self, count - 2, count, self.path[0] + 1.0)
            keep_apart(&self.params[count - 2])
            extend_path(&self.path[0], &self.params[count - 2])
        for q in range(RUNNING_SUMS):
            self.running[q] += weight * (self.batch_sums[q] / batch - self.running[q])
        for q in range(ROW_SUMS):
            self.window[q] += self.batch_sums[q]
        for q in range(count):
            self.param_sums[q] += self.params[q]


cdef inline void add_moments(double* sums, const Row* r, double log_determinant) noexcept nogil:
    cdef double[3] v, w
    cdef double weight
    cdef int a, c, pair
    v[0], v[1], v[2] = r.u1 * r.u2, r.u1 * r.u1, r.u2 * r.u2
    for a in range(3):
        sums[2 * a] += r.w1 * v[a]
        sums[2 * a + 1] += r.w2 * v[a]
    sums[6] += r.w1 / r.w2
    sums[7] += r.w2 / r.w1
    sums += 8
    w[0], w[1], w[2] = r.w1 * r.w1, r.w1 * r.w2, r.w2 * r.w2
    for pair in range(3):
        for a in range(3):
            weight = w[pair] * v[a]
            for c in range(a + 1):
                sums[0] += weight * v[c]
                sums += 1
    sums[0] += log_determinant - 0.5 * (
        (r.g[0] + r.e1 * r.e1 * r.w1) + (r.g[1] + r.e2 * r.e2 * r.w2)
    )
    sums[1] += 1.0


cdef void make_step(
    Learner learner, Py_ssize_t start, Py_ssize_t stop, double step
) noexcept nogil:
    """Make step number `step` of the parameters from `start` to `stop`."""
    cdef Py_ssize_t q
    cdef double* params = &learner.params[0]
    cdef double* first = &learner.memory[0, 0]
    cdef double* second = &learner.memory[1, 0]
    cdef double* largest = &learner.memory[2, 0]
    cdef const double* slope = &learner.gradient[0]
    cdef double rate = learner.rate, epsilon = learner.epsilon
    cdef double decay = learner.decay, second_decay = learner.second_decay
    cdef double unbiased = sqrt(1.0 - pow(second_decay, step))
    if learner.rule == SGD:
        rate *= pow(step, -learner.power)
        for q in range(start, stop):
            params[q] += rate * slope[q]
    elif learner.rule == ADAGRAD:
        for q in range(start, stop):
            second[q] += slope[q] * slope[q]
            params[q] += rate * slope[q] / (sqrt(second[q]) + epsilon)
    else:
        rate /= 1.0 - pow(decay, step)
        for q in range(start, stop):
            first[q] = decay * first[q] + (1.0 - decay) * slope[q]
            second[q] = second_decay * second[q] + (1.0 - second_decay) * (slope[q] * slope[q])
            largest[q] = max(largest[q], second[q]) if learner.rule == AMSGRAD else second[q]
            params[q] += rate * first[q] / (sqrt(largest[q]) / unbiased + epsilon)


cdef inline void keep_apart(double* b) noexcept nogil:
    """Bring both effects nearer to zero until their product is at most MOST_PRODUCT in size."""
    cdef double size = fabs(b[0] * b[1]), factor
    if size > MOST_PRODUCT:
        factor = sqrt(MOST_PRODUCT / size)
        b[0] *= factor
        b[1] *= factor


cdef inline void extend_path(double* path, const double* b) noexcept nogil:
    """Bring the averages of the effects up to date, and the sums of their deviations."""
    cdef double before = path[0] * (path[0] + 1.0) * (2.0 * path[0] + 1.0) / 6.0
    cdef double move1, move2
    path[0] += 1.0
    move1, move2 = (path[1] - b[0]) / path[0], (path[2] - b[1]) / path[0]
    path[1] -= move1
    path[2] -= move2
    # All deviations so far move by the same amount; the newest is zero.
    path[3] += 2.0 * path[6] * move1 + before * move1 * move1
    path[4] += (path[6] * move2 + path[7] * move1) + before * move1 * move2
    path[5] += 2.0 * path[7] * move2 + before * move2 * move2
    path[6] += before * move1
    path[7] += before * move2
