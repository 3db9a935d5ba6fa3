"""Quasi-Bayesian econometrics: posteriors from moment conditions, with the manners of statsmodels.

``import qbeconometrics as qb``.
"""

import logging
from importlib.metadata import version

from qbeconometrics import (
    datasets,
    exceptions,
    losses,
    moment_functions,
    priors,
    simulate,
    stiefel,
)
from qbeconometrics.models.bidirectional import OnlineBidirectional
from qbeconometrics.models.calibration import calibrate_learning_rate
from qbeconometrics.models.calibration_comparison import compare_calibrations
from qbeconometrics.models.gmm import QuasiBayesGMM
from qbeconometrics.models.iv import QuasiBayesIV
from qbeconometrics.models.lp import QuasiBayesLP
from qbeconometrics.models.m_estimation import QuasiBayesM
from qbeconometrics.models.moment_statistic import LinearMoments
from qbeconometrics.models.network import NetworkEigenmodel
from qbeconometrics.models.principal_components import ProbabilisticPCA
from qbeconometrics.models.reduced_rank import QuasiBayesReducedRank
from qbeconometrics.models.stiefel_sampler import StiefelSampler
from qbeconometrics.models.vecm import QuasiBayesVECM
from qbeconometrics.results.comparison import compare
from qbeconometrics.results.storage import load
from qbeconometrics.versions import show_versions

__version__ = version("qbeconometrics")

__all__ = [
    "LinearMoments",
    "NetworkEigenmodel",
    "OnlineBidirectional",
    "ProbabilisticPCA",
    "QuasiBayesGMM",
    "QuasiBayesIV",
    "QuasiBayesLP",
    "QuasiBayesM",
    "QuasiBayesReducedRank",
    "QuasiBayesVECM",
    "StiefelSampler",
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
    "simulate",
    "stiefel",
]

logging.getLogger(__name__).addHandler(logging.NullHandler())
