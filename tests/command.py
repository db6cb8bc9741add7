"""The command ``fusem``, run in a process of its own as its user runs it.

Processes are forked from one that has imported what commands import, which takes longer than most of them do.
Where there is no fork, or the environment is to be another, a process is started from nothing.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import SimpleNamespace

from tests import processes

COMPILING = "fusem compiles its kernels for this processor"
SERVER = """
import json, os, sys

import fusem.cli.app, fusem.hmm, fusem.impute, fusem.plot, pandas, pyarrow.parquet  # noqa
from fusem import EMImputer, GaussianHMM, GaussianMixture, load  # noqa
from fusem.cli import main


def run(request):
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    for number, path in enumerate([os.devnull, request["out"], request["err"]]):
        os.dup2(os.open(path, os.O_RDWR), number)
    sys.argv = ["fusem", *request["arguments"]]
    try:
        main(request["arguments"])
    except SystemExit as ended:
        sys.stdout.flush()
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
            return 1
        return ended.code or 0


print(flush=True)
for line in sys.stdin:
    child = os.fork()
    if not child:
        code = 70
        try:
            code = run(json.loads(line))
        finally:
            sys.stderr.flush()
            os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@cache
def server() -> subprocess.Popen[str]:
    """Start the process that commands are forked from; it ends with this one."""
    started = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=processes.environment(),
        start_new_session=True,
    )
    answer(started)
    return started


def answer(process: subprocess.Popen[str]) -> str:
    """Return the server's next line; what hangs is killed."""
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], processes.SECONDS)[0]:
        os.killpg(process.pid, signal.SIGKILL)
        server.cache_clear()
        raise TimeoutError(f"no answer in {processes.SECONDS} s")
    return process.stdout.readline()


def forked(arguments: list[str]) -> SimpleNamespace:
    """Run a command in a process forked from the server."""
    process = server()
    assert process.stdin is not None
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        out.touch()
        err.touch()
        request = {
            "arguments": arguments,
            "folder": str(Path.cwd()),
            "environment": processes.environment(),
            "out": str(out),
            "err": str(err),
        }
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        code = int(answer(process))
        return SimpleNamespace(
            code=code,
            out=out.read_text(encoding="utf-8"),
            err=lines(err.read_text(encoding="utf-8")),
        )


def lines(err: str) -> list[str]:
    """Return what was written to stderr, but for the note that is due where kernels are new."""
    return [line for line in err.splitlines() if not line.startswith(COMPILING)]


def fusem_command(*arguments: object, **changes: str) -> SimpleNamespace:
    """Run ``fusem ...`` and return its exit code, its output and the lines it wrote to stderr."""
    words = [str(argument) for argument in arguments]
    if hasattr(os, "fork") and not changes:
        return forked(words)
    done = subprocess.run(
        [sys.executable, "-m", "fusem", *words],
        capture_output=True,
        text=True,
        env=processes.environment(**changes),
        timeout=processes.SECONDS,
        check=False,
    )
    return SimpleNamespace(code=done.returncode, out=done.stdout, err=lines(done.stderr))


def succeed(*arguments: object, **changes: str) -> str:
    """Run a command that must succeed without a word on stderr, and return what it printed."""
    done = fusem_command(*arguments, **changes)
    assert (done.code, done.err) == (0, [])
    return done.out
