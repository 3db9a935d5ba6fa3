"""The main job and a user's own file, as typed and as functions."""

import json
import os
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import pytest

from qbeconometrics import datasets
from qbeconometrics.__main__ import CARD_CONTROLS, CARD_INSTRUMENTS, DONE, PIPE_CLOSED, main
from qbeconometrics.command_line.comparison import two_stage_least_squares
from qbeconometrics.models.iv import QuasiBayesIV

WIDTH = 100
REFERENCE = Path(__file__).parent / "reference_values" / "reference_iv.json"
# Two ways of least squares in double precision on columns of unlike size.
RELATIVE_TOLERANCE = 1e-8
# Half a unit of the last printed digit, of three digits of a standard error of about 0.05.
PRINTED_TOLERANCE = 0.5001e-4
PROGRAM = [sys.executable, "-m", "qbeconometrics"]
TIMEOUT = 120
STRONG = "lwage ~ exper + expersq + [educ ~ motheduc + fatheduc]"


@pytest.fixture(scope="module")
def reference():
    return json.loads(REFERENCE.read_text(encoding="utf-8"))["linear"]


@pytest.fixture
def workers(tmp_path):
    """A file of 428 women with their wages."""
    frame = datasets.load("mroz1987").query("inlf == 1")
    path = tmp_path / "workers.csv"
    frame.to_csv(path, index=False)
    return str(path)


def run(*words, **options):
    return subprocess.run(
        [*PROGRAM, *words], capture_output=True, text=True, timeout=TIMEOUT, check=False, **options
    )


def run_on(stderr, *words):
    """Exit status of a run whose standard error is a file descriptor."""
    options = {"stdout": subprocess.DEVNULL, "stderr": stderr, "timeout": TIMEOUT}
    return subprocess.run([*PROGRAM, *words], check=False, **options).returncode


def table_rows(text, heading):
    """Numbers of the comparison below a heading, by the name of the line."""
    block = text.split(heading, 1)[1].split("OLS and 2SLS:", 1)[0]
    rows = {}
    for line in block.splitlines():
        for name in ("OLS", "2SLS", "Quasi-Bayes"):
            if line.startswith(name):
                words = line.split()
                numbers = [word for word in words if word[0] in "-0123456789" and "S" not in word]
                label = line[: line.index(numbers[0])].strip()
                rows[label] = [float(number) for number in numbers]
    return rows


def assert_refused(arguments, *parts, capsys):
    """The command line ends with status 2, one line of error and no traceback."""
    try:
        status = main(arguments)
    except SystemExit as stop:
        status = stop.code
    printed = capsys.readouterr()
    errors = [line for line in printed.err.splitlines() if "error:" in line]
    assert status == 2
    assert len(errors) == 1
    assert printed.err.splitlines()[-1] == errors[0]
    assert errors[0].startswith("qbeconometrics: error: ")
    assert "Traceback" not in printed.err
    for part in parts:
        assert part in errors[0]


@pytest.fixture(scope="module")
def done():
    """The main job with few draws, its output not on a terminal."""
    return run("--draws", "300")


def test_main_job_beside_the_reference(done, reference):
    assert done.returncode == DONE
    assert done.stdout.count("Quasi-Bayesian IV Regression Results") == 2
    rows = table_rows(done.stdout, "coefficient of educ")
    for label, specification in zip(CARD_INSTRUMENTS, ("card_just", "card_over"), strict=True):
        for line, key in (("OLS", "ols_robust"), (f"2SLS, {label}", "iv2sls_robust")):
            stored = reference[specification][key]
            expected = stored["params"]["educ"], stored["std_errors"]["educ"]
            np.testing.assert_allclose(rows[line][:2], expected, rtol=0, atol=PRINTED_TOLERANCE)
        mean, sd, median, lower, upper = rows[f"Quasi-Bayes, {label}"]
        assert lower < median < upper
        # Loose: 300 draws a chain, and a posterior that is wider than the normal approximation.
        assert abs(median - expected[0]) < expected[1]
        assert 0.5 * expected[1] < sd < 4 * expected[1]
        assert lower < mean < upper
    assert "Where to go next" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= WIDTH


def test_the_job_tells_its_progress_on_stderr(done):
    lines = done.stderr.splitlines()
    assert [line[:5] for line in lines] == ["[1/2]", "[2/2]"]
    assert "[1/2]" not in done.stdout


def test_a_terminal_shows_a_bar():
    terminal, end = os.openpty()
    termios.tcsetwinsize(end, (24, WIDTH))
    with os.fdopen(terminal, "rb", buffering=0) as shown:
        done = run_on(end, "--draws", "20")
        os.close(end)
        text = shown.read(100_000).decode()
    assert done == DONE
    assert "draw/s" in text


def test_the_formulas_are_those_of_the_reference(reference):
    for instruments, name in zip(CARD_INSTRUMENTS, ("card_just", "card_over"), strict=True):
        formula = f"lwage ~ {CARD_CONTROLS} + [educ ~ {instruments}]"
        assert formula == reference[name]["formula"].replace("~ 1 + ", "~ ", 1)


@pytest.mark.parametrize("cov_type", ["HC0", "nonrobust"])
@pytest.mark.parametrize("name", ["card_just", "card_over"])
def test_two_stage_least_squares_equals_the_reference(reference, name, cov_type):
    stored = reference[name]["iv2sls_robust" if cov_type == "HC0" else "iv2sls_unadjusted"]
    model = QuasiBayesIV.from_formula(reference[name]["formula"], datasets.load("card1995"))
    design = model.design
    fit = two_stage_least_squares(design.endog, design.exog, design.instrument, cov_type=cov_type)
    expected = [stored["params"][name] for name in model.exog_names]
    np.testing.assert_allclose(fit.params, expected, rtol=RELATIVE_TOLERANCE)
    expected = [stored["std_errors"][name] for name in model.exog_names]
    np.testing.assert_allclose(fit.standard_errors, expected, rtol=RELATIVE_TOLERANCE)


def test_hc1_is_hc0_times_a_factor():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(50, 3))
    y = rng.normal(size=50)
    hc0, hc1 = (two_stage_least_squares(y, x, x, cov_type=name) for name in ("HC0", "HC1"))
    np.testing.assert_allclose(hc1.standard_errors, hc0.standard_errors * np.sqrt(50 / 47))


def test_a_users_file(workers, capsys):
    assert main(["--data", workers, "--formula", STRONG, "--draws", "500"]) == DONE
    printed = capsys.readouterr()
    rows = table_rows(printed.out, "coefficient of educ")
    assert list(rows) == ["OLS", "2SLS", "Quasi-Bayes"]
    # Stata's manual and linearmodels: 0.0614 (0.0332 robust).
    assert rows["2SLS"][:2] == [0.0614, 0.0332]
    assert abs(rows["Quasi-Bayes"][0] - 0.0614) < 0.0332
    assert max(map(len, printed.out.splitlines())) <= WIDTH
    assert printed.err.splitlines()[0].startswith("[1/1] 428 rows")


def test_formulas_may_call_numpy(workers, capsys):
    formula = "np.log(wage) ~ exper + np.square(exper) + [educ ~ motheduc + fatheduc]"
    assert main(["--data", workers, "--formula", formula, "--draws", "500"]) == DONE
    assert table_rows(capsys.readouterr().out, "coefficient of educ")["2SLS"][0] == 0.0614


def test_options_reach_the_fit(workers, capsys):
    words = ["--draws", "60", "--chains", "3", "--rng", "5", "--sampler", "rwm"]
    words += ["--quasi-likelihood", "cue-nodet", "--cov-type", "HC1", "--alpha", "0.2"]
    words += ["--data", workers, "--formula", STRONG]
    assert main(words) == DONE
    once = capsys.readouterr().out
    for part in ("60 x 3", "rwm", "cue-nodet", "HC1", "[0.1", "0.9]", "80% interval"):
        assert part in once


def test_the_same_rng_gives_the_same_numbers(workers, capsys):
    words = ["--data", workers, "--formula", STRONG, "--draws", "100"]
    printed = []
    for rng in ("1", "1", "2"):
        assert main([*words, "--rng", rng]) == DONE
        printed.append(table_rows(capsys.readouterr().out, "coefficient of educ")["Quasi-Bayes"])
    assert printed[0] == printed[1] != printed[2]


def test_without_instruments_each_regressor_is_compared(workers, capsys):
    words = ["--data", workers, "--formula", "lwage ~ exper + educ", "--draws", "100"]
    assert main([*words, "--quasi-likelihood", "two-step", "--cov-type", "nonrobust"]) == DONE
    text = capsys.readouterr().out
    for name in ("Intercept", "exper", "educ"):
        rows = table_rows(text, f"coefficient of {name}\n")
        assert list(rows) == ["OLS", "Quasi-Bayes"]
        # With a fixed weight and a weak prior the quasi-posterior is the normal approximation.
        np.testing.assert_allclose(rows["Quasi-Bayes"][:2], rows["OLS"][:2], rtol=0.01)


def test_long_names_and_formulas_fit_the_width(tmp_path, capsys):
    rng = np.random.default_rng(8)
    z = rng.normal(size=200)
    d = z + rng.normal(size=200)
    long = "a_regressor_with_a_name_that_goes_on_" + "and_on_" * 12
    lines = [f"y,{long},z"] + [f"{d[i] + rng.normal()},{d[i]},{z[i]}" for i in range(200)]
    path = tmp_path / "long.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    words = ["--data", str(path), "--formula", f"y ~ [{long} ~ z]", "--draws", "500"]
    assert main(words) == DONE
    printed = capsys.readouterr()
    assert max(map(len, (printed.out + printed.err).splitlines())) <= WIDTH


def test_warnings_of_the_fit_are_in_the_summary_only(done):
    assert "Warning: The instruments are weak" in done.stdout
    assert "weak" not in done.stderr


def test_other_warnings_take_one_line_on_stderr(workers, capsys, monkeypatch):
    plain = QuasiBayesIV.from_formula.__func__

    def with_warning(cls, *args, **kwargs):
        import warnings

        warnings.warn("something\nodd", UserWarning, stacklevel=2)
        return plain(cls, *args, **kwargs)

    monkeypatch.setattr(QuasiBayesIV, "from_formula", classmethod(with_warning))
    assert main(["--data", workers, "--formula", STRONG, "--draws", "500"]) == DONE
    assert "qbeconometrics: warning: something odd\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--data", "x.csv"], ["--formula"]),
        (["--formula", "y ~ x"], ["--data"]),
        (["--draws", "many"], ["--draws", "many"]),
        (["--draws", "-1"], ["--draws", "-1"]),
        (["--draws", "9" * 20], ["--draws", "9" * 20]),
        (["--draws", "0"], ["draws=0", "at least 1"]),
        (["--chains", "0"], ["chains=0", "at least 1"]),
        (["--rng", "1.5"], ["--rng", "1.5"]),
        (["--alpha", "95"], ["--alpha", "95", "between 0 and 1"]),
        (["--sampler", "daexact"], ["daexact", "'da-exact'"]),
        (["--cov-type", "HC9"], ["HC9", "'HC1'"]),
        (["--quasi-likelihood", "cu"], ["'cu'", "'cue'"]),
        (["--drws", "5"], ["--drws"]),
        (["--data", "no such file.csv", "--formula", "y ~ x"], ["no such file.csv", "there is no"]),
        (["--data", os.sep, "--formula", "y ~ x"], [os.sep, "cannot be read"]),
    ],
)
def test_bad_arguments(words, parts, capsys):
    assert_refused(words, *parts, capsys=capsys)


@pytest.mark.parametrize(
    ("contents", "parts"),
    [
        (b"", ["No columns"]),
        (b"y,x\n", ["zero rows"]),
        (b"y,x\n1,2\n3,4,5\n", ["line 3"]),
        (b"y,x\n1,2,3\n3,4,5\n", ["Length of header"]),
        (b"y;x\n1;2\n3;4\n", ["y;x", "commas"]),
        (b"y,x\n\xff\xfe,2\n", ["decode"]),
        (b"y,x\n1,2\nabc,4\n", ["y"]),
        (b"y,w\n1,2\n3,4\n", ["'x'"]),
    ],
)
def test_bad_files(contents, parts, tmp_path, capsys):
    path = tmp_path / "table.csv"
    path.write_bytes(contents)
    assert_refused(["--data", str(path), "--formula", "y ~ x"], *parts, capsys=capsys)


def test_a_damaged_archive(tmp_path, capsys):
    path = tmp_path / "table.csv.gz"
    path.write_bytes(b"no gzip")
    assert_refused(["--data", str(path), "--formula", "y ~ x"], "gzip", capsys=capsys)


@pytest.mark.parametrize(
    ("formula", "parts"),
    [
        ("lwage ~ exper + [educ ~ mothereduc]", ["'mothereduc'", "'motheduc'"]),
        ("lwage ~ exper + [", ["never closed"]),
        ("", ["no ~"]),
        ("lwage ~ lag(exper)", ["'lag'"]),
        ("lwage ~ np.lgo(exper)", ["lgo"]),
        ("lwage ~ np.log(exper, 1, 2, 3)", ["log"]),
        ("lwage ~ frame", ["'frame'"]),
        ("lwage ~ exper + [educ + age ~ motheduc]", ["instrument"]),
    ],
)
def test_bad_formulas(formula, parts, workers, capsys):
    assert_refused(["--data", workers, "--formula", formula], *parts, capsys=capsys)


def test_help_explains(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    options = ("draws", "chains", "rng", "sampler", "quasi-likelihood", "cov-type", "alpha")
    for part in ("--data", "--formula", "is code", "[d ~ z]", *(f"--{name}" for name in options)):
        assert part in text
    assert max(map(len, text.splitlines())) <= WIDTH


def test_a_reader_who_leaves_ends_it_quietly():
    with subprocess.Popen(
        [*PROGRAM, "--draws", "20"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read()
        assert process.wait(timeout=TIMEOUT) == PIPE_CLOSED
    assert all(line.startswith("[") for line in told.splitlines())


def test_a_terminal_without_the_letters_shows_escapes(tmp_path):
    rows = "\n".join(f"{i % 7},{i % 3}" for i in range(30))
    path = tmp_path / "prices.csv"
    path.write_text(f"y,preço\n{rows}\n", encoding="utf-8")
    words = ["--data", str(path), "--formula", "y ~ preço", "--draws", "50"]
    done = run(*words, env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert done.returncode == DONE
    assert "pre\\xe7o" in done.stdout
