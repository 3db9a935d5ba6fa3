"""Arguments of ``python -m qbeconometrics``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import NoReturn

PROGRAM = "python -m qbeconometrics"

DESCRIPTION = """\
Quasi-Bayesian regression with instruments, from a formula.

Without arguments: the return to schooling in the data of Card (1995), first with one instrument
and then with two, beside ordinary and two-stage least squares. With --data and --formula: the
same for your own file.
"""

EPILOG = """\
formulas:
  "y ~ x + [d ~ z]"         x is exogenous, d endogenous, z an instrument for d
  "y ~ x + d | x + z"       the same: regressors, then all instruments
  "y ~ x"                   no instruments: the regressors are their own
  The intercept is implicit. C(region) makes dummies, a:b an interaction, np.log(x) a logarithm
  (np is NumPy). A formula is code and is run as such: do not run one from a source you do not
  trust.

examples:
  python -m qbeconometrics --draws 5000 --rng 7
  python -m qbeconometrics --data my.csv --formula "y ~ x + [d ~ z]"
  python -m qbeconometrics --data my.csv --formula "np.log(y) ~ C(year) + [d ~ z]" --cov-type HC1

Tables go to standard output, progress, warnings and errors to standard error. The exit status is 0,
or 2 if an argument, the file or the formula cannot be used.
"""

# Beyond all memory, and well within a 64-bit integer.
LARGEST_NUMBER = 10**12


@dataclass(frozen=True, slots=True)
class Arguments:
    """What the user asked for.

    Attributes
    ----------
    data, formula : str or None
        Both None: the main job.
    draws, chains, rng : int
    sampler, quasi_likelihood, cov_type : str
        As `QuasiBayesIV.fit` takes them, and checked there.
    alpha : float
        One minus the probability of the intervals.
    """

    data: str | None
    formula: str | None
    draws: int
    chains: int
    rng: int
    sampler: str
    quasi_likelihood: str
    cov_type: str
    alpha: float


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors take one line."""

    def error(self, message: str) -> NoReturn:
        """Print the message and leave with status 2."""
        text = " ".join(message.split())
        self.exit(2, f"qbeconometrics: error: {text} (see {PROGRAM} --help)\n")


def whole_number(text: str) -> int:
    """Return a whole number from 0 to `LARGEST_NUMBER`."""
    number = int(text)
    if not 0 <= number <= LARGEST_NUMBER:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and {LARGEST_NUMBER:,}")
    return number


def probability(text: str) -> float:
    """Return a number strictly between 0 and 1."""
    number = float(text)
    if not 0.0 < number < 1.0:
        raise argparse.ArgumentTypeError(f"{text} is not strictly between 0 and 1")
    return number


def build_parser() -> argparse.ArgumentParser:
    """Return the parser, with the help."""
    parser = OneLineParser(
        prog=PROGRAM,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    own = parser.add_argument_group("your own data")
    own.add_argument(
        "--data", metavar="FILE", help="comma-separated values, a line of names first; may be .gz"
    )
    own.add_argument("--formula", help="see below; quote it")
    fit = parser.add_argument_group("the fit")
    fit.add_argument(
        "--draws", type=whole_number, default=2000, metavar="N", help="draws a chain (%(default)s)"
    )
    fit.add_argument(
        "--chains", type=whole_number, default=4, metavar="N", help="chains (%(default)s)"
    )
    fit.add_argument(
        "--rng",
        type=whole_number,
        default=0,
        metavar="N",
        help="start of the random numbers; the same N gives the same draws (%(default)s)",
    )
    fit.add_argument(
        "--sampler",
        default="auto",
        help="auto, rwm, da, da-exact, da-approx or independent (%(default)s)",
    )
    fit.add_argument(
        "--quasi-likelihood", default="cue", help="cue, cue-nodet or two-step (%(default)s)"
    )
    fit.add_argument("--cov-type", default="HC0", help="nonrobust, HC0 or HC1 (%(default)s)")
    fit.add_argument(
        "--alpha",
        type=probability,
        default=0.05,
        help="one minus the probability of the intervals (%(default)s)",
    )
    parser.add_argument("--version", action="version", version=version("qbeconometrics"))
    return parser


def parse_arguments(words: Sequence[str] | None = None) -> Arguments:
    """Read the command line.

    Parameters
    ----------
    words : sequence of str, optional
        By default those of the process.

    Raises
    ------
    SystemExit
        With status 2 after an error, and with status 0 after the help or the version.
    """
    parser = build_parser()
    found = Arguments(**vars(parser.parse_args(words)))
    if found.data is not None and found.formula is None:
        parser.error('--data needs --formula, such as --formula "y ~ x + [d ~ z]"')
    if found.formula is not None and found.data is None:
        parser.error("--formula needs --data, the file that holds its columns")
    return found
