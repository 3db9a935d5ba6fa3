"""Pictures: what they show, what they leave alone, and how the main ones look.

Stored pictures are compared without any text, so that fonts do not matter. To store them anew, run
this file as a script.
"""

import sys
import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.testing.compare import compare_images
from scipy import stats

import qbeconometrics as qb
from qbeconometrics.exceptions import (
    DataNeededError,
    InputError,
    MissingExtraError,
    OptionError,
)
from qbeconometrics.plots.chains import autocorrelations
from qbeconometrics.plots.laws import kernel_density
from qbeconometrics.results import IVResults

STORED = Path(__file__).parent / "pictures"
# Root mean square over pixels, of 255: anti-aliasing differs between versions of matplotlib.
TOLERANCE = 6.0
INFINITE = float("inf")


def new_axes(rows=1, columns=1):
    """Axes of a figure that pyplot does not know."""
    figure = Figure(figsize=(4.0 * columns, 3.0 * rows), dpi=60)
    FigureCanvasAgg(figure)
    return figure.subplots(rows, columns)


def settlers():
    data = qb.datasets.load("ajr2001").query("baseco == 1")
    model = qb.QuasiBayesIV.from_formula("logpgp95 ~ lat_abst + [avexpr ~ logem4]", data)
    with warnings.catch_warnings():
        # Weak instruments.
        warnings.simplefilter("ignore")
        return model.fit("rwm", draws=2000, rng=0)


@pytest.fixture(scope="module")
def fit():
    return settlers()


@pytest.fixture
def synthetic(record_factory, model_factory):
    record = record_factory(draws=400)
    return IVResults(model_factory(record.param_names), record)


MAIN = {
    "trace": lambda res: res.plot_trace("avexpr", ax=new_axes()),
    "rank": lambda res: res.plot_rank("avexpr", ax=new_axes()),
    "autocorrelation": lambda res: res.plot_autocorrelation("avexpr", ax=new_axes()),
    "forest": lambda res: res.plot_forest(ax=new_axes()),
    "posterior": lambda res: res.plot_posterior(
        "avexpr", robust_set=[(0.6, 1.2), (1.8, INFINITE)], ax=new_axes()
    ),
    "pair": lambda res: res.plot_pair(["lat_abst", "avexpr"], ax=new_axes(2, 2))[0, 0],
    "profile": lambda res: res.plot_profile("avexpr", points=41, ax=new_axes()),
    "first_stage": lambda res: res.plot_first_stage(ax=new_axes()),
}


def save_without_text(axis, path):
    figure = axis.figure
    for item in figure.findobj(mpl.text.Text):
        item.set_visible(False)
    for item in figure.findobj(mpl.legend.Legend):
        item.set_visible(False)
    figure.savefig(path, metadata={"Software": None})


@pytest.mark.parametrize("name", MAIN)
def test_pictures_look_as_they_did(fit, name, tmp_path):
    path = tmp_path / f"{name}.png"
    with mpl.rc_context():
        mpl.rcdefaults()
        save_without_text(MAIN[name](fit), path)
    message = compare_images(str(STORED / f"{name}.png"), str(path), tol=TOLERANCE)
    assert message is None


def test_a_changed_picture_is_seen(fit, tmp_path):
    path = tmp_path / "posterior.png"
    with mpl.rc_context():
        mpl.rcdefaults()
        save_without_text(fit.plot_posterior("avexpr", normal=False, ax=new_axes()), path)
    message = compare_images(str(STORED / "posterior.png"), str(path), tol=TOLERANCE)
    assert "RMS" in message


@pytest.mark.parametrize("name", MAIN)
def test_nothing_else_changes(fit, name):
    before = dict(mpl.rcParams)
    pyplot = sys.modules.get("matplotlib.pyplot")
    figures = pyplot.get_fignums() if pyplot else []
    draws = fit.draws.copy()
    axis = MAIN[name](fit)
    assert axis.figure is not None
    assert dict(mpl.rcParams) == before
    assert (pyplot.get_fignums() if pyplot else []) == figures
    np.testing.assert_array_equal(fit.draws, draws)


@pytest.fixture
def pyplot():
    backend = mpl.get_backend()
    from matplotlib import pyplot

    pyplot.switch_backend("agg")
    yield pyplot
    pyplot.close("all")
    pyplot.switch_backend(backend)


def test_without_axes_a_figure_is_made(fit, pyplot):
    for draw in (fit.plot_trace, fit.plot_rank, fit.plot_autocorrelation, fit.plot_posterior):
        axes = draw()
        assert axes.shape == (3,)
        assert len({axis.figure for axis in axes}) == 1
        assert draw("avexpr").figure is not axes[0].figure
    assert fit.plot_pair().shape == (3, 3)
    for draw in (fit.plot_forest, fit.plot_first_stage, lambda: fit.plot_profile("avexpr")):
        assert draw().figure.number in pyplot.get_fignums()
        draw().figure.canvas.draw()


def test_axes_that_are_given_are_returned(fit):
    axes = new_axes(1, 2)
    returned = fit.plot_trace(["avexpr", "lat_abst"], ax=axes)
    assert list(returned) == list(axes)
    axis = new_axes()
    assert fit.plot_forest(ax=axis) is axis
    with pytest.raises(OptionError, match="ax holds 1 axes, but 3 are needed"):
        fit.plot_rank(ax=axis)
    with pytest.raises(OptionError, match="3 by 3 axes"):
        fit.plot_pair(ax=axes)


def lines_by_label(axis):
    return {line.get_label(): line for line in axis.get_lines()}


def test_posterior_shows_its_parts(fit):
    axis = fit.plot_posterior("avexpr", ax=new_axes())
    lines = lines_by_label(axis)
    grid, density = lines["posterior"].get_data()
    assert np.trapezoid(density, grid) == pytest.approx(1.0, abs=0.02)
    normal = stats.norm(fit.mode["avexpr"], np.sqrt(fit.record.mode_cov[2, 2]))
    np.testing.assert_allclose(lines["asymptotic normal"].get_ydata(), normal.pdf(grid))
    slope_sd = 1 / np.linalg.norm(fit.model.prior.root[2])
    prior = stats.norm(0.0, slope_sd)
    np.testing.assert_allclose(lines["prior"].get_ydata(), prior.pdf(grid), rtol=1e-10)
    plain = lines_by_label(fit.plot_posterior("avexpr", prior=False, normal=False, ax=new_axes()))
    assert {"prior", "asymptotic normal"}.isdisjoint(plain)


@pytest.mark.parametrize(
    ("prior", "distribution"),
    [
        (qb.priors.StudentT(df=4, loc=0.5, scale=2.0), stats.t(4, 0.5, 2.0)),
        (qb.priors.Normal(0.3, 0.7), stats.norm(0.3, 0.7)),
        (qb.priors.Flat(), None),
    ],
)
def test_priors_of_each_kind(prior, distribution):
    data = qb.datasets.load("hsng1980")
    model = qb.QuasiBayesIV.from_formula(
        "rent ~ pcturban + [hsngval ~ faminc + reg2]", data, prior={"hsngval": prior}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        res = model.fit("rwm", quasi_likelihood="two-step", draws=200, rng=0)
    lines = lines_by_label(res.plot_posterior("hsngval", ax=new_axes()))
    if distribution is None:
        assert "prior" not in lines
    else:
        grid, density = lines["prior"].get_data()
        np.testing.assert_allclose(density, distribution.pdf(grid), rtol=1e-8)


def test_a_uniform_prior_is_a_box():
    y = np.random.default_rng(0).normal(1.0, 2.0, size=100)

    def mean(params, endog, exog, instrument):
        return (endog - params[0])[:, None]

    model = qb.QuasiBayesGMM(
        y, momcond=mean, param_names=["mean"], prior=qb.priors.Uniform([0.9], [5.0])
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        res = model.fit("rwm", draws=500, rng=0)
    grid, density = lines_by_label(res.plot_posterior("mean", ax=new_axes()))["prior"].get_data()
    np.testing.assert_allclose(density, np.where((grid >= 0.9) & (grid <= 5.0), 1 / 4.1, 0.0))


@pytest.mark.parametrize(
    ("intervals", "labels"),
    [
        ([], {"Anderson-Rubin set: empty"}),
        ([(-INFINITE, INFINITE)], {"Anderson-Rubin set"}),
        ([(-INFINITE, 0.2), (0.7, INFINITE)], {"Anderson-Rubin set"}),
    ],
)
def test_robust_sets_of_any_form(fit, intervals, labels):
    axis = fit.plot_posterior("avexpr", robust_set=intervals, ax=new_axes())
    found = {text.get_text() for text in axis.get_legend().get_texts()}
    assert labels <= found
    axis.figure.canvas.draw()
    assert axis.get_ylim()[0] < 0.0


def test_profile_is_the_criterion_of_j(fit):
    table = fit.criterion_profile("avexpr", points=41)
    assert list(table.columns) == ["cue", "two-step"]
    # Just identified: zero at the estimate, and above it elsewhere.
    assert table.to_numpy().min() > -1e-8
    assert table.min().max() < 0.5
    data = qb.datasets.load("hsng1980")
    model = qb.QuasiBayesIV.from_formula(
        "rent ~ pcturban + [hsngval ~ faminc + reg2 + reg3 + reg4]", data
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        res = model.fit("rwm", draws=300, rng=0)
    table = res.criterion_profile("hsngval", points=401)
    for weight in ("cue", "two-step"):
        smallest = res.j_stat(weight).value
        assert table[weight].min() == pytest.approx(smallest, rel=1e-3)
        assert table[weight].min() > smallest * (1 - 1e-9)
    # The two-step profile is a parabola.
    np.testing.assert_allclose(np.diff(table["two-step"], 3), 0.0, atol=1e-6)


def test_first_stage_line_has_the_slope_of_least_squares(fit):
    axis = fit.plot_first_stage(ax=new_axes())
    x, y = lines_by_label(axis)["first stage"].get_data()
    design = fit.model.design
    first = np.linalg.lstsq(design.instrument, design.exog[:, 2], rcond=None)[0]
    place = design.instrument_names.index("logem4")
    assert (y[1] - y[0]) / (x[1] - x[0]) == pytest.approx(first[place])
    assert axis.get_xlabel() == "logem4, controls partialled out"


def test_loaded_results_draw_what_needs_no_rows(fit, tmp_path):
    fit.save(tmp_path / "fit.npz")
    loaded = qb.load(tmp_path / "fit.npz")
    for name in ("trace", "posterior", "profile"):
        save_without_text(MAIN[name](fit), tmp_path / "fit.png")
        save_without_text(MAIN[name](loaded), tmp_path / "loaded.png")
        assert (tmp_path / "fit.png").read_bytes() == (tmp_path / "loaded.png").read_bytes()
    with pytest.raises(DataNeededError, match="design needs the QuasiBayesIV"):
        loaded.plot_first_stage(ax=new_axes())


def test_autocorrelations_are_arvizs(synthetic):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import arviz
    draws = np.cumsum(synthetic.draws[..., 0], axis=1)
    expected = np.array([arviz.autocorr(chain)[:31] for chain in draws])
    np.testing.assert_allclose(autocorrelations(draws, 30), expected, atol=1e-10)


def test_density_of_constants_is_none():
    assert kernel_density(np.ones(10), np.linspace(0, 2, 5)) is None


def test_chains_that_stand_still_are_drawn(record_factory, model_factory):
    record = record_factory(draws=100, spread=(0.0, 1.0, 1.0, 1.0))
    res = IVResults(model_factory(record.param_names), record)
    for draw in (res.plot_trace, res.plot_rank, res.plot_autocorrelation, res.plot_posterior):
        draw("Intercept", ax=new_axes()).figure.canvas.draw()
    res.plot_pair(ax=new_axes(4, 4))[0, 0].figure.canvas.draw()


@pytest.mark.parametrize(
    ("draw", "error", "message"),
    [
        (lambda res: res.plot_trace("eduk"), InputError, "'eduk' is not a parameter.*'educ'"),
        (lambda res: res.plot_trace([]), OptionError, "names no parameter"),
        (lambda res: res.plot_autocorrelation(lags=0), OptionError, "lags=0"),
        (lambda res: res.plot_forest(alpha=1.5), OptionError, "alpha"),
        (lambda res: res.plot_forest(inner=0.0), OptionError, "inner"),
        (lambda res: res.plot_posterior(robust_set=[]), OptionError, "of one parameter"),
        (
            lambda res: res.plot_posterior("educ", robust_set=[(2, 1)], ax=new_axes()),
            OptionError,
            "upper end below",
        ),
        (
            lambda res: res.plot_posterior("educ", robust_set=[1], ax=new_axes()),
            OptionError,
            "list of",
        ),
        (lambda res: res.plot_profile("eduk"), InputError, "'eduk' is not a parameter"),
        (lambda res: res.plot_profile("educ", points=2), OptionError, "points=2"),
        (lambda res: res.plot_first_stage("exper"), InputError, "'exper' is not endogenous"),
    ],
)
def test_bad_arguments(synthetic, draw, error, message):
    with pytest.raises(error, match=message):
        draw(synthetic)


def test_many_pairs_are_refused(record_factory, model_factory):
    names = [f"x{j}" for j in range(9)]
    record = record_factory(names=names, centre=np.zeros(9), spread=np.ones(9), draws=50)
    with pytest.raises(OptionError, match="9 parameters are too many"):
        IVResults(model_factory(names), record).plot_pair()


def test_matplotlib_is_named_where_it_is_missing(synthetic, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingExtraError, match=r"qbeconometrics\[plots\]"):
        synthetic.plot_trace()


if __name__ == "__main__":
    results = settlers()
    for name, draw in MAIN.items():
        save_without_text(draw(results), STORED / f"{name}.png")
