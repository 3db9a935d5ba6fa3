"""Regressors for a prediction: from a frame, an array or through the formula."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError, suggestion

FloatArray = NDArray[np.float64]


def prediction_matrix(
    exog: Any, *, model: Any, param_names: Sequence[str], transform: bool
) -> tuple[FloatArray, pd.Index | None]:
    """Regressors in the order of the parameters, and the labels of their rows.

    Parameters
    ----------
    exog : array_like, DataFrame, Series or dict
        What the user gave.
    model : Model
        Its ``_prediction_matrix`` applies the formula, if it has one.
    param_names : sequence of str
        Labels of the coefficients.
    transform : bool
        Whether the formula is applied.

    Returns
    -------
    matrix : ndarray
        Shape (row, parameter).
    index : Index or None
        Labels of the rows if there are any.

    Raises
    ------
    InputError
        If `exog` is missing, not numeric, or its columns do not match.
    """
    if exog is None:
        raise InputError(
            "predict needs exog: results hold no rows of data. Pass the data of the fit, or new "
            "data with the same variables."
        )
    labels = exog.index if isinstance(exog, pd.DataFrame) else None
    if transform and getattr(model, "formula", None) is not None:
        exog = model._prediction_matrix(exog)
        if labels is not None and isinstance(exog, pd.DataFrame) and len(exog) != len(labels):
            # Rows that the formula dropped because of missing values become NaN.
            exog = exog.reindex(labels)
    elif isinstance(exog, dict):
        exog = pd.DataFrame(exog)
    if isinstance(exog, pd.DataFrame):
        labels = exog.index
        exog = _ordered_columns(exog, param_names)
    elif isinstance(exog, pd.Series):
        labels, exog = _series(exog, param_names)
    matrix = _numeric(exog)
    if matrix.ndim == 1:
        matrix = matrix[:, None] if len(param_names) == 1 else matrix[None, :]
    if matrix.ndim != 2 or matrix.shape[1] != len(param_names):
        raise InputError(
            f"exog has the shape {matrix.shape}, but the model has {len(param_names)} "
            f"regressors: {', '.join(map(repr, param_names))}."
        )
    return matrix, labels if labels is not None and len(labels) == len(matrix) else None


def _ordered_columns(frame: pd.DataFrame, param_names: Sequence[str]) -> FloatArray:
    columns = {str(label): label for label in frame.columns}
    for name in param_names:
        if name not in columns:
            raise InputError(
                f"exog has no column {name!r}.{suggestion(name, columns)} A frame is matched by "
                "name; pass an array to match by position."
            )
    ordered = frame[[columns[name] for name in param_names]]
    for name, label in zip(param_names, ordered.columns, strict=True):
        if not pd.api.types.is_numeric_dtype(ordered[label]):
            raise InputError(f"exog column {name!r} is not numeric ({ordered[label].dtype}).")
    return ordered.to_numpy(dtype=np.float64, na_value=np.nan)


def _series(series: pd.Series, param_names: Sequence[str]) -> tuple[pd.Index | None, FloatArray]:
    """One row labelled by parameters, or the column of a single regressor."""
    row = series.to_frame().T
    if {str(label) for label in series.index} >= set(param_names):
        return row.index, _ordered_columns(row.infer_objects(), param_names)
    return (series.index if len(param_names) == 1 else None), _numeric(series)


def _numeric(values: Any) -> FloatArray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"exog cannot be read as numbers: {error}.") from error
