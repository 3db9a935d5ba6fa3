"""What a user reads: results classes, summary tables, export."""

from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.results.iv_results import IVResults
from qbeconometrics.results.posterior_results import PosteriorResults

__all__ = ["FitRecord", "IVResults", "PosteriorResults"]
