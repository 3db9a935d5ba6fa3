"""Fitted values of models that are linear in their regressors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from qbeconometrics.exceptions import InputError, OptionError
from qbeconometrics.inputs.design import LinearDesign
from qbeconometrics.inputs.formula import RegressorRecipe, exog_for_prediction

FloatArray = NDArray[np.float64]


class LinearPrediction:
    """`predict` of linear models; a part of `LinearMomentsModel`."""

    design: LinearDesign
    formula: str
    _recipe: RegressorRecipe | None

    def predict(self, params: ArrayLike, exog: ArrayLike | None = None) -> FloatArray:
        """Return ``exog @ params``; `exog` (n, k) is by default the model's own.

        Absorbed fixed effects are left out.
        """
        if exog is None and (self.design.weighting or self.design.effects):
            raise InputError(
                "the model's own regressors are weighted or without their fixed effects: give exog"
            )
        matrix = self.design.exog if exog is None else np.asarray(exog, dtype=float)
        coefficients = np.asarray(params, dtype=float)
        k = self.design.exog.shape[1]
        if matrix.ndim != 2 or matrix.shape[1] != k or coefficients.shape != (k,):
            raise InputError(
                f"predict needs {k} params and an exog with {k} columns, not shapes "
                f"{coefficients.shape} and {matrix.shape}"
            )
        return matrix @ coefficients

    def _prediction_matrix(self, data: Any) -> pd.DataFrame:
        """Regressors from new data, through the formula."""
        if self._recipe is None:
            raise OptionError("the model was not built from a formula; use transform=False")
        try:
            return exog_for_prediction(self._recipe, data)
        except (AttributeError, TypeError) as error:
            # patsy's own words for a column of another kind, such as text for a number.
            raise InputError(
                f"the new data cannot be read through {self.formula!r}: {error}. Give each column "
                "the type that it had in the data of the fit."
            ) from error
