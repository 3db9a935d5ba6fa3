"""Ctrl-C: a real SIGINT to a fresh interpreter, while the main thread is inside `fit`."""

import json
import subprocess
import sys
import textwrap

import pytest

# From the signal until sampling stops: a block of 0.05 s, and room for a busy machine.
SECONDS_TO_STOP = 5.0

CHILD = """
import json, os, signal, sys, threading, time, warnings
# A shell starts background jobs with the signal ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
import numpy as np
import qbeconometrics as qb
from qbeconometrics.exceptions import InterruptedWarning
from qbeconometrics.sampling import adaptation, choose, run

sent, stopped = [], []
original = run.run_chains

def send():
    sent.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)

def run_chains(target, settings, states, n_draws, **keywords):
    if n_draws >= 10**6 and not sent:
        timer = threading.Timer(0.1, send)
        timer.start()
        result = original(target, settings, states, n_draws, **keywords)
        stopped.append(time.perf_counter())
        timer.join()
        return result
    return original(target, settings, states, n_draws, **keywords)

for module in (adaptation, choose, run):
    module.run_chains = run_chains

rng = np.random.default_rng(0)
x = np.column_stack([np.ones(200), rng.standard_normal((200, 3))])
y = x.sum(axis=1) + rng.standard_normal(200) * (1 + np.abs(x[:, 1]))
model = qb.QuasiBayesIV(y, x)
report = {}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    try:
        res = model.fit(OPTIONS, draws=10**7)
    except KeyboardInterrupt:
        report["raised"] = "KeyboardInterrupt"
    else:
        head = model.fit(OPTIONS, draws=50).draws
        report["shape"] = res.draws.shape
        report["finite"] = bool(np.isfinite(res.draws).all())
        report["interrupted"] = res.record.interrupted
        report["moves"] = float(np.ptp(res.draws[:, -100:], axis=1).min())
        report["same_head"] = bool(np.array_equal(res.draws[:, :50], head))
        report["noted"] = "interrupted" in res.summary().as_text().lower()
report["warnings"] = [w.category.__name__ for w in caught]
report["where"] = [w.filename for w in caught if w.category is InterruptedWarning]
report["seconds"] = stopped[0] - sent[0]
ours = [t for t in threading.enumerate() if t.name not in ("MainThread", "tqdm_monitor")]
report["threads"] = [t.name for t in ours]
print(json.dumps(report))
"""


def interrupted_fit(options):
    code = textwrap.dedent(CHILD).replace("OPTIONS", options)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


MODIFIED = "'da-exact', sampler_kwds={'df': 5, 'rho': 0}, chains=2, rng=3"


@pytest.mark.parametrize("cores", [1, 2])
def test_during_sampling_complete_draws_are_kept(cores):
    report = interrupted_fit(f"{MODIFIED}, tune=100, cores={cores}, progressbar=False")
    chains, draws, k = report["shape"]
    assert (chains, k) == (2, 4)
    assert 100 < draws < 10**7
    assert report["finite"]
    assert report["same_head"]
    assert report["moves"] > 0
    assert report["interrupted"]
    assert report["noted"]
    assert report["warnings"].count("InterruptedWarning") == 1
    assert report["where"] == ["<string>"]
    assert report["seconds"] < SECONDS_TO_STOP
    assert report["threads"] == []


@pytest.mark.parametrize("options", ["'rwm', chains=2, rng=3", MODIFIED], ids=["rwm", "da-exact"])
def test_during_warm_up_nothing_is_kept(options):
    report = interrupted_fit(f"{options}, tune=4 * 10**6, cores=2")
    assert report["raised"] == "KeyboardInterrupt"
    assert report["warnings"] == []
    assert report["seconds"] < SECONDS_TO_STOP
    assert report["threads"] == []
