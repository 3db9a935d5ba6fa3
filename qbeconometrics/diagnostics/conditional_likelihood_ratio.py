"""The conditional likelihood ratio test of one endogenous coefficient under homoskedastic errors.

With Q_S the Anderson-Rubin statistic and Q_T the strength of the instruments at a value of the
coefficient, Q_S + Q_T is the trace of a matrix that does not depend on that value, and the
likelihood ratio is Q_S less its smaller eigenvalue (Mikusheva 2010). Hence the test accepts where
Q_S is below one number, found here.
"""

from __future__ import annotations

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import chdtr, chdtrc, gammaln


def conditional_pvalue(ratio: float, strength: float, n_excluded: int) -> float:
    """Probability that the likelihood ratio exceeds `ratio` given Q_T = `strength`.

    Parameters
    ----------
    ratio, strength : float
        Not negative.
    n_excluded : int
        Number of excluded instruments, l.

    Returns
    -------
    float

    References
    ----------
    Andrews, D. W. K., Moreira, M. J. and Stock, J. H. (2007). Performance of conditional Wald tests
    in IV regression with weak instruments. Journal of Econometrics 139, 116-132.

    Examples
    --------
    >>> round(conditional_pvalue(3.8415, 10.0, 1), 4)
    0.05
    >>> conditional_pvalue(3.8415, 10.0, 4) > 0.05
    True
    """
    if ratio <= 0.0:
        return 1.0
    if n_excluded == 1:
        return float(chdtrc(1, ratio))
    log_constant = gammaln(n_excluded / 2.0) - gammaln((n_excluded - 1) / 2.0)
    constant = 2.0 * np.exp(log_constant) / np.sqrt(np.pi)

    # With the sine of an angle for the correlation, the density has no pole for two instruments.
    def integrand(angle: float) -> float:
        bound = (strength + ratio) / (1.0 + strength * np.sin(angle) ** 2 / ratio)
        return float(chdtr(n_excluded, bound) * np.cos(angle) ** (n_excluded - 2))

    # For strong instruments all of the change is within a narrow angle.
    turn = min(float(np.sqrt(ratio / max(strength, 1e-300))), 1.5)
    points = [turn, min(4.0 * turn, 1.55)]
    # With the full output the routine does not warn where it met rounding.
    value = quad(
        integrand, 0.0, np.pi / 2.0, points=points, epsabs=1e-12, limit=200, full_output=1
    )[0]
    return float(np.clip(1.0 - constant * value, 0.0, 1.0))


def largest_accepted(low: float, high: float, n_excluded: int, alpha: float) -> float:
    """Return the Anderson-Rubin statistic Q_S up to which the test accepts; `high` if all of it.

    Parameters
    ----------
    low, high : float
        Eigenvalues, between which Q_S lies.
    n_excluded : int
    alpha : float

    References
    ----------
    Mikusheva, A. (2010). Robust confidence sets in the presence of weak instruments. Journal of
    Econometrics 157, 236-247.
    """

    def excess(statistic: float) -> float:
        strength = max(low + high - statistic, 0.0)
        return conditional_pvalue(statistic - low, strength, n_excluded) - alpha

    if high <= low or excess(high) >= 0.0:
        return high
    return float(brentq(excess, low, high, xtol=1e-12 * high, rtol=1e-13))
