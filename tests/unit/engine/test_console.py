"""The command line's words: exit codes, one-line errors, bars that know where they are."""

import io
import subprocess
import sys

import pytest

from engine.cli import VERBS, run
from engine.cli.console import Bar, complain
from engine.cli.entry import load_verb


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_one_of_several_processes_says_which_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert run(["check", "/no/such/folder"]) == 1
    assert capsys.readouterr().err.startswith("maskloop: process 2 of 3: ")


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([verb, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"example:\n  maskloop {verb}" in text
    assert load_verb(verb).SUMMARY.endswith(".")


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["sing"],
        ["predict"],
        ["demo"],
        ["demo", "--out", "x", "--seconds", "0"],
        ["demo", "--out", "x", "--seconds", "nan"],
        ["demo", "--out", "x", "--seed", "-1"],
        ["train", "x", "--steps", "0"],
        ["train", "x", "--device", "abacus"],
        ["export", "x", "--out", "y"],
        ["import", "x"],
    ],
)
def test_misuse_is_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "usage: maskloop" in captured.err


def test_failure_is_1_and_one_line(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    gone = tmp_path / "gone"
    assert run(["check", str(gone)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("maskloop: ")
    assert str(gone) in lines[0]


def test_a_full_folder_is_left_alone(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    assert run(["demo", "--out", str(tmp_path), "--seconds", "1"]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert "empty folder" in capsys.readouterr().err


def test_interruption_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("engine.cli.check.run", interrupted)
    assert run(["check", str(tmp_path)]) == 1
    assert "Interrupted" in capsys.readouterr().err


def test_bar_on_a_terminal() -> None:
    stream = Terminal()
    with Bar("Counting", 4, stream) as bar:
        bar.update(1)
        bar.update(4, "done")
    text = stream.getvalue()
    assert text.endswith("\n")
    assert "4/4" in text
    assert "done" in text


def test_bar_elsewhere_speaks_seldom() -> None:
    stream = io.StringIO()
    with Bar("Counting", 1000, stream) as bar:
        for done in range(1001):
            bar.update(done)
    assert stream.getvalue() == ""
    unknown = Terminal()
    with Bar("Counting", 0, unknown) as bar:
        bar._shown = 0.0
        bar.update(7)
    assert "Counting 7" in unknown.getvalue()


def test_troubles_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    complain("first\nsecond   third")
    assert capsys.readouterr().err == "maskloop: first second third\n"


def test_the_parser_needs_neither_torch_nor_qt() -> None:
    code = (
        "import sys, engine.cli, engine.cli.entry as e; e.make_parser();"
        "print([m for m in ('torch', 'PySide6', 'cv2', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
