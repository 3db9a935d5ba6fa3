"""``python -m qbeconometrics``: Card's return to schooling, or a regression on a user's file."""

from __future__ import annotations

import os
import sys
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import patsy

from qbeconometrics import datasets
from qbeconometrics.command_line.arguments import PROGRAM, Arguments, parse_arguments
from qbeconometrics.command_line.comparison import LabelledFit, comparison
from qbeconometrics.exceptions import InputError, QBEconometricsError
from qbeconometrics.models.iv import QuasiBayesIV
from qbeconometrics.results.summary_layout import WIDTH, shorten

CARD_CONTROLS = (
    "exper + expersq + black + south + smsa + reg661 + reg662 + reg663 + reg664 + reg665 + reg666"
    " + reg667 + reg668 + smsa66"
)
CARD_INSTRUMENTS = ("nearc4", "nearc2 + nearc4")

NEXT_STEPS = f"""
Where to go next
  Your own file:  {PROGRAM} --data my.csv --formula "y ~ x + [d ~ z]"
  All options:    {PROGRAM} --help
  In Python:      import qbeconometrics as qb
                  data = qb.datasets.load("card1995")      # others: qb.datasets.names()
                  model = qb.QuasiBayesIV.from_formula("lwage ~ exper + [educ ~ nearc4]", data)
                  res = model.fit(rng=0)
                  print(res.summary())
                  res.prob("educ > 0.1"), res.conf_int(method="hdi"), res.first_stage()
                  help(qb.QuasiBayesIV), help(res)"""

# Exit statuses; the last two are what a shell reports for SIGINT and SIGPIPE.
DONE, REFUSED, INTERRUPTED, PIPE_CLOSED = 0, 2, 130, 141


@dataclass(frozen=True, slots=True)
class Equation:
    """A formula to fit, and its instruments as the comparison names them."""

    formula: str
    label: str


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    words : sequence of str, optional
        By default those of the process.

    Returns
    -------
    int
        Exit status.
    """
    arguments = parse_arguments(words)
    try:
        if arguments.data is None or arguments.formula is None:
            returns_to_schooling(arguments)
        else:
            users_regression(arguments.data, arguments.formula, arguments)
    except (QBEconometricsError, MemoryError) as error:
        tell(f"qbeconometrics: error: {str(error) or 'not enough memory'}")
        return REFUSED
    return DONE


def returns_to_schooling(arguments: Arguments) -> None:
    """Fit Card's equation with one and with two instruments, and compare."""
    data = datasets.load("card1995")
    say(
        wrap(
            f"The return to schooling in {len(data):,} young men of 1976. Years of schooling "
            "(educ) are endogenous; the instruments say whether a man grew up near a two-year "
            f"(nearc2) or a four-year college (nearc4). Data: {data.attrs['citation']}"
        )
    )
    equations = [
        Equation(f"lwage ~ {CARD_CONTROLS} + [educ ~ {instruments}]", instruments)
        for instruments in CARD_INSTRUMENTS
    ]
    fits = fit_and_print(equations, data, arguments)
    print_comparison(fits, arguments, "The return to a year of schooling: coefficient of")
    say(NEXT_STEPS)


def users_regression(path: str, formula: str, arguments: Arguments) -> None:
    """Fit a formula to a file, and compare."""
    fits = fit_and_print([Equation(formula, "")], read_table(path), arguments)
    print_comparison(fits, arguments, "Beside least squares: coefficient of")
    say(NEXT_STEPS)


def read_table(path: str) -> pd.DataFrame:
    """Read a file of comma-separated values.

    Raises
    ------
    InputError
        If there is no such file, or it is not such a table.
    """
    try:
        if not Path(path).exists():
            raise InputError(f"--data {path}: there is no such file")
        with warnings.catch_warnings():
            # Rows that are longer than the header would lose cells with a mere warning.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(path, index_col=False, skipinitialspace=True, low_memory=False)
    except QBEconometricsError:
        raise
    except (OSError, EOFError, ValueError, pd.errors.ParserWarning) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"--data {path} cannot be read as comma-separated values: {reason}"
        ) from error
    if len(table.columns) == 1 and any(mark in str(table.columns[0]) for mark in ";\t|"):
        raise InputError(
            f"--data {path} has the one column {table.columns[0]!r}. Separate columns by commas."
        )
    return table


def fit_and_print(
    equations: Sequence[Equation], data: pd.DataFrame, arguments: Arguments
) -> list[LabelledFit]:
    """Fit one equation after the other and print each summary."""
    fits = []
    for number, equation in enumerate(equations, start=1):
        size = f"{len(data):,} rows, {arguments.chains} chains of {arguments.draws:,} draws"
        subject = equation.label or equation.formula
        tell(shorten(f"[{number}/{len(equations)}] {size}: {subject}", WIDTH))
        with warnings_as_lines() as told:
            model = QuasiBayesIV.from_formula(
                equation.formula, data, eval_env=patsy.EvalEnvironment([{"np": np}])
            )
            results = model.fit(
                arguments.sampler,
                draws=arguments.draws,
                chains=arguments.chains,
                rng=arguments.rng,
                quasi_likelihood=arguments.quasi_likelihood,
                cov_type=arguments.cov_type,
                # Elsewhere than on a terminal the line above has to do.
                progressbar=sys.stderr.isatty(),
            )
            summary = str(results.summary(alpha=arguments.alpha))
            told.append(summary)
        say(f"\n{wrap(equation.formula)}\n\n{summary}")
        fits.append(LabelledFit(equation.label, model, results))
    return fits


@contextmanager
def warnings_as_lines() -> Iterator[list[str]]:
    """Write each warning in one line, but for those that the yielded texts hold."""
    told: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield told
    printed = " ".join(" ".join(told).split())
    for message in dict.fromkeys(" ".join(str(warning.message).split()) for warning in caught):
        if message not in printed:
            tell(f"qbeconometrics: warning: {message}")


def print_comparison(fits: Sequence[LabelledFit], arguments: Arguments, heading: str) -> None:
    """Print the tables beside least squares and how to read them."""
    for name, table in comparison(fits, alpha=arguments.alpha):
        say(f"\n{wrap(f'{heading} {name}')}\n{table}")
    percent = f"{100 * (1 - arguments.alpha):.4g}%"
    cov_type = fits[0].results.record.cov_type
    say(
        wrap(
            f"OLS and 2SLS: estimate, {cov_type} standard error, {percent} interval from the "
            "normal distribution. Quasi-Bayes: mean, standard deviation, median and "
            f"{percent} equal-tailed interval of the quasi-posterior."
        )
    )


def wrap(text: str) -> str:
    """Wrap a paragraph, breaking words that are longer than a line."""
    return textwrap.fill(text, WIDTH)


def say(text: str) -> None:
    """Write to standard output at once, so that a closed pipe is noticed here."""
    print(text, flush=True)


def tell(text: str) -> None:
    """Write one line to standard error."""
    print(" ".join(text.split()), file=sys.stderr, flush=True)


def run_as_program() -> int:
    """Run `main`; a reader who leaves, or Ctrl-C, ends the program without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a column's name shows its escape.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        return main()
    except BrokenPipeError:
        # The interpreter flushes its streams once more at exit.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        return PIPE_CLOSED
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(run_as_program())
