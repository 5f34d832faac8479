"""The decisions of the set-up: which environment, which commands, window or demonstration."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import bootstrap
import displays
import environments
import pytest
import requirements
import system_libraries
import verbs
from steps import SetupError, Steps

ROOT = Path(__file__).resolve().parents[2]
FULL = {
    "torch": "2.14.1",
    "torchvision": "0.29.1",
    "pyside6-essentials": "6.11.3",
    "opencv-python-headless": "5.0.0",
    "numpy": "2.4.6",
    "pillow": "13.0.0",
    "qdarkstyle": "3.2.3",
    "platformdirs": "4.14.5",
}


class HandedOverError(Exception):
    """Instead of becoming another program."""


class RecordedSteps(Steps):
    """Keeps the commands instead of running them; a made environment appears as it would."""

    def __init__(self, folder: Path) -> None:
        self.text = io.StringIO()
        super().__init__(folder / "setup.log", self.text)
        self.commands: list[list[str]] = []

    def run(self, title: str, command: Sequence[str | Path], *, environment: object = None) -> None:
        self.commands.append([str(part) for part in command])
        if "venv" in self.commands[-1]:
            python = environments.environment_python(environments.VENV)
            python.parent.mkdir(parents=True, exist_ok=True)
            python.symlink_to(sys.executable)


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecordedSteps:
    """A checkout's set-up that touches nothing but a temporary folder, outside any environment."""
    monkeypatch.setattr(environments, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(environments, "SCRATCH", tmp_path / ".bootstrap")
    monkeypatch.setattr(environments, "active_python", lambda *_: None)
    return RecordedSteps(tmp_path)


def use_active(monkeypatch: pytest.MonkeyPatch, folder: Path, versions: dict[str, str]) -> Path:
    """Pretend that an environment with these packages is active."""
    python = environments.environment_python(folder / "active")
    monkeypatch.setattr(environments, "active_python", lambda *_: python)
    ask, known = requirements.probe, requirements.Installed((3, 11, 7), versions)
    monkeypatch.setattr(requirements, "probe", lambda path: known if path == python else ask(path))
    return python


def test_an_active_environment_is_found_by_prefix_or_variable() -> None:
    inside = environments.active_python({}, "/env", "/usr", "/env/bin/python3")
    assert inside == Path("/env/bin/python3")
    named = environments.active_python({"VIRTUAL_ENV": "/env"}, "/usr", "/usr", "/usr/bin/python3")
    assert named == environments.environment_python(Path("/env"))
    conda = environments.active_python({"CONDA_PREFIX": "/conda"}, "/conda", "/conda", "/conda/bin/python")
    assert conda == Path("/conda/bin/python")
    assert environments.active_python({}, "/usr", "/usr", "/usr/bin/python3") is None


def test_an_active_environment_with_everything_is_left_as_it_is(
    steps: RecordedSteps, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = use_active(monkeypatch, tmp_path, FULL)
    assert environments.prepare("run", steps) == python
    assert steps.commands == []


def test_an_active_environment_with_torch_gets_only_what_is_missing(
    steps: RecordedSteps, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    have = {**FULL, "torch": "2.12.0+cpu"}
    del have["qdarkstyle"]
    python = use_active(monkeypatch, tmp_path, have)
    assert environments.prepare("run", steps) == python
    (command,) = steps.commands
    assert command[0] == str(python)
    assert command[-1] == "qdarkstyle>=3.2"
    pins = Path(command[command.index("-c") + 1]).read_text(encoding="utf-8").splitlines()
    assert "torch==2.12.0+cpu" in pins
    assert "torch==2.14.1" not in pins


def test_an_environment_of_another_program_is_passed_over(
    steps: RecordedSteps, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_active(monkeypatch, tmp_path, {"requests": "2.0"})
    assert environments.prepare("run", steps) == environments.environment_python(environments.VENV)
    assert "not used" in steps.text.getvalue()


def test_the_first_time_makes_an_environment_and_the_second_time_does_nothing(steps: RecordedSteps) -> None:
    python = environments.prepare("test", steps)
    made, installed, project = steps.commands
    assert made[1:3] == ["-m", "venv"]
    assert "setuptools" in installed
    assert any(part.startswith("pytest>=") for part in installed)
    assert str(environments.CONSTRAINTS) in installed
    assert "--no-build-isolation" in project
    assert project[-2:] == ["--editable", str(ROOT)]

    steps.commands.clear()
    assert environments.prepare("test", steps) == python
    assert environments.prepare("run", steps) == python
    assert steps.commands == []


def test_more_tools_are_added_and_the_old_ones_kept(steps: RecordedSteps) -> None:
    environments.prepare("test", steps)
    steps.commands.clear()
    environments.prepare("check", steps)
    installed, _ = steps.commands
    assert any(part.startswith("ruff") for part in installed)
    assert any(part.startswith("pytest-qt") for part in installed)


@pytest.mark.parametrize("stamp", ["", "{}", "[]", '{"python": [3, 11, 7], "extras": [], "hash": "old"}'])
def test_a_stamp_that_does_not_fit_installs_again(steps: RecordedSteps, stamp: str) -> None:
    environments.prepare("run", steps)
    steps.commands.clear()
    (environments.VENV / environments.STAMP).write_text(stamp, encoding="utf-8")
    environments.prepare("run", steps)
    assert len(steps.commands) == 2


def test_an_environment_that_does_not_start_is_said(
    steps: RecordedSteps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requirements, "probe", lambda _path: None)
    with pytest.raises(SetupError, match="does not start; remove that folder"):
        environments.prepare("run", steps)


def test_a_python_without_environments_names_the_package(
    steps: RecordedSteps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments.importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(system_libraries, "may_use_apt", lambda: False)
    with pytest.raises(SetupError, match=r"sudo apt-get install python3\.\d+-venv"):
        environments.prepare("run", steps)
    monkeypatch.setattr(system_libraries, "may_use_apt", lambda: True)
    environments.prepare("run", steps)
    assert steps.commands[1][:2] == ["apt-get", "install"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux leaves these to the person")
def test_missing_libraries_are_installed_or_named(
    steps: RecordedSteps, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([("libEGL.so.1",), (), ("libEGL.so.1",)])
    monkeypatch.setattr(system_libraries, "missing", lambda _names: next(answers))
    monkeypatch.setattr(system_libraries, "may_use_apt", lambda: True)
    environments.provide_system_libraries(steps, window=True)
    assert steps.commands[-1][-1] == "libegl1"
    monkeypatch.setattr(system_libraries, "may_use_apt", lambda: False)
    with pytest.raises(SetupError, match=r"libEGL\.so\.1.*get them with"):
        environments.provide_system_libraries(steps, window=True)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The commands that would be run in the foreground; every environment and library is there."""
    commands: list[list[str]] = []

    def call(command: Sequence[str], folder: Path | None = None) -> int:
        commands.append(list(command))
        return 0

    monkeypatch.setattr(verbs, "_call", call)
    monkeypatch.setattr(verbs, "_run_program", lambda python, arguments: call([str(python), *arguments]))
    monkeypatch.setattr(verbs.signal, "signal", lambda *_: None)
    monkeypatch.setattr(verbs, "prepare", lambda verb, steps: Path("/env/bin/python"))
    monkeypatch.setattr(verbs, "provide_system_libraries", lambda steps, *, window: None)
    monkeypatch.setattr(verbs, "SCRATCH", tmp_path)
    monkeypatch.setattr(verbs, "COVERAGE", tmp_path / "coverage.json")
    return commands


def test_with_a_display_the_window_opens(called: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(displays, "reason_for_no_window", lambda *_: "")
    assert verbs.main(["run", "images"]) == 0
    assert verbs.main(["run"]) == 0
    assert called == [["/env/bin/python", "images"], ["/env/bin/python"]]


def test_without_a_display_the_demonstration_runs(
    called: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(displays, "reason_for_no_window", lambda *_: "There is no display here.")
    assert verbs.main(["run", "images"]) == 0
    assert called[0][:3] == ["/env/bin/python", "demo", "--out"]
    assert "There is no display here. The demonstration" in capsys.readouterr().out


def test_each_demonstration_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    wanted = tmp_path / "demo"
    for name in ("demo", "demo-2", "demo-3"):
        folder = verbs.fresh_folder(wanted)
        assert folder == tmp_path / name
        folder.mkdir()


def test_the_demonstration_takes_its_own_arguments(
    called: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    verbs.main(["demo", "--out", "there", "--seconds", "5"])
    verbs.main(["demo", "--seed", "3"])
    assert called[0][1:] == ["demo", "--out", "there", "--seconds", "5"]
    assert called[1][1:] == ["demo", "--out", str(tmp_path / "maskloop-demo"), "--seed", "3"]


def test_the_suite_runs_with_coverage_unless_tests_are_chosen(
    called: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verbs, "workers", lambda: 3)
    assert verbs.main(["test", "-x"]) == 0
    assert verbs.main(["test", "tests/packaging", "-q"]) == 0
    whole, chosen = called
    assert "--cov" in whole
    assert whole[whole.index("-n") + 1] == "3"
    assert whole[whole.index("-m", 2) + 1] == "not bench"
    assert whole[-1] == "-x"
    assert chosen == ["/env/bin/python", "-m", "pytest", "tests/packaging", "-q"]


def test_a_computer_with_one_core_runs_one_test_after_the_other(
    called: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verbs, "workers", lambda: 1)
    verbs.main(["test"])
    assert "-n" not in called[0]
    monkeypatch.undo()
    assert 1 <= verbs.workers() <= verbs.MOST_WORKERS


def test_a_gap_in_a_complete_file_fails_the_suite(
    called: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(command: Sequence[str], folder: Path | None = None) -> int:
        verbs.COVERAGE.write_text(json.dumps({"files": {}}), encoding="utf-8")
        return 0

    monkeypatch.setattr(verbs, "_call", call)
    assert verbs.main(["test"]) == 1
    assert "no test imports it" in capsys.readouterr().out


def test_every_check_runs_and_failures_are_named(
    called: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verbs.main(["check"]) == 0
    assert [command[-1] for command in called][:2] == [".", "."]
    assert len(called) == 5
    monkeypatch.setattr(verbs, "_call", lambda command, folder=None: int("mypy" in command))
    assert verbs.main(["check"]) == 1
    assert "Failed: mypy, mypy packaging." in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["dance"], ["check", "more"], ["run", "a", "b"]])
def test_misuse_ends_with_two(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        verbs.main(arguments)
    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (SetupError("It is so"), 1, "It is so."),
        (OSError("no room"), 1, "The set-up cannot go on: no room."),
        (KeyboardInterrupt(), 130, "Stopped."),
    ],
)
def test_failures_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    said: str,
) -> None:
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(verbs, "_do", fail)
    monkeypatch.setattr(verbs.signal, "signal", lambda *_: None)
    assert verbs.main(["check"]) == status
    assert said in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot become another program")
def test_the_set_up_becomes_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def execute(path: str, command: list[str], _environment: dict[str, str]) -> None:
        raise HandedOverError(path, *command)

    monkeypatch.setattr(os, "execve", execute)
    with pytest.raises(HandedOverError) as caught:
        verbs._run_program(Path("/env/bin/python"), ["images"])
    assert caught.value.args == ("/env/bin/python", "/env/bin/python", "-m", "app", "images")


def test_a_called_command_answers_with_its_status(tmp_path: Path) -> None:
    code = "import os, sys; sys.exit(3 if os.getcwd() == sys.argv[1] else 4)"
    assert verbs._call([sys.executable, "-c", code, str(tmp_path)], tmp_path) == 3


@pytest.mark.skipif(os.name == "nt", reason="Windows ends processes in another way")
def test_when_the_set_up_is_ended_nothing_stays_behind(tmp_path: Path) -> None:
    """The tests' process says that it runs; then the set-up is told to end, and both are gone."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'packaging')!r})\n"
        "import signal, verbs\n"
        "signal.signal(signal.SIGTERM, verbs._end)\n"
        "verbs._call([sys.executable, '-c', 'print(1, flush=True); input()'])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        process.terminate()
        # The end of the output comes when nobody holds it any more: neither the set-up nor its child.
        assert process.stdout.read() == ""
        assert process.wait() == 128 + signal.SIGTERM


def test_the_program_finds_the_checkout_from_any_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert verbs.program_environment()["PYTHONPATH"] == str(ROOT)
    monkeypatch.setenv("PYTHONPATH", "mine")
    assert verbs.program_environment()["PYTHONPATH"] == f"{ROOT}{os.pathsep}mine"


def test_an_old_python_hands_over_or_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def execute(path: str, arguments: list[str]) -> None:
        assert path == arguments[0] == "/usr/bin/python3.12"
        raise HandedOverError

    monkeypatch.setattr(bootstrap.os, "execv", execute)
    monkeypatch.setattr(bootstrap, "OLDEST", (99, 0))
    monkeypatch.setattr(bootstrap, "newer_python", lambda: None)
    assert "needs Python 3.11 or newer" in str(bootstrap.main())
    monkeypatch.setattr(bootstrap, "newer_python", lambda: "/usr/bin/python3.12")
    with pytest.raises(HandedOverError):
        bootstrap.main()


def test_the_newest_python_on_the_path_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: name if name < "python3.13" else None)
    monkeypatch.setattr(bootstrap, "starts", lambda path: path != "python3.12")
    assert bootstrap.newer_python() == "python3.11"
    monkeypatch.setattr(bootstrap, "starts", lambda path: False)
    assert bootstrap.newer_python() is None


def test_names_that_lead_nowhere_do_not_start(tmp_path: Path) -> None:
    assert bootstrap.starts(sys.executable)
    assert not bootstrap.starts(str(tmp_path / "python3.99"))


def test_the_script_starts_by_itself() -> None:
    script = ROOT / "packaging" / "bootstrap.py"
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True, check=True)
    assert "run ~/images" in done.stdout
