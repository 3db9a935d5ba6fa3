"""Errors and warnings: two flat families, one root each."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class QBEconometricsError(Exception):
    """Root of every error that this package raises on purpose."""


class InputError(QBEconometricsError, ValueError):
    """The data cannot be used as given; the message names the column or the row."""


class FormulaError(InputError):
    """The formula cannot be read, or names a column that the data do not have."""


class RankError(InputError):
    """A column is constant, duplicated or a linear combination of others."""


class IdentificationError(InputError):
    """There are fewer usable instruments than coefficients."""


class OptionError(QBEconometricsError, ValueError):
    """An argument has a value that is not allowed; the message lists what is."""


class UnknownKeywordError(OptionError, TypeError):
    """A keyword argument does not exist; the message suggests the nearest one."""


class ImproperPosteriorError(QBEconometricsError, ValueError):
    """The quasi-posterior would not integrate to a finite number."""


class TailMassError(QBEconometricsError, ValueError):
    """A region far from the mode holds too much of the quasi-posterior for it to be sampled."""


class NumericalError(QBEconometricsError, ValueError):
    """A computation cannot be carried out, such as factoring a singular covariance."""


class MomentFunctionError(QBEconometricsError, ValueError):
    """A user-written moment function raised, or returned what cannot be used."""


class LossFunctionError(QBEconometricsError, ValueError):
    """A user-written loss raised, or returned what cannot be used."""


class DensityError(QBEconometricsError, ValueError):
    """A log density raised, or returned what cannot be used; `sample` holds the draws before it."""

    sample: Any = None


class MissingExtraError(QBEconometricsError, ImportError):
    """An optional dependency is not installed; the message names the extra."""


class StorageError(QBEconometricsError, ValueError):
    """A file cannot be loaded: damaged, changed, too large, or not one of this package."""


class DataNeededError(QBEconometricsError, AttributeError):
    """Results that were loaded from a file hold no rows, which the request needs."""


class QBEconometricsWarning(UserWarning):
    """Root of every warning that this package issues."""


class ConvergenceWarning(QBEconometricsWarning):
    """The chains disagree or hold too few effective draws."""


class WeakInstrumentWarning(QBEconometricsWarning):
    """The first stage is weak, so the prior matters."""


class WeakIdentificationWarning(QBEconometricsWarning):
    """The data hardly tell the parameters from each other: standard errors are not given."""


class NormalizationWarning(QBEconometricsWarning):
    """Coefficients are normalised by one that may be zero; read what does not depend on it."""


class PriorWarning(QBEconometricsWarning):
    """The prior, more than the data, decides some coefficients."""


class TailWarning(QBEconometricsWarning):
    """A region far from the mode holds a noticeable share of the quasi-posterior."""


class CalibrationWarning(QBEconometricsWarning):
    """A learning rate did not converge, or is used for a level that it was not calibrated for."""


class InterruptedWarning(QBEconometricsWarning):
    """Sampling was interrupted; the complete draws were kept."""


class NumericalWarning(QBEconometricsWarning):
    """A fall-back was used because a matrix was nearly singular."""


# Words of other packages for ours.
OTHER_WORDS = {
    "seed": "rng",
    "random_seed": "rng",
    "random_state": "rng",
    "dependent": "endog",
    "instruments": "instrument",
    "weight_type": "cov_type",
    "n_samples": "draws",
    "samples": "draws",
    "warmup": "tune",
    "burnin": "tune",
    "n_jobs": "cores",
}


# What a word is for, where a model does not have it.
ELSEWHERE = dict.fromkeys(
    ("weights", "weight_type", "absorb"),
    "Weights of rows and absorbed fixed effects are for linear moments: QuasiBayesIV, and "
    "QuasiBayesGMM.from_formula.",
)


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest known word, or an empty string.

    Examples
    --------
    >>> suggestion("drws", ["draws", "tune"])
    " Did you mean 'draws'?"
    """
    near = difflib.get_close_matches(str(word), list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def refuse_unknown_keywords(keywords: Iterable[str], known: Iterable[str], caller: str) -> None:
    """Raise `UnknownKeywordError` for the first of the keywords that is not `known`."""
    known = list(known)
    for word in keywords:
        if word not in known:
            other = OTHER_WORDS.get(word)
            hint = f" Did you mean {other!r}?" if other in known else suggestion(word, known)
            if word in ELSEWHERE and other not in known:
                hint = f" {ELSEWHERE[word]}"
            raise UnknownKeywordError(
                f"{caller} has no keyword {word!r}.{hint} It takes: {', '.join(known)}."
            )


def check_choice(value: object, choices: Iterable[str], argument: str) -> str:
    """Return `value` if it is one of `choices`, else raise `OptionError`."""
    choices = list(choices)
    if not isinstance(value, str) or value not in choices:
        raise OptionError(
            f"{argument}={value!r} is not known.{suggestion(str(value), choices)} "
            f"Choose one of: {', '.join(map(repr, choices))}."
        )
    return value
