"""The public names again, for those used to ``import statsmodels.api as sm``."""

from qbeconometrics import (
    LinearMoments,
    QuasiBayesGMM,
    QuasiBayesIV,
    QuasiBayesLP,
    QuasiBayesM,
    __version__,
    calibrate_learning_rate,
    compare,
    compare_calibrations,
    datasets,
    exceptions,
    load,
    losses,
    moment_functions,
    priors,
    show_versions,
)

__all__ = [
    "LinearMoments",
    "QuasiBayesGMM",
    "QuasiBayesIV",
    "QuasiBayesLP",
    "QuasiBayesM",
    "__version__",
    "calibrate_learning_rate",
    "compare",
    "compare_calibrations",
    "datasets",
    "exceptions",
    "load",
    "losses",
    "moment_functions",
    "priors",
    "show_versions",
]
