"""Learning rates at which credible regions cover as often as they claim, for losses and moments.

Wages and labour supply of married women (Mroz 1987), returns to schooling (Card 1995). Run it with
``python examples/learning_rates.py``; it takes a quarter of a minute. With matplotlib it also
writes ``learning_rates.png``, the coverage of median regression against the rate.
"""

import pandas as pd

import qbeconometrics as qb

women = qb.datasets.load("mroz1987")
workers = women.query("inlf == 1")
men = qb.datasets.load("card1995")

WAGES = "lwage ~ educ + exper"
PARTICIPATION = "inlf ~ educ + exper + kidslt6"
LOSSES = {
    "median regression": (WAGES, workers, qb.losses.Quantile(0.5)),
    "first quartile": (WAGES, workers, qb.losses.Quantile(0.25)),
    "Huber": (WAGES, workers, qb.losses.Huber(0.5)),
    "least squares": (WAGES, workers, qb.losses.Squared()),
    "logistic": (PARTICIPATION, women, qb.losses.Logistic()),
    "hinge": (PARTICIPATION, women, qb.losses.Hinge()),
}


def row(found) -> dict[str, object]:
    return {
        "rate": found.learning_rate,
        "s.e.": found.learning_rate_se,
        "coverage": found.coverage,
        "closed form": found.information_rate,
        "passes": found.passes,
        "status": found.status,
    }


def main() -> None:
    rows = {}
    for name, (formula, data, loss) in LOSSES.items():
        model = qb.QuasiBayesM.from_formula(formula, data, loss=loss, posterior="gibbs")
        found = qb.calibrate_learning_rate(model, rng=0)
        rows[name] = row(found)
        if name == "median regression":
            median = found

    moments = qb.QuasiBayesIV.from_formula(
        "lwage ~ exper + black + [educ ~ nearc4 + nearc2]", men, prior=qb.priors.Flat()
    )
    for weight in (None, "identity"):
        options = {"quasi_likelihood": "two-step", "weight_matrix": weight}
        found = qb.calibrate_learning_rate(moments, fit_kwds=options, rng=0)
        rows[f"GMM, {weight or 'two-step'} weight"] = row(found)

    print(pd.DataFrame(rows).T.to_string(float_format="{:.3g}".format))
    # Identity weighting lets the moment of the largest scale decide: the summary says what follows.
    print(f"\n{found}\n\n{median}")

    try:
        median.plot().figure.savefig("learning_rates.png", dpi=150)
    except qb.exceptions.MissingExtraError:
        print("(pip install matplotlib draws the coverage curve)")


if __name__ == "__main__":
    main()
