"""GMM with linear moments: the code of instrumental variables under its other name."""

from __future__ import annotations

from qbeconometrics.models.iv import QuasiBayesIV
from qbeconometrics.results.gmm_results import LinearGMMResults


class QuasiBayesLinearGMM(QuasiBayesIV):
    """Quasi-Bayesian GMM with linear moments z (y - x'theta); see `QuasiBayesIV`.

    Made by ``QuasiBayesGMM.from_formula``.
    """

    results_class = LinearGMMResults
