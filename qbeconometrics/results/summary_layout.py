"""How a summary looks: number formats, column widths, notes, escaping for HTML and LaTeX."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
from statsmodels.iolib.summary import Summary
from statsmodels.iolib.table import Cell, SimpleTable

WIDTH = 100
NARROWEST_NOTES = 60
SIGNIFICANT_DIGITS = 3
MOST_DECIMALS = 6
LARGEST_FIXED = 1e7
# Longest texts that leave room for four columns within `WIDTH`.
LONGEST_LEFT_VALUE = 30
LONGEST_RIGHT_VALUE = 24
LATEX_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\{",
        "}": r"\}",
        "$": r"\$",
        "&": r"\&",
        "#": r"\#",
        "%": r"\%",
        "_": r"\_",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
    }
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the parameter table: header (lines split by newlines), a text a parameter."""

    header: str
    cells: list[str]

    @property
    def width(self) -> int:
        """Characters that the column needs."""
        return max(map(len, [*self.header.split("\n"), *self.cells]))


class PosteriorSummary(Summary):  # type: ignore[misc]
    """A statsmodels Summary whose notes are numbered, wrapped and escaped in every format."""

    def __init__(self, tables: Sequence[SimpleTable], notes: Sequence[str]) -> None:
        super().__init__()
        self.tables = list(tables)
        self.notes = list(notes)
        width = max(len(line) for line in str(self.tables[-1]).splitlines())
        width = max(width, NARROWEST_NOTES)
        lines = ["Notes:"] if self.notes else []
        for number, note in enumerate(self.notes, start=1):
            mark = f"[{number}] "
            lines += textwrap.wrap(
                note, width, initial_indent=mark, subsequent_indent=" " * len(mark)
            )
        if lines:
            self.add_extra_txt(lines)

    def as_html(self) -> str:
        """Return tables and notes as HTML."""
        items = "\n".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        notes = f"\n<p>Notes:</p>\n<ol>\n{items}\n</ol>" if self.notes else ""
        return str(self._tables_only().as_html()) + notes

    def as_latex(self) -> str:
        """Return tables and notes as LaTeX (needs the package booktabs)."""
        items = "\n".join(rf"\item {escape_latex(note)}" for note in self.notes)
        listed = f"\\begin{{enumerate}}\n{items}\n\\end{{enumerate}}"
        notes = f"\n\n\\noindent Notes:\n{listed}" if self.notes else ""
        return str(self._tables_only().as_latex()) + notes

    def _tables_only(self) -> Summary:
        bare = Summary()
        bare.tables = self.tables
        return bare


class EscapedCell(Cell):  # type: ignore[misc]
    """A cell whose text may hold any character in HTML and LaTeX."""

    def format(self, width: int, output_format: str = "txt", **options: Any) -> str:
        """Return the formatted cell."""
        text = str(self.data)
        if output_format in ("html", "htm"):
            text = html.escape(text.strip())
        elif output_format in ("latex", "ltx"):
            text = escape_latex(text.strip())
        plain = Cell(text, datatype=self.datatype, row=self.row)
        return str(plain.format(width, output_format, **{**options, "replacements": {}}))


def escape_latex(text: str) -> str:
    """Escape the characters that LaTeX reads as commands."""
    return text.translate(LATEX_ESCAPES)


def head_table(
    title: str, left: Sequence[tuple[str, str]], right: Sequence[tuple[str, str]], width: int = 0
) -> SimpleTable:
    """Two columns of labels and values.

    Parameters
    ----------
    title : str
        Printed above.
    left, right : sequence of (label, value)
        Rows of either side.
    width : int
        Least width in characters.
    """
    rows = [
        (
            f"{first[0]}:" if first[0] else "",
            shorten(first[1], LONGEST_LEFT_VALUE),
            f"   {second[0]}:" if second[0] else "",
            shorten(second[1], LONGEST_RIGHT_VALUE),
        )
        for first, second in zip_longest(left, right, fillvalue=("", ""))
    ]
    widths = [max(len(row[j]) for row in rows) for j in range(4)]
    spare = max(width - sum(widths) - 3, 0)
    widths[1] += spare // 2
    widths[3] += spare - spare // 2
    table = SimpleTable(
        [(row[1], row[3]) for row in rows],
        title=title,
        celltype=EscapedCell,
        txt_fmt={"colwidths": widths},
        data_aligns="r",
        # LaTeX formats all tables by the first one's options.
        header_align="r",
    )
    table.insert_stubs(0, [row[0] for row in rows])
    table.insert_stubs(2, [row[2] for row in rows])
    return table


def parameter_tables(names: Sequence[str], blocks: Sequence[Sequence[Column]]) -> list[SimpleTable]:
    """One table of all columns, or one table a block where that would be too wide."""
    one = [column for block in blocks for column in block]
    for separator in ("  ", " "):
        if _natural_width(names, one, separator) <= WIDTH:
            return [_parameter_table(names, one, separator, 0)]
    separator = "  "
    room = min(WIDTH - _natural_width([""], block, separator) for block in blocks)
    names = [shorten_middle(name, max(room, 12)) for name in names]
    width = max(_natural_width(names, block, separator) for block in blocks)
    return [_parameter_table(names, block, separator, width) for block in blocks]


def widen(table: SimpleTable, width: int) -> SimpleTable:
    """Give the first column of a parameter table the room that is left up to `width`."""
    missing = width - text_width(table)
    if missing > 0:
        options = table.output_formats["txt"]
        options["colwidths"] = [options["colwidths"][0] + missing, *options["colwidths"][1:]]
        table._colwidths.clear()
    return table


def text_width(table: SimpleTable) -> int:
    """Width of a table in characters."""
    return len(str(table).splitlines()[-1])


def format_row(values: Sequence[float], scale: float) -> list[str]:
    """Format numbers of one parameter so that `scale`, its sd, shows three digits.

    Examples
    --------
    >>> format_row([0.13237, 0.05512], 0.05512)
    ['0.1324', '0.0551']
    >>> format_row([-2.2e-8, 3.1e-9], 3.1e-9)
    ['-2.20e-08', '3.10e-09']
    """
    if not (np.isfinite(scale) and scale > 0.0):
        sizes = [abs(value) for value in values if np.isfinite(value) and value != 0.0]
        scale = max(sizes, default=1.0) / 10.0
    decimals = max(SIGNIFICANT_DIGITS - 1 - int(np.floor(np.log10(scale))), 0)
    finite = [abs(value) for value in values if np.isfinite(value)]
    if decimals > MOST_DECIMALS or max(finite, default=0.0) >= LARGEST_FIXED:
        return [f"{value:.{SIGNIFICANT_DIGITS - 1}e}" for value in values]
    return [f"{value:.{decimals}f}" for value in values]


def format_error(value: float) -> str:
    """Format a Monte Carlo error with two digits.

    Examples
    --------
    >>> format_error(0.000613), format_error(12.34), format_error(1e-9)
    ('0.00061', '12', '1.0e-09')
    """
    if not np.isfinite(value):
        return "n/a"
    if value == 0.0:
        return "0"
    decimals = max(1 - int(np.floor(np.log10(value))), 0)
    return f"{value:.1e}" if decimals > MOST_DECIMALS - 1 else f"{value:.{decimals}f}"


def format_probability(value: float) -> str:
    """Format a probability so that 0 and 1 are printed only where they are exact.

    Examples
    --------
    >>> [format_probability(p) for p in (0.97512, 0.99999, 1.0, 1e-5)]
    ['0.975', '>0.999', '1.000', '<0.001']
    """
    if 0.0 < value < 0.0005:
        return "<0.001"
    if 0.9995 <= value < 1.0:
        return ">0.999"
    return f"{value:.3f}"


def format_rhat(value: float) -> str:
    """Format an R-hat; it may be missing, or infinite where each chain stands still.

    Examples
    --------
    >>> [format_rhat(value) for value in (1.00312, np.nan, np.inf, 5.2e9)]
    ['1.003', 'n/a', 'inf', '5.2e+09']
    """
    if np.isnan(value):
        return "n/a"
    return f"{value:.3f}" if value < 100.0 else f"{value:.3g}"


def align_decimals(cells: Sequence[str]) -> list[str]:
    """Pad fixed-point numbers on the right so that decimal points stand under each other.

    Examples
    --------
    >>> align_decimals(["4.74", "-0.00235", "12"])
    ['4.74   ', '-0.00235', '12      ']
    """
    tails = [len(cell) - cell.index(".") if "." in cell else 0 for cell in cells]
    fixed = ["e" not in cell and cell[-1:].isdigit() for cell in cells]
    longest = max((tail for tail, usable in zip(tails, fixed, strict=True) if usable), default=0)
    return [
        cell + " " * (longest - tail) if usable else cell
        for cell, tail, usable in zip(cells, tails, fixed, strict=True)
    ]


def shorten(text: str, length: int) -> str:
    """Cut a text at its end."""
    return text if len(text) <= length else text[: length - 3].rstrip() + "..."


def shorten_middle(text: str, length: int) -> str:
    """Cut a text in its middle, since names of dummies differ at their ends."""
    if len(text) <= length:
        return text
    tail = (length - 3) // 2
    return text[: length - 3 - tail] + "..." + text[len(text) - tail :]


def _natural_width(names: Sequence[str], columns: Sequence[Column], separator: str) -> int:
    return max(map(len, names)) + sum(len(separator) + column.width for column in columns)


def _parameter_table(
    names: Sequence[str], columns: Sequence[Column], separator: str, width: int
) -> SimpleTable:
    # Headers of one line stand on the last line of those with more.
    lines = max(column.header.count("\n") for column in columns)
    headers = ["\n" * (lines - column.header.count("\n")) + column.header for column in columns]
    stub_width = max(map(len, names)) + max(width - _natural_width(names, columns, separator), 0)
    return SimpleTable(
        [list(row) for row in zip(*(column.cells for column in columns), strict=True)],
        headers=headers,
        stubs=list(names),
        title="",
        celltype=EscapedCell,
        txt_fmt={
            "colsep": separator,
            "colwidths": [stub_width, *(column.width for column in columns)],
            "table_dec_below": "=",
        },
        data_aligns="r",
        header_align="r",
    )
