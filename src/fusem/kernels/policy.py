"""All numba policy: how kernels are compiled, for which processor, and where the machine code is kept.

Two kinds of compiled function exist. A *helper* is called by other compiled code and is compiled into
its caller. A *kernel* is called from Python; its machine code is cached on disk.

A kernel is made from a *template*: a plain function that calls helpers by global name. numba's disk
cache misses in every process when a jitted function closes over another or receives one as an
argument, but hits when it finds it by global name. `Kernel` therefore copies the template with the
family's helpers as its globals. Each copy has one signature and a name of its own, so two processes
that compile at the same time write equal files.

The cache directory is keyed by the sources of every compiled file, by the versions of numba, llvmlite
and NumPy and by the processor: numba itself sees only edits in the file that holds the function.
"""

from __future__ import annotations

import gc
import hashlib
import logging
import os
import signal
import sys
import threading
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import llvmlite
import llvmlite.binding as llvm
import numba
import numpy as np
from numba.core import config
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from fusem.kernels.helper_compiler import HelperCompiler, KernelCompiler, SeldomCompiler

# 'reassoc' would cancel the rounding trick in exp; 'nnan' and 'ninf' would lose -inf, which has a meaning.
FASTMATH = {"contract", "nsz", "arcp"}
# Without its reference counts ("_nrt") compiled code can own no array and allocate none: the caller's and the
# workspace's are all there is. Counting, two atomic instructions per array and helper, took up to half of
# the time at d ≤ 4.
OPTIONS: dict[str, Any] = {
    "nogil": True,
    "fastmath": FASTMATH,
    "error_model": "numpy",
    "_nrt": False,
}
# Processors that may be named (NUMBA_CPU_NAME) without their features being listed.
WITH_AVX512 = {
    "skylake-avx512",
    "cascadelake",
    "icelake-server",
    "sapphirerapids",
    "znver4",
    "znver5",
}
WITH_AVX2 = {"haswell", "broadwell", "skylake", "znver1", "znver2", "znver3"}
COMPILED = ("kernels", "families")  # the folders whose edits make new machine code necessary

PATIENCE = 2.0  # seconds
logger = logging.getLogger("fusem")

# Nothing but compiled code calls a helper: it has no wrappers for Python and no machine code of its own.
_HELPER: dict[str, Any] = {
    **OPTIONS,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
helper = numba.njit(**_HELPER, forceinline=True, pipeline_class=HelperCompiler)
# A helper that is long and called from several places, seldom or for a whole tile: it need not stand in each.
seldom = numba.njit(**_HELPER, forceinline=False, pipeline_class=SeldomCompiler)


def processor() -> tuple[str, str]:
    """Name and features of the processor that code is generated for."""
    name = config.CPU_NAME or llvm.get_host_cpu_name()
    if config.CPU_FEATURES is not None:
        return name, config.CPU_FEATURES
    return name, llvm.get_host_cpu_features().flatten()


def vector_bytes() -> int:
    """Width of a vector register of the processor, in bytes."""
    name, features = processor()
    known = features.split(",")
    if "+avx512f" in known or name in WITH_AVX512:
        return 64
    return 32 if "+avx2" in known or name in WITH_AVX2 else 16


@cache
def source_key() -> str:
    """Hash of all that decides about machine code: sources, versions, processor."""
    digest = hashlib.sha256()
    root = Path(__file__).parents[1]
    for folder in COMPILED:
        for path in sorted((root / folder).glob("*.py")):
            digest.update(path.name.encode() + path.read_bytes())
    versions = (numba.__version__, llvmlite.__version__, np.__version__, sys.version_info[:2])
    digest.update(repr((versions, processor())).encode())
    return digest.hexdigest()[:20]


def cache_directory() -> Path:
    """Where machine code is kept: $FUSEM_CACHE_DIR, else $NUMBA_CACHE_DIR, else the user's cache."""
    chosen = os.environ.get("FUSEM_CACHE_DIR") or config.CACHE_DIR
    if chosen:
        return Path(chosen) / f"fusem-{source_key()}"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "fusem" / source_key()


class _Locator(_CacheLocator):
    """Puts a kernel's machine code into `cache_directory`, whatever file its template stands in."""

    def __init__(self, function: Callable[..., Any], path: str) -> None:
        self._path = cache_directory()

    def get_cache_path(self) -> str:
        return str(self._path)

    def get_source_stamp(self) -> str:
        return source_key()

    def get_disambiguator(self) -> str:
        return "kernel"

    @classmethod
    def from_function(cls, function: Callable[..., Any], path: str) -> _Locator:
        return cls(function, path)


class _CacheImplementation(CompileResultCacheImpl):
    _locator_classes: ClassVar = [_Locator]


class _KernelCache(FunctionCache):
    """A cache whose damaged entries (a full disk, a power cut) are thrown away and made anew."""

    _impl_class = _CacheImplementation

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # noqa: BLE001 - unpickling damaged bytes can raise anything
            self._discard()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception:  # noqa: BLE001 - as above: the index is read before it is written
            self._discard()
            try:
                super().save_overload(sig, data)
            except OSError as problem:  # a full disk: the kernel is there all the same
                self._discard()
                _say_not_kept(str(problem))

    def _discard(self) -> None:
        Path(self._cache_file._index_path).unlink(missing_ok=True)


def rebound(template: Callable[..., Any], name: str, helpers: dict[str, Any]) -> Callable[..., Any]:
    """A copy of a template whose global names stand for these helpers."""
    scope = {**template.__globals__, **helpers}
    function = types.FunctionType(template.__code__, scope, name, template.__defaults__)
    function.__module__, function.__qualname__ = template.__module__, name
    return function


def bind(template: Callable[..., Any], **helpers: Any) -> Any:
    """A helper made of a template: compiled into its caller as all helpers are."""
    return helper(rebound(template, template.__name__, helpers))


@cache
def once(one: Any) -> Any:
    """A helper as `seldom`: it stands in a kernel once, however many places call it."""
    return seldom(one.py_func)


class Kernel:
    """A compiled function that Python calls: one template, one machine code per floating dtype.

    Nothing is compiled before the first `kernel[dtype]` is called.

    Parameters
    ----------
    template : function
        Plain function; the helpers named in `helpers` are its free global names.
    name : str
        Unique name, e.g. ``"gaussian_full_sweep"``.
    **helpers : compiled helper
        What the template's global names stand for.
    """

    def __init__(self, template: Callable[..., Any], name: str, **helpers: Any) -> None:
        self.template, self.name, self.helpers = template, name, helpers
        self._compiled: dict[np.dtype[Any], Any] = {}

    def __getitem__(self, dtype: Any) -> Any:
        dtype = np.dtype(dtype)
        if dtype not in self._compiled:
            self._compiled[dtype] = self._dispatcher(f"{self.name}_{dtype.name}")
        return self._compiled[dtype]

    def _dispatcher(self, name: str) -> Any:
        function = rebound(self.template, name, self.helpers)
        dispatcher = numba.njit(**OPTIONS, pipeline_class=KernelCompiler)(function)
        if _kept_in(cache_directory()):
            dispatcher._cache = _KernelCache(function)
        dispatcher.compile = _announced(dispatcher.compile, name)
        return dispatcher


@cache
def _kept_in(directory: Path) -> bool:
    """Whether machine code can be kept there; a warning, once per process, if not."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not os.access(directory, os.W_OK):
            raise PermissionError(f"no permission to write {directory}")
    except OSError as problem:
        _say_not_kept(str(problem))
        return False
    return True


@cache
def _say_not_kept(problem: str) -> None:
    """Warn, of each problem once."""
    frame, level = sys._getframe(), 1
    while frame.f_back and frame.f_globals.get("__name__", "").startswith(("fusem.", "numba.")):
        frame, level = frame.f_back, level + 1
    warnings.warn(
        f"Compiled kernels cannot be kept ({problem}); every process compiles them again. "
        "Set FUSEM_CACHE_DIR to a folder that can be written.",
        RuntimeWarning,
        stacklevel=level,
    )


def _announced(compile_kernel: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Say what takes so long when compiling, not reading from the cache, takes over PATIENCE seconds."""

    def compile_and_say(signature: Any) -> Any:
        timer = threading.Timer(PATIENCE, _say_compiling, [name])
        timer.daemon = True
        timer.start()
        try:
            _register_builtins()
            with _garbage_left():
                return compile_kernel(signature)
        finally:
            timer.cancel()

    return compile_and_say


@cache
def _register_builtins() -> None:
    """What numba registers before it compiles or loads anything, in one piece.

    Half of it, after Ctrl-C, is all that it would have for the rest of the process.
    """
    with _interrupts_held(), global_compiler_lock:
        cpu_target.typing_context.refresh()
        cpu_target.target_context.refresh()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Let Ctrl-C wait until the block ends, where this thread is the one that it comes to."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    held: list[tuple[int, Any]] = []
    signal.signal(signal.SIGINT, lambda number, frame: held.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if held:
            handler(*held[0])


_switched_off = threading.Event()  # the collector of garbage, by `_garbage_left`


@contextmanager
def _garbage_left() -> Iterator[None]:
    """Collect no garbage while compiling, unless that is so already.

    What the compiler makes lives till its end; to look through it again and again took a tenth of the time.
    """
    if not gc.isenabled():
        yield
        return
    _switched_off.set()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        _switched_off.clear()


def _collect_again() -> None:
    """In a child process, where nobody ends what another thread of the parent began."""
    if _switched_off.is_set():
        gc.enable()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_collect_again)


_explained = threading.Event()  # what compiling is for, by `_say_compiling`


def _say_compiling(name: str) -> None:
    """Log what is compiled, the first time why; loggers without a handler write warnings to stderr."""
    if _explained.is_set():
        logger.warning("fusem compiles its kernels for this processor: %s", name)
        return
    _explained.set()
    directory = cache_directory()
    logger.warning(
        "fusem compiles its kernels for this processor, which takes some seconds, once for each kind of "
        "model, method and data%s.",
        f": they are kept in {directory}" if _kept_in(directory) else " in every process",
    )
