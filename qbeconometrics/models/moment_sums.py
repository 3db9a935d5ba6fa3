"""Sums over the rows of a model with linear moments, each formed once or for one rule."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import OptionError
from qbeconometrics.inputs.design import LinearDesign
from qbeconometrics.inputs.weights import refuse_rule
from qbeconometrics.models.row_weights import Dependence, RowsOfModel, resolve_dependence
from qbeconometrics.moments.basis import MomentBasis, basis_from_triangle
from qbeconometrics.moments.cost import choose_form, fits_memory, statistic_numbers
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.moments.dependence import dependent_statistic, largest_cluster_leverage
from qbeconometrics.moments.linear import (
    LinearMomentStatistic,
    ScaledRows,
    largest_leverage,
    linear_moment_statistic,
    scale_rows,
)
from qbeconometrics.posterior.propriety import check_cluster_leverage, check_leverage


class MomentSums:
    """What a model knows of its rows beyond the design; a part of `LinearMomentsModel`."""

    design: LinearDesign
    _kept: NDArray[np.bool_] | None
    _frame: pd.DataFrame | None

    # The moment statistic does not depend on the options of a fit, so it is formed once.

    @cached_property
    def _basis(self) -> MomentBasis:
        n, k = self.design.exog.shape
        return basis_from_triangle(self.design.triangle, n, k, self.design.instrument.shape[1])

    @cached_property
    def _second_order(self) -> LinearMomentStatistic:
        if "_fourth_order" in vars(self):
            return self._fourth_order
        return linear_moment_statistic(
            self.design.endog,
            self.design.exog,
            self.design.instrument,
            self._basis,
            with_fourth=False,
            df_absorbed=self.design.df_absorbed,
        )

    @cached_property
    def _fourth_order(self) -> LinearMomentStatistic:
        return linear_moment_statistic(
            self.design.endog,
            self.design.exog,
            self.design.instrument,
            self._basis,
            df_absorbed=self.design.df_absorbed,
        )

    @cached_property
    def _rows(self) -> ScaledRows:
        return scale_rows(self.design.endog, self.design.exog, self.design.instrument, self._basis)

    @cached_property
    def _largest_leverage(self) -> tuple[float, int]:
        return largest_leverage(
            self.design.endog, self.design.exog, self.design.instrument, self._basis
        )

    def _dependence(self, rule: CovarianceRule) -> Dependence | None:
        """Weights of pairs of rows; None if the rule takes rows as independent.

        Raises
        ------
        OptionError
            If the rule does not go with the weights of the rows.
        """
        design, weighting = self.design, self.design.weighting
        if weighting is not None:
            refuse_rule(rule.cov_type, weighting.kind)
        if not rule.is_dependent:
            return None
        repeats = weighting.repeats if weighting is not None else None
        rows = RowsOfModel(
            n=len(design.endog) if repeats is None else len(repeats),
            m=design.instrument.shape[1],
            k=design.exog.shape[1],
            labels=design.row_labels if weighting is None else weighting.labels,
            kept=self._kept,
            frame=self._frame,
            repeats=repeats,
        )
        return resolve_dependence(
            rule,
            rows,
            lambda: design.instrument * (design.endog - design.exog @ self._basis.centre)[:, None],
        )

    def _moments(
        self,
        rule: CovarianceRule,
        dependence: Dependence | None,
        quasi_likelihood: str,
        evaluation: str,
        evaluations: int,
    ) -> tuple[LinearMomentStatistic, ScaledRows | None]:
        """Return the statistic, and the rows where S is to be formed from them."""
        n, k = self.design.exog.shape
        m = self.design.instrument.shape[1]
        fixed = quasi_likelihood == "two-step"
        if dependence is not None:
            if not fixed and (evaluation == "rows" or not fits_memory(k, m)):
                raise OptionError(_no_room(rule.cov_type, k, m))
            statistic = dependent_statistic(
                self._second_order,
                self._rows,
                dependence.weights,
                cov_type=rule.cov_type,
                with_fourth=not fixed,
            )
            return statistic, None
        if rule.cov_type == "nonrobust" or fixed:
            return self._second_order, None
        if evaluation == "auto":
            evaluation = choose_form(n, k, m, evaluations)
        if evaluation == "statistic":
            return self._fourth_order, None
        return self._second_order, self._rows

    def _refuse_singular_covariance(
        self, rule: CovarianceRule, dependence: Dependence | None
    ) -> None:
        """Refuse instruments that make S singular on a plane of coefficients."""
        if rule.cov_type == "nonrobust":
            return
        leverage, row = self._largest_leverage
        check_leverage(leverage, self._row_label(row))
        groups = dependence.groups if dependence else None
        if groups is not None and len(groups.codes) == 1:
            share, cluster = largest_cluster_leverage(self._rows.instrument, groups.codes[0])
            check_cluster_leverage(share, groups.values[0][cluster], groups.name)

    def _row_label(self, row: int) -> object:
        if self.design.row_labels is None:
            return row
        label = self.design.row_labels[row]
        return label.item() if isinstance(label, np.generic) else label


def _no_room(cov_type: str, k: int, m: int) -> str:
    gigabytes = 8 * statistic_numbers(k, m) / 2**30
    return (
        f"cov_type={cov_type!r} is evaluated from a statistic only, which takes {gigabytes:.3g} GB "
        f"for {k} coefficients and {m} instruments: use evaluation='auto' if that is little, else "
        "quasi_likelihood='two-step', fewer instruments, or cov_type='HC0'"
    )
