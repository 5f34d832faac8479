"""Whether a window could be shown here, decided without Qt."""

import socket
from collections.abc import Callable, Mapping
from pathlib import Path

_WAIT_S = 2.0
_FIRST_X_PORT = 6000


def reason_for_no_window(
    environment: Mapping[str, str], platform: str, *, answers: Callable[[str], bool] | None = None
) -> str:
    """Why no window can be shown, as one sentence; empty where one can.

    Args:
        environment: variables of the process.
        platform: `sys.platform`; only Linux and its like can be without a screen here.
        answers: says whether an X server answers under a name; by default it is asked.
    """
    if platform in {"win32", "darwin"} or environment.get("QT_QPA_PLATFORM"):
        return ""
    if _wayland_answers(environment):
        return ""
    display = environment.get("DISPLAY", "")
    if not display:
        return "There is no display here (neither DISPLAY nor WAYLAND_DISPLAY names one)."
    if not (answers or x_server_answers)(display):
        return f"The display that DISPLAY names ({display}) does not answer."
    return ""


def _wayland_answers(environment: Mapping[str, str]) -> bool:
    name = environment.get("WAYLAND_DISPLAY", "")
    return bool(name) and (Path(environment.get("XDG_RUNTIME_DIR", "/")) / name).exists()


def x_server_answers(display: str) -> bool:
    """Whether something listens where a name such as `:0` or `localhost:10.0` points."""
    host, _, rest = display.rpartition(":")
    number = rest.partition(".")[0]
    if not number.isdigit():
        return False
    if host and not host.startswith("unix"):
        return _connects(socket.AF_INET, (host, _FIRST_X_PORT + int(number)))
    path = f"/tmp/.X11-unix/X{number}"  # noqa: S108 - the place X servers use by convention
    return _connects(socket.AF_UNIX, path) or _connects(socket.AF_UNIX, "\0" + path)


def _connects(family: socket.AddressFamily, address: str | tuple[str, int]) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(_WAIT_S)
        try:
            connection.connect(address)
        except OSError:
            return False
        return True
