"""Keep of the full reference_lp.json (see make_reference_lp.py) what the tests compare with.

Usage: ``python trim_reference_lp.py full.json reference_lp.json``.
"""

import json
import sys

# Data that the package has: every block of these responses.
EMBEDDED = {"gk2015_monetary": ("logip", "gs1")}
# Data that it has not: estimate, joint covariance and what follows from the two.
PRIMARY = {
    "ramey2016_romer": "lip100",
    "jorda2005_interest_rules": "gdp_gap",
    "rz2018_reduced_form": "y",
    "rz2018_multiplier_linear": "multiplier",
}
BANDS = ("band68", "band90", "supt90")
LAWS = ("horizons", "beta", "joint_cov_matrix", "supt90_crit", "qb_fixed_weight")


def main(source: str, destination: str) -> None:
    with open(source, encoding="utf-8") as file:
        full = json.load(file)
    specs = {}
    for name, responses in EMBEDDED.items():
        specs[name] = {"spec": full["specs"][name]["spec"]}
        for response in responses:
            specs[name][response] = {
                method: {key: value for key, value in block.items() if key not in BANDS}
                for method, block in full["specs"][name][response].items()
            }
    for name, response in PRIMARY.items():
        specs[name] = {
            response: {
                method: {key: block[key] for key in LAWS if key in block}
                for method, block in full["specs"][name][response].items()
            }
        }
    kept = {**{key: full[key] for key in ("conventions", "verification")}, "specs": specs}
    with open(destination, "w", encoding="utf-8") as file:
        json.dump(kept, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
