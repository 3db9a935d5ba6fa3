# ruff: noqa
"""Regenerate reference_covariance.json: S of serially correlated and clustered moments.

Run:  OMP_NUM_THREADS=1 python make_reference_covariance.py
Needs: numpy, linearmodels, qbeconometrics (for the embedded data only).
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
from linearmodels.iv.gmm import KernelWeightMatrix, OneWayClusteredWeightMatrix
from linearmodels.shared.covariance import cluster_union, cov_cluster

from qbeconometrics import datasets

frame = datasets.load("consump_annual").dropna(subset=["gc", "gy", "r3", "gc_1", "gy_1", "r3_1"])
y = frame[["gc"]].to_numpy()
x = np.column_stack([np.ones(len(frame)), frame[["gy", "r3"]]])
z = np.column_stack([np.ones(len(frame)), frame[["gc_1", "gy_1", "r3_1"]]])
theta = np.array([[0.01], [0.4], [0.001]])
eps = y - x @ theta
years = frame["year"].to_numpy()
five, phase = years // 5, years % 6
projected = z @ np.linalg.lstsq(z, x, rcond=None)[0]
first_step = y - x @ np.linalg.lstsq(projected, y, rcond=None)[0]

out = {
    "data": "consump_annual, complete rows of gc ~ 1 + [gy + r3 ~ gc_1 + gy_1 + r3_1]",
    "theta": theta.ravel().tolist(),
    "groups": {"five": "year // 5", "phase": "year % 6"},
    "versions": {name: version(name) for name in ("linearmodels", "numpy")},
    "kernel": [],
    "cluster": [],
    "newey_west": [],
}
for center in (False, True):
    for kernel in ("bartlett", "parzen", "quadratic-spectral"):
        for bandwidth in (0, 1, 3, 10):
            S = KernelWeightMatrix(kernel, bandwidth, center).weight_matrix(x, z, eps.copy())
            out["kernel"].append(
                {"kernel": kernel, "maxlags": bandwidth, "centered": center, "S": S.tolist()}
            )
        weight = KernelWeightMatrix(kernel, center=center, optimal_bw=True)
        weight.weight_matrix(x, z, first_step.copy())
        out["newey_west"].append(
            {"kernel": kernel, "centered": center, "maxlags": int(weight.bandwidth)}
        )
    S = OneWayClusteredWeightMatrix(five, center).weight_matrix(x, z, eps.copy())
    out["cluster"].append({"groups": ["five"], "centered": center, "S": S.tolist()})
    scores = z * eps - (z * eps).mean(0) * center
    both = np.column_stack([five, phase])
    S = (
        cov_cluster(scores, five)
        + cov_cluster(scores, phase)
        - cov_cluster(scores, cluster_union(both))
    )
    out["cluster"].append({"groups": ["five", "phase"], "centered": center, "S": S.tolist()})
Path(__file__).with_name("reference_covariance.json").write_text(json.dumps(out, indent=1) + "\n")
