"""Linear moments under the name GMM: the code and the numbers of instrumental variables."""

import numpy as np

import qbeconometrics as qb

FORMULA = "rent ~ hsngval + pcturban | pcturban + faminc + reg2 + reg3 + reg4"


def test_the_same_draws_as_instrumental_variables():
    data = qb.datasets.load("hsng1980")
    options = {"draws": 1500, "rng": 0, "progressbar": False, "quasi_likelihood": "two-step"}
    gmm = qb.QuasiBayesGMM.from_formula(FORMULA, data).fit(**options)
    iv = qb.QuasiBayesIV.from_formula(FORMULA, data).fit(**options)
    np.testing.assert_array_equal(gmm.draws, iv.draws)
    assert gmm.j_stat() == iv.j_stat()
    assert gmm.first_stage().equals(iv.first_stage())
    text = gmm.summary().as_text()
    assert "GMM Results" in text
    assert "QuasiBayesLinearGMM" in text


def test_functions_of_the_caller_are_found_in_the_formula():
    def per_hundred(values):
        return values / 100

    data = qb.datasets.load("hsng1980")
    model = qb.QuasiBayesGMM.from_formula(
        "rent ~ per_hundred(hsngval) + pcturban | pcturban + faminc + reg2", data
    )
    assert model.endogenous_names == ["per_hundred(hsngval)"]
