"""Dask DataFrames on worker processes of their own, one of which is killed in the middle."""

import os
import signal

import numpy as np
import pytest

import qbeconometrics as qb
from qbeconometrics.exceptions import FormulaError, OptionError

FORMULA = "lwage ~ exper + C(place) + [educ ~ nearc4 + nearc2]"


@pytest.fixture(scope="module")
def data():
    frame = qb.datasets.load("card1995")
    frame["place"] = np.where(frame.south == 1, "south", np.where(frame.smsa == 1, "city", "rest"))
    return frame.sort_values("place", kind="stable").reset_index(drop=True)


@pytest.fixture(scope="module")
def frame(data):
    from dask import dataframe

    # The last partition is empty.
    whole = dataframe.from_pandas(data, npartitions=9)
    return dataframe.concat([whole, whole.partitions[0].query("educ > 99")])


@pytest.fixture(scope="module")
def cluster():
    from distributed import Client, LocalCluster

    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True}
    with LocalCluster(dashboard_address=":0", silence_logs=50, **options) as workers:
        yield workers
    del Client


@pytest.fixture
def client(cluster):
    from distributed import Client

    with Client(cluster) as connected:
        yield connected


def arrays(model):
    return model.quasi_posterior().target.arrays


def assert_same_bits(first, second):
    assert all(np.array_equal(first[key], second[key]) for key in first)


@pytest.fixture(scope="module")
def local(frame):
    """On threads of this process."""
    return arrays(qb.QuasiBayesIV.from_formula(FORMULA, frame))


def test_draws_are_those_of_the_whole_data(client, frame, data, local):
    model = qb.QuasiBayesIV.from_formula(FORMULA, frame)
    whole = qb.QuasiBayesIV.from_formula(FORMULA, data)
    options = {"draws": 300, "rng": 0, "cores": 1, "quasi_likelihood": "cue"}
    with pytest.warns(qb.exceptions.QBEconometricsWarning):
        found, expected = model.fit(**options), whole.fit(**options)
    distance = np.abs(found.draws - expected.draws) / expected.bse.to_numpy()
    assert distance.max() < 1e-9
    assert_same_bits(arrays(model), local)


def kill_once(part, flag):
    """Kill the worker that first comes here, with all that it holds."""
    if len(part) and part.index[0] > 1_500 and not os.path.exists(flag):
        with open(flag, "w", encoding="ascii"):
            pass
        os.kill(os.getpid(), signal.SIGKILL)
    return part


def test_a_killed_worker_changes_nothing(client, frame, data, local, tmp_path):
    flag = tmp_path / "killed"
    deadly = frame.map_partitions(kill_once, str(flag), meta=data.iloc[:0])
    stat = qb.LinearMoments(FORMULA).learn(data)
    stat.update_from(deadly, progressbar=False)
    assert flag.exists()
    assert_same_bits(arrays(qb.QuasiBayesIV.from_moments(stat)), local)


def test_clusters_and_series_of_a_dask_frame(frame, data):
    for rule in (("cluster", {"groups": "age"}), ("HAC", {"maxlags": 4})):
        found = qb.LinearMoments(FORMULA, *rule).update_from(frame)
        expected = qb.LinearMoments(FORMULA, *rule).learn(data).update(data)
        one, two = (arrays(qb.QuasiBayesIV.from_moments(stat)) for stat in (found, expected))
        assert all(np.allclose(one[key], two[key], rtol=1e-9, atol=1e-12) for key in one)


def test_a_dask_frame_adds_to_what_there_is(frame, data, tmp_path):
    stat = qb.LinearMoments(FORMULA).learn(data).update(data.iloc[:100])
    stat.update_from(frame, checkpoint=tmp_path / "stat.npz", progressbar=True)
    assert stat.nobs == len(data) + 100
    assert qb.LinearMoments.load(tmp_path / "stat.npz").nobs == stat.nobs


def test_errors_come_from_this_side(frame):
    with pytest.raises(FormulaError, match="column 'schooling' is not in data"):
        qb.QuasiBayesIV.from_formula("lwage ~ schooling", frame)
    with pytest.raises(OptionError, match=r"center\(exper\).*has learnt"):
        qb.QuasiBayesIV.from_formula("lwage ~ center(exper)", frame)
    with pytest.raises(OptionError, match="named in cov_kwds"):
        qb.LinearMoments(FORMULA, "cluster", {"groups": "age"}).update_from(frame, groups=[1])
