"""The README and the documentation: commands, the example and its output, links."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

TREE = Path(__file__).parent.parent
README = (TREE / "README.md").read_text(encoding="utf-8")
TIMEOUT = 120
COMMANDS = [
    "python -m pip install -e . && python -m qbeconometrics",
    'python -m pip install -e ".[test]" && python -m pytest -n auto',
]
# Monte Carlo: the printed example is one run on one machine, and another build may draw otherwise.
# Posterior means move by 0.015 posterior sd from run to run, the ends of intervals by 0.06.
TOLERANCE_IN_SD = 0.3
COLUMNS = ["mean", "sd", "median", "lower", "upper"]


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def parameter_rows(text):
    """First numbers of the lines between the second and third rule of a summary, by name."""
    table = re.split(r"^-{60,}$", text, flags=re.MULTILINE)[1]
    table = re.split(r"^={60,}$", table, flags=re.MULTILINE)[0]
    rows = [line.split() for line in table.strip().splitlines()]
    return {row[0]: [float(word) for word in row[1 : 1 + len(COLUMNS)]] for row in rows}


def run(*words, **options):
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, *words],
        capture_output=True, text=True, timeout=TIMEOUT, check=True, env=environment, **options,
    )  # fmt: skip
    return done.stdout


def test_the_two_commands():
    commands = [line for block in blocks("console") for line in block.splitlines()]
    assert commands == COMMANDS


def test_the_example_prints_what_the_readme_says(tmp_path):
    printed = run("-c", blocks("python")[0], cwd=tmp_path)
    shown = blocks("text")[1]
    now, then = parameter_rows(printed), parameter_rows(shown)
    assert list(now) == list(then)
    for name, row in now.items():
        differences = np.abs(np.subtract(row, then[name])) / row[COLUMNS.index("sd")]
        assert np.all(differences < TOLERANCE_IN_SD), name
    for label in ("No. Observations", "Instruments", "J \\(df 1\\)", "Effective F"):
        pattern = rf"{label}:\s+(\S+)"
        assert re.search(pattern, printed)[1] == re.search(pattern, shown)[1]


@pytest.mark.slow
def test_the_other_examples_run(tmp_path):
    for source in blocks("python")[1:]:
        assert run("-W", "error", "-c", source, cwd=tmp_path) == ""


def test_the_comparison_in_the_readme_is_of_the_main_job():
    printed = run("-m", "qbeconometrics", "--draws", "50")
    names = re.compile(r"^(?:OLS|2SLS, near|Quasi-Bayes, near).*?(?=  )", flags=re.MULTILINE)
    shown = blocks("text")[0]
    assert names.findall(printed) == names.findall(shown)
    exact = re.compile(r"^(?:OLS|2SLS).*", flags=re.MULTILINE)
    found = [line.split() for line in exact.findall(printed) if ":" not in line]
    assert found == [line.split() for line in exact.findall(shown) if ":" not in line]


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "docs/index.md",
        "docs/comparison.md",
        "docs/identification.md",
        "docs/learning_rates.md",
        "docs/local_projections.md",
        "docs/pictures.md",
        "docs/storage.md",
        "docs/large_data.md",
    ],
)
def test_links_lead_somewhere(path):
    text = (TREE / path).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("https://") or ((TREE / path).parent / target).exists(), target


def test_the_monetary_policy_example_runs(tmp_path):
    printed = run("-W", "error", str(TREE / "examples" / "monetary_policy.py"), cwd=tmp_path)
    assert "Effective F of the surprises: 16.3 (229 months)" in printed
    assert (tmp_path / "monetary_policy.png").stat().st_size > 50_000


def test_the_page_on_large_data_runs(tmp_path):
    text = (TREE / "docs" / "large_data.md").read_text(encoding="utf-8")
    found = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    source = "\n".join(block for block in found if "dask_dataframe" not in block)
    assert run("-c", f"{source}\nprint(res.nobs)", cwd=tmp_path) == "20000\n"


@pytest.mark.slow
def test_the_page_on_learning_rates_runs(tmp_path):
    text = (TREE / "docs" / "learning_rates.md").read_text(encoding="utf-8")
    found = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    printed = run("-c", "\n".join(found), cwd=tmp_path)
    assert printed.count("converged") >= 1


@pytest.mark.slow
def test_the_example_of_learning_rates_runs(tmp_path):
    printed = run("-W", "error", str(TREE / "examples" / "learning_rates.py"), cwd=tmp_path)
    rows = [line for line in printed.splitlines() if line.endswith(" converged")]
    assert len(rows) >= 8
    assert (tmp_path / "learning_rates.png").stat().st_size > 20_000


@pytest.mark.slow
def test_the_example_of_large_data_runs(tmp_path):
    script = str(TREE / "examples" / "large_data.py")
    printed = run("-W", "error", script, "--rows", "300000", cwd=tmp_path)
    assert "300,000 rows in " in printed
    assert float(re.search(r"peak memory (\S+) GB", printed)[1]) < 1.0
    distance = re.search(r"from the truth: (\S+) posterior sds", printed)[1]
    assert float(distance) < 4.0


@pytest.mark.slow
def test_the_example_of_cointegration_runs(tmp_path):
    printed = run("-W", "error", str(TREE / "examples" / "cointegration.py"), cwd=tmp_path)
    # Johansen's estimate in statsmodels' documentation, and what stands beside it.
    row = re.search(r"^beta.Dp.ec1\s+(.*)$", printed, flags=re.MULTILINE)[1].split()
    assert float(row[4]) == -3.987
    assert -4.5 < float(row[0]) < -2.5
    ranks = re.findall(r"^[012]\s+\S+\s+\S+\s+(\S+)$", printed, flags=re.MULTILINE)
    assert len(ranks) == 6
    assert sum(map(float, ranks)) == pytest.approx(2.0, abs=0.004)


@pytest.mark.slow
def test_the_example_of_feedback_runs(tmp_path):
    printed = run("-W", "error", str(TREE / "examples" / "feedback.py"), cwd=tmp_path)
    assert printed.count("Bidirectional Effects by Heteroskedasticity") == 3
    assert "The effects are weakly identified" in printed
    # The simulated effects, .5 and -.4.
    row = re.search(r"^b12: y2 on y1\s+(\S+)", printed, flags=re.MULTILINE)
    assert abs(float(row[1]) - 0.5) < 0.02


@pytest.mark.slow
def test_the_page_on_bidirectional_effects_runs(tmp_path):
    text = (TREE / "docs" / "bidirectional_effects.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    assert len(examples) == 3
    printed = run("-c", "\n".join(examples), cwd=tmp_path)
    assert printed.count("Bidirectional Effects by Heteroskedasticity") == 2


@pytest.mark.slow
def test_the_page_on_orthonormal_matrices_runs(tmp_path):
    text = (TREE / "docs" / "orthonormal_matrices.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    assert len(examples) == 5
    printed = run("-c", "\n".join(examples), cwd=tmp_path)
    for words in ("Orthonormal Matrices", "Error Correction", "Reduced-Rank", "Principal Comp"):
        assert words in printed


def test_the_example_script_runs(tmp_path):
    printed = run(str(TREE / "examples" / "returns_to_schooling.py"), cwd=tmp_path)
    assert printed.count("nearc4") == 4


def test_the_examples_on_identification_run(tmp_path):
    text = (TREE / "docs" / "identification.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    assert len(examples) == 2
    script = tmp_path / "examples.py"
    script.write_text("\n".join(examples), encoding="utf-8")
    printed = run("-W", "error", str(script), cwd=tmp_path)
    for words in ("Effective F", "Kleibergen-Paap F", "sargan", "robust_score", "QuasiBayesFactor"):
        assert words in printed
    # The stored Anderson-Rubin set of this equation.
    assert re.search(r"\[\(0\.17543\d+, 0\.36422\d+\)\]", printed)
