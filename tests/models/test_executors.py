"""Chains with a Python moment function on executors: the bits of the serial run."""

import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

import qbeconometrics as qb
from qbeconometrics.exceptions import OptionError, QBEconometricsWarning


def serial_moments(params, endog, exog, instrument):
    """Not of a module that workers can import, since test files are not modules."""
    return instrument * (endog - np.exp(exog @ params))[:, None]


@pytest.fixture(scope="module")
def build():
    frame = qb.datasets.load("docvisits").assign(const=1.0).iloc[:600]
    exog, instrument = frame[["private", "chronic", "const"]], frame[["private", "age", "chronic"]]

    def model(function):
        return qb.QuasiBayesGMM(
            frame["docvis"],
            exog,
            instrument.assign(const=1.0),
            momcond=function,
            prior=qb.priors.Normal(0, 5),
        )

    return model


def fit(model, executor=None, sampler="auto", **options):
    with warnings.catch_warnings():
        # Few draws never satisfy the checks of convergence.
        warnings.simplefilter("ignore", QBEconometricsWarning)
        return model.fit(
            sampler, draws=40, tune=40, chains=3, rng=1, executor=executor, progressbar=False
        )


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.mark.parametrize("sampler", ["auto", "da", "hmc"])
def test_processes_give_the_bits_of_the_serial_run(build, processes, sampler):
    function = qb.moment_functions.iv_poisson_additive
    model = build(function)
    serial = fit(model, sampler=sampler)
    found = fit(model, processes, sampler=sampler)
    assert found.record.sampler == serial.record.sampler
    assert np.array_equal(found.draws, serial.draws)
    assert np.array_equal(found.record.log_density, serial.record.log_density)
    # The executor is the user's, and stays open.
    assert processes.submit(len, [1]).result() == 1


def test_threads_and_dask_give_them_too(build):
    from distributed import Client, LocalCluster

    model = build(serial_moments)
    serial = fit(model)
    with ThreadPoolExecutor(2) as pool:
        assert np.array_equal(fit(model, pool).draws, serial.draws)
    with (
        LocalCluster(n_workers=1, dashboard_address=":0", silence_logs=50) as workers,
        Client(workers) as client,
        client.get_executor() as pool,
    ):
        model = build(qb.moment_functions.iv_poisson_additive)
        assert np.array_equal(fit(model, pool).draws, fit(model).draws)


def test_a_function_that_cannot_be_sent_is_named(build, processes):
    model = build(lambda params, *data: serial_moments(params, *data))
    with pytest.raises(OptionError, match="Define momcond at the top of a module"):
        fit(model, processes)


def test_what_is_no_executor_is_refused(build):
    with pytest.raises(OptionError, match=r"concurrent\.futures\.Executor"):
        fit(build(serial_moments), 4)
