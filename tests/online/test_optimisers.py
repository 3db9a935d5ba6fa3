"""Rules and rates that are refused."""

import pytest

from qbeconometrics.exceptions import OptionError
from qbeconometrics.kernels._kernel_learning import RULES
from qbeconometrics.online.optimisers import LEARNING_RATES, make_optimiser


def test_every_rule_has_a_rate():
    assert set(LEARNING_RATES) == set(RULES)
    for rule in RULES:
        assert make_optimiser(rule).learning_rate == LEARNING_RATES[rule]


def test_refused():
    with pytest.raises(OptionError, match="Did you mean 'adagrad'"):
        make_optimiser("adagrd")
    for rate in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(OptionError, match="learning_rate"):
            make_optimiser("adam", rate)
