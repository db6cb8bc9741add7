"""The largest resident size of this process so far, as the operating system tells it."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path


def peak() -> int:
    """Return the largest resident size of this process so far, in bytes."""
    if sys.platform == "win32":
        return windows(ctypes.WinDLL("kernel32", use_last_error=True))
    # On Linux a new process inherits ru_maxrss from the one that started it; VmHWM begins anew.
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource  # Windows has none

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


class Counters(ctypes.Structure):
    """Windows' PROCESS_MEMORY_COUNTERS."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("page_faults", ctypes.c_uint32),
        ("peak_working_set", ctypes.c_size_t),
        *((f"unused_{number}", ctypes.c_size_t) for number in range(7)),
    )


def windows(kernel32: ctypes.CDLL) -> int:
    """Return what Windows calls the peak of the working set."""
    counters = Counters(size=ctypes.sizeof(Counters))
    kernel32.GetCurrentProcess.restype = ctypes.c_void_p
    kernel32.K32GetProcessMemoryInfo.argtypes = (
        ctypes.c_void_p,
        ctypes.POINTER(Counters),
        ctypes.c_uint32,
    )
    process = kernel32.GetCurrentProcess()
    if not kernel32.K32GetProcessMemoryInfo(process, ctypes.byref(counters), counters.size):
        raise OSError("GetProcessMemoryInfo does not tell the peak of this process")
    return int(counters.peak_working_set)
