"""Kinds of arguments that several verbs take."""

import argparse
from pathlib import Path

_DEVICES = ("auto", "cpu", "cuda", "mps")

LOSS_NAMES = ("cross-entropy", "rmi", "affinity")


def add_device(parser: argparse.ArgumentParser) -> None:
    """``--device``."""
    parser.add_argument(
        "--device",
        choices=_DEVICES,
        default="auto",
        help="where the network runs (default: the fastest there is)",
    )


def add_seed(parser: argparse.ArgumentParser) -> None:
    """``--seed``."""
    parser.add_argument("--seed", type=natural, default=0, metavar="S", help="start of all random choices")


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """``--checkpoint``."""
    parser.add_argument(
        "--checkpoint", type=Path, required=True, metavar="F", help="checkpoint file of the network"
    )


def natural(text: str) -> int:
    """A whole number, 0 or more; anything else is misuse."""
    number = int(text)
    if not 0 <= number < 2**31:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and {2**31 - 1}")
    return number


def positive(text: str) -> int:
    """A whole number, 1 or more; anything else is misuse."""
    number = natural(text)
    if number == 0:
        raise argparse.ArgumentTypeError("0 is too small")
    return number


def share(text: str) -> float:
    """A number above 0, at most 1; anything else is misuse."""
    number = float(text)
    if not 0.0 < number <= 1.0:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return number


def seconds(text: str) -> float:
    """A positive number of seconds; anything else is misuse."""
    number = float(text)
    if not 0.0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is no useful number of seconds")
    return number
