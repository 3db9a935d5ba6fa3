"""The full sample of Angrist and Krueger (1991), from a file of the user's."""

from __future__ import annotations

import os

import pandas as pd

from qbeconometrics.exceptions import InputError

ROWS = 329_509
COLUMNS = (
    "lwage",
    "education",
    "qob",
    "yob",
    "sob",
    "age",
    "married",
    "black",
    "smsa",
    "division",
)
# Sums that tell the file from another of the same size.
SUMS = {"lwage": 1944084.5964747767, "education": 4207801, "qob": 825891, "yob": 637469025}


def load_ak1991(path: str | os.PathLike[str]) -> pd.DataFrame:
    """
    Read all men born 1930-1939 of Angrist and Krueger (1991) from a CSV file.

    The package ships a subsample of 20,000 (``load("ak1991_sub20000")``). The whole is the data
    frame ``ak80`` of the R package ManyIV (M. Kolesar), to be written to a CSV file with the
    columns named as in the subsample::

        data = qb.datasets.load_ak1991("ak1991_full.csv.gz")

    Parameters
    ----------
    path : str or path
        CSV, perhaps compressed, with the columns of the subsample.

    Returns
    -------
    DataFrame, shape (329509, 10)

    Raises
    ------
    InputError
        If columns or rows are missing, or the sums of the columns are others.
    """
    data = pd.read_csv(path)
    missing = [name for name in COLUMNS if name not in data.columns]
    if missing:
        raise InputError(
            f"{path} has no column {', '.join(map(repr, missing))}; needed are {', '.join(COLUMNS)}"
        )
    if len(data) != ROWS:
        raise InputError(f"{path} has {len(data):,} rows; the full sample has {ROWS:,}")
    for name, total in SUMS.items():
        found = float(data[name].sum())
        if abs(found - total) > 1e-6 * abs(total):
            raise InputError(
                f"column {name!r} of {path} adds up to {found:.10g}, not {total:.10g}: these are "
                "other data, or the columns were changed"
            )
    return data[list(COLUMNS)]
