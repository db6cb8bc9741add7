"""How the command line speaks: results on stdout; errors and warnings, one line each, on stderr."""

from __future__ import annotations

import io
import json
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any, TextIO

import click

FAILED, INTERRUPTED = 1, 130


def run(app: click.Command, arguments: Sequence[str] | None = None) -> int:
    """Run a command; turn what it raises into one line on stderr and an exit code.

    With ``FUSEM_DEBUG=1`` in the environment the traceback is printed as well.
    """
    warnings.showwarning = _show_warning
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without ² or μ shows ? instead
            stream.reconfigure(errors="replace")
    try:
        code = app.main(
            args=None if arguments is None else list(arguments),
            prog_name="fusem",
            standalone_mode=False,
        )
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "fusem"
        _fail(f"{error.format_message()} (see {path} --help)")
        return error.exit_code
    except click.ClickException as error:
        _fail(error.format_message())
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        _debug()
        print("fusem: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) went away. Give stdout a sink, so that the flush at exit
        # does not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:  # noqa: BLE001  whatever it is, the user gets one line
        _debug()
        _fail(describe(error))
        return FAILED


def describe(error: Exception) -> str:
    """Say in one line what went wrong."""
    if isinstance(error, MemoryError):
        return f"out of memory. {error}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, ValueError | TypeError | OSError | ImportError):
        return str(error)
    return f"{type(error).__name__}: {error} (FUSEM_DEBUG=1 shows where)"


def one_line(text: object) -> str:
    """Join the lines of a message."""
    return " ".join(str(text).split())


def print_json(record: dict[str, Any]) -> None:
    """Print a record as JSON; numbers that JSON lacks (NaN, infinity) become null."""
    click.echo(json.dumps(_plain(record), allow_nan=False, indent=2))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):  # NumPy's arrays and scalars
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value


def _fail(text: str) -> None:
    print(f"fusem: error: {one_line(text)}", file=sys.stderr)


def _debug() -> None:
    if os.environ.get("FUSEM_DEBUG", "0") not in ("", "0"):
        traceback.print_exc()


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    print(f"fusem: warning: {one_line(message)}", file=file or sys.stderr)
