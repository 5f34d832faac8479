"""Where the robot's results go: the console, and a page."""

from collections.abc import Sequence
from pathlib import Path

from engine.cli.console import say
from engine.cli.robot_files import Outcome, read_results
from engine.cli.robot_page import page
from engine.cli.robot_tables import summary
from engine.files import atomic_write


def compare_files(paths: Sequence[Path], report: Path | None) -> int:
    """Print a comparison of result files, the first against each other one; write a page if asked.

    Raises:
        EngineError: a file cannot be used.
    """
    outcomes = [read_results(path) for path in paths]
    print_summary(outcomes)
    if report is not None:
        write_page(report, outcomes)
        say(f"Report: {report}")
    return 0


def print_summary(outcomes: Sequence[Outcome]) -> None:
    """Write the tables to the console."""
    for line in summary(outcomes):
        say(line)


def write_page(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write the report as HTML.

    Raises:
        StorageError: the disk refuses.
    """
    atomic_write(path, page(outcomes).encode("utf-8"))
