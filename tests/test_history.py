"""The history of benchmarks survives nights in which something fails (`.ci/history`)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "history"
pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="it runs on Linux only"),
    pytest.mark.skipif(not SCRIPT.exists(), reason="a source distribution has no .ci"),
]


def git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def history(folder: Path, what: str) -> int:
    return subprocess.run([SCRIPT, what], cwd=folder, capture_output=True, check=False).returncode


@pytest.fixture
def night(tmp_path, monkeypatch):
    """Return a function that makes a new clone with the result of one night."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "a")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "a@example.org")
    subprocess.run(["git", "init", "--quiet", "--bare", tmp_path / "remote"], check=True)

    def clone(name: str) -> Path:
        folder = tmp_path / name
        subprocess.run(["git", "clone", "--quiet", tmp_path / "remote", folder], check=True)
        return folder

    return clone


def write(folder: Path, name: str) -> None:
    for file in (f".asv/results/github/{name}.json", ".asv/html/_static/index.html"):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("{}", encoding="utf-8")


def stored(folder: Path, branch: str) -> list[str]:
    git(folder, "fetch", "--quiet", "origin", branch)
    return git(folder, "ls-tree", "-r", "--name-only", "FETCH_HEAD").splitlines()


def test_each_night_adds_to_the_nights_before(night):
    for name in ("first", "second"):
        folder = night(name)
        assert history(folder, "fetch") == 0
        write(folder, name)
        assert history(folder, "publish") == 0
    files = [f"results/github/{name}.json" for name in ("first", "second")]
    assert stored(folder, "asv-results") == files
    assert stored(folder, "gh-pages") == [".nojekyll", "_static/index.html"]
    assert git(folder, "rev-list", "--count", "FETCH_HEAD") == "1\n"


def test_a_remote_that_does_not_answer_is_not_an_empty_history(night):
    folder = night("first")
    git(folder, "remote", "set-url", "origin", str(folder / "nowhere"))
    assert history(folder, "fetch") == 1


def test_an_empty_history_is_not_published(night):
    folder = night("first")
    assert history(folder, "fetch") == 0
    assert history(folder, "publish") == 1
