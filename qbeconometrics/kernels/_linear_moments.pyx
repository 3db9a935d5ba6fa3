"""The log quasi-posterior of linear moments, evaluated without Python.

Everything is in scaled coordinates x, with theta = centre + R x, and with the moment mean multiplied
by sqrt(learning rate * n), so that neither n nor the learning rate appears below:

    g(x) = intercept - jacobian x
    log quasi-likelihood = -1/2 log det S(x) - 1/2 g(x)' S(x)^-1 g(x)     (determinant optional)
    log prior = -1/2 (x - b)' P (x - b) - sum_j (df_j + 1)/2 log(1 + t_j(x)^2 / df_j)

S(x) comes from one of three forms. With phi = (1, -x):

    STATISTIC     S = sum_{a<=b} c_ab phi_a phi_b T_ab        cost free of n
    ROWS          S = factor sum_i r_i^2 z_i z_i' - centering g g',   r_i = residual_i - regressor_i' x
    PROPORTIONAL  S = (phi' W phi) V                          (V itself when W is left out)
"""

import numpy as np

from libc.math cimport INFINITY, NAN, isfinite, log, log1p, sqrt
from libc.stdlib cimport free, malloc

from qbeconometrics.kernels._cholesky cimport packed_cholesky, solve_lower
from qbeconometrics.kernels._covariance cimport (
    covariance_from_rows,
    covariance_from_statistic,
    proportional_scale,
)
from qbeconometrics.kernels._target cimport PROPORTIONAL, ROWS, STATISTIC, Point, Target


cdef extern from "_hot_loops.h":
    int padded(int m) nogil


cdef Py_ssize_t point_size(const Target* t) noexcept nogil:
    return t.k + t.m + t.m * (t.m + 1) // 2


cdef void place_point(const Target* t, Point* p, double* memory) noexcept nogil:
    """Lay the arrays of `p` out in `memory`, which holds point_size numbers."""
    p.x = memory
    p.g = p.x + t.k
    p.root = p.g + t.m


cdef Py_ssize_t scratch_size(const Target* t) noexcept nogil:
    cdef Py_ssize_t p = padded(t.m)
    cdef Py_ssize_t by_statistic = t.k + 1 + t.pairs
    cdef Py_ssize_t by_rows = (4 + t.m) * p
    return (by_statistic if by_statistic > by_rows else by_rows) + t.m


cdef void moment_mean(const Target* t, const double* x, double* g) noexcept nogil:
    cdef int j, a
    cdef double total
    cdef const double* row
    for j in range(t.m):
        row = t.jacobian + j * t.k
        total = t.intercept[j]
        for a in range(t.k):
            total -= row[a] * x[a]
        g[j] = total


cdef double frozen_quadratic(
    const Target* t, const double* root, const double* g, double* scratch
) noexcept nogil:
    """Return g' S^-1 g for the S whose factor is `root`; `scratch` holds m numbers."""
    cdef int j
    cdef double total = 0.0
    for j in range(t.m):
        scratch[j] = g[j]
    solve_lower(root, t.m, scratch)
    for j in range(t.m):
        total += scratch[j] * scratch[j]
    return total


cdef double log_prior(const Target* t, const double* x) noexcept nogil:
    cdef int a, b, j
    cdef double total = 0.0, row_total, value
    cdef const double* row
    for a in range(t.k):
        row = t.prior_precision + a * t.k
        row_total = 0.0
        for b in range(t.k):
            row_total += row[b] * (x[b] - t.prior_mean[b])
        total += row_total * (x[a] - t.prior_mean[a])
    total *= -0.5
    for j in range(t.student_terms):
        row = t.student_rows + j * t.k
        value = t.student_offset[j]
        for a in range(t.k):
            value += row[a] * x[a]
        total -= 0.5 * (t.student_df[j] + 1.0) * log1p(value * value / t.student_df[j])
    return total


cdef bint evaluate_covariance(const Target* t, Point* p, double* scratch) noexcept nogil:
    """Fill the factor of S and its log-determinant; False if S is not positive definite."""
    cdef int q
    cdef int size = t.m * (t.m + 1) // 2
    cdef double scale
    if t.form == PROPORTIONAL:
        scale = proportional_scale(t, p.x)
        if not (scale > 0.0 and isfinite(scale)):
            return False
        p.log_determinant = t.base_log_determinant + t.m * log(scale)
        scale = sqrt(scale)
        for q in range(size):
            p.root[q] = scale * t.base_root[q]
        return True
    if t.form == STATISTIC:
        covariance_from_statistic(t, p.x, p.root, scratch)
    else:
        covariance_from_rows(t, p.x, p.g, p.root, scratch)
    p.log_determinant = packed_cholesky(p.root, t.m, scratch)
    return isfinite(p.log_determinant)


cdef bint evaluate(const Target* t, Point* p, double* scratch) noexcept nogil:
    """Fill everything at p.x; False, with log values of minus infinity, where S is unusable."""
    moment_mean(t, p.x, p.g)
    p.log_prior = log_prior(t, p.x)
    if evaluate_covariance(t, p, scratch):
        p.quadratic = frozen_quadratic(t, p.root, p.g, scratch)
        p.log_likelihood = -0.5 * p.quadratic
        if t.use_determinant:
            p.log_likelihood -= 0.5 * p.log_determinant
        if isfinite(p.log_likelihood) and isfinite(p.log_prior):
            return True
    p.log_likelihood = -INFINITY
    return False


def _array(name, value, shape):
    """Return `value` as a C-ordered float64 array, checking its shape."""
    array = np.ascontiguousarray(value, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
    return array


cdef const double* _pointer(array) except? NULL:
    """Address of the first number of a C-ordered float64 array; NULL for an empty one."""
    cdef const double[::1] view = array.reshape(-1)
    return &view[0] if view.shape[0] else NULL


cdef class LinearMomentTarget:
    """A log quasi-posterior in scaled coordinates; see the module's first lines.

    Immutable, so that many chains may share one.

    Parameters
    ----------
    intercept : ndarray, shape (m,)
    jacobian : ndarray, shape (m, k)
    prior_precision : ndarray, shape (k, k)
        Of the normal part of the prior; zeros where the prior is flat.
    prior_mean : ndarray, shape (k,)
    determinant : bool
        Whether -1/2 log det S belongs to the quasi-likelihood.
    statistic : ndarray, shape ((k + 1)(k + 2)/2, m (m + 1)/2), optional
        T_ab packed by rows in both directions.
    rows : tuple, optional
        residual (n,), regressor (n, k), instrument (n, m), factor, centering.
    proportional : tuple, optional
        V packed (m (m + 1)/2,) and W (k + 1, k + 1) or None.
    student : tuple, optional
        rows (q, k), offset (q,), df (q,): t_j(x) = rows_j' x + offset_j.
    """

    def __cinit__(
        self,
        intercept,
        jacobian,
        prior_precision,
        prior_mean,
        *,
        bint determinant,
        statistic=None,
        rows=None,
        proportional=None,
        student=None,
    ):
        jacobian = np.ascontiguousarray(jacobian, dtype=np.float64)
        if jacobian.ndim != 2 or 0 in jacobian.shape:
            raise ValueError("jacobian must be a matrix with at least one row and one column")
        m, k = jacobian.shape
        if m > 20_000 or k > 20_000:
            raise ValueError("orders above 20,000 are not supported")
        if (statistic is not None) + (rows is not None) + (proportional is not None) != 1:
            raise ValueError("give exactly one of statistic, rows and proportional")
        packed, pairs = m * (m + 1) // 2, (k + 1) * (k + 2) // 2
        arrays = {
            "jacobian": jacobian,
            "intercept": _array("intercept", intercept, (m,)),
            "prior_precision": _array("prior_precision", prior_precision, (k, k)),
            "prior_mean": _array("prior_mean", prior_mean, (k,)),
        }
        t = &self.c
        t.k, t.m, t.pairs = k, m, pairs
        t.use_determinant = determinant
        t.scale_matrix = NULL
        t.jacobian = _pointer(arrays["jacobian"])
        t.intercept = _pointer(arrays["intercept"])
        t.prior_precision = _pointer(arrays["prior_precision"])
        t.prior_mean = _pointer(arrays["prior_mean"])
        if statistic is not None:
            t.form = STATISTIC
            arrays["statistic"] = _array("statistic", statistic, (pairs, packed))
            t.statistic = _pointer(arrays["statistic"])
        elif rows is not None:
            t.form = ROWS
            residual, regressor, instrument, factor, centering = rows
            n = len(residual)
            arrays["residual"] = _array("residual", residual, (n,))
            arrays["regressor"] = _array("regressor", regressor, (n, k))
            arrays["instrument"] = _array("instrument", instrument, (n, m))
            t.n, t.row_factor, t.centering = n, factor, centering
            t.residual = _pointer(arrays["residual"])
            t.regressor = _pointer(arrays["regressor"])
            t.instrument = _pointer(arrays["instrument"])
        else:
            t.form = PROPORTIONAL
            base, scale_matrix = proportional
            base_root = _array("V", base, (packed,)).copy()
            column = np.empty(m)
            t.base_log_determinant = packed_cholesky(
                <double*>_pointer(base_root), m, <double*>_pointer(column)
            )
            if not isfinite(t.base_log_determinant):
                raise ValueError("V is not positive definite")
            arrays["base_root"] = base_root
            t.base_root = _pointer(base_root)
            if scale_matrix is not None:
                arrays["scale_matrix"] = _array("W", scale_matrix, (k + 1, k + 1))
                t.scale_matrix = _pointer(arrays["scale_matrix"])
        t.student_terms = 0
        if student is not None:
            student_rows, offset, df = student
            terms = len(offset)
            arrays["student_rows"] = _array("student rows", student_rows, (terms, k))
            arrays["student_offset"] = _array("student offset", offset, (terms,))
            arrays["student_df"] = _array("student df", df, (terms,))
            t.student_terms = terms
            t.student_rows = _pointer(arrays["student_rows"])
            t.student_offset = _pointer(arrays["student_offset"])
            t.student_df = _pointer(arrays["student_df"])
        self.arrays = arrays

    @property
    def n_params(self):
        """int : k, the number of coefficients."""
        return self.c.k

    @property
    def n_moments(self):
        """int : m, the number of moments."""
        return self.c.m

    @property
    def form(self):
        """str : "statistic", "rows" or "proportional"."""
        return ("statistic", "rows", "proportional")[self.c.form]

    @property
    def determinant(self):
        """bool : whether -1/2 log det S belongs to the quasi-likelihood."""
        return bool(self.c.use_determinant)

    @property
    def row_factor(self):
        """float : the factor on sum r^2 z z' in the form "rows"."""
        return self.c.row_factor

    @property
    def centering(self):
        """float : the factor on g g' in the form "rows"."""
        return self.c.centering

    def evaluate(self, points):
        """Return log quasi-likelihood and log prior at each point.

        Parameters
        ----------
        points : ndarray, shape (N, k)

        Returns
        -------
        log_likelihood : ndarray, shape (N,)
            Minus infinity where S is not positive definite.
        log_prior : ndarray, shape (N,)
            Without its constant.
        """
        points = _array("points", points, (len(points), self.c.k))
        likelihood = np.empty(len(points))
        prior = np.empty(len(points))
        cdef const double[:, ::1] x = points
        cdef double[::1] out_likelihood = likelihood
        cdef double[::1] out_prior = prior
        cdef const Target* t = &self.c
        cdef Point p
        cdef Py_ssize_t i
        cdef int a
        cdef double* memory = <double*>malloc((point_size(t) + scratch_size(t)) * sizeof(double))
        if memory == NULL:
            raise MemoryError
        place_point(t, &p, memory)
        with nogil:
            for i in range(x.shape[0]):
                for a in range(t.k):
                    p.x[a] = x[i, a]
                evaluate(t, &p, memory + point_size(t))
                out_likelihood[i] = p.log_likelihood
                out_prior[i] = p.log_prior
        free(memory)
        return likelihood, prior

    def covariance_root(self, point):
        """Return the Cholesky factor of S at one point.

        Parameters
        ----------
        point : ndarray, shape (k,)

        Returns
        -------
        root : ndarray, shape (m, m)
            Lower triangular.
        log_determinant : float
            NaN if S is not positive definite; `root` is then meaningless.
        """
        point = _array("point", point, (self.c.k,))
        cdef const double[::1] x = point
        cdef const Target* t = &self.c
        cdef int a
        cdef Point p
        packed = np.empty(t.m * (t.m + 1) // 2)
        cdef double[::1] out = packed
        cdef double* memory = <double*>malloc((point_size(t) + scratch_size(t)) * sizeof(double))
        if memory == NULL:
            raise MemoryError
        place_point(t, &p, memory)
        with nogil:
            for a in range(t.k):
                p.x[a] = x[a]
            moment_mean(t, p.x, p.g)
            if not evaluate_covariance(t, &p, memory + point_size(t)):
                p.log_determinant = NAN
            for a in range(<int>out.shape[0]):
                out[a] = p.root[a]
        free(memory)
        root = np.zeros((t.m, t.m))
        root[np.tril_indices(t.m)] = packed
        return root, p.log_determinant
