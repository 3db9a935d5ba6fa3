"""What a results class gives to files, to other programs and to notebooks."""

from __future__ import annotations

import os
from abc import abstractmethod
from typing import Any

import pandas as pd
from statsmodels.iolib.summary import Summary

from qbeconometrics.results import export
from qbeconometrics.results.fit_record import FitRecord
from qbeconometrics.results.storage import save_results


class Exported:
    """Files, frames and other programs; a part of `PosteriorResults`."""

    record: FitRecord

    @abstractmethod
    def summary(self, alpha: float = 0.05) -> Summary:
        """Tables of the fit."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the results to a file that `qbeconometrics.load` reads, without the data.

        One npz file of numbers and JSON, no pickle; it appears whole or not at all. Draws come
        back bit by bit, and the summary word for word.

        Parameters
        ----------
        path : str or path-like
            Replaced if it exists. No suffix is added; ``.npz`` is customary.

        Raises
        ------
        OSError
            As by `open`.
        """
        save_results(self, path, self._stored_parts())  # type: ignore[arg-type]

    def _stored_parts(self) -> dict[str, Any]:
        """Records that the class is rebuilt from, by the names of its arguments."""
        return {"record": self.record}

    def to_datatree(self) -> Any:
        """Draws as an ``xarray.DataTree`` with groups ``posterior`` and ``sample_stats``.

        ArviZ 1.0 and later takes it as it is; for ArviZ 0.x use `to_arviz`. Written with
        ``to_netcdf(path, engine="h5netcdf")`` it opens in both by ``arviz.from_netcdf(path)``.
        """
        return export.to_datatree(self.record)

    def to_arviz(self) -> Any:
        """Draws for the installed ArviZ: InferenceData below 1.0, a DataTree from 1.0 on."""
        return export.to_arviz(self.record)

    def to_frame(self) -> pd.DataFrame:
        """All draws: one row a draw, labelled by chain and draw, one column a parameter."""
        return export.to_frame(self.record)

    def to_latex(self, alpha: float = 0.05) -> str:
        """Return the summary as LaTeX (needs the package booktabs)."""
        return str(self.summary(alpha=alpha).as_latex())

    def _repr_html_(self) -> str:
        return str(self.summary().as_html())
