"""Results in files: the round trip, what is refused, and what needs the data."""

import io
import json
import os
import subprocess
import sys
import warnings
import zipfile
from dataclasses import fields, is_dataclass

import numpy as np
import pandas as pd
import pytest

import qbeconometrics as qb
from qbeconometrics.exceptions import DataNeededError, StorageError
from qbeconometrics.results import IVResults, array_file, iv_results, storage
from qbeconometrics.results.array_file import read_arrays, write_arrays


def settlers():
    return qb.datasets.load("ajr2001").query("baseco == 1")


def iv():
    model = qb.QuasiBayesIV.from_formula("logpgp95 ~ lat_abst + [avexpr ~ logem4]", settlers())
    return model.fit("rwm", draws=300, rng=0)


def exact_iv():
    model = qb.QuasiBayesIV.from_formula("logpgp95 ~ [avexpr ~ logem4]", settlers())
    return model.fit(quasi_likelihood="two-step", draws=100, rng=0)


def clustered_iv():
    data = qb.datasets.load("griliches1976")
    model = qb.QuasiBayesIV.from_formula("lw ~ expr + [iq ~ med + kww]", data)
    options = {"cov_type": "cluster", "cov_kwds": {"groups": "year"}}
    return model.fit("rwm", quasi_likelihood="two-step", draws=300, rng=0, **options)


def linear_gmm():
    data = qb.datasets.load("hsng1980")
    formula = "rent ~ hsngval + pcturban | pcturban + faminc + reg2 + reg3 + reg4"
    return qb.QuasiBayesGMM.from_formula(formula, data).fit("rwm", draws=300, rng=0)


def mean_and_variance(params, endog, exog, instrument):
    mean, variance = params
    error = endog - mean
    return np.column_stack([error, error**2 - variance, error**3])


def gmm():
    y = np.random.default_rng(0).normal(1.0, 2.0, size=200)
    prior = qb.priors.Uniform([-10, 0], [10, 50])
    model = qb.QuasiBayesGMM(
        y, momcond=mean_and_variance, param_names=["mean", "variance"], prior=prior
    )
    return model.fit("rwm", draws=300, rng=0)


def quantile_regression():
    loss = qb.losses.Quantile(0.3)
    model = qb.QuasiBayesM.from_formula("logpgp95 ~ avexpr", settlers(), loss=loss)
    return model.fit("rwm", draws=300, rng=0)


def projections():
    rng = np.random.default_rng(0)
    shock, noise = rng.normal(size=(2, 200))
    policy = shock + rng.normal(size=200)
    y = policy + 0.5 * np.append(0.0, policy[:-1]) + noise
    prior = qb.priors.Smoothness()
    model = qb.QuasiBayesLP(y, policy, instrument=shock, horizon=4, prior=prior)
    return model.fit(draws=300, rng=0)


CASES = (
    iv, exact_iv, clustered_iv, linear_gmm, gmm, quantile_regression, projections,
)  # fmt: skip


@pytest.fixture(scope="module")
def fits():
    with warnings.catch_warnings():
        # Chains this short are not converged.
        warnings.simplefilter("ignore")
        return {case.__name__: case() for case in CASES}


def assert_same(left, right, place=""):
    """Everything equal, arrays bit by bit."""
    assert type(left) is type(right) or (isinstance(left, float) and isinstance(right, float)), (
        place
    )
    if isinstance(left, np.ndarray):
        assert left.dtype == right.dtype, place
        assert left.shape == right.shape, place
        assert left.tobytes() == right.tobytes(), place
    elif isinstance(left, pd.DataFrame):
        pd.testing.assert_frame_equal(left, right, check_exact=True)
    elif is_dataclass(left) and not isinstance(left, type):
        for field in fields(left):
            name = field.name
            assert_same(getattr(left, name), getattr(right, name), f"{place}.{name}")
    elif isinstance(left, dict):
        assert list(left) == list(right), place
        for key in left:
            assert_same(left[key], right[key], f"{place}[{key!r}]")
    elif isinstance(left, list | tuple):
        assert len(left) == len(right), place
        for j, (one, other) in enumerate(zip(left, right, strict=True)):
            assert_same(one, other, f"{place}[{j}]")
    else:
        assert left == right or (left != left and right != right), place


@pytest.mark.parametrize("name", [case.__name__ for case in CASES])
def test_round_trip(fits, name, tmp_path):
    results, path = fits[name], tmp_path / "fit.npz"
    results.save(path)
    loaded = qb.load(path)
    assert type(loaded) is type(results)
    assert_same(results._stored_parts(), loaded._stored_parts())
    assert not loaded.draws.flags.writeable
    assert loaded.summary().as_text() == results.summary().as_text()
    assert loaded.summary().as_latex() == results.to_latex(
        **({"alpha": 0.1} if name == "projections" else {})
    )
    pd.testing.assert_frame_equal(loaded.conf_int(), results.conf_int(), check_exact=True)
    # The same results make the same file.
    again = tmp_path / "again.npz"
    loaded.save(again)
    assert again.read_bytes() == path.read_bytes()


def test_a_fresh_process_prints_the_same_summary_without_the_data(fits, tmp_path):
    paths = {name: tmp_path / f"{name}.npz" for name in fits}
    for name, results in fits.items():
        results.save(paths[name])
    script = (
        "import sys, json, qbeconometrics as qb\n"
        "qb.datasets.load = None\n"
        "print(json.dumps([str(qb.load(path).summary()) for path in sys.argv[1:]]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, *map(str, paths.values())],
        capture_output=True, text=True, check=True, timeout=120, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    printed = json.loads(run.stdout)
    assert printed == [str(results.summary()) for results in fits.values()]


def test_tables_of_loaded_results(fits, tmp_path):
    for name, results in fits.items():
        results.save(tmp_path / name)
    loaded = {name: qb.load(tmp_path / name) for name in fits}
    pd.testing.assert_frame_equal(loaded["iv"].first_stage(), fits["iv"].first_stage())
    assert loaded["clustered_iv"].j_stat() == fits["clustered_iv"].j_stat()
    assert loaded["gmm"].j_stat() == fits["gmm"].j_stat()
    pd.testing.assert_frame_equal(loaded["projections"].irf, fits["projections"].irf)
    pd.testing.assert_frame_equal(
        loaded["projections"].first_stage(), fits["projections"].first_stage()
    )
    rows = np.array([[1.0, 6.5], [1.0, 7.5]])
    for name in ("exact_iv", "quantile_regression"):
        expected = fits[name].predict(rows, transform=False)
        np.testing.assert_array_equal(loaded[name].predict(rows, transform=False), expected)


def test_what_needs_rows_says_so(fits, tmp_path):
    loaded = {}
    for name in ("iv", "gmm", "projections"):
        fits[name].save(tmp_path / name)
        loaded[name] = qb.load(tmp_path / name)
    with pytest.raises(DataNeededError, match="transform=False"):
        loaded["iv"].predict(settlers())
    with pytest.raises(DataNeededError, match="needs the QuasiBayesGMM that was fitted"):
        loaded["gmm"].j_stat("cue")
    with pytest.raises(DataNeededError, match="robust_set needs"):
        loaded["projections"].robust_set("y[1]")
    assert not hasattr(loaded["iv"].model, "design")


@pytest.fixture
def saved(record_factory, model_factory, tmp_path):
    record = record_factory(draws=40)
    path = tmp_path / "fit.npz"
    IVResults(model_factory(record.param_names), record).save(path)
    return path


def test_truncated_files_are_refused(saved):
    whole = saved.read_bytes()
    for length in [*range(0, 64), *range(64, len(whole), 997), len(whole) - 1]:
        saved.write_bytes(whole[:length])
        with pytest.raises(StorageError, match=r"fit\.npz"):
            qb.load(saved)


def test_changed_bytes_are_refused_or_without_effect(saved):
    whole = saved.read_bytes()
    expected = qb.load(saved)._stored_parts()
    places = [*range(0, 200), *range(200, len(whole), 211), *range(len(whole) - 400, len(whole))]
    refused = 0
    for place in places:
        changed = bytearray(whole)
        changed[place] ^= 0x41
        saved.write_bytes(changed)
        try:
            found = qb.load(saved)
        except StorageError:
            refused += 1
            continue
        # Some bytes of a zip file, such as dates, say nothing.
        assert_same(found._stored_parts(), expected)
    assert refused > 0.7 * len(places)


def test_added_bytes_are_refused(saved):
    whole = saved.read_bytes()
    saved.write_bytes(b"#!/bin/sh\n" + whole)
    with pytest.raises(StorageError, match="belong to no entry"):
        qb.load(saved)
    saved.write_bytes(whole)
    with zipfile.ZipFile(saved, "a") as archive:
        archive.writestr("more.npy", b"x")
    with pytest.raises(StorageError, match=r"not those of its header: more\.npy"):
        qb.load(saved)


def rewritten(path, change):
    """Write the file again with a changed content and right digests."""
    content, arrays = read_arrays(path)
    change(content, arrays)
    write_arrays(path, content, arrays)


def set_field(name, value):
    def change(content, arrays):
        content["parts"]["dict"]["record"]["fields"][name] = value

    return change


def set_content(name, value):
    def change(content, arrays):
        content[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_content("version", 2), "version 2, saved by qbeconometrics .* Upgrade"),
        (set_content("version", "1"), "version '1'"),
        (set_content("results", "os.system"), "no results class"),
        (set_content("parts", 3), "does not hold what results need"),
        (set_content("model", {}), "class_name is missing"),
        (set_field("nobs", "many"), "nobs is of the wrong type, str"),
        (set_field("nobs", True), "nobs is of the wrong type, bool"),
        (set_field("colour", 1), "no field 'colour'"),
        (set_field("mode", {"tuple": []}), "mode is of the wrong type, tuple"),
        (set_field("mode", {"array": "elsewhere"}), "elsewhere"),
        (set_field("param_names", {"tuple": ["x"]}), r"draws have the shape \(4, 40, 4\)"),
        (set_field("draws", {"record": "Popen", "fields": {}}), "'Popen' is no record"),
        (set_field("prior", {"warning": "Exception"}), "no warning of this package"),
        (set_field("tune", {"float": "1"}), "'1' is no number"),
        (set_field("tune", {"code": "1"}), "not understood"),
    ],
)
def test_wrong_content_is_refused(saved, change, message):
    rewritten(saved, change)
    with pytest.raises(StorageError, match=message):
        qb.load(saved)


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged, or no file of ours"),
        (b"lwage,educ\n6.3,12\n", "damaged, or no file of ours"),
        (npz(draws=np.zeros(3)), "not one of this package"),
        (npz(header=np.array([{"a": 1}], dtype=object), digest=np.zeros(3)), "stored"),
        (npz(header=np.zeros(3), digest=np.zeros(3)), "header was changed"),
    ],
    ids=["empty", "text", "other npz", "pickle", "other header"],
)
def test_foreign_files_are_refused(tmp_path, content, message):
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=message):
        qb.load(path)


def test_missing_file_is_pythons_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        qb.load(tmp_path / "none.npz")


def forged(path, shape, data=b"", dtype="<f8"):
    """A file of ours with an array whose header claims `shape`."""
    text = {"descr": dtype, "fortran_order": False, "shape": shape}
    claimed = io.BytesIO()
    np.lib.format.write_array_header_1_0(claimed, text)
    write_arrays(path, {}, {})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("draws.npy", claimed.getvalue() + data)
    # Listed in the header, so that the shape is what is wrong.
    header = {"format": array_file.FORMAT, "content": {}, "arrays": {"draws": {}}}
    header = json.dumps(header).encode()
    with zipfile.ZipFile(path) as archive:
        claims = archive.read("draws.npy")
    with zipfile.ZipFile(path, "w") as archive:
        array_file._put(archive, "header.npy", np.frombuffer(header, dtype=np.uint8))
        array_file._put(archive, "digest.npy", array_file._digest(header))
        archive.writestr("draws.npy", claims)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2**40,), "does not fit its size"),
        ((2**62, 2**62), "does not fit its size"),
        ((3,), "does not fit its size"),
        ((-1,), "not stored"),
        ((1,) * 9, "not stored"),
    ],
)
def test_shapes_are_checked_before_memory_is_asked_for(tmp_path, monkeypatch, shape, message):
    path = tmp_path / "forged.npz"
    forged(path, shape, data=b"\0" * 16)
    allocated = []
    empty = np.empty
    monkeypatch.setattr(np, "empty", lambda *a, **k: allocated.append(a[0]) or empty(*a, **k))
    with pytest.raises(StorageError, match=message):
        qb.load(path)
    assert shape not in allocated


def test_large_and_compressed_files_are_refused_unread(saved, tmp_path):
    with pytest.raises(StorageError, match=r"more than most_bytes=1000. Raise the limit"):
        qb.load(saved, most_bytes=1000)
    packed = tmp_path / "packed.npz"
    with zipfile.ZipFile(saved) as archive, zipfile.ZipFile(packed, "w", 8) as other:
        for name in archive.namelist():
            other.writestr(name, archive.read(name))
    with pytest.raises(StorageError, match="compressed or encrypted"):
        qb.load(packed)


def test_a_write_that_fails_leaves_the_old_file(saved, monkeypatch, record_factory, model_factory):
    before = saved.read_bytes()
    record = record_factory(draws=20)
    results = IVResults(model_factory(record.param_names), record)

    def fail(*args):
        raise OSError("no space left")

    monkeypatch.setattr(array_file, "_put", fail)
    with pytest.raises(OSError, match="no space"):
        results.save(saved)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


def test_what_cannot_be_stored_is_named(record_factory, model_factory, tmp_path):
    record = record_factory(draws=20, sampler_settings={"kernel": print})
    results = IVResults(model_factory(record.param_names), record)
    with pytest.raises(StorageError, match="sampler_settings/kernel is of the type builtin"):
        results.save(tmp_path / "fit.npz")
    assert os.listdir(tmp_path) == []


def test_large_sums_are_left_out(fits, tmp_path, monkeypatch):
    assert fits["linear_gmm"].record.moments.fourth is not None
    monkeypatch.setattr(iv_results, "MOST_STORED_BYTES", 0)
    fits["linear_gmm"].save(tmp_path / "fit.npz")
    loaded = qb.load(tmp_path / "fit.npz")
    assert loaded.record.moments.fourth is None
    assert str(loaded.summary()) == str(fits["linear_gmm"].summary())
    assert loaded.j_stat() == fits["linear_gmm"].j_stat()
    with pytest.raises(DataNeededError, match="j_stat needs the QuasiBayesLinearGMM"):
        loaded.j_stat("cue")


def test_a_subclass_is_loaded_as_its_base(record_factory, model_factory, tmp_path):
    class Mine(IVResults):
        pass

    record = record_factory(draws=20)
    Mine(model_factory(record.param_names), record).save(tmp_path / "mine.npz")
    assert type(qb.load(tmp_path / "mine.npz")) is IVResults


def test_nothing_on_the_way_in_can_run_code():
    for module in (storage, array_file):
        with open(module.__file__, encoding="utf-8") as file:
            source = file.read()
        assert "import pickle" not in source
        assert "allow_pickle=True" not in source
        assert "eval(" not in source


def test_frame_of_draws(fits):
    frame = fits["iv"].to_frame()
    assert frame.index.names == ["chain", "draw"]
    assert frame.shape == (4 * 300, 3)
    np.testing.assert_array_equal(frame.loc[2, "avexpr"], fits["iv"].draws[2, :, 2])
