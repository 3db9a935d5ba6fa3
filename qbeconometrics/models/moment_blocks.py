"""From a block of data, as the user has it, to checked rows: through a formula, or arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qbeconometrics.exceptions import InputError
from qbeconometrics.inputs.block_formula import (
    BlockFormula,
    any_stateful,
    learn_formula,
    names_read,
)
from qbeconometrics.inputs.columns import Table, read_table
from qbeconometrics.inputs.compressed_rows import levels_of_cells
from qbeconometrics.inputs.first_look import first_look
from qbeconometrics.inputs.formula import RegressorRecipe
from qbeconometrics.inputs.formula_storage import describe_formula, rebuild_formula
from qbeconometrics.inputs.groups import read_groups
from qbeconometrics.inputs.labels import (
    check_rows_belong_together,
    check_shared_names,
    endog_label,
    exog_labels,
    instrument_labels,
)
from qbeconometrics.inputs.missing_rows import complete_rows, refuse_infinite, refuse_missing
from qbeconometrics.moments.block_sums import Rows


@dataclass(frozen=True, slots=True)
class Names:
    """Names of the columns.

    Attributes
    ----------
    endog : str
    exog, instrument : tuple of str
    """

    endog: str
    exog: tuple[str, ...]
    instrument: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ReadBlock:
    """One block without its missing rows.

    Attributes
    ----------
    rows : Rows
    labels : pandas.Index or None
        Of the rows kept.
    kept : ndarray of bool or None
        Marks them in the block; None if all are.
    """

    rows: Rows
    labels: pd.Index | None
    kept: NDArray[np.bool_] | None


@dataclass(frozen=True, slots=True, eq=False)
class FormulaReader:
    """Reads DataFrames through a formula.

    Attributes
    ----------
    formula : str
    missing : str
    env : patsy.EvalEnvironment
    columns : BlockFormula or None
        None until a block was seen.
    compress : bool
        Whether rows that share their exogenous columns are added up first.
    """

    formula: str
    missing: str
    env: Any
    columns: BlockFormula | None = None
    compress: bool = False

    @property
    def names(self) -> Names | None:
        """Names of the columns, once they are fixed."""
        if self.columns is None:
            return None
        c = self.columns
        return Names(c.endog_name, c.exog_names, c.instrument_names)

    @property
    def recipe(self) -> RegressorRecipe | None:
        """How to build the regressors from new data."""
        return None if self.columns is None else self.columns.regressor_recipe

    def data_names(self) -> frozenset[str]:
        """Names that the formula reads, columns of the data among them."""
        return names_read(self.formula)

    def learnt(self, blocks: Any) -> FormulaReader:
        """Return the reader with columns fixed by a look at all blocks."""
        columns = learn_formula(self.formula, blocks, self.env, self.missing)
        return replace(self, columns=columns)

    def prepared(self, block: Any) -> FormulaReader:
        """Return the reader with names fixed, from the first block if they are not yet."""
        if self.columns is not None:
            return self
        if self.compress:
            cells = levels_of_cells(self.formula, block)
            learnt = self.learnt(lambda: iter([cells]))
            assert learnt.columns is not None
            if not any_stateful(learnt.columns):
                return learnt
        return self.learnt(lambda: iter([block]))

    def read(self, block: Any, groups: Any) -> ReadBlock:
        """Check a block."""
        assert self.columns is not None
        found = self.columns.rows(block, self.missing)
        frame = block if isinstance(block, pd.DataFrame) else pd.DataFrame(dict(block))
        labels = frame.index[found.kept]
        names = self.names
        assert names is not None
        tables = [
            Table("endog", found.endog[:, None], (names.endog,), labels),
            Table("exog", found.exog, names.exog, labels),
            Table("instrument", found.instrument, names.instrument, labels),
        ]
        if len(labels):
            refuse_infinite(tables, labels)
        kept = None if found.kept.all() else found.kept
        clusters = cluster_labels(groups, labels, kept, len(labels), frame)
        rows = Rows(found.endog, found.exog, found.instrument, clusters)
        return ReadBlock(rows, labels, kept)

    def describe(self) -> dict[str, Any]:
        """Return what fixes the columns, for JSON."""
        described = None if self.columns is None else describe_formula(self.columns)
        return {
            "kind": "formula",
            "formula": self.formula,
            "missing": self.missing,
            "compress": self.compress,
            "columns": described,
        }


@dataclass(frozen=True, slots=True, eq=False)
class ArrayReader:
    """Reads (endog, exog) or (endog, exog, instrument).

    Attributes
    ----------
    missing : str
    endog_name, exog_names, instrument_names : optional
        Names that the user gave.
    names : Names or None
        None until a block was seen.
    """

    missing: str
    endog_name: str | None = None
    exog_names: tuple[str, ...] | None = None
    instrument_names: tuple[str, ...] | None = None
    names: Names | None = None

    def prepared(self, block: Any) -> ArrayReader:
        """Return the reader with names fixed, from the first block if they are not yet."""
        if self.names is not None:
            return self
        endog, exog, instrument = _tables(block)
        exog_names = exog_labels(exog, self.exog_names)
        names = instrument_names = exog_names
        if instrument is not exog:
            instrument_names = instrument_labels(instrument, exog, names, self.instrument_names)
        return replace(
            self, names=Names(endog_label(endog, names, self.endog_name), names, instrument_names)
        )

    def read(self, block: Any, groups: Any) -> ReadBlock:
        """Check a block."""
        names = self.names
        assert names is not None
        endog, exog, instrument = _tables(block)
        for table, known in ((exog, names.exog), (instrument, names.instrument)):
            if table.values.shape[1] != len(known):
                raise InputError(
                    f"{table.role} has {table.values.shape[1]} columns in this block but "
                    f"{len(known)} before ({', '.join(known)}). Give the same columns in each."
                )
            given = self.exog_names if table.role == "exog" else self.instrument_names
            if given is None and table.names is not None and table.names != known:
                raise InputError(
                    f"{table.role} has the columns {', '.join(table.names)} in this block but "
                    f"{', '.join(known)} before. Give the same columns in the same order."
                )
        own = instrument is exog
        labels = check_rows_belong_together([endog, exog, instrument])
        endog, exog = replace(endog, names=(names.endog,)), replace(exog, names=names.exog)
        instrument = exog if own else replace(instrument, names=names.instrument)
        tables, same = first_look(endog, exog, instrument)
        refuse_infinite(tables, labels)
        kept = None
        if self.missing == "drop":
            kept = complete_rows(tables)
        else:
            refuse_missing(tables, labels)
        if kept is not None:
            endog, exog, instrument = (
                replace(table, values=table.values[kept]) for table in (endog, exog, instrument)
            )
            labels = labels[kept] if labels is not None else None
        if not same:
            check_shared_names(instrument, exog)
        arrays = [endog.values[:, 0], exog.values, instrument.values]
        clusters = cluster_labels(groups, labels, kept, len(arrays[0]), None)
        return ReadBlock(Rows(arrays[0], arrays[1], arrays[2], clusters), labels, kept)

    def describe(self) -> dict[str, Any]:
        """Return what fixes the columns, for JSON."""
        names = None if self.names is None else list(_listed(self.names))
        return {"kind": "arrays", "missing": self.missing, "names": names}


def _listed(names: Names) -> Iterable[Any]:
    return names.endog, list(names.exog), list(names.instrument)


BlockReader = FormulaReader | ArrayReader


def reader_from(description: dict[str, Any], env: Any = None) -> BlockReader:
    """Return the reader of a description."""
    if description["kind"] == "formula":
        columns = description["columns"]
        rebuilt = None if columns is None else rebuild_formula(columns, env)
        return FormulaReader(
            description["formula"], description["missing"], env, rebuilt, description["compress"]
        )
    names = description["names"]
    if names is None:
        return ArrayReader(description["missing"])
    endog, exog, instrument = names
    return ArrayReader(
        description["missing"],
        endog,
        tuple(exog),
        tuple(instrument),
        Names(endog, tuple(exog), tuple(instrument)),
    )


def _tables(block: Any) -> tuple[Table, Table, Table]:
    if not isinstance(block, Sequence) or not 2 <= len(block) <= 3 or isinstance(block, str):
        raise InputError(
            "A block is (endog, exog) or (endog, exog, instrument) for a statistic without a "
            f"formula, not {type(block).__name__}. Give a formula to read DataFrames."
        )
    # Rows are added up and forgotten, so that arrays need not be copied.
    endog, exog = (
        read_table(data, role, copy=False)
        for data, role in zip(block[:2], ("endog", "exog"), strict=True)
    )
    if endog.values.shape[1] != 1:
        raise InputError(
            f"endog has {endog.values.shape[1]} columns. Give one outcome; regressors go to exog."
        )
    own = len(block) == 2 or block[2] is None or block[2] is block[1]
    return endog, exog, exog if own else read_table(block[2], "instrument", copy=False)


def cluster_labels(
    groups: Any,
    labels: pd.Index | None,
    kept: NDArray[np.bool_] | None,
    n: int,
    frame: pd.DataFrame | None,
) -> NDArray[Any] | None:
    """Return the cluster of each row, as whole numbers or text that mean the same in each block."""
    if groups is None:
        return None
    if n == 0:
        return np.empty(0, dtype=np.int64)
    found = read_groups(groups, labels=labels, kept=kept, n=n, frame=frame)
    if len(found.codes) > 1:
        raise InputError(
            f"groups {found.name} are two ways of clustering; a statistic takes one. Use "
            "QuasiBayesIV with all rows for two ways."
        )
    values = found.values[0]
    kind = values.dtype
    if pd.api.types.is_bool_dtype(kind) or pd.api.types.is_integer_dtype(kind):
        return np.asarray(values, dtype=np.int64)[found.codes[0]]
    if pd.api.types.is_float_dtype(kind):
        whole = np.asarray(values, dtype=np.float64)
        if not np.array_equal(whole, np.round(whole)):
            raise InputError(f"groups {found.name} are fractions. Give whole numbers or text.")
        return whole.astype(np.int64)[found.codes[0]]
    if not all(isinstance(value, str) for value in values):
        raise InputError(
            f"groups {found.name} are {kind} values. Give whole numbers or text, which mean the "
            "same in every block."
        )
    return np.asarray(values, dtype=np.str_)[found.codes[0]]
