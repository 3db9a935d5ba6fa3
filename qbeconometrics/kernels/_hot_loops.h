/* The loops that take most of the time, compiled for several instruction sets and picked at load
   time. No sum is reordered and no product fused, so every version gives the same bits. */

#ifndef QBECONOMETRICS_HOT_LOOPS_H
#define QBECONOMETRICS_HOT_LOOPS_H

#include <stddef.h>
#include <string.h>

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

/* Squared lengths of columns z (m,) multiplied by a lower triangular matrix, four at a time: rows
   (4, m) lie one after another, and column l of the matrix, zero above its diagonal, is row l of
   `columns` (m, p). Sums stay in registers while l runs, so that nothing but z and the matrix is
   read; eight products at a time are two vectors of four. */
typedef double four_lanes __attribute__((vector_size(32)));

MULTIVERSION static void four_squared_lengths(
    double *restrict out, const double *restrict rows, const double *restrict columns, int m, int p)
{
    const double *restrict r1 = rows + m;
    const double *restrict r2 = rows + 2 * (size_t)m;
    const double *restrict r3 = rows + 3 * (size_t)m;
    four_lanes total0 = {0}, total1 = {0}, total2 = {0}, total3 = {0};
    for (int j = 0; j < p; j += LANES) {
        const int end = j + LANES < m ? j + LANES : m;
        four_lanes a0 = {0}, a1 = {0}, a2 = {0}, a3 = {0}, b0 = {0}, b1 = {0}, b2 = {0}, b3 = {0};
        for (int l = 0; l < end; l++) {
            four_lanes first, second;
            memcpy(&first, columns + (size_t)l * p + j, sizeof first);
            memcpy(&second, columns + (size_t)l * p + j + 4, sizeof second);
            a0 += rows[l] * first;
            a1 += r1[l] * first;
            a2 += r2[l] * first;
            a3 += r3[l] * first;
            b0 += rows[l] * second;
            b1 += r1[l] * second;
            b2 += r2[l] * second;
            b3 += r3[l] * second;
        }
        total0 += a0 * a0 + b0 * b0;
        total1 += a1 * a1 + b1 * b1;
        total2 += a2 * a2 + b2 * b2;
        total3 += a3 * a3 + b3 * b3;
    }
    out[0] = (total0[0] + total0[1]) + (total0[2] + total0[3]);
    out[1] = (total1[0] + total1[1]) + (total1[2] + total1[3]);
    out[2] = (total2[0] + total2[1]) + (total2[2] + total2[3]);
    out[3] = (total3[0] + total3[1]) + (total3[2] + total3[3]);
}

/* Inner products of four rows (4, size) that lie one after another with w (size,). */
MULTIVERSION static void four_inner_products(
    double *restrict out, const double *restrict rows, const double *restrict w, size_t size)
{
    const double *restrict r1 = rows + size;
    const double *restrict r2 = rows + 2 * size;
    const double *restrict r3 = rows + 3 * size;
    four_lanes t0 = {0}, t1 = {0}, t2 = {0}, t3 = {0};
    size_t q = 0;
    for (; q + 4 <= size; q += 4) {
        four_lanes v, a, b, c, d;
        memcpy(&v, w + q, sizeof v);
        memcpy(&a, rows + q, sizeof a);
        memcpy(&b, r1 + q, sizeof b);
        memcpy(&c, r2 + q, sizeof c);
        memcpy(&d, r3 + q, sizeof d);
        t0 += a * v;
        t1 += b * v;
        t2 += c * v;
        t3 += d * v;
    }
    out[0] = (t0[0] + t0[1]) + (t0[2] + t0[3]);
    out[1] = (t1[0] + t1[1]) + (t1[2] + t1[3]);
    out[2] = (t2[0] + t2[1]) + (t2[2] + t2[3]);
    out[3] = (t3[0] + t3[1]) + (t3[2] + t3[3]);
    for (; q < size; q++) {
        out[0] += rows[q] * w[q];
        out[1] += r1[q] * w[q];
        out[2] += r2[q] * w[q];
        out[3] += r3[q] * w[q];
    }
}

#endif
