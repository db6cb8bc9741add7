"""Commits as folders to import from, and processes that import from them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

THREADS = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"


class Failed(RuntimeError):
    """A commit cannot be built, or a benchmark does not run."""


class Ended(Failed):
    """A benchmark ended its process."""


class Build(NamedTuple):
    """An installed commit."""

    commit: str
    source: Path  # its files
    folder: Path  # its packages, as installed
    number: str  # of the commit, abbreviated
    benchmarks: Path  # files of HEAD, a copy for each build: what they compile is kept beside them
    environment: Mapping[str, str] = {}  # for its processes, beside this one's


def build(repository: Path, commit: str, into: Path, head: str) -> Build:
    """Install a commit without its dependencies, which are those of this environment.

    Parameters
    ----------
    head : str
        The commit whose benchmarks are run.

    Raises
    ------
    Failed
        No such commit, or its package cannot be built; what git or pip said.
    """
    source, folder, benchmarks = (into / name for name in ("source", "installed", "benchmarks"))
    number = checked_out(repository, commit, source)
    checked_out(repository, head, benchmarks)
    pyproject_of(source)  # pip would say less plainly what is wrong with it
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    run([*pip, str(folder), str(source)])
    return Build(commit, source, folder, number, benchmarks)


def pyproject_of(source: Path) -> dict[str, Any]:
    """What ``pyproject.toml`` says; nothing where there is none.

    Raises
    ------
    Failed
        It cannot be read.
    """
    path = source / "pyproject.toml"
    try:
        return tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise Failed(f"pyproject.toml cannot be read: {problem}.") from problem


def checked_out(repository: Path, commit: str, into: Path) -> str:
    """The files of a commit in a repository of their own, with all tags: versions may be made of them.

    Returns its number, abbreviated.

    Objects are those of the given repository, of which no branch need lead to the commit, nor all of its
    history be there.
    """

    def git(folder: Path, *words: str) -> str:
        return run(["git", "-C", str(folder), *words]).decode().strip()

    found = git(repository, "rev-parse", "--verify", f"{commit}^{{commit}}")
    common = (repository / git(repository, "rev-parse", "--git-common-dir")).resolve()
    run(["git", "init", "--quiet", str(into)])
    (into / ".git/objects/info/alternates").write_text(f"{common / 'objects'}\n", encoding="utf-8")
    if (common / "shallow").exists():
        shutil.copy(common / "shallow", into / ".git/shallow")
    for line in (
        git(repository, "show-ref", "--tags").splitlines() if git(repository, "tag") else []
    ):
        object_, name = line.split()
        git(into, "update-ref", name, object_)
    git(into, "checkout", "--quiet", "--detach", found)
    return git(into, "rev-parse", "--short", found)


def run(command: list[str]) -> bytes:
    """What a command prints."""
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        shown = done.stderr.decode(errors="replace").strip()
        raise Failed(f"{' '.join(command)} failed:\n{shown}")
    return done.stdout


class Side:
    """A process with one build; used as a context manager.

    Benchmarks are those of one commit, whatever the build: both sides time the same. They run in an empty
    folder, as asv has it.
    """

    def __init__(self, build: Build, modules: list[str]) -> None:
        environment = {**os.environ, **dict.fromkeys(THREADS, "1"), **build.environment}
        environment["PYTHONPATH"] = os.pathsep.join([str(build.folder), str(build.benchmarks)])
        command = [
            sys.executable,
            "-P",
            str(Path(__file__).with_name("worker.py")),
            str(build.folder),
        ]
        self.build = build
        self._folder = tempfile.TemporaryDirectory(prefix="fusem-gate-")
        self._process = subprocess.Popen(
            [*command, *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            cwd=self._folder.name,
            text=True,
        )

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(OSError):  # it may have ended
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
        self._folder.cleanup()

    def ask(self, method: str, *arguments: Any) -> Any:
        """What the worker's method gives.

        Raises
        ------
        Failed
            The benchmark raised, or the process ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = ""
        with suppress(OSError):
            self._process.stdin.write(json.dumps([method, *arguments]) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line:
            raise Ended(
                f"{self.build.commit}: the process ended in {method} {arguments} (see above)."
            )
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(f"{self.build.commit}: {method} {arguments}:\n{answer['error']}")
        return answer["value"]
