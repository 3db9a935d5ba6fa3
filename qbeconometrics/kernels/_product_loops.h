/* Sums over rows of products of their entries. A tile of rows is turned into columns of ROWS numbers,
   so that the lanes of a vector are rows and everything stays in the first-level cache. Columns come
   in threes and fours, the last ones zero, so that inner loops have no rest. */

#ifndef QBECONOMETRICS_PRODUCT_LOOPS_H
#define QBECONOMETRICS_PRODUCT_LOOPS_H

#include <string.h>

#include "_hot_loops.h"

/* Rows of a tile; a multiple of eight. */
#define ROWS 64

typedef long long four_places __attribute__((vector_size(32)));

#define READ(vector, from) memcpy(&vector, from, sizeof vector)
#define WRITE(to, vector) memcpy(to, &vector, sizeof vector)

/* __builtin_shuffle is GCC's, __builtin_shufflevector Clang's, for the same thing. */
#if defined(__clang__)
#define SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define SHUFFLE(a, b, i, j, k, l) __builtin_shuffle(a, b, (four_places){i, j, k, l})
#endif

/* Ask for numbers that are needed soon: caches do not look past the page that is being read. */
static inline void ask_for(const double *from, size_t count)
{
#if defined(__GNUC__)
    for (size_t i = 0; i < count; i += 8)
        __builtin_prefetch(from + i);
#endif
}

/* Rows (count, columns), at most a tile of them, into columns; places of rows that lack are zero.
   Squares of four rows by four columns are turned in registers. */
MULTIVERSION static void turn_tile(
    double *restrict out, const double *restrict rows, int count, int columns)
{
    const int whole = count / 4 * 4, squares = columns / 4 * 4;
    for (int i = 0; i < whole; i += 4)
        for (int c = 0; c < squares; c += 4) {
            const double *restrict from = rows + (size_t)i * columns + c;
            double *restrict to = out + (size_t)c * ROWS + i;
            four_lanes r0, r1, r2, r3;
            READ(r0, from);
            READ(r1, from + columns);
            READ(r2, from + 2 * columns);
            READ(r3, from + 3 * columns);
            const four_lanes low01 = SHUFFLE(r0, r1, 0, 4, 2, 6), high01 = SHUFFLE(r0, r1, 1, 5, 3, 7);
            const four_lanes low23 = SHUFFLE(r2, r3, 0, 4, 2, 6), high23 = SHUFFLE(r2, r3, 1, 5, 3, 7);
            r0 = SHUFFLE(low01, low23, 0, 1, 4, 5);
            r1 = SHUFFLE(high01, high23, 0, 1, 4, 5);
            r2 = SHUFFLE(low01, low23, 2, 3, 6, 7);
            r3 = SHUFFLE(high01, high23, 2, 3, 6, 7);
            WRITE(to, r0);
            WRITE(to + ROWS, r1);
            WRITE(to + 2 * ROWS, r2);
            WRITE(to + 3 * ROWS, r3);
        }
    for (int c = 0; c < columns; c++) {
        double *restrict column = out + (size_t)c * ROWS;
        for (int i = c < squares ? whole : 0; i < count; i++)
            column[i] = rows[(size_t)i * columns + c];
        for (int i = count; i < ROWS; i++)
            column[i] = 0.0;
    }
}

/* Columns out_c = sum_j source_j linear[j, c], four and eight rows at a time. `linear` has `width`
   columns, a multiple of four; zeros at the end of all four are passed over. */
MULTIVERSION static void transform_tile(
    double *restrict out, const double *restrict sources, const double *restrict linear, int count,
    int width)
{
    for (int c = 0; c < width; c += 4) {
        int last = count;
        while (last > 0) {
            const double *w = linear + (size_t)(last - 1) * width + c;
            if (w[0] != 0.0 || w[1] != 0.0 || w[2] != 0.0 || w[3] != 0.0)
                break;
            last--;
        }
        for (int i = 0; i < ROWS; i += 8) {
            four_lanes a0 = {0}, a1 = {0}, a2 = {0}, a3 = {0}, b0 = {0}, b1 = {0}, b2 = {0}, b3 = {0};
            for (int j = 0; j < last; j++) {
                const double *w = linear + (size_t)j * width + c;
                four_lanes first, second;
                READ(first, sources + (size_t)j * ROWS + i);
                READ(second, sources + (size_t)j * ROWS + i + 4);
                a0 += w[0] * first;
                a1 += w[1] * first;
                a2 += w[2] * first;
                a3 += w[3] * first;
                b0 += w[0] * second;
                b1 += w[1] * second;
                b2 += w[2] * second;
                b3 += w[3] * second;
            }
            double *target = out + (size_t)c * ROWS + i;
            WRITE(target, a0);
            WRITE(target + 4, b0);
            WRITE(target + ROWS, a1);
            WRITE(target + ROWS + 4, b1);
            WRITE(target + 2 * ROWS, a2);
            WRITE(target + 2 * ROWS + 4, b2);
            WRITE(target + 3 * ROWS, a3);
            WRITE(target + 3 * ROWS + 4, b3);
        }
    }
}

/* Products of all pairs of columns, packed by rows of the lower triangle. */
MULTIVERSION static void multiply_pairs(
    double *restrict out, const double *restrict columns, int count)
{
    for (int a = 0; a < count; a++) {
        const double *restrict first = columns + (size_t)a * ROWS;
        for (int b = 0; b <= a; b++) {
            const double *restrict second = columns + (size_t)b * ROWS;
            for (int i = 0; i < ROWS; i++)
                out[i] = first[i] * second[i];
            out += ROWS;
        }
    }
}

/* out += squares of four rows at a time, place by place: rows (4 fours, columns), out (4, columns). */
MULTIVERSION static void add_squares(
    double *restrict out, const double *restrict rows, size_t fours, int columns)
{
    const int width = 4 * columns;
    for (size_t f = 0; f < fours; f++) {
        const double *restrict row = rows + f * width;
        for (int c = 0; c < width; c++)
            out[c] += row[c] * row[c];
    }
}

/* out[i] = sum over columns of their squares. */
MULTIVERSION static void squared_lengths(
    double *restrict out, const double *restrict columns, int count)
{
    for (int i = 0; i < ROWS; i++)
        out[i] = 0.0;
    for (int c = 0; c < count; c++)
        for (int i = 0; i < ROWS; i++)
            out[i] += columns[(size_t)c * ROWS + i] * columns[(size_t)c * ROWS + i];
}

/* Four numbers at `to` get the totals of four vectors. */
#define ADD_TOTALS(to, a, b, c, d) \
    do { \
        const four_lanes left = SHUFFLE(a, b, 0, 4, 2, 6) + SHUFFLE(a, b, 1, 5, 3, 7); \
        const four_lanes right = SHUFFLE(c, d, 0, 4, 2, 6) + SHUFFLE(c, d, 1, 5, 3, 7); \
        four_lanes sums; \
        READ(sums, to); \
        sums += SHUFFLE(left, right, 0, 1, 4, 5) + SHUFFLE(left, right, 2, 3, 6, 7); \
        WRITE(to, sums); \
    } while (0)

/* out[c] += sum of column c, by fours: up to three more are added up, and written. */
MULTIVERSION static void add_column_sums(
    double *restrict out, const double *restrict columns, int count)
{
    for (int c = 0; c < count; c += 4) {
        const double *restrict column = columns + (size_t)c * ROWS;
        four_lanes t0 = {0}, t1 = {0}, t2 = {0}, t3 = {0};
        for (int i = 0; i < ROWS; i += 4) {
            four_lanes part;
            READ(part, column + i);
            t0 += part;
            READ(part, column + ROWS + i);
            t1 += part;
            READ(part, column + 2 * ROWS + i);
            t2 += part;
            READ(part, column + 3 * ROWS + i);
            t3 += part;
        }
        ADD_TOTALS(out + c, t0, t1, t2, t3);
    }
}

/* out[a, b] += inner product of columns a of `left` and b of `right`, of which there are multiples
   of three and of four. Twelve sums are in registers at a time, and products are fused: false says
   that the processor cannot, and that nothing was done. */
#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>

#define FUSED __attribute__((target("avx2,fma")))
#define ADD_PRODUCT(total, a, b) total = _mm256_fmadd_pd(a, b, total)

FUSED static void fused_inner_products(
    double *restrict out, const double *restrict left, const double *restrict right, int rows,
    int columns)
{
    for (int a = 0; a < rows; a += 3) {
        const double *restrict l = left + (size_t)a * ROWS;
        for (int b = 0; b < columns; b += 4) {
            const double *restrict r = right + (size_t)b * ROWS;
            four_lanes t00 = {0}, t01 = {0}, t02 = {0}, t03 = {0};
            four_lanes t10 = {0}, t11 = {0}, t12 = {0}, t13 = {0};
            four_lanes t20 = {0}, t21 = {0}, t22 = {0}, t23 = {0};
            for (int i = 0; i < ROWS; i += 4) {
                four_lanes l0, l1, l2, part;
                READ(l0, l + i);
                READ(l1, l + ROWS + i);
                READ(l2, l + 2 * ROWS + i);
                READ(part, r + i);
                ADD_PRODUCT(t00, l0, part);
                ADD_PRODUCT(t10, l1, part);
                ADD_PRODUCT(t20, l2, part);
                READ(part, r + ROWS + i);
                ADD_PRODUCT(t01, l0, part);
                ADD_PRODUCT(t11, l1, part);
                ADD_PRODUCT(t21, l2, part);
                READ(part, r + 2 * ROWS + i);
                ADD_PRODUCT(t02, l0, part);
                ADD_PRODUCT(t12, l1, part);
                ADD_PRODUCT(t22, l2, part);
                READ(part, r + 3 * ROWS + i);
                ADD_PRODUCT(t03, l0, part);
                ADD_PRODUCT(t13, l1, part);
                ADD_PRODUCT(t23, l2, part);
            }
            double *to = out + (size_t)a * columns + b;
            ADD_TOTALS(to, t00, t01, t02, t03);
            to += columns;
            ADD_TOTALS(to, t10, t11, t12, t13);
            to += columns;
            ADD_TOTALS(to, t20, t21, t22, t23);
        }
    }
}

static inline int add_inner_products(
    double *out, const double *left, const double *right, int rows, int columns)
{
    if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")))
        return 0;
    fused_inner_products(out, left, right, rows, columns);
    return 1;
}
#else
static inline int add_inner_products(
    double *out, const double *left, const double *right, int rows, int columns)
{
    (void)out, (void)left, (void)right, (void)rows, (void)columns;
    return 0;
}
#endif

#endif
