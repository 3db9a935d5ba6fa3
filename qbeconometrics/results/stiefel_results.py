"""Results of `StiefelSampler`: draws of orthonormal matrices and what is read from them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from statsmodels.iolib.summary import Summary

from qbeconometrics.diagnostics import convergence
from qbeconometrics.diagnostics.energy import bfmi
from qbeconometrics.exceptions import check_choice
from qbeconometrics.results import stiefel_export
from qbeconometrics.results.reliability import Finding, convergence_findings
from qbeconometrics.results.stiefel_quantities import QUANTITIES, quantities
from qbeconometrics.results.stiefel_reliability import trajectory_findings
from qbeconometrics.results.stiefel_summary import build_summary
from qbeconometrics.stiefel import subspaces
from qbeconometrics.stiefel.base import Chart
from qbeconometrics.stiefel.checks import check_orthonormal

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StiefelRecord:
    """What a run of `StiefelSampler` leaves.

    Attributes
    ----------
    draws : ndarray, shape (chain, draw, p, k)
    log_density : ndarray, shape (chain, draw)
        log f at the draws.
    statistics : dict of str to ndarray, shape (chain, draw)
        See `StiefelResults.sampler_stats`.
    chart : Chart
        The coordinates that were sampled.
    symmetry : {"rotations", "signs", "none"}
        What f is invariant to.
    metric, backend : str
    target_accept : float
    max_depth, tune, draws_requested, warm_up_gradients : int
    seconds : float
    interrupted : bool
    sampled : datetime
    """

    draws: FloatArray
    log_density: FloatArray
    statistics: dict[str, FloatArray]
    chart: Chart
    symmetry: str
    metric: str
    backend: str
    target_accept: float
    max_depth: int
    tune: int
    draws_requested: int
    warm_up_gradients: int
    seconds: float
    interrupted: bool
    sampled: datetime


class StiefelResults:
    """Draws of orthonormal matrices.

    Parameters
    ----------
    record : StiefelRecord

    Notes
    -----
    Some densities depend on Q through its column space alone, or on columns up to their signs. The
    sampler looks for that (``record.symmetry``), and chains are judged by what the density
    identifies: elements of QQ', or of Q with signs made alike, or of Q; and by log f.
    """

    def __init__(self, record: StiefelRecord) -> None:
        self.record = record

    def __repr__(self) -> str:
        chains, draws, p, k = self.draws.shape
        return f"<StiefelResults: matrices ({p}, {k}), {chains} x {draws} draws by {self.chart!r}>"

    # -- draws --------------------------------------------------------------------------------

    @property
    def draws(self) -> FloatArray:
        """All draws, shape (chain, draw, p, k)."""
        return self.record.draws

    @property
    def log_density(self) -> FloatArray:
        """Values of log f at the draws, shape (chain, draw)."""
        return self.record.log_density

    @property
    def chart(self) -> Chart:
        """The coordinates that were sampled."""
        return self.record.chart

    @property
    def sampler_stats(self) -> dict[str, Any]:
        """What the sampler did, draw by draw and in all.

        Arrays (chain, draw): ``depth`` (doublings) and ``gradients`` of the trajectory, whether it
        was ended by a divergence (``divergent``) or a point without density (``nonfinite``),
        ``acceptance``, ``step``, ``energy``, ``energy_error``. In all: ``divergences``,
        ``warm_up_gradients``, ``seconds`` (warm-up included), ``bfmi`` (one a chain).
        """
        record = self.record
        return {
            **record.statistics,
            "divergences": int(record.statistics["divergent"].sum()),
            "warm_up_gradients": record.warm_up_gradients,
            "seconds": record.seconds,
            "bfmi": bfmi(record.statistics["energy"]),
        }

    # -- what does not depend on the basis of the column space ----------------------------------

    def projections(self) -> FloatArray:
        """Return QQ' of all draws, shape (chain, draw, p, p)."""
        return subspaces.projections(self.draws)

    @cached_property
    def projection_mean(self) -> FloatArray:
        """Mean of QQ', shape (p, p)."""
        chains, draws, p, _ = self.draws.shape
        columns = np.moveaxis(self.draws, 2, 0).reshape(p, -1)
        return columns @ columns.T / (chains * draws)

    @cached_property
    def principal_subspace(self) -> FloatArray:
        """Leading eigenvectors of the mean of QQ', shape (p, k).

        Of all k-dimensional subspaces the nearest to the draws, in mean square of the sines of the
        angles. For p = k all are the same.
        """
        values, vectors = np.linalg.eigh(self.projection_mean)
        return np.ascontiguousarray(vectors[:, np.argsort(values)[::-1][: self.draws.shape[3]]])

    def principal_angles(self, reference: ArrayLike | None = None) -> FloatArray:
        """Return angles between the column spaces of the draws and of a reference.

        Parameters
        ----------
        reference : array_like, shape (p, l), optional
            Orthonormal columns; by default `principal_subspace`.

        Returns
        -------
        ndarray, shape (chain, draw, min(k, l))
            In radians, the smallest first.

        Raises
        ------
        InputError
            If the columns of the reference are not orthonormal.
        """
        p, k = self.draws.shape[2:]
        shape = () if reference is None else np.shape(reference)
        columns = shape[1] if len(shape) == 2 else k
        return subspaces.principal_angles(self.draws, self._reference(reference, p, columns))

    def aligned(self, reference: ArrayLike | None = None) -> FloatArray:
        """Return draws with columns rotated and reflected so that they come nearest a reference.

        This hides which basis was drawn: use it where f does not depend on that. For p = k every
        draw becomes the reference.

        Parameters
        ----------
        reference : array_like, shape (p, k), optional
            Orthonormal columns; by default `principal_subspace`.

        Returns
        -------
        ndarray, shape (chain, draw, p, k)

        Raises
        ------
        InputError
            If the columns of the reference are not orthonormal.
        """
        p, k = self.draws.shape[2:]
        return subspaces.procrustes(self.draws, self._reference(reference, p, k))

    def _reference(self, reference: ArrayLike | None, p: int, columns: int) -> FloatArray:
        if reference is None:
            return self.principal_subspace
        return check_orthonormal(reference, "reference", p, columns)

    # -- the chains ---------------------------------------------------------------------------

    def ess(self, of: str = "identified") -> pd.DataFrame:
        """Return effective sample sizes, columns ``bulk`` and ``tail``.

        Parameters
        ----------
        of : {"identified", "projection", "aligned", "entries"}
            Elements of QQ' on and below its diagonal; of `aligned()`; of Q; or those that f
            identifies, with log f (for QQ' with p above 30 the diagonal alone).

        Returns
        -------
        DataFrame
            One row an element, such as ``"QQ'[2,0]"`` (row and column from 0).

        Raises
        ------
        OptionError
            For another word.
        """
        if of == "identified":
            return self._judged[1].copy()
        return _effective(*self._quantities(of))

    def rhat(self, of: str = "identified") -> pd.Series:
        """Return rank-normalised split R-hat; NaN for what is constant and for a single chain.

        Parameters
        ----------
        of : {"identified", "projection", "aligned", "entries"}
            As for `ess`.

        Returns
        -------
        Series

        Raises
        ------
        OptionError
            For another word.
        """
        if of == "identified":
            return self._judged[2].copy()
        values, labels = self._quantities(of)
        return pd.Series(convergence.rhat(values), index=labels)

    def _quantities(self, of: str) -> tuple[FloatArray, list[str]]:
        check_choice(of, QUANTITIES, "of")
        if of == "aligned":
            values, labels = quantities(self.aligned(), "entries")
            return values, [f"aligned {label}" for label in labels]
        return quantities(self.draws, of, self.record.symmetry, self.log_density)

    @cached_property
    def _judged(self) -> tuple[FloatArray, pd.DataFrame, pd.Series]:
        """Draws of what f identifies, their effective sizes and their R-hat."""
        values, labels = self._quantities("identified")
        rhat = pd.Series(convergence.rhat(values), index=labels)
        return values, _effective(values, labels), rhat

    def findings(self) -> list[Finding]:
        """What makes the draws unreliable: warning class and sentence, in the summary too."""
        values, ess, rhat = self._judged
        record = self.record
        return trajectory_findings(
            record.statistics, record.max_depth, record.target_accept, record.chart
        ) + convergence_findings(
            draws=values,
            param_names=list(ess.index),
            ess=ess.to_numpy(),
            rhat=rhat.to_numpy(),
            alternative="parameterization",
        )

    def warn_if_unreliable(self, stacklevel: int = 2) -> None:
        """Issue a warning for each finding.

        Parameters
        ----------
        stacklevel : int
            Whose line is shown: 2 is the caller of the method that calls this one.
        """
        for finding in self.findings():
            warnings.warn(finding.sentence, finding.category, stacklevel=stacklevel + 1)

    # -- for readers and other programs ---------------------------------------------------------

    def summary(self, alpha: float = 0.05) -> Summary:
        """Return tables of the run, for print, notebook and LaTeX.

        Rows are log f and, for p above k, the angles to the `principal_subspace`, in radians;
        also the elements of Q where f identifies them, up to 50.

        Parameters
        ----------
        alpha : float
            One minus the probability of the equal-tailed intervals.

        Returns
        -------
        statsmodels.iolib.summary.Summary

        Raises
        ------
        OptionError
            If `alpha` is not between 0 and 1.
        """
        return build_summary(self, alpha=convergence.check_probability(alpha, "alpha"))

    def _repr_html_(self) -> str:
        return str(self.summary().as_html())

    def to_datatree(self) -> Any:
        """Return an ``xarray.DataTree`` with groups ``posterior`` and ``sample_stats``.

        ``Q`` has the dimensions (chain, draw, row, column), ``angle`` the `principal_angles`.
        Statistics have ArviZ's names. ArviZ 1.0 and later takes the tree as it is; for ArviZ 0.x
        use `to_arviz`.

        Returns
        -------
        xarray.DataTree

        Raises
        ------
        MissingExtraError
            If xarray is missing or older than 2024.10.
        """
        return stiefel_export.to_datatree(self)

    def to_arviz(self) -> Any:
        """Return what the installed ArviZ works with.

        Returns
        -------
        arviz.InferenceData or xarray.DataTree
            The former for ArviZ below 1.0, the latter from 1.0 on.

        Raises
        ------
        MissingExtraError
            If ArviZ or xarray is missing.
        """
        return stiefel_export.to_arviz(self)


def _effective(values: FloatArray, labels: list[str]) -> pd.DataFrame:
    columns = {"bulk": convergence.bulk_ess(values), "tail": convergence.tail_ess(values)}
    return pd.DataFrame(columns, index=labels)
