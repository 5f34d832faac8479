"""What a person sees while the set-up works, and what they are told when it cannot go on."""

import io
import sys
from pathlib import Path

import pytest
from steps import SetupError, Steps, cause, clock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_step_says_its_title_and_keeps_the_output(tmp_path: Path) -> None:
    out = io.StringIO()
    steps = Steps(tmp_path / "deep" / "setup.log", out)
    steps.run("First", [sys.executable, "-c", "print('one')"])
    steps.run("Second", [sys.executable, "-c", "print('two')"])
    assert "First: done in 0:0" in out.getvalue()
    log = steps.log.read_text(encoding="utf-8")
    assert log.index("one") < log.index("two")


def test_a_terminal_shows_the_last_line_in_place(tmp_path: Path) -> None:
    out = Terminal()
    Steps(tmp_path / "setup.log", out).run("Doing", [sys.executable, "-c", "print('x' * 300)"])
    shown = out.getvalue()
    assert "\r" in shown
    assert "xxx" in shown
    assert "…" in shown
    assert shown.count("\n") == 1


def test_a_failure_names_the_step_the_reason_and_the_log(tmp_path: Path) -> None:
    steps = Steps(tmp_path / "setup.log", io.StringIO())
    script = "print('ERROR: No matching distribution found for torch'); raise SystemExit(3)"
    with pytest.raises(SetupError, match="no build for this Python") as caught:
        steps.run("Installing", [sys.executable, "-c", script])
    assert "Installing failed" in str(caught.value)
    assert str(steps.log) in str(caught.value)


def test_a_command_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be started"):
        Steps(tmp_path / "setup.log", io.StringIO()).run("Trying", [tmp_path / "nothing"])


@pytest.mark.parametrize(
    ("output", "meaning"),
    [
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("Temporary failure in name resolution", "network could not be reached"),
        ("SSLError(...)", "certificate"),
        ("something\nodd happened.\n\n", "odd happened"),
        ("", "it said nothing"),
    ],
)
def test_causes_are_plain(output: str, meaning: str) -> None:
    assert meaning in cause(output)


def test_the_clock_counts_minutes() -> None:
    assert [clock(0.4), clock(65.2), clock(600)] == ["0:00", "1:05", "10:00"]
