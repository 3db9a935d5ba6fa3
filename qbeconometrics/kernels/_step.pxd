# Adaptation of the step of gradient samplers.

from libc.math cimport exp, log, sqrt


cdef inline void adapt_step(double* tuning, double acceptance, double goal) noexcept nogil:
    """One step of dual averaging with the constants of Hoffman & Gelman (2014, JMLR 15, 1593-1623).

    `tuning` holds log step, count, mean error, mean log step, anchor.
    """
    cdef double shrinkage = 0.05, offset = 10.0, decay = 0.75
    cdef double count = tuning[1] + 1.0, weight
    tuning[1] = count
    weight = 1.0 / (count + offset)
    tuning[2] = (1.0 - weight) * tuning[2] + weight * (goal - acceptance)
    tuning[0] = tuning[4] - sqrt(count) / shrinkage * tuning[2]
    weight = exp(-decay * log(count))
    tuning[3] = weight * tuning[0] + (1.0 - weight) * tuning[3]
