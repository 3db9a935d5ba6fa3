"""The public names again, for those used to ``import statsmodels.api as sm``."""

from qbeconometrics import (
    QuasiBayesIV,
    __version__,
    datasets,
    exceptions,
    priors,
    show_versions,
)

__all__ = [
    "QuasiBayesIV",
    "__version__",
    "datasets",
    "exceptions",
    "priors",
    "show_versions",
]
