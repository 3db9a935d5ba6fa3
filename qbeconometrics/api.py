"""The public names again, for those used to ``import statsmodels.api as sm``."""

from qbeconometrics import (
    QuasiBayesGMM,
    QuasiBayesIV,
    QuasiBayesLP,
    __version__,
    datasets,
    exceptions,
    moment_functions,
    priors,
    show_versions,
)

__all__ = [
    "QuasiBayesGMM",
    "QuasiBayesIV",
    "QuasiBayesLP",
    "__version__",
    "datasets",
    "exceptions",
    "moment_functions",
    "priors",
    "show_versions",
]
