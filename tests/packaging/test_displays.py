"""When a window is tried, and when the sentence about the missing display comes instead."""

import socket
from pathlib import Path

import displays
import pytest


def test_no_variable_means_no_display() -> None:
    assert "no display" in displays.reason_for_no_window({}, "linux")


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_other_systems_always_have_one(platform: str) -> None:
    assert displays.reason_for_no_window({}, platform) == ""


def test_a_chosen_qt_platform_is_the_persons_own_business() -> None:
    assert displays.reason_for_no_window({"QT_QPA_PLATFORM": "vnc"}, "linux") == ""


def test_an_x_server_must_answer() -> None:
    asked = []

    def answers(display: str) -> bool:
        asked.append(display)
        return display == ":1"

    assert displays.reason_for_no_window({"DISPLAY": ":1"}, "linux", answers=answers) == ""
    assert ":7" in displays.reason_for_no_window({"DISPLAY": ":7"}, "linux", answers=answers)
    assert asked == [":1", ":7"]


def test_a_wayland_socket_is_enough(tmp_path: Path) -> None:
    environment = {"WAYLAND_DISPLAY": "wayland-0", "XDG_RUNTIME_DIR": str(tmp_path)}
    assert displays.reason_for_no_window(environment, "linux") != ""
    (tmp_path / "wayland-0").touch()
    assert displays.reason_for_no_window(environment, "linux") == ""


def test_a_listening_server_is_found_and_a_silent_one_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1] - 6000
        name = f"127.0.0.1:{number}.0"
        assert displays.x_server_answers(name) is (number >= 0)
    assert not displays.x_server_answers(name)
    assert not displays.x_server_answers("nonsense")
    assert not displays.x_server_answers(":98765")
