"""Draws for xarray and ArviZ."""

import sys
import types
import warnings

import numpy as np
import pytest

from qbeconometrics.exceptions import MissingExtraError
from qbeconometrics.results import IVResults

with warnings.catch_warnings():
    # ArviZ 0.23 announces its own refactoring at import.
    warnings.simplefilter("ignore")
    import arviz


@pytest.fixture
def results(record_factory, model_factory):
    record = record_factory(draws=100, formula="lwage ~ exper")
    return IVResults(model_factory(record.param_names), record)


def test_datatree(results):
    tree = results.to_datatree()
    assert set(tree.children) == {"posterior", "sample_stats"}
    posterior = tree["posterior"].to_dataset()
    assert list(posterior.data_vars) == list(results.params.index)
    assert posterior["educ"].dims == ("chain", "draw")
    np.testing.assert_array_equal(posterior["educ"], results.draws[..., 3])
    np.testing.assert_array_equal(tree["sample_stats"]["lp"], results.record.log_density)
    for group in (tree, posterior):
        assert group.attrs["nobs"] == 3010
        assert group.attrs["formula"] == "lwage ~ exper"
        assert group.attrs["inference_library"] == "qbeconometrics"
    assert all(isinstance(value, str | int | float) for value in tree.attrs.values())


def test_odd_names_and_missing_log_density(record_factory, model_factory):
    names = ("I(x / z)", "I(x | z)", "chain", "draw")
    record = record_factory(names=names, draws=20, log_density=None)
    tree = IVResults(model_factory(names), record).to_datatree()
    assert set(tree.children) == {"posterior"}
    labels = [variable.attrs["label"] for variable in tree["posterior"].data_vars.values()]
    assert labels == list(names)


def test_arviz_reads_it(results):
    data = results.to_arviz()
    assert isinstance(data, arviz.InferenceData)
    rhat = arviz.rhat(data)
    for name in results.params.index:
        # The promised agreement; sums in another order.
        assert float(rhat[name]) == pytest.approx(results.rhat()[name], rel=1e-10)
    table = arviz.summary(data, hdi_prob=0.9, round_to="none")
    np.testing.assert_allclose(table["mean"], results.params, rtol=1e-10)
    np.testing.assert_allclose(table["ess_tail"], results.ess()["tail"], rtol=1e-10)
    interval = results.conf_int(0.1, method="hdi")
    np.testing.assert_allclose(table.filter(like="hdi"), interval, rtol=1e-10)


def test_a_netcdf_file_opens_in_the_installed_arviz(results, tmp_path):
    path = tmp_path / "fit.nc"
    results.to_datatree().to_netcdf(path, engine="h5netcdf")
    opened = arviz.from_netcdf(path)
    np.testing.assert_array_equal(opened["posterior"]["educ"], results.draws[..., 3])
    np.testing.assert_array_equal(opened["sample_stats"]["lp"], results.record.log_density)
    table = arviz.summary(opened, kind="diagnostics", round_to="none")
    np.testing.assert_allclose(table["r_hat"], results.rhat(), rtol=1e-10)


def test_newer_arviz_gets_the_datatree(results, monkeypatch):
    newer = types.ModuleType("arviz")
    newer.__version__ = "1.3.0"
    monkeypatch.setitem(sys.modules, "arviz", newer)
    assert type(results.to_arviz()).__name__ == "DataTree"


@pytest.mark.parametrize(
    ("missing", "method"),
    [("xarray", "to_datatree"), ("arviz", "to_arviz"), ("xarray", "to_arviz")],
)
def test_missing_extra_is_named(results, monkeypatch, missing, method):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtraError, match=rf"{method} needs {missing}.*\[arviz\]"):
        getattr(results, method)()


def test_old_xarray_is_named(results, monkeypatch):
    old = types.ModuleType("xarray")
    old.__version__ = "2024.1.0"
    monkeypatch.setitem(sys.modules, "xarray", old)
    with pytest.raises(MissingExtraError, match="or newer, but 2024"):
        results.to_datatree()
