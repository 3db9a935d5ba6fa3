"""Effects of two variables on each other in repeated samples; see bidirectional.py.

Seeds are fixed. Bounds of the short tests are such that a right estimator of another seed would
fail with the probability that is given; those of the long tests are the targets of the package.
"""

import importlib
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from qbeconometrics.online import identification, inference
from qbeconometrics.online.closed_form import null_vector

SEED = 20_261_122
FEW_FEATURES = {"n_features": 40}


@pytest.fixture(scope="module")
def script():
    """The script as a module that other processes can import too."""
    sys.path.insert(0, str(Path(__file__).parent))
    yield importlib.import_module("bidirectional")
    sys.path.remove(str(Path(__file__).parent))
    del sys.modules["bidirectional"]


@pytest.fixture(scope="module")
def repeated(script):
    """Data sets, drawn and estimated once: a function of (n, method, data sets, ...)."""

    @cache
    def run(n, method, data_sets, **options):
        design = script.Design(n, **options)
        few = FEW_FEATURES if method == "fit" else None
        found = script.study(design, method, range(data_sets), seed=SEED, parameters=few)
        return design, found

    return run


@pytest.fixture
def two_processes():
    with ProcessPoolExecutor(2) as pool:
        yield pool


def covers(script, found, design):
    """At least 51 of 60 intervals: of right ones fewer would with a probability of .0007."""
    return np.all(script.covered(found, design).sum(axis=0) >= 51)


def has_right_errors(script, found, design):
    """The mean of squared t values of both effects is below 1.6, and above .6.

    Outside are less than .002 of means of 80 squares, which is the smaller of the two studies, if
    they are independent.
    """
    size = script.size_of_errors(found, design).mean()
    return 0.6 < size < 1.6


class TestShort:
    """Some dozen data sets of a few thousand rows."""

    def test_intervals_of_fit_cover(self, script, repeated):
        design, found = repeated(5_000, "fit", 60)
        assert covers(script, found, design)
        assert has_right_errors(script, found, design)
        assert not found["warned"].any()

    def test_standard_errors_of_one_pass_are_those_of_the_rows_averaged(self, script, repeated):
        design, found = repeated(32_000, "one pass", 40)
        assert set(found["nobs"]) == {16_000}
        assert has_right_errors(script, found, design)
        of_all_rows = found.copy()
        of_all_rows[script.ERRORS] /= np.sqrt(2.0)
        assert not has_right_errors(script, of_all_rows, design)

    def test_errors_that_are_too_small_are_caught(self, script, repeated):
        design, found = repeated(5_000, "fit", 60)
        small = found.copy()
        small[script.ERRORS] /= np.sqrt(2.0)
        assert not has_right_errors(script, small, design)
        small[script.ERRORS] /= np.sqrt(2.0)
        assert not covers(script, small, design)

    @pytest.mark.parametrize("method", ["fit", "one pass"])
    def test_likelihood_without_its_determinant_is_caught(self, script, method):
        """Without log|1 - b12 b21| each equation is weighted least squares of its own."""

        def single(mean):
            return null_vector([[mean[0, 0] / mean[0, 2], mean[1, 0] / mean[1, 1]]])[0]

        design = script.Design(8_000)
        few = {"seed": SEED, "parameters": FEW_FEATURES, "rivals": True}
        found = script.study(design, method, range(3), **few)
        with patch.object(inference, "smallest_direction", single):
            wrong = script.study(design, method, range(3), **few)
        right, biased = (
            script.root_mean_square(script.distances(one, design)) for one in (found, wrong)
        )
        assert np.all(right < 0.05)
        assert np.all(biased > 5.0 * right)
        # The bias is of the size of that of single equations.
        ratio = biased / script.of_rival(found, "OLS", design)
        assert np.all((ratio > 0.2) & (ratio < 2.0))

    def test_what_is_not_identified_is_refused(self, script, repeated):
        shares = []
        for variances in ("constant", "common"):
            _, found = repeated(4_000, "fit", 40, variances=variances)
            assert found["weak"].all()
            assert found["warned"].all()
            assert found[script.ERRORS].isna().all(axis=None)
            shares.append(found["robust p"].to_numpy() >= 0.05)
        # Of 80, fewer than 69 would be covered with a probability of .0006.
        assert np.sum(shares) >= 69
        # A statistic that counts the rows of all folds, though only those after the first are
        # tested, is twice as large, and p-values of chi-squared(2) are squares.
        squared = [
            repeated(4_000, "fit", 40, variances=variances)[1]["robust p"].to_numpy() ** 2
            for variances in ("constant", "common")
        ]
        assert np.sum(np.array(squared) >= 0.05) < 69

    def test_a_rank_test_of_no_strength_is_caught(self, script):
        design = script.Design(4_000, variances="constant")
        few = {"seed": SEED, "parameters": FEW_FEATURES}
        with patch.object(identification, "LEAST_STRENGTH", 0.0):
            found = script.study(design, "fit", range(10), **few)
        # What is left are data sets whose moments have no real solution.
        assert not found["weak"].all()
        assert not script.covered(found, design).all()

    def test_one_pass_refuses_what_is_not_identified(self, script, repeated):
        refused = 0
        for variances in ("constant", "common"):
            _, found = repeated(20_000, "one pass", 10, variances=variances)
            assert found.loc[found["weak"], script.ERRORS].isna().all(axis=None)
            refused += found["weak"].sum()
        # Heads that still learn let one of 200 pass; of 20, three would with less than .0002.
        assert refused >= 18


@pytest.mark.long
class TestLong:
    """The targets, at 20,000 rows and more and with the features that are the default."""

    def test_intervals_of_fit_cover(self, script, two_processes):
        design = script.SIZES["n = 100,000"]
        found = script.study(design, "fit", range(1_000), executor=two_processes)
        # Coverage .95 is outside with a probability below .001.
        share = script.covered(found, design).mean(axis=0)
        assert np.all((share >= 0.92) & (share <= 0.97))
        spread = script.distances(found, design).std(axis=0, ddof=1)
        assert np.all(np.abs(found[script.ERRORS].mean() / spread - 1.0) < 0.1)

    @pytest.mark.parametrize("method", ["fit", "one pass"])
    @pytest.mark.parametrize("variances", ["constant", "common"])
    def test_what_is_not_identified_is_refused(self, script, two_processes, method, variances):
        design = script.UNIDENTIFIED[f"{variances} variances"]
        found = script.study(design, method, range(200), projections=True, executor=two_processes)
        assert found["weak"].sum() >= 196
        assert found.loc[found["weak"], script.ERRORS].isna().all(axis=None)
        assert found["in robust set"].mean() >= 0.92

    @pytest.mark.parametrize("method", ["fit", "one pass"])
    def test_little_strength_is_enough_for_many_rows(self, script, two_processes, method):
        design = script.UNIDENTIFIED["kappa .05"]
        found = script.study(design, method, range(50), executor=two_processes)
        assert np.sum(~found["warned"]) >= 48

    @pytest.mark.parametrize(
        ("n", "method", "data_sets", "most"),
        [
            (100_000, "fit", 30, 0.005),
            (100_000, "one pass", 30, 0.005),
            (1_000_000, "one pass", 30, 0.0025),
            (1_000_000, "fit", 5, 0.0025),
        ],
    )
    def test_estimates_are_accurate(self, script, two_processes, n, method, data_sets, most):
        design = script.Design(n)
        numbers = range(data_sets)
        found = script.study(design, method, numbers, rivals=True, executor=two_processes)
        own = script.root_mean_square(script.distances(found, design))
        assert np.all(own <= most)
        assert np.all(script.of_rival(found, "OLS", design) >= 50.0 * own)
        if n == 1_000_000:
            assert np.all(script.of_rival(found, "Lewbel", design) > own)

    @pytest.mark.parametrize("method", ["fit", "one pass"])
    @pytest.mark.parametrize("name", ["(-1.5, .5)", "(2, -.45)", "(.9, .8)", "t5 errors"])
    def test_other_truths_are_found(self, script, two_processes, name, method):
        design = script.OTHER_TRUTHS[name]
        found = script.study(design, method, range(10), executor=two_processes)
        away = np.abs(script.distances(found, design))
        assert np.all(np.median(away, axis=0) <= 0.03)
        assert np.all(away <= 0.08)
