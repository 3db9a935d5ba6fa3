"""How strong the instruments of local projections are, and sets that do not lean on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from qbeconometrics.diagnostics.anderson_rubin import anderson_rubin_set
from qbeconometrics.exceptions import InputError, OptionError, suggestion
from qbeconometrics.models.lp_fit import first_stage_by_horizon
from qbeconometrics.moments.projection import LongRunRule, partialled_block

if TYPE_CHECKING:
    from qbeconometrics.inputs.projection_design import ProjectionDesign
    from qbeconometrics.moments.projection import ProjectionMoments
    from qbeconometrics.posterior.projection_law import PathLayout


class InstrumentMethods:
    """First stage and Anderson-Rubin sets of `QuasiBayesLP`."""

    design: ProjectionDesign
    moments: ProjectionMoments
    layout: PathLayout

    def _rule(self, cov_type: str | None, cov_kwds: Mapping[str, Any] | None) -> LongRunRule:
        raise NotImplementedError

    def first_stage(
        self, cov_type: str | None = None, cov_kwds: Mapping[str, Any] | None = None
    ) -> pd.DataFrame:
        """Strength of the instruments, one row a horizon; see `QuasiBayesIV.first_stage`.

        The rows differ where the shock is cumulated or each horizon has its own sample.

        Raises
        ------
        InputError
            If the shock is its own instrument.
        """
        if not self.design.has_instrument:
            raise InputError("There is no first stage: the shock is its own instrument.")
        rule = self._rule(cov_type, cov_kwds)
        return first_stage_by_horizon(self.design, self.moments, rule)

    def robust_set(
        self,
        param: str,
        alpha: float = 0.10,
        cov_type: str | None = None,
        cov_kwds: Mapping[str, Any] | None = None,
    ) -> list[tuple[float, float]]:
        """Anderson-Rubin confidence set of one coefficient.

        Parameters
        ----------
        param : str
            Such as ``"ip[12]"``.
        alpha, cov_type, cov_kwds
            As in `fit`.

        Returns
        -------
        list of tuple of float
            Intervals, possibly none and possibly infinite; they hold their level pointwise however
            weak the instruments are.

        Raises
        ------
        OptionError
            If there is no such coefficient, or there are states.
        """
        if param not in self.layout.names:
            raise OptionError(
                f"{param!r} is not a coefficient.{suggestion(param, self.layout.names)}"
            )
        if len(self.design.state_names) > 1:
            raise OptionError("an Anderson-Rubin set is for regressions with one shock, no states")
        rule = self._rule(cov_type, cov_kwds)
        place = self.layout.names.index(param)
        if not self.layout.active[place]:
            value = float(self.moments.estimate[place, 0])
            return [(value, value)]
        y, x, z = partialled_block(self.design, place)
        return anderson_rubin_set(
            y, x[:, 0], z, weights=rule.weights, alpha=alpha, factor=float(rule.factor[place]) ** 2
        )
