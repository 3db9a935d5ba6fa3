"""Read the embedded data sets and attach their provenance."""

from __future__ import annotations

import gzip
import io
import json
from importlib.resources import files
from typing import Any

import pandas as pd

from qbeconometrics.exceptions import check_choice

_PACKAGE = "qbeconometrics.datasets"


def _provenance() -> dict[str, dict[str, Any]]:
    text = files(_PACKAGE).joinpath("provenance.json").read_text(encoding="utf-8")
    entries: dict[str, dict[str, Any]] = json.loads(text)
    return entries


def names() -> tuple[str, ...]:
    """
    Names of the embedded data sets, in alphabetical order.

    Returns
    -------
    tuple of str
        Each is accepted by `load`.

    Examples
    --------
    >>> from qbeconometrics import datasets
    >>> "card1995" in datasets.names()
    True
    """
    return tuple(sorted(_provenance()))


def load(name: str) -> pd.DataFrame:
    """
    Load an embedded data set.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    DataFrame
        A fresh frame at each call, missing values as NaN. Its ``attrs`` hold the provenance:
        ``name``, ``title``, ``citation``, ``obtained_from``, ``terms``, ``note``, ``n`` (number
        of rows) and ``columns`` (a dict from column name to description).

    Raises
    ------
    OptionError
        If there is no data set of that name.

    Examples
    --------
    >>> from qbeconometrics import datasets
    >>> data = datasets.load("card1995")
    >>> data.shape
    (3010, 29)
    >>> data.attrs["columns"]["nearc4"]
    '1 if grew up near a four-year college (instrument)'
    """
    provenance = _provenance()
    name = check_choice(name, sorted(provenance), "name")
    entry = provenance[name]
    compressed = files(_PACKAGE).joinpath("data", f"{name}.csv.gz").read_bytes()
    # Only an empty cell is missing (codes such as "NA" are values), and each decimal text becomes
    # the nearest double, which pandas' default parser does not promise.
    frame = pd.read_csv(
        io.BytesIO(gzip.decompress(compressed)),
        keep_default_na=False,
        na_values=[""],
        float_precision="round_trip",
    )
    frame.attrs = {
        "name": name,
        **{key: entry[key] for key in ("title", "citation", "obtained_from", "terms", "note")},
        "n": len(frame),
        "columns": entry["columns"],
    }
    return frame
