/* The weighted sum of losses of a linear index, eight rows at a time. The eight partial sums are
   added in one order whatever the instruction set, so every version gives the same bits. */

#ifndef QBECONOMETRICS_RISK_LOOPS_H
#define QBECONOMETRICS_RISK_LOOPS_H

#include <math.h>
#include <stddef.h>

#include "_hot_loops.h"

/* Losses, in the order of `LOSSES` in reference/particles.py. */
enum { SQUARED, QUANTILE, ABSOLUTE, HUBER, EXPECTILE, LOGISTIC, POISSON, HINGE };

/* Rows that are worked on together: their indices stay in the first-level cache. */
#define BLOCK 128

/* Sum over rows of weight times the expression, in which y is the outcome, e the index, r = y - e
   and a the option of the loss. Rows come in multiples of LANES; column c of the regressors is
   columns + c n. Each inner loop is one that compilers turn into vector instructions. */
#define RISK(NAME, EXPRESSION) \
    MULTIVERSION static double NAME( \
        const double *restrict endog, const double *restrict offset, \
        const double *restrict columns, const double *restrict weight, \
        const double *restrict x, size_t n, int k, double a) \
    { \
        double total[LANES] = {0}; \
        double index[BLOCK]; \
        (void)a; \
        for (size_t start = 0; start < n; start += BLOCK) { \
            const size_t size = n - start < BLOCK ? n - start : BLOCK; \
            for (size_t i = 0; i < size; i++) \
                index[i] = offset[start + i]; \
            for (int c = 0; c < k; c++) { \
                const double factor = x[c]; \
                const double *restrict column = columns + (size_t)c * n + start; \
                for (size_t i = 0; i < size; i++) \
                    index[i] += factor * column[i]; \
            } \
            for (size_t i = 0; i < size; i++) { \
                const double y = endog[start + i], e = index[i], r = y - e; \
                (void)y; (void)e; (void)r; \
                index[i] = weight[start + i] * (EXPRESSION); \
            } \
            for (size_t i = 0; i < size; i += LANES) \
                for (int q = 0; q < LANES; q++) \
                    total[q] += index[i + q]; \
        } \
        return ((total[0] + total[1]) + (total[2] + total[3])) \
             + ((total[4] + total[5]) + (total[6] + total[7])); \
    }

RISK(squared_risk, 0.5 * r * r)
RISK(quantile_risk, 0.5 * fabs(r) + (a - 0.5) * r)
RISK(absolute_risk, fabs(r))
RISK(huber_risk, (fabs(r) < a ? fabs(r) : a) * (fabs(r) - 0.5 * (fabs(r) < a ? fabs(r) : a)))
RISK(expectile_risk, (0.5 * fabs(r) + (a - 0.5) * r) * fabs(r))
/* Without branches on the sign, which compilers do not turn into vector instructions. The outcome
   of the hinge loss is -1 or 1. */
RISK(logistic_risk, (e > 0.0 ? e : 0.0) + log1p(exp(-fabs(e))) - y * e)
RISK(poisson_risk, exp(e) - y * e + (y > 0.0 ? y * log(y) - y : 0.0))
RISK(hinge_risk, 1.0 - y * e > 0.0 ? 1.0 - y * e : 0.0)

static double risk(
    int loss, const double *endog, const double *offset, const double *columns,
    const double *weight, const double *x, size_t n, int k, double a)
{
    switch (loss) {
    case SQUARED: return squared_risk(endog, offset, columns, weight, x, n, k, a);
    case QUANTILE: return quantile_risk(endog, offset, columns, weight, x, n, k, a);
    case ABSOLUTE: return absolute_risk(endog, offset, columns, weight, x, n, k, a);
    case HUBER: return huber_risk(endog, offset, columns, weight, x, n, k, a);
    case EXPECTILE: return expectile_risk(endog, offset, columns, weight, x, n, k, a);
    case LOGISTIC: return logistic_risk(endog, offset, columns, weight, x, n, k, a);
    case POISSON: return poisson_risk(endog, offset, columns, weight, x, n, k, a);
    default: return hinge_risk(endog, offset, columns, weight, x, n, k, a);
    }
}

#endif
