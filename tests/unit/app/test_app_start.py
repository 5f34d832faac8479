"""The command, the log and the crash reporter."""

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app import crash
from app.crash import CrashReporter, write_report
from app.logs import LogFeed, start_logging
from app.main import main, prepare_environment, wants_no_window

ROOT = Path(__file__).parents[3]


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=ROOT,
        env={**os.environ, **environment},
        check=True,
    )
    return done.stdout.strip()


def test_a_verb_never_imports_qt() -> None:
    code = (
        "import sys; from app.main import wants_no_window as w; w(['demo']); print('PySide6' in sys.modules)"
    )
    assert run(code) == "False"


def test_the_window_opens_without_torch() -> None:
    code = "import sys, app.main, app.window; print('torch' in sys.modules)"
    assert run(code) == "False"


def test_verbs_and_options_need_no_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert wants_no_window(["--help"])
    assert wants_no_window(["demo"])
    assert not wants_no_window([str(tmp_path)])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    assert not wants_no_window(["demo"])
    # A verb with arguments is the verb, whatever lies in the folder one happens to stand in.
    assert wants_no_window(["demo", "--out", "report"])


def test_a_verb_goes_to_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from engine import cli

    given: list[list[str]] = []
    monkeypatch.setattr(cli, "run", lambda arguments: given.append(arguments) or 7)
    assert main(["check", "somewhere"]) == 7
    assert given == [["check", "somewhere"]]


def test_two_folders_are_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["one", "two"]) == 2
    assert "one folder at most" in capsys.readouterr().err


def test_foreign_qt_is_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    interval = sys.getswitchinterval()
    monkeypatch.setenv("QT_API", "pyqt5")
    monkeypatch.setenv("QT_PLUGIN_PATH", "/elsewhere")
    monkeypatch.setenv("QT_QPA_PLATFORM_PLUGIN_PATH", "/elsewhere")
    try:
        prepare_environment()
        assert os.environ["QT_API"] == "pyside6"
        assert "QT_PLUGIN_PATH" not in os.environ
        assert "QT_QPA_PLATFORM_PLUGIN_PATH" not in os.environ
        assert sys.getswitchinterval() == pytest.approx(0.0005)
    finally:
        sys.setswitchinterval(interval)


def test_log_lines_cross_from_any_thread(qtbot: QtBot, tmp_path: Path) -> None:
    feed = LogFeed()
    handlers = start_logging(feed, tmp_path)
    try:
        with qtbot.waitSignal(feed.line_added, timeout=60_000):
            thread = threading.Thread(target=lambda: logging.getLogger("x").info("from afar"))
            thread.start()
            thread.join()
        assert feed.lines[-1][0].endswith("from afar")
        assert "from afar" in (tmp_path / "maskloop.log").read_text(encoding="utf-8")
    finally:
        for handler in handlers:
            logging.getLogger().removeHandler(handler)
            handler.close()


def test_logging_needs_no_folder(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("x", encoding="utf-8")
    before = list(logging.getLogger().handlers)
    assert start_logging(None, blocked / "log") == []
    for handler in logging.getLogger().handlers[:]:
        if handler not in before:
            logging.getLogger().removeHandler(handler)


@pytest.mark.logs_allowed
def test_an_error_is_reported_once_for_each_place(qtbot: QtBot, tmp_path: Path) -> None:
    reporter = CrashReporter(tmp_path)
    heard: list[tuple[str, str, str]] = []
    reporter.crashed.connect(lambda *words: heard.append(words))
    for _ in range(3):
        try:
            int("no luck")
        except ValueError as error:
            reporter.report(type(error), error, error.__traceback__)
    assert len(heard) == 1
    summary, report, path = heard[0]
    assert summary.startswith("ValueError: ")
    assert "Traceback" in report
    assert "no luck" in Path(path).read_text(encoding="utf-8")


def test_native_crashes_leave_a_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []
    monkeypatch.setattr(crash.faulthandler, "enable", given.append)
    monkeypatch.setattr(crash.faulthandler, "disable", lambda: given.append(None))
    reporter = CrashReporter(tmp_path)
    reporter.catch_faults()
    reporter.uninstall()
    assert given[0].closed
    assert given[1] is None
    assert (tmp_path / "fault.txt").exists()


@pytest.mark.logs_allowed
def test_errors_of_threads_are_caught(qtbot: QtBot, tmp_path: Path) -> None:
    reporter = CrashReporter(tmp_path)
    shown: list[str] = []
    reporter.connect_dialog(lambda summary, _report, _path: shown.append(summary))
    hooks = sys.excepthook, threading.excepthook
    reporter.install()
    try:
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
        qtbot.waitUntil(lambda: len(shown) == 1, timeout=60_000)
    finally:
        reporter.uninstall()
    assert (sys.excepthook, threading.excepthook) == hooks
    assert shown[0].startswith("ZeroDivisionError")


def test_a_report_needs_no_folder(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("x", encoding="utf-8")
    assert write_report("text", blocked / "log") is None


def test_messages_of_qt_go_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    from PySide6.QtCore import QtMsgType

    with caplog.at_level(logging.DEBUG, logger="qt"):
        crash._log_qt_message(QtMsgType.QtWarningMsg, None, "painted twice")
    assert caplog.records[0].levelname == "WARNING"
    assert "painted twice" in caplog.text
