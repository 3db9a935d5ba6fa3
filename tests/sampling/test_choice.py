"""Which sampler runs, and how it is tuned."""

from dataclasses import replace

import numpy as np
import pytest

import qbeconometrics as qb
from qbeconometrics.exceptions import NumericalWarning, OptionError
from qbeconometrics.moments.cost import ProblemSize
from qbeconometrics.priors import Flat, Normal, StudentT
from qbeconometrics.sampling import choose
from qbeconometrics.sampling.choose import Entry, Race
from qbeconometrics.sampling.run import sample
from qbeconometrics.sampling.samplers import SAMPLERS, Settings


@pytest.mark.parametrize("rng", range(4))
def test_weak_instruments_get_heavy_tails_not_a_random_walk(posterior, options, rng):
    drawn = sample(posterior, options(rng=rng, tune=1_000))
    assert drawn.sampler in ("da-exact", "da-approx")
    assert drawn.settings["df"] <= 5.0
    assert "chosen in warm-up among" in drawn.reason


def test_regression_gets_a_modified_sampler(regression, options):
    drawn = sample(qb.QuasiBayesIV(*regression).quasi_posterior(), options(tune=600))
    assert drawn.sampler in ("da-exact", "da-approx")
    assert np.mean(drawn.stats["acceptance_rate"]) > 0.5


@pytest.mark.parametrize("prior", [None, Flat(), Normal(0, 1)], ids=repr)
@pytest.mark.parametrize("sampler", ["auto", "independent"])
def test_fixed_weight_and_normal_prior_are_drawn_independently(regression, options, prior, sampler):
    model = qb.QuasiBayesIV(*regression, prior=prior)
    posterior = model.quasi_posterior(quasi_likelihood="two-step")
    drawn = sample(posterior, options(sampler=sampler, draws=20_000))
    assert drawn.exact
    assert drawn.sampler == "independent"
    pooled = drawn.draws.reshape(-1, 4)
    whitened = np.linalg.solve(drawn.surrogate.root, (pooled - drawn.surrogate.mean).T)
    # 80,000 independent draws: standard errors of 0.0035, 0.005 for variances.
    assert np.max(np.abs(whitened.mean(axis=1))) < 0.02
    assert np.max(np.abs(np.cov(whitened) - np.eye(4))) < 0.03


def test_fixed_weight_and_student_prior_get_a_chain(student_posterior, options):
    drawn = sample(student_posterior, options())
    assert not drawn.exact
    assert drawn.sampler in ("da-approx", "da", "rwm")


@pytest.mark.parametrize(
    ("kind", "prior"), [("cue", None), ("cue-nodet", None), ("two-step", StudentT(3))], ids=str
)
def test_independent_is_refused_elsewhere(regression, options, kind, prior):
    posterior = qb.QuasiBayesIV(*regression, prior=prior).quasi_posterior(quasi_likelihood=kind)
    with pytest.raises(OptionError, match="sampler='independent' needs"):
        sample(posterior, options(sampler="independent"))


def test_exact_is_refused_with_student_prior(student_posterior, options):
    with pytest.raises(OptionError, match=r"'da-exact' needs a normal.*'da-approx'"):
        sample(student_posterior, options(sampler="da-exact"))


@pytest.mark.parametrize("sampler", ["rwm", "da", "da-approx"])
def test_student_prior_runs_with_the_others(student_posterior, options, sampler):
    drawn = sample(student_posterior, options(sampler=sampler))
    assert drawn.sampler == sampler
    assert drawn.reason.startswith("asked for")


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_sampler_asked_for_is_used(posterior, options, sampler):
    drawn = sample(posterior, options(sampler=sampler))
    assert drawn.sampler == sampler
    assert drawn.draws.shape == (4, 200, 2)
    known = {"rwm": set(), "da": {"unscreened"}, "hmc": {"target_accept", "length"}}
    assert set(drawn.settings) == known.get(sampler, {"df", "rho"})


@pytest.mark.parametrize("every", [0, 7])
def test_unscreened_steps_asked_for_are_taken(posterior, options, every):
    drawn = sample(posterior, options(sampler="da", sampler_kwds={"unscreened": every}))
    usual = sample(posterior, options(sampler="da"))
    assert drawn.settings == {"unscreened": every}
    assert not np.array_equal(drawn.draws, usual.draws)


@pytest.mark.parametrize("every", [-1, 1.5, True, "auto"])
def test_unscreened_is_a_whole_number(options, every):
    with pytest.raises(OptionError, match="unscreened"):
        options(sampler="da", sampler_kwds={"unscreened": every})


@pytest.mark.parametrize(
    "keywords", [{"df": np.inf, "rho": 0}, {"df": 3, "rho": 0.25}, {"df": 3}, {"rho": 0.25}]
)
def test_tuning_asked_for_is_used(posterior, options, keywords):
    drawn = sample(posterior, options(sampler="da-exact", sampler_kwds=keywords))
    assert keywords.items() <= drawn.settings.items()
    assert ("tuned in warm-up" in drawn.reason) == (len(keywords) < 2)


BAD_KEYWORDS = {
    "df zero": ("da-exact", {"df": 0}, "'df'"),
    "df nan": ("da-exact", {"df": np.nan}, "'df'"),
    "df word": ("da-exact", {"df": "normal"}, "'df'"),
    "df bool": ("da-exact", {"df": True}, "'df'"),
    "rho one": ("da-approx", {"rho": 1.0}, "'rho'"),
    "rho negative": ("da-approx", {"rho": -0.1}, "'rho'"),
    "unknown": ("da-exact", {"nu": 3}, "'nu'"),
    "random walk": ("rwm", {"df": 3}, "does not apply to sampler='rwm'"),
    "auto": ("auto", {"df": 3}, "does not apply to sampler='auto'"),
    "target_accept one": ("hmc", {"target_accept": 1.0}, "'target_accept'"),
    "target_accept bool": ("hmc", {"target_accept": True}, "'target_accept'"),
    "length zero": ("hmc", {"length": 0.0}, "'length'"),
    "length inf": ("hmc", {"length": np.inf}, "'length'"),
    "df of hmc": ("hmc", {"df": 3}, "'df'"),
    "not a dict": ("da-exact", 3, "sampler_kwds must be a dict"),
}


@pytest.mark.parametrize(("sampler", "keywords", "words"), BAD_KEYWORDS.values(), ids=BAD_KEYWORDS)
def test_bad_tuning_is_refused(options, sampler, keywords, words):
    with pytest.raises(OptionError, match=words):
        options(sampler=sampler, sampler_kwds=keywords)


@pytest.mark.parametrize(
    ("prior", "fallback"), [(None, "da-exact"), (StudentT(4, scale=5), "da")], ids=["normal", "t"]
)
def test_nearly_singular_approx_falls_back(regression, options, prior, fallback):
    """Two rows share a dummy and have nearly the same residual: S is nearly singular."""
    y, x = (block.copy() for block in regression)
    dummy = np.zeros(len(y))
    dummy[-2:] = 1.0
    x[-1], y[-1] = x[-2], y[-2] + 1e-7
    model = qb.QuasiBayesIV(y, np.column_stack([x, dummy]), prior=prior)
    posterior = model.quasi_posterior(quasi_likelihood="cue-nodet")
    with pytest.warns(NumericalWarning, match=f"replaced by '{fallback}'"):
        drawn = sample(posterior, options(sampler="da-approx"))
    assert drawn.sampler == fallback
    # Whether the search for the mode converges as well depends on rounding at so singular an S.
    assert f"'da-approx' was replaced by '{fallback}'" in drawn.notes[-1]
    assert drawn.reason.startswith("fall-back")


class TestRace:
    @pytest.fixture
    def race(self, posterior, surrogate_of):
        surrogate = surrogate_of(posterior)
        size = ProblemSize(64, 2, 2, "statistic")
        seeds = np.random.SeedSequence(0).spawn(4)
        return Race(
            posterior.target, size, [surrogate.mean] * 4, seeds, surrogate.mean, surrogate, 100, 1
        )

    @pytest.fixture
    def race_of_function(self):
        y = np.random.default_rng(0).standard_normal(50)
        model = qb.QuasiBayesGMM(
            y, momcond=lambda p, y, x, z: (y - p[0])[:, None], k_params=1, prior=Normal(0, 1)
        )
        posterior = model.quasi_posterior()
        seeds = np.random.SeedSequence(0).spawn(4)
        mode = posterior.find_mode().point
        return Race(
            posterior.target, posterior.size, [mode] * 4, seeds, mode, posterior.at_mode, 100, 1
        )

    @staticmethod
    def entry(score, sampler="da-exact", df=np.inf, share=0.5):
        return Entry(Settings(sampler, df=df), share, 300 * share, 0.5, score)

    def test_the_best_score_wins(self, race):
        entries = [self.entry(1.0, df=2.0), self.entry(2.0, df=20.0), self.entry(1.2)]
        assert race.best(entries).settings.df == 20.0

    def test_heavier_tails_win_when_close(self, race):
        entries = [self.entry(1.6, df=2.0), self.entry(2.0, df=20.0), self.entry(1.9)]
        assert race.best(entries).settings.df == 2.0

    def test_scores_mean_less_when_all_pilots_are_poor(self, race):
        entries = [self.entry(0.8, df=2.0, share=0.02), self.entry(2.0, df=20.0, share=0.05)]
        assert race.best(entries).settings.df == 2.0

    def test_a_random_walk_can_win(self, race):
        entries = [self.entry(1.0), self.entry(5.0, sampler="rwm")]
        assert race.best(entries).settings.sampler == "rwm"

    def test_with_a_function_a_plain_random_walk_wins_when_close(self, race_of_function):
        race = race_of_function
        entries = [
            self.entry(2.0, df=5.0, share=0.05),
            self.entry(1.4, sampler="da", share=0.05),
            self.entry(1.0, sampler="rwm", share=0.05),
        ]
        assert race.best(entries).settings.sampler == "rwm"
        assert race.best(entries[:2]).settings.sampler == "da"
        assert race.best(entries[:1]).settings.df == 5.0
        entries = [self.entry(2.0, df=5.0), self.entry(1.0, sampler="rwm")]
        assert race.best(entries).settings.df == 5.0

    def test_with_a_fixed_weight_the_function_is_judged_as_linear_moments_are(
        self, race_of_function
    ):
        race_of_function._target.fixed_root = np.eye(1)
        entries = [self.entry(1.8, df=5.0), self.entry(2.0, sampler="rwm")]
        assert race_of_function.best(entries).settings.df == 5.0

    def test_all_stuck(self, race):
        entries = [self.entry(0.0, share=0.0), self.entry(0.0, df=2.0, share=0.0)]
        assert race.best(entries).settings.df == 2.0

    def test_a_candidate_scores_the_same_alone_and_after_others(self, race):
        settings = Settings("da-exact", df=5.0)
        first = race.run(settings)
        race.run(Settings("rwm"))
        assert race.run(settings) == first
        assert 0 < first.effective_share < 2
        assert 0 < first.acceptance <= 1


def test_the_clock_does_not_choose(posterior, options, monkeypatch):
    """A machine whose clock is mad chooses and draws the same."""
    expected = sample(posterior, options())
    ticks = iter(np.random.default_rng(0).uniform(0, 1e6, 10**6))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(ticks)))
    again = sample(posterior, options(cores=1))
    assert again.settings == expected.settings
    assert np.array_equal(again.draws, expected.draws)


def test_statistics_count_the_kept_draws(posterior, options):
    stats = sample(posterior, options(sampler="da", draws=150)).stats
    stage_1, stage_2 = stats["acceptance_stage_1"], stats["acceptance_stage_2"]
    assert stage_1.shape == (4,)
    assert np.allclose(stage_1 * stage_2, stats["acceptance_rate"])
    assert stats["evaluations"] == round(150 * stage_1.sum())
    assert 0 < stats["sampling_seconds"] <= stats["seconds"]
    assert 0 < stats["setup_seconds"] < stats["seconds"]


def test_interrupt_ends_the_race(posterior, options, monkeypatch):
    calls, original = [], choose.run_chains

    def run_chains(*args, **keywords):
        calls.append(1)
        return replace(original(*args, **keywords), interrupted=True)

    monkeypatch.setattr(choose, "run_chains", run_chains)
    with pytest.raises(KeyboardInterrupt):
        sample(posterior, options())
    assert len(calls) == 1
