"""``maskloop import``: masks drawn elsewhere become annotations of a project."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli.console import Bar, complain, say

if TYPE_CHECKING:
    from engine.annotate.classes import ClassTable
    from engine.exchange.mask_import import ImportPreview

SUMMARY = "Import masks (id, palette or colour PNGs) into a folder's project."
EXAMPLE = "maskloop import photos/ --masks photos-masks/ --classes classes.json"

_LISTED = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare options."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder of images")
    parser.add_argument(
        "--masks", type=Path, required=True, metavar="DIR", help="folder of masks with the same names"
    )
    parser.add_argument(
        "--classes", type=Path, metavar="F", help="class list (.json or .txt) that explains the masks' values"
    )
    parser.add_argument("--preview", action="store_true", help="show what would happen, and change nothing")


def run(arguments: argparse.Namespace) -> int:
    """Show what the values mean, then write; strokes painted by hand stay."""
    from engine.cli.pump import Pump
    from engine.errors import ProjectError
    from engine.messages import CommandFailed, MasksImported, Progress
    from engine.session import Session

    pump = Pump()
    session = Session.open(arguments.folder, emit=pump.emit, read_only=arguments.preview)
    try:
        if session.read_only and not arguments.preview:
            raise ProjectError(f"“{arguments.folder}” cannot be changed: {session.read_only_reason}", hint="")
        preview = session.preview_import(arguments.masks, arguments.classes)
        describe(preview)
        if arguments.preview:
            return 0
        failed = False
        session.import_masks(preview, preview.mapping)
        with Bar("Importing", len(preview.matched)) as bar:
            for event in pump.until(session, MasksImported):
                if isinstance(event, Progress):
                    bar.update(event.done)
                elif isinstance(event, CommandFailed):
                    complain(f"{event.problem.message} {event.problem.hint}")
                    failed = True
                elif isinstance(event, MasksImported):
                    say("\n".join(event.notes))
        return 1 if failed or preview.problems else 0
    finally:
        saved = session.close()
        if saved is False:
            complain("Not everything could be saved. Free some space and import again.")


def describe(preview: "ImportPreview") -> None:
    """Print what was found and what each value becomes."""
    say(f"{preview.found} mask files ({preview.kind.value}), {len(preview.matched)} fit an image.")
    _list("Without an image", [path.name for path in preview.unmatched])
    _list("Images without a mask", list(preview.without_mask))
    for problem in preview.problems:
        complain(problem.message)
    total = max(1, sum(preview.values.values()))
    for value, pixels in preview.values.items():
        name = _name(preview.classes, preview.mapping[value])
        unknown = "  (no class is known for it)" if value in preview.unknown else ""
        say(f"  {value!s:>16}  {100 * pixels / total:6.2f} %  → {name}{unknown}")


def _name(classes: "ClassTable", index: int) -> str:
    spec = classes.by_index(index)
    return "unlabelled" if spec is None else spec.name


def _list(title: str, names: list[str]) -> None:
    if names:
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        say(f"{title}: {', '.join(names[:_LISTED])}{more}.")
