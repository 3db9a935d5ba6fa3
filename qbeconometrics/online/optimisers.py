"""Rules for the steps of an online estimator, with their usual constants."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qbeconometrics.exceptions import OptionError, check_choice
from qbeconometrics.kernels._kernel_learning import RULES

# Measured on a design with known effects; AdaGrad depends least on its rate.
LEARNING_RATES = {"adagrad": 0.1, "rmsprop": 0.01, "adam": 0.01, "amsgrad": 0.03, "sgd": 3.0}


@dataclass(frozen=True, slots=True)
class Optimiser:
    """A rule and its constants.

    Attributes
    ----------
    rule : str
        "adagrad", "rmsprop", "adam", "amsgrad" or "sgd".
    learning_rate : float
    decay, second_decay : float
        Of the averages of gradients and of their squares, for the rules that have them.
    power : float
        Step k of "sgd" has the rate learning_rate k^-power, 1/2 < power < 1.
    """

    rule: str
    learning_rate: float
    decay: float = 0.9
    second_decay: float = 0.999
    power: float = 0.51


def make_optimiser(rule: str = "adagrad", learning_rate: float | None = None) -> Optimiser:
    """Return a rule with its constants.

    Parameters
    ----------
    rule : {"adagrad", "rmsprop", "adam", "amsgrad", "sgd"}, optional
        AdaGrad (Duchi, Hazan and Singer 2011), RMSProp with a bias correction, Adam (Kingma and Ba
        2015), AMSGrad (Reddi, Kale and Kumar 2018), or stochastic gradient descent, whose averages
        over a window are those of Polyak and Juditsky (1992).
    learning_rate : float, optional
        Size of steps; None takes the usual one of the rule.

    Raises
    ------
    OptionError
        If the rule is not known, or the rate is not positive and finite.

    References
    ----------
    Duchi, J., Hazan, E. and Singer, Y. (2011). Adaptive subgradient methods for online learning and
    stochastic optimization. Journal of Machine Learning Research 12, 2121-2159.

    Kingma, D. P. and Ba, J. (2015). Adam: a method for stochastic optimization. arXiv:1412.6980.

    Polyak, B. T. and Juditsky, A. B. (1992). Acceleration of stochastic approximation by averaging.
    SIAM Journal on Control and Optimization 30, 838-855.

    Reddi, S. J., Kale, S. and Kumar, S. (2018). On the convergence of Adam and beyond.
    arXiv:1904.09237.

    Examples
    --------
    >>> make_optimiser().learning_rate, make_optimiser("adam", 0.02).learning_rate
    (0.1, 0.02)
    """
    check_choice(rule, RULES, "optimiser")
    if learning_rate is None:
        return Optimiser(rule, LEARNING_RATES[rule])
    if not is_positive_number(learning_rate):
        raise OptionError(f"learning_rate={learning_rate!r} must be None or a positive number")
    return Optimiser(rule, float(learning_rate))


def is_positive_number(value: object) -> bool:
    """Whether a value is a number, no truth value, above zero and finite."""
    known = isinstance(value, (int, float, np.integer, np.floating))
    return known and not isinstance(value, bool) and 0.0 < float(value) < float("inf")  # type: ignore[arg-type]
