"""How much memory this computer has left for programs (torch-free; any thread)."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")


def available_bytes(*, meminfo: Path = _MEMINFO, cgroup: Path = _CGROUP) -> int | None:
    """Return the bytes that can be taken without anything being swapped out; None where nobody says.

    Args:
        meminfo: Where Linux tells it.
        cgroup: Where Linux tells what a container may have.
    """
    if sys.platform == "win32":
        return _windows()
    if meminfo.is_file():
        free = _meminfo(meminfo)
        room = _container(cgroup)
        return free if room is None or free is None else min(free, room)
    try:
        # No system call says more on macOS; half of all of it is what a program may take without harm.
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (ValueError, OSError, AttributeError):
        return None


def _meminfo(path: Path) -> int | None:
    for line in path.read_text("ascii").splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) * 1024
    return None


def _container(folder: Path) -> int | None:
    """Return what is left of a container's limit; files read again on demand do not count as taken."""
    try:
        limit = (folder / "memory.max").read_text("ascii").strip()
        if limit == "max":
            return None
        used = int((folder / "memory.current").read_text("ascii"))
        fields = (line.split() for line in (folder / "memory.stat").read_text("ascii").splitlines())
        cached = next((int(value) for name, value in fields if name == "inactive_file"), 0)
        return max(0, int(limit) - used + cached)
    except (OSError, ValueError):
        return None


class _MemoryStatus(ctypes.Structure):
    """What Windows fills in (MEMORYSTATUSEX)."""

    _fields_ = (
        ("length", ctypes.c_ulong),
        ("load", ctypes.c_ulong),
        *((name, ctypes.c_ulonglong) for name in ("total", "available", "page_total", "page_available")),
        *((name, ctypes.c_ulonglong) for name in ("virtual_total", "virtual_available", "extended")),
    )


def _windows() -> int | None:
    status = _MemoryStatus()
    status.length = ctypes.sizeof(status)
    kernel = getattr(ctypes, "windll", None)
    if kernel is None or not kernel.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None
    return int(status.available)
