/* Loops over the pairs of a row of a network, for several instruction sets; none reorders a sum. */

#ifndef QBECONOMETRICS_NETWORK_LOOPS_H
#define QBECONOMETRICS_NETWORK_LOOPS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "_hot_loops.h"

/* Factors that are multiplied before a logarithm is taken. */
#define FACTORS 8

/* An index whose log probability and derivative are zero to the last digit. */
#define CERTAIN 40.0

/* (1 - Phi(t)) / phi(t) for t >= 0 is the ratio of these polynomials, lowest powers first, up to
   4.3e-16 of itself. Fitted by weighted least squares with 50 digits, the weights being those that
   linearise the ratio, in 120 Chebyshev points of t / (t + 5). */
static const double UPPER[] = {
    255611.1185957908, 410242.22999126645, 324497.9233062733, 163012.41896543757,
    56831.36498980681, 14215.302439956964, 2553.21576084112, 319.004900472093,
    25.398050839429203, 0.9999999999999997};
static const double LOWER[] = {
    203948.16509713174, 490053.0336344307, 547943.5499820464, 376476.638256694,
    176599.7201020297, 59333.78439193619, 14532.307345592362, 2578.6138116179186,
    320.00490047248644, 25.39805083942825, 1.0};

#define INVERSE_ROOT_TWO_PI 0.39894228040143267794

/* exp(-a) for a >= 0, and for more than 690 that of 690: 2^-n times the Taylor polynomial of degree
   12 of what is left, up to 2e-16 of itself. Adding 1.5 2^52 rounds to a whole number and leaves it
   in the last bits. Numbers >= 0 are in the order of their bits; comparing them as numbers would be
   a branch, which keeps vectors away. */
static inline double decay(double a)
{
    const int64_t most = 0x4085900000000000; /* 690 */
    const double whole = 6755399441055744.0;
    int64_t size;
    memcpy(&size, &a, sizeof size);
    size = size < most ? size : most;
    memcpy(&a, &size, sizeof a);
    const double marked = a * 1.4426950408889634 + whole;
    const double n = marked - whole;
    const double r = (n * 6.93147180369123816490e-01 - a) + n * 1.90821492927058770002e-10;
    uint64_t bits;
    double power;
    memcpy(&bits, &marked, sizeof bits);
    bits = (1023 - bits) << 52;
    memcpy(&power, &bits, sizeof power);
    double sum = 1.0 / 479001600.0;
    sum = sum * r + 1.0 / 39916800.0;
    sum = sum * r + 1.0 / 3628800.0;
    sum = sum * r + 1.0 / 362880.0;
    sum = sum * r + 1.0 / 40320.0;
    sum = sum * r + 1.0 / 5040.0;
    sum = sum * r + 1.0 / 720.0;
    sum = sum * r + 1.0 / 120.0;
    sum = sum * r + 1.0 / 24.0;
    sum = sum * r + 1.0 / 6.0;
    sum = sum * r + 0.5;
    sum = sum * r + 1.0;
    sum = sum * r + 1.0;
    return sum * power;
}

/* Return the sum of log Phi(z), and write phi(z) / Phi(z), for count numbers, a multiple of LANES.

   Phi(z) is 1 - tail for z >= 0, and exp(-z^2/2) ratio for z < 0. Of the first the products are
   held as 1 - missing, which keeps the digits of small tails. */
MULTIVERSION static double log_probit_loop(
    const double *restrict z, double *restrict mills, size_t count)
{
    double total = 0.0;
    for (size_t start = 0; start < count; start += FACTORS * LANES) {
        const size_t end = start + FACTORS * LANES < count ? start + FACTORS * LANES : count;
        double missing[LANES], product[LANES], square[LANES];
        for (size_t v = 0; v < LANES; v++) {
            missing[v] = 0.0;
            product[v] = 1.0;
            square[v] = 0.0;
        }
        for (size_t from = start; from < end; from += LANES)
            for (size_t v = 0; v < LANES; v++) {
                const double x = z[from + v], t = fabs(x), half = 0.5 * x * x;
                const double bell = decay(half);
                double upper = UPPER[9], lower = LOWER[10];
                lower = lower * t + LOWER[9];
                for (int power = 8; power >= 0; power--) {
                    upper = upper * t + UPPER[power];
                    lower = lower * t + LOWER[power];
                }
                const double ratio = INVERSE_ROOT_TWO_PI * (upper / lower);
                const double tail = bell * ratio;
                /* One and zero, or zero and one, again without a branch. */
                const double below = 0.5 - copysign(0.5, x), above = 1.0 - below;
                const double share = below * ratio + above * (1.0 - tail);
                mills[from + v] = INVERSE_ROOT_TWO_PI * (below + above * bell) / share;
                square[v] += below * half;
                product[v] *= below * ratio + above;
                missing[v] += above * (tail * (1.0 - missing[v]));
            }
        for (size_t v = 0; v < LANES; v++)
            total += (log(product[v]) + log1p(-missing[v])) - square[v];
    }
    return total;
}

/* out = -(factors[0] columns[0] + ...), of columns (k, stride). */
MULTIVERSION static void minus_combination(
    double *restrict out, const double *restrict columns, const double *restrict factors, int k,
    size_t stride, size_t count)
{
    for (size_t j = 0; j < count; j++)
        out[j] = -factors[0] * columns[j];
    for (int l = 1; l < k; l++) {
        const double *restrict column = columns + l * stride;
        for (size_t j = 0; j < count; j++)
            out[j] -= factors[l] * column[j];
    }
}

/* What pairs of one node with others add to sums over neighbours: to those of the others (k, stride)
   w times `at_node` (k,), and to those of the node, which are `stride` apart, the sum of w times
   `columns`. */
MULTIVERSION static void add_pairs(
    double *restrict others, double *restrict node, const double *restrict columns,
    const double *restrict at_node, const double *restrict w, int k, size_t stride, size_t count)
{
    for (int l = 0; l < k; l++) {
        const double *restrict column = columns + l * stride;
        double *restrict sums = others + l * stride;
        const double factor = at_node[l];
        double parts[LANES] = {0.0};
        for (size_t from = 0; from < count; from += LANES)
            for (size_t v = 0; v < LANES; v++) {
                sums[from + v] += w[from + v] * factor;
                parts[v] += w[from + v] * column[from + v];
            }
        for (size_t v = 0; v < LANES; v++)
            node[l * stride] += parts[v];
    }
}

#endif
