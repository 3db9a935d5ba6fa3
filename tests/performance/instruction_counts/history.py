"""The commit of the base-line, from git."""

import subprocess
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

Git = Callable[..., bytes]


class NoHistoryError(Exception):
    """The commit of the base-line cannot be had."""


def git_in(repository: Path) -> Git:
    """Return a function that runs git in a repository."""

    def git(*arguments: str) -> bytes:
        try:
            done = subprocess.run(["git", "-C", repository, *arguments], capture_output=True)
        except FileNotFoundError as error:
            raise NoHistoryError("git is not installed") from error
        if done.returncode:
            message = done.stderr.decode(errors="replace").strip().splitlines()
            raise NoHistoryError(message[0] if message else f"git {arguments[0]} failed")
        return done.stdout

    return git


def commit_of(git: Git, path: str, content: bytes) -> str:
    """Return the commit that gave a file its content.

    Parameters
    ----------
    git : callable
    path : str
        Of the file, in the repository.
    content : bytes
        What it holds in the tree that is looked at.

    Raises
    ------
    NoHistoryError
        If the file is new or changed, or the history does not reach back to before its change.
    """
    commit = git("log", "-1", "--format=%H", "--", path).decode().strip()
    if not commit:
        raise NoHistoryError(f"{path} is in no commit")
    if git("show", f"{commit}:{path}") != content:
        raise NoHistoryError(f"{path} has changed since its last commit")
    try:
        git("rev-parse", "--verify", "--quiet", f"{commit}^")
    except NoHistoryError as error:
        # In a clone without depth every file seems to come from the oldest commit there is.
        raise NoHistoryError(f"the history ends at {commit[:12]}") from error
    return commit


def extract(git: Git, commit: str, folder: Path) -> None:
    """Write the tree of a commit to a folder."""
    with tarfile.open(fileobj=BytesIO(git("archive", "--format=tar", commit))) as archive:
        archive.extractall(folder, filter="data")


def same_kernels(first: Path, second: Path) -> bool:
    """Whether two trees compile to the same kernels."""
    return sources(first) == sources(second)


def sources(tree: Path) -> dict[str, bytes]:
    folder = tree / "qbeconometrics" / "kernels"
    files = [path for path in folder.iterdir() if path.suffix in (".pyx", ".pxd", ".h")]
    return {path.name: path.read_bytes() for path in [*files, tree / "setup.py"]}
