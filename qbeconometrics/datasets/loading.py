"""Read the embedded data sets and attach their provenance."""

from __future__ import annotations

import csv
import gzip
import io
import json
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd

from qbeconometrics.exceptions import check_choice

_PACKAGE = "qbeconometrics.datasets"


def _provenance() -> dict[str, dict[str, Any]]:
    text = (files(_PACKAGE) / "provenance.json").read_text(encoding="utf-8")
    entries: dict[str, dict[str, Any]] = json.loads(text)
    return entries


def _typed(cells: tuple[str, ...]) -> list[str] | np.ndarray:
    """Column of integers, else of floats with NaN for an empty cell, else of text.

    Python's own parser gives the double nearest to the text, whatever the version of pandas.
    """
    try:
        return np.array([int(cell) for cell in cells], dtype=np.int64)
    except ValueError:
        pass
    try:
        return np.array([float(cell) if cell else np.nan for cell in cells])
    except ValueError:
        return list(cells)


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
    compressed = (files(_PACKAGE) / f"{name}.csv.gz").read_bytes()
    header, *rows = csv.reader(io.StringIO(gzip.decompress(compressed).decode("utf-8")))
    cells = zip(*rows, strict=True)
    frame = pd.DataFrame(
        {column: _typed(values) for column, values in zip(header, cells, strict=True)}
    )
    frame.attrs = {
        "name": name,
        **{key: entry[key] for key in ("title", "citation", "obtained_from", "terms", "note")},
        "n": len(frame),
        "columns": entry["columns"],
    }
    return frame
