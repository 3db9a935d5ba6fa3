"""Names and options of the covariance rules."""

import pytest

from qbeconometrics.exceptions import OptionError, UnknownKeywordError
from qbeconometrics.moments.covariance import CovarianceRule, parse_covariance


@pytest.mark.parametrize(
    ("word", "cov_type"),
    [("HC0", "HC0"), ("HC1", "HC1"), ("robust", "HC0"), ("unadjusted", "nonrobust")],
)
def test_words(word, cov_type):
    assert parse_covariance(word) == CovarianceRule(cov_type, False)


@pytest.mark.parametrize(
    ("word", "kernel"),
    [
        ("newey-west", "bartlett"),
        ("gallant", "parzen"),
        ("andrews", "quadratic-spectral"),
        ("qs", "quadratic-spectral"),
    ],
)
def test_words_of_kernels(word, kernel):
    assert parse_covariance("kernel", {"kernel": word}) == CovarianceRule(
        "HAC", False, kernel, "newey-west"
    )


def test_dependent_rules():
    assert parse_covariance("HAC") == CovarianceRule("HAC", False, "bartlett", "newey-west")
    rule = parse_covariance("clustered", {"groups": "state", "centered": True})
    assert rule == CovarianceRule("cluster", True)
    assert rule.groups == "state"
    assert rule.is_dependent
    assert not parse_covariance("HC1").is_dependent
    assert rule.small_sample_factor(100, 20) == 1.0


@pytest.mark.parametrize("value", [-1, 2.0, True, None, "auto"])
def test_maxlags_must_be_whole_or_a_rule(value):
    with pytest.raises(OptionError, match="maxlags"):
        parse_covariance("HAC", {"maxlags": value})


@pytest.mark.parametrize("value", ["triangle", None, 3])
def test_kernel_must_be_known(value):
    with pytest.raises(OptionError, match="kernel"):
        parse_covariance("HAC", {"kernel": value})


def test_groups_are_needed():
    with pytest.raises(OptionError, match="needs the clusters"):
        parse_covariance("cluster", {"centered": True})


def test_unknown_type_is_named():
    with pytest.raises(OptionError, match=r"'nonrobst' is not known. Did you mean 'nonrobust'"):
        parse_covariance("nonrobst")


def test_unknown_keyword_is_named():
    with pytest.raises(UnknownKeywordError, match=r"'centred'.*Did you mean 'centered'"):
        parse_covariance("HC0", {"centred": True})


@pytest.mark.parametrize("value", [1, "yes", None])
def test_centered_must_be_bool(value):
    with pytest.raises(OptionError, match="centered"):
        parse_covariance("HC0", {"centered": value})


def test_keywords_must_be_a_dict():
    with pytest.raises(OptionError, match="cov_kwds must be a dict"):
        parse_covariance("HC0", True)


def test_small_sample_factor():
    assert CovarianceRule("HC1").small_sample_factor(100, 20) == 1.25
    assert CovarianceRule("HC0").small_sample_factor(100, 20) == 1.0
