"""What is seen on stderr while chains run."""

import pytest

from qbeconometrics.sampling import progress
from qbeconometrics.sampling.progress import ProgressDisplay
from qbeconometrics.sampling.run import sample


@pytest.mark.parametrize("sampler", ["auto", "rwm"])
def test_bar(posterior, options, capfd, sampler):
    sample(posterior, options(sampler=sampler, progressbar=True))
    out, err = capfd.readouterr()
    assert out == ""
    assert "100%|" in err


def test_plain_lines_without_tqdm(posterior, options, capfd, monkeypatch):
    monkeypatch.setattr(progress, "tqdm", None)
    sample(posterior, options(sampler="rwm", progressbar=True))
    out, err = capfd.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert 1 <= len(lines) <= 10
    assert lines[-1] == "rwm: 1,600 of 1,600 draws"
    assert all(line.startswith("rwm: ") for line in lines)


@pytest.mark.parametrize("choice", [False, None])
@pytest.mark.parametrize("with_tqdm", [True, False])
def test_silence(posterior, options, capfd, monkeypatch, choice, with_tqdm):
    """None shows nothing either, as stderr is no terminal here."""
    if not with_tqdm:
        monkeypatch.setattr(progress, "tqdm", None)
    sample(posterior, options(progressbar=choice))
    assert capfd.readouterr() == ("", "")


def test_lines_come_at_tenths(capsys, monkeypatch):
    monkeypatch.setattr(progress, "tqdm", None)
    with ProgressDisplay(1_000, True, "da") as display:
        for _ in range(1_000):
            display.update(1)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"da: {done:,} of 1,000 draws" for done in range(100, 1_001, 100)]


def test_bar_is_closed_on_errors(posterior, options, monkeypatch):
    closed = []

    class Bar:
        def __init__(self, **keywords):
            self.keywords = keywords

        def update(self, draws):
            raise RuntimeError("display broke")

        def close(self):
            closed.append(True)

    monkeypatch.setattr(progress, "tqdm", Bar)
    with pytest.raises(RuntimeError, match="display broke"):
        sample(posterior, options(sampler="rwm", progressbar=True))
    assert closed == [True]
