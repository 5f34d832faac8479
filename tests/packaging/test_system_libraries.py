"""Which of the libraries Qt loads are missing, and what to type to get them."""

import pytest
import system_libraries


def test_missing_are_those_the_loader_does_not_find() -> None:
    assert system_libraries.missing(["liba.so.1", "libb.so.2"], lambda name: name == "liba.so.1") == (
        "libb.so.2",
    )


def test_the_loader_itself_is_asked() -> None:
    assert system_libraries.missing(["libnothing-of-the-kind.so.9"]) == ("libnothing-of-the-kind.so.9",)


def test_drawing_into_memory_needs_less_than_a_window() -> None:
    drawing = system_libraries.needed({"DISPLAY": ":0"}, window=False)
    window = system_libraries.needed({"DISPLAY": ":0"}, window=True)
    assert "libEGL.so.1" in drawing
    assert "libfontconfig.so.1" in drawing
    assert set(drawing) < set(window)
    assert {"libxcb-cursor.so.0", "libxcb-icccm.so.4", "libxkbcommon-x11.so.0"} <= set(window)


def test_wayland_alone_needs_no_x_libraries() -> None:
    alone = {"WAYLAND_DISPLAY": "wayland-0"}
    assert system_libraries.needed(alone, window=True) == system_libraries.needed({}, window=False)
    assert "libxcb.so.1" in system_libraries.needed({**alone, "DISPLAY": ":0"}, window=True)


def test_every_library_has_a_package_and_each_is_named_once() -> None:
    packages = system_libraries.debian_packages(["libglib-2.0.so.0", "libgthread-2.0.so.0", "libEGL.so.1"])
    assert packages == ("libegl1", "libglib2.0-0")
    assert system_libraries.apt_commands(packages)[-1][-2:] == packages


@pytest.mark.parametrize(
    ("tool", "start"),
    [
        ("apt-get", "sudo apt-get install libxcb-cursor0"),
        ("dnf", "sudo dnf install 'libxcb-cursor.so.0()(64bit)'"),
        ("zypper", "sudo zypper install 'libxcb-cursor.so.0()(64bit)'"),
        ("", "install the packages of your system that contain libxcb-cursor.so.0"),
    ],
)
def test_advice_is_what_to_type(tool: str, start: str) -> None:
    advice = system_libraries.advice(["libxcb-cursor.so.0"], lambda name: name if name == tool else None)
    assert advice == start
