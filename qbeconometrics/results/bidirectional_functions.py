"""Fitted functions of x: conditional means and variances, and how they depend on one column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from qbeconometrics.exceptions import DataNeededError, InputError, check_choice, suggestion
from qbeconometrics.inputs.columns import read_table
from qbeconometrics.inputs.labels import names_known
from qbeconometrics.inputs.missing_rows import refuse_infinite, refuse_missing
from qbeconometrics.results.bidirectional_record import BidirectionalRecord

FloatArray = NDArray[np.float64]

DEPENDENCES = ("mean", "variance")


class FunctionsOfRegressors:
    """A part of `OnlineBidirectionalResults`."""

    record: BidirectionalRecord
    model: Any

    def predict(self, exog: Any = None, transform: bool = True) -> pd.DataFrame:
        """Conditional means E(y1|x) and E(y2|x).

        Parameters
        ----------
        exog : array_like or DataFrame
            x, shape (n, k); of a formula, data with its columns.
        transform : bool
            Whether a formula builds x from `exog`.

        Returns
        -------
        DataFrame, shape (n, 2)

        Raises
        ------
        InputError, FormulaError
        """
        return self._evaluated(exog, 0, transform)

    def conditional_variance(self, exog: Any, transform: bool = True) -> pd.DataFrame:
        """Conditional variances Var(e1|x) and Var(e2|x) of the errors; arguments of `predict`."""
        return self._evaluated(exog, 1, transform)

    def partial_dependence(
        self, column: str, kind: str = "mean", grid: ArrayLike | None = None
    ) -> pd.DataFrame:
        """Averages of conditional means, or variances, over x with one column held fixed.

        Parameters
        ----------
        column : str
            Of x.
        kind : {"mean", "variance"}
            Of variances the average is that of logarithms, and is turned back.
        grid : array_like, optional
            Values of the column; by default 50 between its 2 % and 98 % quantiles.

        Returns
        -------
        DataFrame
            One row a value, one column an outcome.

        Raises
        ------
        InputError
            If there is no such column, or the grid is no vector of finite numbers.

        Notes
        -----
        Following Friedman (2001, Annals of Statistics 29, 1189-1232). The average is over at most
        500 rows of the data.
        """
        check_choice(kind, DEPENDENCES, "kind")
        record = self.record
        if column not in record.exog_names:
            raise InputError(
                f"column={column!r} is none of x: {', '.join(record.exog_names)}."
                f"{suggestion(column, record.exog_names)}"
            )
        place = record.exog_names.index(column)
        values = record.reference[:, place]
        if grid is None:
            grid = np.linspace(np.quantile(values, 0.02), np.quantile(values, 0.98), 50)
        points = _numbers(grid)
        averages = np.empty((len(points), 2))
        for row, point in enumerate(points):
            x = record.reference.copy()
            x[:, place] = point
            means, variances = record.heads.evaluate(x)
            averages[row] = (
                means.mean(axis=0) if kind == "mean" else np.exp(np.log(variances).mean(axis=0))
            )
        index = pd.Index(points, name=column)
        return pd.DataFrame(averages, index=index, columns=list(record.endog_names))

    def _evaluated(self, exog: Any, which: int, transform: bool) -> pd.DataFrame:
        if exog is None:
            raise DataNeededError("results hold no rows: give exog")
        # A model that was loaded from a file takes the columns themselves.
        if transform and hasattr(self.model, "_exog"):
            exog = self.model._exog(exog)
        table = read_table(exog, "exog")
        names, k = self.record.exog_names, len(self.record.exog_names)
        if table.values.shape[1] != k:
            raise InputError(
                f"exog has {table.values.shape[1]} columns; needed are {k}: {', '.join(names)}"
            )
        given = names_known(table, None)
        if given is not None and given != names:
            raise InputError(
                f"exog has the columns {', '.join(given)}; needed are {', '.join(names)}, in this "
                "order"
            )
        refuse_infinite([table], table.index)
        refuse_missing([table], table.index, "Remove these rows.")
        found = self.record.heads.evaluate(table.values)[which]
        return pd.DataFrame(found, index=table.index, columns=list(self.record.endog_names))


def _numbers(grid: ArrayLike) -> FloatArray:
    """Values of a column, checked."""
    points = read_table(np.atleast_1d(np.asarray(grid)), "grid").values
    if points.shape[1] != 1 or not np.isfinite(points).all():
        raise InputError("grid must be finite numbers in one dimension")
    return np.ascontiguousarray(points[:, 0])
