"""What models with linear moments share: the moment statistic, the quasi-posterior and `fit`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from statsmodels.base.model import Model

from qbeconometrics.exceptions import check_choice, refuse_unknown_keywords
from qbeconometrics.inputs.design import LinearDesign
from qbeconometrics.inputs.formula import RegressorRecipe
from qbeconometrics.models.calibrated_rate import settled_rate
from qbeconometrics.models.fit_notes import (
    absorption_notes,
    intercept_notes,
    refuse_indefinite_covariance,
    tail_notes,
    warn_if_interrupted,
    width_notes,
)
from qbeconometrics.models.fit_options import (
    FIT_KEYWORDS,
    aligned_weight,
    check_learning_rate,
    check_quasi_likelihood,
    sample_options,
)
from qbeconometrics.models.fit_recording import record_fit
from qbeconometrics.models.linear_prediction import LinearPrediction
from qbeconometrics.models.moment_sums import MomentSums
from qbeconometrics.models.row_weights import Dependence
from qbeconometrics.moments.covariance import CovarianceRule, parse_covariance
from qbeconometrics.posterior.propriety import check_propriety
from qbeconometrics.posterior.quasi_posterior import QuasiPosterior, build_quasi_posterior
from qbeconometrics.posterior.resolved_prior import DataScale, data_scale, resolve_prior
from qbeconometrics.priors import PriorLike
from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.results.posterior_results import PosteriorResults
from qbeconometrics.sampling.options import SampleOptions
from qbeconometrics.sampling.run import Sample, sample

FloatArray = NDArray[np.float64]

EVALUATIONS = ("auto", "statistic", "rows")

# Evaluations that the choice between statistic and rows is made for when no fit is in sight.
TYPICAL_EVALUATIONS = 12_000


class LinearMomentsModel(MomentSums, LinearPrediction, Model):  # type: ignore[misc]
    """Base of the models with moments z (y - x'theta); not used directly.

    A model is immutable: fits of one model may run at the same time in threads.
    """

    results_class: ClassVar[type[PosteriorResults]] = PosteriorResults

    def _prepare(
        self,
        design: LinearDesign,
        prior: PriorLike,
        *,
        recipe: RegressorRecipe | None = None,
        kept: NDArray[np.bool_] | None = None,
        n_dropped: int = 0,
        frame: pd.DataFrame | None = None,
        scale: DataScale | None = None,
    ) -> None:
        """Store a checked design and, for formulas, how to rebuild its regressors, and the data.

        `scale` is that of the default prior; by default that of the design.
        """
        for array in (design.endog, design.exog, design.instrument):
            array.flags.writeable = False
        super().__init__(design.endog, design.exog, missing="none", hasconst=False)
        # statsmodels' tools, such as summary_col, read the names here.
        self.data.xnames = list(design.exog_names)
        self.data.ynames = design.endog_name
        self.k_constant = int(design.constant is not None)
        self.design = design
        self.instrument = design.instrument
        self.n_dropped = n_dropped
        self.prior = resolve_prior(prior, scale or data_scale(design))
        self._kept = kept
        self._recipe = recipe
        self._frame = frame
        if recipe is not None:
            self.formula = recipe.formula

    @property
    def endog_names(self) -> str:
        """Name of the outcome."""
        return self.design.endog_name

    @property
    def exog_names(self) -> list[str]:
        """Names of the regressors."""
        return list(self.design.exog_names)

    @property
    def instrument_names(self) -> list[str]:
        """Names of all instruments, the exogenous regressors among them."""
        return list(self.design.instrument_names)

    @property
    def endogenous_names(self) -> list[str]:
        """Names of the endogenous regressors."""
        return [self.design.exog_names[j] for j in self.design.endogenous]

    def quasi_posterior(
        self,
        *,
        quasi_likelihood: str | None = None,
        cov_type: str = "HC0",
        cov_kwds: Mapping[str, Any] | None = None,
        learning_rate: float = 1.0,
        weight_matrix: ArrayLike | str | None = None,
        evaluation: str = "auto",
        evaluations: int = TYPICAL_EVALUATIONS,
    ) -> QuasiPosterior:
        """Return the log quasi-posterior that `fit` samples from.

        Parameters
        ----------
        quasi_likelihood, cov_type, cov_kwds, learning_rate, weight_matrix
            As in `fit`.
        evaluation : {"auto", "statistic", "rows"}
            Whether S is formed from the moment statistic, at a cost free of n, or from the rows;
            "auto" takes what is cheaper for so many `evaluations`.
        evaluations : int

        Returns
        -------
        QuasiPosterior

        Raises
        ------
        OptionError, ImproperPosteriorError, NumericalError
        """
        rule = parse_covariance(cov_type, cov_kwds)
        return self._build(
            rule,
            self._dependence(rule),
            check_quasi_likelihood(quasi_likelihood, weight_matrix),
            check_learning_rate(learning_rate),
            weight_matrix,
            evaluation=check_choice(evaluation, EVALUATIONS, "evaluation"),
            evaluations=evaluations,
        )

    def _build(
        self,
        rule: CovarianceRule,
        dependence: Dependence | None,
        quasi_likelihood: str,
        learning_rate: float,
        weight_matrix: ArrayLike | str | None,
        *,
        evaluation: str,
        evaluations: int,
    ) -> QuasiPosterior:
        """Join checked options to the log quasi-posterior."""
        check_propriety(
            self.prior,
            quasi_likelihood=quasi_likelihood,
            rule=rule,
            k=self.design.exog.shape[1],
            m=self.design.instrument.shape[1],
        )
        self._refuse_singular_covariance(rule, dependence)
        statistic, rows = self._moments(rule, dependence, quasi_likelihood, evaluation, evaluations)
        return build_quasi_posterior(
            statistic,
            rows,
            rule=rule,
            quasi_likelihood=quasi_likelihood,
            learning_rate=learning_rate,
            prior=self.prior,
            weight_matrix=aligned_weight(weight_matrix, self.instrument_names),
        )

    def fit(
        self,
        sampler: str = "auto",
        *,
        draws: int = 2000,
        tune: int = 1000,
        chains: int = 4,
        cores: int | None = None,
        rng: Any = None,
        quasi_likelihood: str | None = None,
        cov_type: str = "HC0",
        cov_kwds: Mapping[str, Any] | None = None,
        learning_rate: float | str = 1.0,
        weight_matrix: ArrayLike | str | None = None,
        sampler_kwds: Mapping[str, Any] | None = None,
        calibration_kwds: Mapping[str, Any] | None = None,
        progressbar: bool | None = None,
        **unknown: Any,
    ) -> PosteriorResults:
        """Draw from the quasi-posterior.

        Parameters
        ----------
        sampler : {"auto", "rwm", "da", "da-exact", "da-approx", "hmc", "independent"}
            "da" is delayed-acceptance random-walk Metropolis (following Tanaka, arXiv 2504.11761);
            "da-exact" and "da-approx" are the modified forms for linear moments (following Tanaka,
            arXiv 2511.17117), by default with Student-t proposals, which are our addition; "rwm" is
            plain Metropolis; "hmc" is Hamiltonian Monte Carlo with the analytic gradient, in
            coordinates learnt in warm-up (their radial stretching is ours), for many coefficients;
            "independent" is exact and needs a fixed weight. "auto" is
            "independent" where that applies, else the winner of a short race in warm-up.
        draws, tune : int
            Draws a chain that are kept, and before them draws that are thrown away.
        chains : int
        cores : int, optional
            Threads; default the number of chains, at most the processors. Draws do not depend on
            it.
        rng : int, SeedSequence, BitGenerator, Generator or None
            An int gives the same draws each time; a Generator is spawned.
        quasi_likelihood : {"cue", "cue-nodet", "two-step"}, optional
            With S(theta) the covariance of sqrt(n) times the moment mean g(theta):
            "cue" (default) -1/2 log det S - learning_rate n/2 g'S^-1 g; "cue-nodet" without the
            determinant; "two-step" with S fixed at the two-stage least squares estimate.
        cov_type : {"HC0", "HC1", "nonrobust", "HAC", "cluster"}
            How S is estimated; linearmodels' "robust", "unadjusted", "kernel" and "clustered" are
            understood. "HAC" takes the rows as one series in order of time.
        cov_kwds : dict, optional
            "centered": True subtracts the moments' mean. For "HAC" also "kernel", one of
            "bartlett" (default), "parzen" and "quadratic-spectral", and "maxlags", a number or
            "newey-west" (default) or "andrews", which select it from the two-stage least squares
            moments. For "cluster" also "groups": a column name (two for two-way clusters), a
            labelled Series, or an array with one group for each original row. Neither has a
            small-sample factor.
        learning_rate : float or "calibrate"
            Factor of the quadratic form. "calibrate" finds it by `calibrate_learning_rate` for the
            options of this fit, and keeps what it found in ``res.calibration``.
        weight_matrix : "identity" or array_like, shape (m, m), optional
            Weight for "two-step" instead of the inverse of S.
        sampler_kwds : dict, optional
            For "da-exact" and "da-approx": "df", degrees of freedom of the proposal (inf is the
            normal proposal) and "rho", the share kept of the current position; both "auto" by
            default. For "da": "unscreened", one step in so many that skips the screening and has
            a scattered scale (default 20; 0 is the plain algorithm): a screened chain hardly ever
            changes between distant modes. For "hmc": "target_accept", the acceptance rate that its
            step is adapted to (default 0.9), and "length" of its trajectories in coordinates in
            which the quasi-posterior is nearly standard normal (default 3).
        calibration_kwds : dict, optional
            Arguments of `calibrate_learning_rate`.
        progressbar : bool, optional
            None shows a bar on terminals when the run takes longer than a second.

        Returns
        -------
        PosteriorResults
            Of the model's own class, such as `IVResults`.

        Raises
        ------
        OptionError
            For an argument out of range.
        ImproperPosteriorError
            If the prior does not make the quasi-posterior integrable.

        Warns
        -----
        ConvergenceWarning, TailWarning, WeakInstrumentWarning, PriorWarning, InterruptedWarning

        Examples
        --------
        >>> import qbeconometrics as qb
        >>> data = qb.datasets.load("ajr2001").query("baseco == 1")
        >>> model = qb.QuasiBayesIV.from_formula("logpgp95 ~ [avexpr ~ logem4]", data)
        >>> res = model.fit(quasi_likelihood="two-step", rng=0)
        >>> res.conf_int().shape
        (2, 2)
        """
        refuse_unknown_keywords(unknown, (*FIT_KEYWORDS, "calibration_kwds"), "fit")
        options = sample_options(
            sampler=sampler,
            draws=draws,
            tune=tune,
            chains=chains,
            cores=cores,
            rng=rng,
            sampler_kwds=sampler_kwds,
            progressbar=progressbar,
        )
        rule = parse_covariance(cov_type, cov_kwds)
        name = check_quasi_likelihood(quasi_likelihood, weight_matrix)
        kwds = {
            "quasi_likelihood": name,
            "cov_type": cov_type,
            "cov_kwds": cov_kwds,
            "weight_matrix": weight_matrix,
        }
        rate, calibration = settled_rate(self, learning_rate, calibration_kwds, rng, kwds)
        results = self.results_class(self, self._draw(options, rule, name, rate, weight_matrix))
        if calibration is not None:
            results.calibration = calibration
        results.warn_if_unreliable()
        return results

    def _draw(
        self,
        options: SampleOptions,
        rule: CovarianceRule,
        quasi_likelihood: str,
        learning_rate: float,
        weight_matrix: ArrayLike | str | None,
    ) -> FitRecord:
        """Sample with checked options; called by `fit`."""
        dependence = self._dependence(rule)
        posterior = self._build(
            rule,
            dependence,
            quasi_likelihood,
            learning_rate,
            weight_matrix,
            evaluation="auto",
            evaluations=options.chains * (options.draws + options.tune),
        )
        drawn = sample(posterior, options)
        refuse_indefinite_covariance(drawn, rule.cov_type)
        warn_if_interrupted(drawn, options)
        notes = [
            *drawn.notes,
            *intercept_notes(self.design),
            *absorption_notes(self.design),
            *tail_notes(drawn),
            *width_notes(self.exog_names, posterior, drawn),
            *self._identification_notes(posterior, drawn, rule, dependence, quasi_likelihood),
        ]
        return record_fit(
            self,
            posterior,
            drawn,
            options,
            rule=rule,
            dependence=dependence,
            quasi_likelihood=quasi_likelihood,
            learning_rate=learning_rate,
            notes=notes,
        )

    def _identification_notes(
        self,
        posterior: QuasiPosterior,
        drawn: Sample,
        rule: CovarianceRule,
        dependence: Dependence | None,
        quasi_likelihood: str,
    ) -> list[str]:
        """Sentences on weak identification; none for models without endogenous regressors."""
        return []

    def _strength(
        self, rule: CovarianceRule, dependence: Dependence | None
    ) -> pd.DataFrame | str | None:
        """First stage for the record of a fit; None for models that have none."""
        return None
