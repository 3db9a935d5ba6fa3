"""One pass over the tables of a block that most often finds all in order."""

from __future__ import annotations

import numpy as np

from qbeconometrics.kernels._row_products import compare_columns

from .columns import Table
from .labels import shared_names
from .missing_rows import are_ordinary, squares


def first_look(endog: Table, exog: Table, instrument: Table) -> tuple[list[Table], bool]:
    """Look through the tables of a block, of which the instruments may be the regressors.

    Returns
    -------
    suspicious : list of Table
        Those that may hold values that are missing, infinite or too large.
    same : bool
        False if columns of one name, in both tables, differ or have missing values.
    """
    tables, totals = [endog, exog], [squares(endog.values)]
    same = True
    if instrument is exog:
        totals.append(squares(exog.values))
    else:
        tables.append(instrument)
        totals += [np.empty(table.values.shape[1]) for table in (exog, instrument)]
        places = [(mine, theirs) for _, theirs, mine in shared_names(instrument, exog)]
        pairs = np.array(places, dtype=np.int64).reshape(-1, 2)
        same = compare_columns(exog.values, instrument.values, pairs, totals[1], totals[2])
    found = zip(tables, totals, strict=True)
    return [t for t, total in found if not are_ordinary(total, len(t.values)).all()], same
