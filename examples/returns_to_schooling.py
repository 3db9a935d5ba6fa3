"""The return to schooling (Card 1995): how much do the instruments and the prior matter?

python examples/returns_to_schooling.py
"""

import warnings

import qbeconometrics as qb

CONTROLS = (
    "exper + expersq + black + south + smsa + smsa66 + reg661 + reg662 + reg663 + reg664"
    " + reg665 + reg666 + reg667 + reg668"
)
PRIORS = {
    "weak default": None,
    "return ~ Normal(0.08, 0.04^2)": {"educ": qb.priors.Normal(0.08, 0.04)},
}


def main() -> None:
    data = qb.datasets.load("card1995")
    # The summary repeats each of these warnings; here they are expected.
    warnings.simplefilter("ignore", qb.exceptions.WeakInstrumentWarning)
    print(
        f"{'instruments':<18}{'prior':<32}{'F':>6}{'median':>9}{'95% interval':>18}{'Pr(>OLS)':>10}"
    )
    ols = qb.QuasiBayesIV.from_formula(f"lwage ~ {CONTROLS} + educ", data).fit(rng=0)
    for instruments in ("nearc4", "nearc2 + nearc4"):
        for name, prior in PRIORS.items():
            formula = f"lwage ~ {CONTROLS} + [educ ~ {instruments}]"
            res = qb.QuasiBayesIV.from_formula(formula, data, prior=prior).fit(rng=0)
            lower, upper = res.conf_int().loc["educ"]
            strength = res.first_stage().loc["educ", "effective_f"]
            above = res.prob(f"educ > {ols.median['educ']}")
            print(
                f"{instruments:<18}{name:<32}{strength:>6.1f}{res.median['educ']:>9.3f}"
                f"{f'[{lower:.3f}, {upper:.3f}]':>18}{above:>10.2f}"
            )
    print(f"Least squares as moments: median {ols.median['educ']:.3f}, sd {ols.bse['educ']:.4f}")


if __name__ == "__main__":
    main()
