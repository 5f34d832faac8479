"""``maskloop import-checkpoint``: checkpoints that papers' authors published become checkpoints of ours."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli.console import complain, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.learn.released import ImportReport

SUMMARY = "Read a published checkpoint of IDRNet, MCIBI, MCIBI++ or a network they are compared with."
EXAMPLE = (
    "maskloop import-checkpoint idrnet_fcn_resnet50os8_ade20k.pth --out idrnet.pt\n"
    "  maskloop import-checkpoint renamed.pth --as idrnet_ppm_resnet50os8_cityscapes\n"
    "  maskloop import-checkpoint own.pth --set backbone.output_stride=16 --set dilations=1,6,12,18"
)

_LISTED = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare options."""
    parser.add_argument("file", type=Path, metavar="FILE", help="checkpoint file of the authors")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="F",
        help="file to write, or a project's checkpoints folder (default: beside FILE, with .pt)",
    )
    parser.add_argument(
        "--classes",
        type=Path,
        metavar="F",
        help="class list (.json or .txt) in the order of its channels (default: by the data set in its name)",
    )
    parser.add_argument(
        "--as",
        dest="published_name",
        default="",
        metavar="NAME",
        help="what the authors called the file, if it was renamed: data set and some settings hang on it",
    )
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the network that tensors do not tell, such as dilations=1,6,12,18 or "
        "backbone.output_stride=16; can be repeated, --all lists all",
    )
    parser.add_argument(
        "--all", action="store_true", help="list every tensor and every setting by name, not only the first"
    )
    parser.add_argument("--check", action="store_true", help="report only, and write nothing")


def run(arguments: argparse.Namespace) -> int:
    """Report what fits, then write."""
    from engine.annotate.class_files import read_class_file
    from engine.cli.settings import with_settings
    from engine.learn.released import read_released, save_released

    classes = None if arguments.classes is None else read_class_file(arguments.classes)
    imported = read_released(
        arguments.file,
        classes=classes,
        published_name=arguments.published_name,
        change=lambda network: with_settings(network, arguments.settings),
    )
    describe(imported.report, everything=arguments.all)
    if arguments.check:
        return 0 if imported.report.complete else 1
    out = arguments.out or _beside(arguments.file)
    say(f"Checkpoint: {save_released(imported, out, name=arguments.file.stem)}")
    return 0


def _beside(file: Path) -> Path:
    """The file to write without ``--out``; never the one that is read."""
    other = file.with_suffix(".pt")
    return file.with_name(f"{file.stem}-imported.pt") if other == file else other


def describe(report: "ImportReport", *, everything: bool) -> None:
    """Print what was found, name by name."""
    say(report.summary())
    limit = None if everything else _LISTED
    _list("Used", report.used, limit if everything else 0)
    _list("Computed here instead", report.computed, limit)
    _list("Left over", report.left_over, limit)
    _list("Missing", report.missing, limit)
    if everything:
        from engine.cli.settings import settings_of

        _list("Settings", [f"{name}={value}" for name, value in settings_of(report.network)], None)
    for note in report.notes:
        complain(note)


def _list(title: str, names: "Sequence[str]", limit: int | None) -> None:
    """Print names in a column; ``limit`` of them, or all of them without one."""
    if not names:
        return
    say(f"{title}: {len(names)}")
    shown = names if limit is None else names[:limit]
    for name in shown:
        say(f"  {name}")
    if shown and len(shown) < len(names):
        say(f"  … and {len(names) - len(shown)} more; --all lists them")
