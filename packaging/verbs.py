"""What `bootstrap.py` can be asked to do."""

import argparse
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

import coverage_rule
import displays
from environments import ROOT, SCRATCH, prepare, provide_system_libraries
from steps import SetupError, Steps

COVERAGE = SCRATCH / "coverage.json"
PASSED_ON = ("demo", "test")
MOST_WORKERS = 4


def program_environment() -> dict[str, str]:
    """Variables under which the checkout's packages are found from any folder."""
    known = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{known}" if known else str(ROOT)}


def selects_tests(arguments: Sequence[str]) -> bool:
    """Whether arguments for pytest choose among the tests, so that coverage would say nothing."""
    chooses = ("-k", "-m", "--lf", "--last-failed", "--deselect", "--ignore")
    return any(not part.startswith("-") or part.startswith(chooses) for part in arguments)


def test_command(python: Path, arguments: Sequence[str]) -> list[str]:
    """The command that runs the suite: everything but the benches, with coverage unless tests are chosen."""
    command = [str(python), "-m", "pytest"]
    if not selects_tests(arguments):
        command += [
            "-m",
            "not bench",
            "--cov",
            "--cov-report=term:skip-covered",
            f"--cov-report=json:{COVERAGE}",
        ]
        command += ["-n", str(workers()), "--dist", "worksteal"] if workers() > 1 else []
    return [*command, *arguments]


def workers() -> int:
    """How many processes share the tests of the whole suite: each loads torch and Qt, so not too many."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST_WORKERS, cores)


def check_commands(python: Path) -> dict[str, list[str]]:
    """The checks by title."""
    own = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "packaging").glob("*.py"))
    tool = [str(python), "-m"]
    return {
        "ruff check": [*tool, "ruff", "check", "."],
        "ruff format": [*tool, "ruff", "format", "--check", "."],
        "mypy": [*tool, "mypy"],
        "mypy packaging": [*tool, "mypy", *own],
        "import contracts": [str(python.with_name("lint-imports" + python.suffix))],
    }


def _run_program(python: Path, arguments: Sequence[str]) -> int:
    """Become the program, so that signals reach it; on Windows, which has no such thing, start it."""
    command = [str(python), "-m", "app", *arguments]
    if os.name != "nt":
        sys.stdout.flush()
        os.execve(command[0], command, program_environment())
    return _call(command)


def _call(command: Sequence[str], folder: Path | None = None) -> int:
    """Run a command in the foreground. Ctrl+C is the command's to answer; our own end is its end."""
    with subprocess.Popen(command, cwd=folder, env=program_environment()) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue
            except SystemExit:
                process.terminate()
                raise


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def run(folder: str | None, steps: Steps) -> int:
    """Open the window; without a display, show the work without one."""
    reason = displays.reason_for_no_window(os.environ, sys.platform)
    if reason:
        steps.say(f"{reason} The demonstration, which needs none, runs instead.")
        return demo((), steps)
    provide_system_libraries(steps, window=True)
    return _run_program(prepare("run", steps), [folder] if folder else [])


def fresh_folder(wanted: Path) -> Path:
    """The folder itself, or with the first number behind it under which nothing is yet."""
    numbered = (wanted.with_name(f"{wanted.name}-{number}") for number in itertools.count(2))
    return next(path for path in itertools.chain([wanted], numbered) if not path.exists())


def demo(arguments: Sequence[str], steps: Steps) -> int:
    """Run `maskloop demo`; its results go to `maskloop-demo` here unless `--out` says where."""
    python = prepare("demo", steps)
    named = any(part == "--out" or part.startswith("--out=") for part in arguments)
    place = () if named else ("--out", str(fresh_folder(Path.cwd() / "maskloop-demo")))
    return _run_program(python, ["demo", *place, *arguments])


def test(arguments: Sequence[str], steps: Steps) -> int:
    """Run the suite without a screen. Says nothing after pytest's own last line unless files have gaps."""
    provide_system_libraries(steps, window=False)
    python = prepare("test", steps)
    SCRATCH.mkdir(exist_ok=True)
    COVERAGE.unlink(missing_ok=True)
    status = _call(test_command(python, arguments), ROOT)
    if status == 0 and COVERAGE.exists():
        gaps = coverage_rule.gaps(COVERAGE)
        for sentence in gaps:
            steps.say(sentence)
        status = 1 if gaps else 0
    return status


def check(steps: Steps) -> int:
    """Run every check, also after one has failed, and say which did."""
    failed = []
    for title, command in check_commands(prepare("check", steps)).items():
        steps.say(f"== {title}")
        if _call(command, ROOT) != 0:
            failed.append(title)
    steps.say(f"Failed: {', '.join(failed)}." if failed else "All checks passed.")
    return 1 if failed else 0


def parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Read the command line; what a verb passes on to the program it starts comes second."""
    parser = argparse.ArgumentParser(
        prog="bootstrap.py",
        description="Set Maskloop up where that has not been done, and then:",
        epilog="example: python3 packaging/bootstrap.py run ~/images",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("run", help="open the window").add_argument("folder", nargs="?", metavar="FOLDER")
    verbs.add_parser("demo", help="show the whole work without a window; arguments go to maskloop demo")
    verbs.add_parser("test", help="run the tests; arguments go to pytest")
    verbs.add_parser("check", help="run ruff, mypy and the import contracts")
    if arguments and arguments[0] in PASSED_ON:
        return parser.parse_args(arguments[:1]), list(arguments[1:])
    return parser.parse_args(arguments), []


def _do(known: argparse.Namespace, rest: Sequence[str], steps: Steps) -> int:
    match known.verb:
        case "run":
            return run(known.folder, steps)
        case "demo":
            return demo(rest, steps)
        case "test":
            return test(rest, steps)
        case _:
            return check(steps)


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; returns the exit status: 0 done, 1 failed, 2 misuse, 130 stopped."""
    known, rest = parse(arguments)
    signal.signal(signal.SIGTERM, _end)
    try:
        return _do(known, rest, Steps(SCRATCH / "setup.log"))
    except SetupError as error:
        print(f"{error}.", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"The set-up cannot go on: {error}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
