"""Local projections of studies whose data are not embedded, against all stored numbers.

Usage: ``python lp_other_studies.py folder``, where the folder holds the CSV files and the full
reference_lp.json of tests/reference_values/make_reference_lp.py. For every block it prints the
largest relative errors of estimates and joint standard deviations, and the difference of the sup-t
critical values, under a flat prior and a fixed weight; and stops at the first that is too large.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import qbeconometrics as qb

LARGEST = {"estimate": 1e-6, "sd": 1e-5, "critical value": 0.02}
DRAWS = 25_000  # a chain, of four
# Of the studies that the stored specification does not describe in full.
MULTIPLIERS = {"rz2018_multiplier_linear": None, "rz2018_multiplier_state": "slack"}
FIRST_STATES = 4  # values of the lagged state that its source sets to one


def frame_of(spec, folder):
    data = pd.read_csv(folder / spec["dataset"])
    for name, expression in spec.get("transforms", {}).items():
        data[name] = data.eval(expression)
    first, last = spec.get("date_first", data["date"].min()), spec.get("date_last", "9999")
    data = data[(data["date"] >= first) & (data["date"] <= last)]
    return data.set_index(pd.DatetimeIndex(data.pop("date")))


def models(full, folder):
    """Label, model and stored block of everything that is stored."""
    for name, responses in full["specs"].items():
        spec = responses["spec"]
        data = frame_of(spec, folder)
        for response, methods in responses.items():
            if response == "spec" or (name in MULTIPLIERS and response == "exp"):
                continue
            for method, block in methods.items():
                p = spec["lags_la"] if "la" in method else spec["lags_nw"]
                lags = [f"lag({v}, 1, {p})" for v in spec["lag_vars"]]
                options = {"lag_augmentation": "la" in method}
                outcome = response
                if name in MULTIPLIERS:
                    outcome, shock = "y", "[g ~ newsy]"
                    options.update(multiplier=True, state=MULTIPLIERS[name])
                    if MULTIPLIERS[name]:
                        # Dated so that its value of the period before is the stored state.
                        data["slack"] = data["rec"].shift(-1)
                elif method.startswith("ols"):
                    shock = spec["x_ols"]
                else:
                    shock = f"[{spec['x_iv']} ~ {spec['instrument']}]"
                controls = [*spec.get("contemporaneous_controls", []), *lags]
                h = block["horizons"]
                model = qb.QuasiBayesLP.from_formula(
                    f"{outcome} ~ {shock} | {' + '.join(controls)}", data,
                    horizon=range(h[0], h[-1] + 1), prior=qb.priors.Flat(), **options,
                )  # fmt: skip
                yield f"{name}/{response}/{method}", model, block


def compare(model, block):
    """Largest errors of one block."""
    augmented = "se_hc0" in block
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", qb.exceptions.QBEconometricsWarning)
        res = model.fit(draws=DRAWS, rng=0, cov_type="HC0" if augmented else None)
    own = res.paths.active[: len(block["beta"])]
    irf = res.irf.iloc[: len(block["beta"])]
    assert res.nobs == block["nobs"]
    assert [h for h, on in zip(block["horizons"], own, strict=True) if not on] == block.get(
        "degenerate_horizons", []
    )
    sd = np.array(block["se_hc0" if augmented else "se_nw_H"])
    critical = res.simultaneous_band().attrs["critical_values"][0]
    return {
        "estimate": np.max(np.abs(irf["mean"] / block["beta"] - 1.0)),
        "sd": np.max(np.abs(irf["sd"][own] / sd[own] - 1.0)),
        "critical value": abs(critical - block["supt90_crit"]),
    }


def main(folder):
    folder = Path(folder)
    full = json.loads((folder / "reference_lp.json").read_text(encoding="utf-8"))
    for label, model, block in models(full, folder):
        errors = compare(model, block)
        print(f"{label:45}", "  ".join(f"{key} {value:.1e}" for key, value in errors.items()))
        for key, value in errors.items():
            assert value < LARGEST[key], (label, key, value)


if __name__ == "__main__":
    main(*sys.argv[1:])
