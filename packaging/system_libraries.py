"""The libraries of the system that Qt loads, found before Qt fails with words of its own (Linux only)."""

import ctypes
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

# File the loader looks for → Debian's and Ubuntu's package. Any Qt program needs these, on screen or off.
BASE = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libX11.so.6": "libx11-6",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
}
# What showing a window on an X server takes on top.
WINDOW = {
    "libX11-xcb.so.1": "libx11-xcb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxcb.so.1": "libxcb1",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render.so.0": "libxcb-render0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-util.so.1": "libxcb-util1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
}


def loads(name: str) -> bool:
    """Whether the dynamic loader finds the library and everything that it needs in turn."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def missing(names: Iterable[str], found: Callable[[str], bool] = loads) -> tuple[str, ...]:
    """Those of the library files that are not there."""
    return tuple(name for name in names if not found(name))


def debian_packages(libraries: Iterable[str]) -> tuple[str, ...]:
    """Packages that bring the libraries, each once, in order of the alphabet."""
    packages = {**BASE, **WINDOW}
    return tuple(sorted({packages[name] for name in libraries}))


def apt_commands(packages: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """The two commands that install packages on Debian and Ubuntu."""
    return (
        ("apt-get", "update"),
        ("apt-get", "install", "--yes", "--no-install-recommends", *packages),
    )


def may_use_apt() -> bool:
    """Whether packages can be installed without asking: root on Debian or one of its children."""
    return (
        hasattr(os, "geteuid")
        and os.geteuid() == 0
        and Path("/etc/debian_version").exists()
        and shutil.which("apt-get") is not None
    )


def advice(libraries: Iterable[str], which: Callable[[str], str | None] = shutil.which) -> str:
    """What to type to get the libraries, for the package tool that this system has."""
    names = tuple(libraries)
    if which("apt-get"):
        return "sudo apt-get install " + " ".join(debian_packages(names))
    # These two find packages by the library file they provide.
    for tool in ("dnf", "zypper"):
        if which(tool):
            return f"sudo {tool} install " + " ".join(f"'{name}()(64bit)'" for name in names)
    return "install the packages of your system that contain " + ", ".join(names)


def needed(environment: Mapping[str, str], *, window: bool) -> tuple[str, ...]:
    """Library files Qt will load.

    Args:
        environment: variables of the process; `WAYLAND_DISPLAY` alone means that no X server is used.
        window: whether a window will be shown, or Qt only draws into memory.
    """
    if not window or ("WAYLAND_DISPLAY" in environment and "DISPLAY" not in environment):
        return tuple(BASE)
    return (*BASE, *WINDOW)
