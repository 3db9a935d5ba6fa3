"""Two variables that move each other: doctor visits and income, and a stream of rows.

Doctor visits and income in the United States (Medical Expenditure Panel Survey, after Cameron and
Trivedi 2010, Microeconometrics Using Stata): income may buy visits, and illness may cost income.
No instrument is at hand, but the variances of both errors move with age, sex and chronic disease.
Takes some ten seconds.
"""

import tempfile
import warnings
from pathlib import Path

import qbeconometrics as qb
from qbeconometrics.exceptions import WeakIdentificationWarning


def main() -> None:
    visits = qb.datasets.load("docvisits")
    model = qb.OnlineBidirectional.from_formula(
        "docvis + income ~ age + female + chronic", visits, features="polynomial", degree=2, rng=0
    )
    # 4,412 rows: one random split into halves differs from another, so the median of nine.
    res = model.fit(splits=9)
    print(res.summary())
    print("\nWhat unit shocks do once both have answered each other:")
    print(res.total_effects().round(4))
    posterior = res.quasi_posterior(rng=0)
    print("\nQuasi-posterior of the same two moments:")
    print(posterior.conf_int().round(4))

    print("\nWhere the data cannot tell, the package says so (drug expenses and illness):")
    with warnings.catch_warnings():
        # Printed with the summary.
        warnings.simplefilter("ignore", WeakIdentificationWarning)
        drugs = qb.OnlineBidirectional.from_formula(
            "ldrugexp + totchr ~ age + linc + educyr", qb.datasets.load("meps"),
            features="polynomial", degree=2, rng=0,
        ).fit(baselines=False)  # fmt: skip
    print(drugs.summary())

    print("\nA stream, saved in its middle and resumed:")
    stream = qb.OnlineBidirectional.from_formula("y1 + y2 ~ x1 + x2", rng=0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stream.npz"
        for seed in range(5):
            stream.partial_fit(qb.simulate.bidirectional(50_000, seed=seed))
            if seed == 2:
                stream.save(path)
                stream = qb.OnlineBidirectional.load(path)
    print(stream.result().summary())


if __name__ == "__main__":
    main()
