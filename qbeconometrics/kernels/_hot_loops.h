/* The loops that take most of the time, compiled for several instruction sets and picked at load
   time. No sum is reordered and no product fused, so every version gives the same bits. */

#ifndef QBECONOMETRICS_HOT_LOOPS_H
#define QBECONOMETRICS_HOT_LOOPS_H

#include <stddef.h>

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__linux__) \
    && !defined(__SANITIZE_ADDRESS__)
#define MULTIVERSION __attribute__((target_clones("avx512f", "avx2", "default"), unused))
#elif defined(__GNUC__)
#define MULTIVERSION __attribute__((unused))
#else
#define MULTIVERSION
#endif

/* out += w[0] rows[0] + ... + w[3] rows[3], rows of length size lying one after another. */
MULTIVERSION static void add_four_rows(
    double *restrict out, const double *restrict rows, size_t size, const double *restrict w)
{
    const double w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3];
    const double *restrict r1 = rows + size;
    const double *restrict r2 = rows + 2 * size;
    const double *restrict r3 = rows + 3 * size;
    for (size_t q = 0; q < size; q++)
        out[q] += (w0 * rows[q] + w1 * r1[q]) + (w2 * r2[q] + w3 * r3[q]);
}

/* Rows of S and of the scores are padded to a multiple of this, so that inner loops have no rest. */
#define LANES 8

static inline int padded(int m) { return (m + LANES - 1) / LANES * LANES; }

/* Residuals of four rows of regressors (4, k), each an ordinary sum from left to right. */
static inline void four_residuals(
    double *restrict out, const double *restrict start, const double *restrict rows,
    const double *restrict x, int k)
{
    double t0 = start[0], t1 = start[1], t2 = start[2], t3 = start[3];
    const double *restrict r1 = rows + k;
    const double *restrict r2 = rows + 2 * (size_t)k;
    const double *restrict r3 = rows + 3 * (size_t)k;
    for (int a = 0; a < k; a++) {
        t0 -= rows[a] * x[a];
        t1 -= r1[a] * x[a];
        t2 -= r2[a] * x[a];
        t3 -= r3[a] * x[a];
    }
    out[0] = t0;
    out[1] = t1;
    out[2] = t2;
    out[3] = t3;
}

/* Blocks on and below the diagonal of out += s s' for four score vectors of padded length p. */
MULTIVERSION static void add_four_outer_products(
    double *restrict out, const double *restrict scores, int m, int p)
{
    const double *restrict s1 = scores + p;
    const double *restrict s2 = scores + 2 * p;
    const double *restrict s3 = scores + 3 * p;
    for (int j = 0; j < m; j++) {
        const double h0 = scores[j], h1 = s1[j], h2 = s2[j], h3 = s3[j];
        double *restrict row = out + (size_t)j * p;
        const int end = (j / LANES + 1) * LANES;
        for (int l = 0; l < end; l++)
            row[l] += (h0 * scores[l] + h1 * s1[l]) + (h2 * s2[l] + h3 * s3[l]);
    }
}

#endif
