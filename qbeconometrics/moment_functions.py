"""Ready-made moment functions for `QuasiBayesGMM`.

Each is called as ``f(params, endog, exog, instrument)`` and has the methods `jac`, the derivative
of the mean of the moments, and `start_params`, a start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError

FloatArray = NDArray[np.float64]

__all__ = ["iv_poisson_additive", "iv_poisson_multiplicative"]


@dataclass(frozen=True, slots=True)
class ExponentialMean:
    """Moments of a count or other non-negative outcome with mean exp(x'theta).

    Attributes
    ----------
    error : str
        "additive": E[z (y - exp(x'theta))] = 0; "multiplicative": E[z (y exp(-x'theta) - 1)] = 0.
    """

    error: str

    def __call__(
        self, params: FloatArray, endog: FloatArray, exog: Any, instrument: Any
    ) -> FloatArray:
        """Return the moments (n, m); without instruments the regressors are their own."""
        if self.error == "additive":
            residual = endog - np.exp(exog @ params)
        else:
            residual = endog * np.exp(-(exog @ params)) - 1.0
        moments: FloatArray = (exog if instrument is None else instrument) * residual[:, None]
        return moments

    def jac(self, params: FloatArray, endog: FloatArray, exog: Any, instrument: Any) -> FloatArray:
        """Return the derivative (m, k) of the mean of the moments."""
        if self.error == "additive":
            slope = np.exp(exog @ params)
        else:
            slope = endog * np.exp(-(exog @ params))
        z = exog if instrument is None else instrument
        derivative: FloatArray = z.T @ (exog * (-slope / len(slope))[:, None])
        return derivative

    def start_params(self, endog: FloatArray, exog: Any, instrument: Any) -> FloatArray:
        """Return the least-squares coefficients (k,) of log(1 + y).

        Raises
        ------
        InputError
            If there are no regressors, several outcomes, or a negative outcome.
        """
        if exog is None or np.ndim(endog) != 1:
            raise InputError("an exponential mean needs one outcome (endog) and regressors (exog)")
        if (endog < 0).any():
            raise InputError(
                "endog has negative values; an exponential mean is for outcomes of zero or more"
            )
        start: FloatArray = np.linalg.lstsq(exog, np.log1p(endog))[0]
        return start


iv_poisson_additive = ExponentialMean("additive")
"""IV-Poisson with an additive error: E[z (y - exp(x'theta))] = 0.

Windmeijer and Santos Silva (1997, Journal of Applied Econometrics 12, 281-294) compare it with the
multiplicative form.

Examples
--------
>>> import qbeconometrics as qb
>>> data = qb.datasets.load("docvisits").assign(const=1.0)
>>> model = qb.QuasiBayesGMM(
...     data["docvis"],
...     data[["private", "chronic", "female", "income", "const"]],
...     data[["private", "chronic", "female", "age", "black", "hispanic", "const"]],
...     momcond=qb.moment_functions.iv_poisson_additive,
...     prior=qb.priors.Normal(0, 5),
... )
>>> res = model.fit("rwm", draws=3000, rng=0, quasi_likelihood="two-step")
>>> round(float(res.mode["chronic"]), 2)
1.09
"""

iv_poisson_multiplicative = ExponentialMean("multiplicative")
"""IV-Poisson with a multiplicative error: E[z (y exp(-x'theta) - 1)] = 0 (Mullahy 1997, Review
of Economics and Statistics 79, 586-593)."""
