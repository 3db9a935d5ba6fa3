"""Instrumental-variable regression from a statistic, when the rows are gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from qbeconometrics.diagnostics.concentrated_moments import ConcentratedMoments, concentrate
from qbeconometrics.diagnostics.first_stage_moments import first_stage_without_rows
from qbeconometrics.diagnostics.instrument_strength import first_stage_table
from qbeconometrics.exceptions import (
    InputError,
    OptionError,
    QBEconometricsError,
    check_choice,
)
from qbeconometrics.inputs.design import LinearDesign
from qbeconometrics.inputs.moment_design import design_without_rows
from qbeconometrics.inputs.spans import Coordinates
from qbeconometrics.models.iv import QuasiBayesIV
from qbeconometrics.models.moment_blocks import FormulaReader, Names
from qbeconometrics.models.moment_rule import HC_TYPES, stored_keywords
from qbeconometrics.models.moment_statistic import LinearMoments
from qbeconometrics.models.row_weights import Dependence
from qbeconometrics.moments.basis import MomentBasis, basis_from_triangle
from qbeconometrics.moments.cells import (
    CellMoments,
    cell_coordinates,
    cell_leverage,
    cell_statistic,
)
from qbeconometrics.moments.covariance import CovarianceRule, parse_covariance
from qbeconometrics.moments.dependence import RowWeights
from qbeconometrics.moments.linear import LinearMomentStatistic, ScaledRows
from qbeconometrics.moments.pair_sums import ClusterSums, cluster_share
from qbeconometrics.moments.partialling import PartialledOut, partial_out
from qbeconometrics.moments.running import column_coordinates, finished_statistic, settle
from qbeconometrics.posterior.propriety import check_cluster_leverage, check_leverage
from qbeconometrics.priors import PriorLike
from qbeconometrics.results.first_stage_report import FirstStageReport
from qbeconometrics.results.fit_record import FitRecord


class QuasiBayesIVFromMoments(QuasiBayesIV):
    """`QuasiBayesIV` from a statistic; made by `QuasiBayesIV.from_moments`."""

    statistic: LinearMoments

    @classmethod
    def build(
        cls,
        statistic: LinearMoments,
        names: Mapping[str, Any] | None,
        prior: PriorLike,
        controls_out: bool = False,
    ) -> QuasiBayesIVFromMoments:
        """Check the design that the statistic is of."""
        if not isinstance(statistic, LinearMoments):
            raise InputError(f"from_moments takes a LinearMoments, not {type(statistic).__name__}")
        if statistic.unfinished:
            raise InputError(
                f"the statistic holds {statistic.unfinished:,} rows of a source that was not read "
                "to the end; call update_from with resume=True, or statistic.close_source()"
            )
        given = _names(statistic.names, names)
        moments = statistic.moments
        moments = moments if isinstance(moments, CellMoments) else settle(moments)
        model = cls.__new__(cls)
        model.statistic = statistic
        model._running = moments
        model._coordinates = (
            cell_coordinates(moments)
            if isinstance(moments, CellMoments)
            else column_coordinates(moments)
        )
        model._whole = design = design_without_rows(
            model._coordinates,
            n=moments.n,
            n_dropped=statistic.n_dropped,
            endog_name=given.endog,
            exog_names=given.exog,
            instrument_names=given.instrument,
        )
        model._partialled = None
        if controls_out:
            model._partialled, design = _without_controls(model._coordinates, design)
        reader = statistic._reader
        recipe = reader.recipe if isinstance(reader, FormulaReader) and names is None else None
        recipe = None if controls_out else recipe
        model._prepare(design, prior, recipe=recipe, n_dropped=statistic.n_dropped)
        return model

    def fit(
        self,
        sampler: str = "auto",
        *,
        cov_type: str | None = None,
        cov_kwds: Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> Any:
        """Draw from the quasi-posterior; `cov_type` is by default that of the statistic.

        See `QuasiBayesIV.fit`.
        """
        cov_type, cov_kwds = self._own(cov_type, cov_kwds)
        return super().fit(sampler, cov_type=cov_type, cov_kwds=cov_kwds, **keywords)

    def quasi_posterior(
        self,
        *,
        cov_type: str | None = None,
        cov_kwds: Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> Any:
        """Return the log quasi-posterior; see `QuasiBayesIV.quasi_posterior`."""
        cov_type, cov_kwds = self._own(cov_type, cov_kwds)
        if keywords.get("evaluation") == "rows":
            raise OptionError("evaluation='rows' needs the rows, of which only the sums are left")
        return super().quasi_posterior(cov_type=cov_type, cov_kwds=cov_kwds, **keywords)

    def j_stat(
        self,
        weight: str = "two-step",
        cov_type: str | None = None,
        cov_kwds: Mapping[str, Any] | None = None,
        centered: bool | None = None,
    ) -> Any:
        """Hansen's J; see `QuasiBayesIV.j_stat`."""
        cov_type, cov_kwds = self._own(cov_type, cov_kwds)
        return super().j_stat(weight, cov_type, cov_kwds, centered)

    def first_stage(
        self, cov_type: str = "nonrobust", cov_kwds: Mapping[str, Any] | None = None
    ) -> FirstStageReport:
        """Strength of the instruments under homoskedastic errors.

        Raises
        ------
        OptionError
            For another `cov_type`, which would need products of four instruments.
        """
        rule = parse_covariance(cov_type, cov_kwds)
        if rule.cov_type != "nonrobust":
            raise OptionError(
                f"first_stage with cov_type={rule.cov_type!r} needs the rows, of which only the "
                "sums are left; use cov_type='nonrobust', or QuasiBayesIV with the rows"
            )
        design, coordinates = self._whole, self._coordinates
        exogenous = [j for j in range(len(design.exog_names)) if j not in design.endogenous]
        moments = first_stage_without_rows(
            coordinates.exog[:, list(design.endogenous)],
            coordinates.exog[:, exogenous],
            coordinates.instrument[:, list(design.excluded)],
            nobs=design.nobs,
            endogenous_names=self.endogenous_names,
        )
        table = first_stage_table(moments, endogenous_names=self.endogenous_names)
        # The critical value for two-stage least squares needs products with the outcome.
        place = list(table.columns).index("effective_f_critical_value_30") + 1
        table.insert(place, "effective_f_tsls_critical_value", np.nan)
        return FirstStageReport.of(table, cov_type="nonrobust")

    def predict(self, params: ArrayLike, exog: ArrayLike | None = None) -> Any:
        """Return ``exog @ params``; `exog` must be given, since the model holds no rows."""
        if exog is None:
            raise InputError("predict needs exog: a model from moments holds no rows")
        return super().predict(params, exog)

    def endogeneity_test(
        self, cov_type: str = "nonrobust", cov_kwds: Mapping[str, Any] | None = None
    ) -> pd.DataFrame:
        """Not available: the test regresses rows.

        Raises
        ------
        OptionError
        """
        raise OptionError(
            "endogeneity_test needs the rows, of which only the sums are left; compare with fits "
            "of a formula without brackets, or use QuasiBayesIV with the rows"
        )

    # -- what the base class asks of its rows --------------------------------------------------

    def _own(self, cov_type: str | None, cov_kwds: Any) -> tuple[str, Mapping[str, Any] | None]:
        """Fill in the covariance of the statistic."""
        mine = self.statistic.rule
        if not isinstance(cov_kwds, (Mapping, type(None))):
            return cov_type or mine.cov_type, cov_kwds  # refused where it is read
        kwds = stored_keywords(mine)
        if cov_type is None:
            return mine.cov_type, {**kwds, **(cov_kwds or {}), **_groups_word(mine)}
        name = parse_type(cov_type)
        if name in ("HAC", "cluster") and name == mine.cov_type:
            return name, {**kwds, **(cov_kwds or {}), **_groups_word(mine)}
        return cov_type, cov_kwds

    def _draw(self, *arguments: Any) -> FitRecord:
        record = super()._draw(*arguments)
        if self.design.endogenous and record.cov_type != "nonrobust":
            note = "The first stage is under homoskedastic errors: a robust one needs the rows."
            record = replace(record, notes=(*record.notes, note))
        if self._partialled is None:
            return record
        out = [name for name in self._whole.exog_names if name not in self.design.exog_names]
        shown = ", ".join(out[:3]) + (f" and {len(out) - 3} more" if len(out) > 3 else "")
        note = f"Partialled out of outcome, regressors and instruments: {shown}."
        return replace(record, notes=(*record.notes, note))

    @cached_property
    def _basis(self) -> MomentBasis:
        if self._partialled is not None:
            return self._partialled.basis
        k, m = len(self.design.exog_names), len(self.design.instrument_names)
        return basis_from_triangle(self.design.triangle, self.design.nobs, k, m)

    @cached_property
    def _finished(self) -> LinearMomentStatistic:
        whole = self._basis if self._partialled is None else self._partialled.whole
        form = cell_statistic if isinstance(self._running, CellMoments) else finished_statistic
        return replace(form(self._running, whole), basis=self._basis)

    def _dependence(self, rule: CovarianceRule) -> Dependence | None:
        """Describe the weights that are in the sums, refusing others."""
        mine = self.statistic.rule
        if rule.cov_type != "nonrobust":
            same = rule.cov_type == mine.cov_type or {rule.cov_type, mine.cov_type} <= set(HC_TYPES)
            if not same or (rule.kernel, rule.maxlags) != (mine.kernel, mine.maxlags):
                raise OptionError(
                    f"the statistic was added up for cov_type={mine.cov_type!r} with "
                    f"{stored_keywords(mine)}, so S under cov_type={rule.cov_type!r} cannot be "
                    "formed from it; add the rows up for the covariance that is wanted"
                )
        if not rule.is_dependent:
            return None
        if rule.cov_type == "HAC":
            options = {"kernel": rule.kernel, "maxlags": rule.maxlags}
            return Dependence(RowWeights(), options, "", None)
        count = self._clusters()
        m, spare = len(self.design.instrument_names), rule.centered
        exactly = m == len(self.design.exog_names)
        if count < max(m + int(spare or exactly), 2):
            raise InputError(
                f"there are {count} clusters but {m} moments, one an instrument: their covariance "
                "would be singular. Use fewer instruments, more clusters, or cov_type='HC0'."
            )
        options = {"groups": mine.groups or "array", "clusters": str(count)}
        return Dependence(RowWeights(), options, "", None)

    def _clusters(self) -> int:
        pairs = self._running.pairs
        assert isinstance(pairs, ClusterSums)
        return len(pairs.single_lot()[0])

    def _moments(
        self,
        rule: CovarianceRule,
        dependence: Dependence | None,
        quasi_likelihood: str,
        evaluation: str,
        evaluations: int,
    ) -> tuple[LinearMomentStatistic, ScaledRows | None]:
        """Return the statistic; there are no rows."""
        return self._finished, None

    def _concentrated(
        self, rule: CovarianceRule, dependence: Dependence | None
    ) -> ConcentratedMoments:
        """Moments of the endogenous coefficients, from the sums."""
        return concentrate(
            self._finished,
            endogenous=self.design.endogenous,
            names=self.endogenous_names,
            rule=rule,
        )

    def _refuse_singular_covariance(
        self, rule: CovarianceRule, dependence: Dependence | None
    ) -> None:
        """Refuse instruments that make S singular on a plane of coefficients."""
        if rule.cov_type == "nonrobust":
            return
        if isinstance(self._running, CellMoments):
            check_leverage(*cell_leverage(self._running, self._coordinates))
            return
        check_leverage(*self._running.suspects.largest())
        pairs = self._running.pairs
        if isinstance(pairs, ClusterSums):
            share, cluster = cluster_share(pairs)
            check_cluster_leverage(share, cluster, self.statistic.rule.groups or "array")

    def _strength(
        self, rule: CovarianceRule, dependence: Dependence | None
    ) -> pd.DataFrame | str | None:
        """First stage under homoskedastic errors, whatever the fit's covariance."""
        try:
            return self.first_stage()
        except QBEconometricsError as error:
            return str(error)


def _without_controls(
    coordinates: Coordinates, design: LinearDesign
) -> tuple[PartialledOut, LinearDesign]:
    """Return what is left of a design, and how it comes from the whole."""
    if not design.endogenous:
        raise OptionError("partial_out=True leaves no regressor: none is endogenous")
    if len(design.endogenous) == len(design.exog_names):
        raise OptionError("partial_out=True needs exogenous regressors to partial out")
    left = partial_out(coordinates, design.endogenous, design.excluded, design.nobs)
    roots = np.linalg.norm(left.coordinates.exog, axis=0) / np.sqrt(design.nobs)
    p, number = len(design.endogenous), len(design.excluded)
    return left, replace(
        design,
        exog=np.empty((0, p)),
        instrument=np.empty((0, number)),
        exog_names=tuple(design.exog_names[j] for j in design.endogenous),
        instrument_names=tuple(design.instrument_names[j] for j in design.excluded),
        triangle=left.triangle,
        endogenous=tuple(range(p)),
        excluded=tuple(range(number)),
        constant=None,
        column_means=np.zeros(p),
        column_sds=roots,
        endog_mean=0.0,
        endog_sd=float(np.linalg.norm(left.coordinates.endog) / np.sqrt(design.nobs)),
        constant_in_instruments=False,
    )


def _groups_word(rule: CovarianceRule) -> dict[str, str]:
    return {"groups": rule.groups or "array"} if rule.cov_type == "cluster" else {}


def parse_type(cov_type: str) -> str:
    """Return our word for a covariance."""
    return {"kernel": "HAC", "clustered": "cluster"}.get(cov_type, cov_type)


def _names(known: Names, given: Mapping[str, Any] | None) -> Names:
    if given is None:
        return known
    if not isinstance(given, Mapping):
        raise InputError(
            "names must be a dict with some of 'endog', 'exog' and 'instrument', such as "
            "{'exog': ['const', 'educ']}"
        )
    for word in given:
        check_choice(word, ("endog", "exog", "instrument"), "names")
    found = {"exog": known.exog, "instrument": known.instrument}
    for word, before in found.items():
        new = given.get(word, before)
        if isinstance(new, str) or not isinstance(new, Sequence):
            raise InputError(f"names[{word!r}] must be a list of {len(before)} names")
        new = tuple(map(str, new))
        if len(new) != len(before) or len(set(new)) != len(new):
            raise InputError(f"names[{word!r}] must be {len(before)} different names, not {new}")
        found[word] = new
    return Names(str(given.get("endog", known.endog)), found["exog"], found["instrument"])
