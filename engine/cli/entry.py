"""From the words on the command line to a verb, its errors and its exit code."""

import argparse
import importlib
from collections.abc import Sequence
from typing import Protocol, cast

from engine.cli.console import complain, complain_about
from engine.errors import EngineError
from engine.learn.ranks import current_rank
from models.backbone_catalog import BackboneUnavailableError

DONE, FAILED, MISUSE = 0, 1, 2

_MODULES = {
    "demo": "engine.cli.demo",
    "train": "engine.cli.train",
    "predict": "engine.cli.predict",
    "evaluate": "engine.cli.evaluate",
    "export": "engine.cli.export",
    "import": "engine.cli.import_masks",
    "import-checkpoint": "engine.cli.import_checkpoint",
    "inspect": "engine.cli.inspect",
    "check": "engine.cli.check",
    "networks": "engine.cli.list_networks",
    "bench": "engine.cli.bench",
    "robot": "engine.cli.robot",
}

VERBS: tuple[str, ...] = tuple(_MODULES)
"""The words that may follow ``maskloop``."""


class Verb(Protocol):
    """What every verb's module offers. Importing it is cheap; the work is imported by ``run``."""

    SUMMARY: str
    EXAMPLE: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare options."""
        ...

    def run(self, arguments: argparse.Namespace) -> int:
        """Do the work and return the exit code."""
        ...


def load_verb(name: str) -> Verb:
    """Import the module of a verb."""
    return cast(Verb, importlib.import_module(_MODULES[name]))


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command; ``--help`` of each verb ends with an example."""
    parser = argparse.ArgumentParser(
        prog="maskloop",
        description="Paint corrections on images; a network learns from them. No verb: the window opens.",
        epilog="`maskloop VERB --help` tells more about a verb.",
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name in VERBS:
        verb = load_verb(name)
        part = verbs.add_parser(
            name,
            help=verb.SUMMARY,
            description=verb.SUMMARY,
            epilog=f"example:\n  {verb.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        verb.add_arguments(part)
    return parser


def _who() -> str:
    """Which process fails, where `torchrun` started several: all of them speak of their troubles."""
    try:
        return current_rank().spoken
    except EngineError:
        return ""


def run(argv: Sequence[str]) -> int:
    """Run one verb on the main thread.

    Args:
        argv: the words after ``maskloop``, the verb first.

    Returns:
        0 done, 1 failed, 2 misuse. A fault of the program itself is not caught: it is loud.
    """
    try:
        arguments = make_parser().parse_args(list(argv))
    except SystemExit as stop:
        return int(stop.code) if isinstance(stop.code, int) else MISUSE
    try:
        return load_verb(arguments.verb).run(arguments)
    except EngineError as error:
        complain_about(error, who=_who())
        return FAILED
    except BackboneUnavailableError as error:
        complain(str(error))
        return FAILED
    except KeyboardInterrupt:
        complain("Interrupted. What was finished is kept.")
        return FAILED
    except BrokenPipeError:
        return FAILED
