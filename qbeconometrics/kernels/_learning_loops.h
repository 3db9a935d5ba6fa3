/* Rows of features and sums over them, for several instruction sets; none reorders a sum. */

#ifndef QBECONOMETRICS_LEARNING_LOOPS_H
#define QBECONOMETRICS_LEARNING_LOOPS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "_hot_loops.h"

typedef int64_t four_words __attribute__((vector_size(32)));

/* Angles above this are taken for it: their own rounding is already 1e-10. */
#define MOST_ANGLE 1e6

/* (cos(sqrt s) - 1) / s for s up to (pi/2)^2, lowest powers first; the cosine is right to 8e-15.
   Interpolated with 50 digits in the seven Chebyshev points. */
#define COSINE_0 -0.49999999999999684
#define COSINE_1 0.04166666666654108
#define COSINE_2 -0.001388888888074322
#define COSINE_3 2.4801585319521206e-05
#define COSINE_4 -2.755708941399029e-07
#define COSINE_5 2.0863062631733997e-09
#define COSINE_6 -1.1064910747100625e-11

/* Make four angles their cosines. Adding 1.5 2^52 rounds angle / pi to a whole number n and leaves it
   in the last bits; n pi is subtracted in two pieces, of which the first has 26 bits and is exact,
   and odd n turn the sign. Choices are made with masks, not branches. Infinite angles are MOST_ANGLE,
   and NaN stays NaN. */
static inline void take_cosines(four_lanes *angles)
{
    const four_lanes whole = {
        6755399441055744.0, 6755399441055744.0, 6755399441055744.0, 6755399441055744.0};
    const four_lanes most = {MOST_ANGLE, MOST_ANGLE, MOST_ANGLE, MOST_ANGLE};
    const four_words most_bits = (four_words)most;
    const four_words size_bits = (four_words)*angles & INT64_MAX;
    const four_words above = (four_words)((four_lanes)size_bits > most);
    const four_lanes size = (four_lanes)((most_bits & above) | (size_bits & ~above));
    const four_lanes marked = size * 0.3183098861837907 + whole;
    const four_lanes n = marked - whole;
    const four_lanes r = (size - n * 3.1415926218032837) - n * 3.178650954705639e-08;
    const four_lanes s = r * r;
    four_lanes sum = s * COSINE_6 + COSINE_5;
    sum = sum * s + COSINE_4;
    sum = sum * s + COSINE_3;
    sum = sum * s + COSINE_2;
    sum = sum * s + COSINE_1;
    sum = sum * s + COSINE_0;
    sum = sum * s + 1.0;
    *angles = (four_lanes)((four_words)sum ^ ((four_words)marked << 63));
}

/* out = scales cos(phases + x'frequencies), of frequencies (k, size), size a multiple of four. */
MULTIVERSION static void fourier_row(
    double *restrict out, const double *restrict x, const double *restrict frequencies,
    const double *restrict phases, const double *restrict scales, size_t k, size_t size)
{
    for (size_t q = 0; q < size; q += 4) {
        four_lanes angle, part;
        memcpy(&angle, phases + q, sizeof angle);
        for (size_t j = 0; j < k; j++) {
            memcpy(&part, frequencies + j * size + q, sizeof part);
            angle += x[j] * part;
        }
        memcpy(&part, scales + q, sizeof part);
        take_cosines(&angle);
        part *= angle;
        memcpy(out + q, &part, sizeof part);
    }
}

/* out += factors row', of out (4, size). */
MULTIVERSION static void add_to_four(
    double *restrict out, const double *restrict factors, const double *restrict row, size_t size)
{
    const double f0 = factors[0], f1 = factors[1], f2 = factors[2], f3 = factors[3];
    double *restrict o1 = out + size;
    double *restrict o2 = out + 2 * size;
    double *restrict o3 = out + 3 * size;
    for (size_t q = 0; q < size; q++) {
        out[q] += f0 * row[q];
        o1[q] += f1 * row[q];
        o2[q] += f2 * row[q];
        o3[q] += f3 * row[q];
    }
}

#endif
