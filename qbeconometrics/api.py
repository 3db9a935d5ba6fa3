"""The public names again, for those used to ``import statsmodels.api as sm``."""

from qbeconometrics import (
    QuasiBayesGMM,
    QuasiBayesIV,
    QuasiBayesLP,
    QuasiBayesM,
    __version__,
    compare,
    datasets,
    exceptions,
    load,
    losses,
    moment_functions,
    priors,
    show_versions,
)

__all__ = [
    "QuasiBayesGMM",
    "QuasiBayesIV",
    "QuasiBayesLP",
    "QuasiBayesM",
    "__version__",
    "compare",
    "datasets",
    "exceptions",
    "load",
    "losses",
    "moment_functions",
    "priors",
    "show_versions",
]
