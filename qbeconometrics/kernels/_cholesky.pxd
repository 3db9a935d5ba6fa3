# Small dense algebra for the sampling loop. A symmetric or lower-triangular matrix of order n is
# packed by rows: element (i, j), j <= i, is at i (i + 1) / 2 + j.

cdef double packed_cholesky(double* a, int n, double* column) noexcept nogil
cdef void solve_lower(const double* root, int n, double* b) noexcept nogil
cdef void solve_lower_transposed(const double* root, int n, double* b) noexcept nogil
cdef void solve_lower_columns(const double* root, int n, double* b, int columns) noexcept nogil
cdef void multiply_lower(const double* root, int n, const double* b, double* out) noexcept nogil
cdef double squared_norm_transposed(const double* root, int n, const double* b) noexcept nogil
