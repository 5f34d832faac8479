"""``maskloop check``: is everything in a project whole and readable?"""

import argparse
from pathlib import Path

from engine.cli.console import Bar, say

SUMMARY = "Check a project: manifest, annotations, journals, checkpoints. Changes nothing."
EXAMPLE = "maskloop check photos/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare options."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder of images with a project")


def run(arguments: argparse.Namespace) -> int:
    """List findings; the exit code is 1 when something is damaged."""
    from engine.project.integrity import Severity, check_project

    with Bar("Checking", 0) as bar:
        findings = check_project(arguments.folder, lambda done, _total: bar.update(done))
    for finding in findings:
        say(f"{finding.severity.value}: {finding.path}: {finding.message} {finding.hint}".rstrip())
    damaged = sum(finding.severity is Severity.ERROR for finding in findings)
    if not findings:
        say("Everything is in order.")
    return 1 if damaged else 0
