"""Inflation and an interest rate in Germany, 1972-1998: one relation, or none?

The series are those of statsmodels' examples of vector error correction (Luetkepohl 2005, New
Introduction to Multiple Time Series Analysis, section 7.4). Takes about 20 seconds.
"""

import warnings

import numpy as np
from statsmodels.datasets import interest_inflation

import qbeconometrics as qb
from qbeconometrics.exceptions import NormalizationWarning


def main() -> None:
    data = interest_inflation.load_pandas().data[["R", "Dp"]]
    # Three lagged differences, a constant within the relation and seasonal dummies, as there.
    model = qb.QuasiBayesVECM(data, k_ar_diff=3, coint_rank=1, deterministic="ci", seasons=4)
    with warnings.catch_warnings():
        # Printed with the summary.
        warnings.simplefilter("ignore", NormalizationWarning)
        res = model.fit(rng=0)
    print(res.summary())

    fisher = np.array([1.0, -4.0, 0.0])  # a real interest rate: inflation is that of quarters
    angle = np.degrees(res.principal_angles(np.column_stack([fisher, [0.0, 0.0, 1.0]])))
    print("\nDegrees between the relation and the plane of real rates with any mean,")
    print(f"median {np.median(angle):.1f}, 95 % below {np.quantile(angle, 0.95):.1f}")

    print("\nRanks, for priors of the weight of 1 and 5 observations:")
    for weight in (1.0, 5.0):
        model = qb.QuasiBayesVECM(
            data, k_ar_diff=3, deterministic="ci", seasons=4, prior_observations=weight
        )
        print(model.compare_ranks(rng=0).round(3))


if __name__ == "__main__":
    main()
