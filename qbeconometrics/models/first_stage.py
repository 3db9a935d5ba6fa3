"""The first stage of a design."""

from __future__ import annotations

import numpy as np
import pandas as pd

from qbeconometrics.diagnostics.first_stage_moments import first_stage_moments
from qbeconometrics.diagnostics.instrument_strength import effective_f_critical_value, first_stage
from qbeconometrics.diagnostics.two_stage_bias import worst_relative_bias
from qbeconometrics.exceptions import QBEconometricsError
from qbeconometrics.inputs.design import LinearDesign
from qbeconometrics.moments.covariance import CovarianceRule
from qbeconometrics.moments.dependence import RowWeights


def first_stage_of_design(
    design: LinearDesign, rule: CovarianceRule, weights: RowWeights | None
) -> pd.DataFrame:
    """Return the table of first-stage statistics.

    The outcome has a part in the critical value of the effective F for two-stage least squares,
    ``effective_f_tsls_critical_value``, which the table has after the conservative ones.
    """
    endogenous = design.exog[:, list(design.endogenous)]
    exogenous = [j for j in range(design.exog.shape[1]) if j not in design.endogenous]
    controls = design.exog[:, exogenous]
    excluded = design.instrument[:, list(design.excluded)]
    names = [design.exog_names[j] for j in design.endogenous]
    table = first_stage(
        endogenous,
        controls,
        excluded,
        endogenous_names=names,
        cov_type=rule.cov_type,
        centered=rule.centered,
        weights=weights,
        df_absorbed=design.df_absorbed,
    )
    critical = float("nan")
    if len(names) == 1 and np.isfinite(table["effective_f"].iloc[0]) and excluded.shape[1] > 1:
        try:
            both = first_stage_moments(
                np.column_stack([endogenous, design.endog]),
                controls,
                excluded,
                endogenous_names=[*names, design.endog_name],
                cov_type=rule.cov_type,
                weights=weights,
                df_absorbed=design.df_absorbed,
            ).score_covariance
            own = both[: excluded.shape[1], : excluded.shape[1]]
            critical = effective_f_critical_value(own, worst=worst_relative_bias(both))
        except QBEconometricsError:
            # The outcome may be fitted exactly; then there is no such value.
            critical = float("nan")
    elif len(names) == 1:
        critical = float(table["effective_f_critical_value"].iloc[0])
    place = list(table.columns).index("effective_f_critical_value_30") + 1
    table.insert(place, "effective_f_tsls_critical_value", critical)
    return table
