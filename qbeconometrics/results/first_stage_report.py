"""The first stage as a table that can be printed."""

from __future__ import annotations

import numpy as np
import pandas as pd
from statsmodels.iolib.summary import Summary
from statsmodels.iolib.table import SimpleTable

# Columns of the table, and what they are called in print.
LABELS = {
    "partial_r2": "Partial R2",
    "shea_r2": "Shea R2",
    "f": "F (iid errors)",
    "f_p_value": "  p-value",
    "f_robust": "F ({cov_type})",
    "f_robust_p_value": "  p-value",
    "effective_f": "Effective F",
    "effective_f_critical_value_05": "  5% critical value, bias 5%",
    "effective_f_critical_value": "  5% critical value, bias 10%",
    "effective_f_critical_value_20": "  5% critical value, bias 20%",
    "effective_f_critical_value_30": "  5% critical value, bias 30%",
    "effective_f_tsls_critical_value": "  of 2SLS alone, bias 10%",
    "cragg_donald_f": "Cragg-Donald F",
    "kleibergen_paap_f": "Kleibergen-Paap F",
    "n_excluded": "Excluded instruments",
}


class FirstStageReport(pd.DataFrame):  # type: ignore[misc]
    """Strength of the instruments: a DataFrame with one row an endogenous regressor.

    Its columns are those of `qbeconometrics.diagnostics.instrument_strength.first_stage_table`, and
    ``effective_f_tsls_critical_value``: the critical value for a bias of 10 per cent of two-stage
    least squares with the largest bias that the estimated errors allow, instead of a bound of it.
    """

    # Slices and copies are plain frames.
    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    @classmethod
    def of(cls, table: pd.DataFrame, *, cov_type: str) -> FirstStageReport:
        """Return the report of a table of first-stage statistics under `cov_type`."""
        report = cls(table.copy())
        report.attrs["cov_type"] = cov_type
        return report

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers as a plain DataFrame."""
        return pd.DataFrame(self).copy()

    def summary(self) -> Summary:
        """Return a printable table: one column an endogenous regressor.

        The critical values of the effective F are those of the simplified procedure of Montiel Olea
        and Pflueger (2013): above them the bias of two-stage least squares or LIML exceeds that
        share of its worst case with probability 5% at most.
        """
        cov_type = self.attrs.get("cov_type", "robust")
        shown = [name for name in LABELS if name in self.columns and self[name].notna().any()]
        rows = [[_number(name, value) for value in self[name]] for name in shown]
        stubs = [LABELS[name].format(cov_type=cov_type) for name in shown]
        summary = Summary()
        summary.tables.append(
            SimpleTable(
                rows,
                headers=[str(name) for name in self.index],
                stubs=stubs,
                title="First stage, controls partialled out",
            )
        )
        return summary


def _number(name: str, value: float) -> str:
    if name == "n_excluded":
        return f"{int(value)}"
    if not np.isfinite(value):
        return "n/a"
    return f"{value:.4f}" if name.endswith(("p_value", "r2")) else f"{value:.4g}"
