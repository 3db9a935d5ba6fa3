# What describes a quasi-posterior of linear moments, and one point of it: see _linear_moments.pyx.

cdef enum Form:
    STATISTIC = 0     # S from the moment statistic: cost free of the number of rows
    ROWS = 1          # S from the rows
    PROPORTIONAL = 2  # S = s2(x) V with V fixed; s2 = 1 for a fixed weight

cdef struct Target:
    int k
    int m
    int pairs
    Form form
    bint use_determinant
    Py_ssize_t n
    double row_factor
    double centering
    const double* intercept
    const double* jacobian
    const double* statistic
    const double* residual
    const double* regressor
    const double* instrument
    const double* base_root
    const double* scale_matrix
    double base_log_determinant
    const double* prior_precision
    const double* prior_mean
    int student_terms
    const double* student_rows
    const double* student_offset
    const double* student_df

cdef struct Point:
    double* x            # (k,) position
    double* g            # (m,) scaled moment mean
    double* root         # packed (m,) Cholesky factor of S
    double log_determinant
    double quadratic     # g' S^-1 g
    double log_likelihood
    double log_prior
