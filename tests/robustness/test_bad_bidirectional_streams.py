"""Streams of two outcomes: rows, sources and files that do not fit are refused, named."""

import numpy as np
import pandas as pd
import pytest

import qbeconometrics as qb
from qbeconometrics.exceptions import InterruptedWarning

N = 1_200
FORMULA = "y1 + y2 ~ x1 + x2"
X = ["x1", "x2"]


def estimator(**changes):
    return qb.OnlineBidirectional(**{"n_features": 8, "rng": 0, **changes})


def of_formula(formula=FORMULA, data=None, **changes):
    return qb.OnlineBidirectional.from_formula(formula, data, n_features=8, rng=0, **changes)


def columns(data):
    return data["y1"], data["y2"], data[X]


@pytest.fixture(scope="module")
def simulated():
    data = qb.simulate.bidirectional(N)
    # Multiples of 1/64, which float32 holds.
    return (data * 64).round() / 64


@pytest.fixture
def data(simulated):
    return simulated.copy()


@pytest.fixture
def streamed(data):
    return estimator().partial_fit(*columns(data))


class TestStreams:
    def test_rows_that_cannot_follow(self, streamed, data, refused):
        bad = {
            "x has the columns x2, x1 in this block but x1, x2 before": (
                data["y1"], data["y2"], data[X[::-1]],
            ),
            "x has 1 columns in this block but 2 before": (*columns(data)[:2], data["x1"]),
            "y1 is 'y2' in this block but 'y1' before": (data["y2"], data["y1"], data[X]),
            "y1 is missing": (data["y1"] * np.nan, data["y2"], data[X]),
        }  # fmt: skip
        before = streamed.result().params
        for words, rows in bad.items():
            with refused("InputError", words):
                streamed.partial_fit(*rows)
        assert streamed.n_rows_ == N
        pd.testing.assert_series_equal(streamed.result().params, before)

    def test_first_rows_that_cannot_fix_units_are_forgotten(self, data, refused):
        late = data.assign(x2=np.where(data.index < 1_100, 1.0, data["x2"]), x3=data["x1"] ** 2)
        model = estimator()
        model.partial_fit(late["y1"][:900], late["y2"][:900], late[["x1", "x2", "x3"]][:900])
        with refused("InputError", "x2 does not vary over the first 1,000 rows.*shuffle"):
            model.partial_fit(late["y1"][900:], late["y2"][900:], late[["x1", "x2", "x3"]][900:])
        assert model.n_rows_ == 0
        found = model.partial_fit(*columns(data)).result()
        expected = estimator().partial_fit(*columns(data)).result()
        np.testing.assert_array_equal(found.params, expected.params)
        assert model.n_features_in_ == 2

    def test_too_early(self, data, refused, tmp_path):
        model = estimator()
        for method, argument in (("result", []), ("save", [tmp_path / "a"])):
            with refused("InputError", "no row has come"):
                getattr(model, method)(*argument)
        with refused("InputError", "no row has come"):
            model.second_pass(columns(data))
        model.partial_fit(*columns(data[:999]))
        with refused("InputError", "999 rows have come.*at least 1,000"):
            model.result()

    def test_arguments_stay_as_they_were(self, streamed, data, refused, tmp_path):
        with refused("OptionError", "a stream has begun"):
            streamed.set_params(n_features=4)
        streamed.optimiser = "adam"
        for action in (
            lambda: streamed.partial_fit(*columns(data)),
            streamed.result,
            lambda: streamed.save(tmp_path / "a"),
        ):
            with refused("OptionError", "changed after its stream had begun"):
                action()
        streamed.optimiser = "adagrad"
        assert streamed.partial_fit(*columns(data)).n_rows_ == 2 * N

    def test_heads_that_diverge(self, data, refused):
        model = estimator(learning_rate=1e300).partial_fit(*columns(data))
        with refused("NumericalError", "diverged.*smaller learning_rate"):
            model.result()

    def test_sources(self, data, refused):
        with refused("InputError", "tuples \\(y1, y2, x\\), not DataFrame.*from_formula"):
            estimator().partial_fit_from(data)
        with refused("InputError", "tuples \\(y1, y2, x\\), not tuple"):
            estimator().partial_fit_from([columns(data)[:2]])
        for source, words in ((3, "not int"), ("rows.xlsx", "neither a CSV nor a Parquet")):
            with refused("InputError", words):
                of_formula().partial_fit_from(source)
        with refused("InputError", f"the source has {N} rows, but 5000"):
            of_formula().partial_fit_from(data, skip=5_000)
        with refused("OptionError", "skip=-1"):
            of_formula().partial_fit_from(data, skip=-1)
        with refused("OptionError", "block_rows=0"):
            of_formula().partial_fit_from(data, block_rows=0)

    def test_second_passes(self, streamed, data, refused):
        with refused("InputError", "the second pass has 0 rows"):
            streamed.second_pass([])
        with refused("InputError", "the second pass has 12 rows; .*1,000"):
            streamed.second_pass([columns(data[:12])])
        with refused("InputError", "x has 1 columns"):
            streamed.second_pass([(data["y1"], data["y2"], data["x1"])])
        for method in (
            streamed.result,
            lambda cov_type: streamed.second_pass([], cov_type=cov_type),
        ):
            with refused("OptionError", "optimiser='sgd'"):
                method(cov_type="random-scaling")

    def test_levels_that_come_late(self, data, refused):
        data["group"] = np.where(data.index < 1_100, "a", "b")
        model = of_formula("y1 + y2 ~ x1 + C(group)")
        with refused("FormulaError", "'b' does not match.*Give data to from_formula"):
            model.partial_fit(data[1_050:].sort_index(ascending=True)[:50]).partial_fit(
                data[1_100:]
            )
        known = of_formula("y1 + y2 ~ x1 + C(group)", data)
        with refused("InputError", r"C\(group\)\[T.b\] does not vary over the first 1,000 rows"):
            known.partial_fit(data)
        mixed = data.sample(frac=1.0, random_state=np.random.default_rng(0))
        assert known.partial_fit(mixed).n_rows_ == N

    @pytest.mark.parametrize("as_dict", [False, True])
    def test_interruption(self, as_dict, data):
        def stopped():
            for start in range(0, N, 200):
                if start == 600:
                    raise KeyboardInterrupt
                block = data[start : start + 200]
                yield {name: block[name] for name in block} if as_dict else block

        model = of_formula()
        with pytest.warns(InterruptedWarning, match="after 600 rows.*skip=600"):
            model.partial_fit_from(stopped())
        assert model.n_rows_ == 600
        with pytest.warns(InterruptedWarning, match="after 600 rows.*skip=600"):
            of_formula(missing="drop").partial_fit_from(
                block.assign(x1=np.where(block.index % 7, block["x1"], np.nan))
                for block in map(pd.DataFrame, stopped())
            )
        model.partial_fit_from(data, skip=600)
        expected = of_formula().partial_fit(data)
        np.testing.assert_array_equal(model.result().params, expected.result().params)


class TestFiles:
    def test_files_that_cannot_be_loaded(self, streamed, data, tmp_path, refused):
        load = qb.OnlineBidirectional.load
        streamed.save(tmp_path / "good")
        whole = (tmp_path / "good").read_bytes()
        middle = len(whole) // 2
        flipped = bytes([whole[middle] ^ 255])
        for content in (
            b"", b"y1,y2\n1,2\n", whole[:middle], whole[:middle] + flipped + whole[middle + 1 :],
        ):  # fmt: skip
            (tmp_path / "bad").write_bytes(content)
            with refused("StorageError", "bad is damaged, or no file of ours"):
                load(tmp_path / "bad")
        np.savez(tmp_path / "other.npz", a=np.ones(3))
        with refused("StorageError", "not one of this package"):
            load(tmp_path / "other.npz")
        sums = qb.LinearMoments.from_arrays(data["y1"], data[X].assign(one=1.0))
        sums.save(tmp_path / "sums")
        with refused("StorageError", "sums"):
            load(tmp_path / "sums")
        chains = qb.QuasiBayesIV.from_formula("y1 ~ x1", data).fit(
            quasi_likelihood="two-step",
            sampler="independent",
            draws=500,
            chains=4,
            cores=1,
            rng=0,
            progressbar=False,
        )
        chains.save(tmp_path / "chains")
        with refused("StorageError", "not written by OnlineBidirectional.save; try qb.load"):
            load(tmp_path / "chains")
        with refused("StorageError", "good"):
            qb.load(tmp_path / "good")

    def test_what_is_learnt_from_data_is_not_saved(self, data, tmp_path, refused):
        model = of_formula("y1 + y2 ~ scale(x1) + x2", data).partial_fit(data)
        with refused("OptionError", r"'scale\(x1\)'.*has learnt from the data"):
            model.save(tmp_path / "a")
        assert not (tmp_path / "a").exists()
