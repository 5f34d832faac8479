"""``maskloop export``: a project's label maps in a foreign format."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli.arguments import add_device
from engine.cli.console import Bar, complain, complain_about, say
from engine.errors import EngineError, ExchangeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from engine.messages import ExportItem
    from engine.project.project import Project

SUMMARY = "Write a project's label maps in a foreign format."
EXAMPLE = "maskloop export photos/ --format coco --out exported/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare options."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder of images with a project")
    parser.add_argument(
        "--format", required=True, metavar="NAME", help="png (ids, palette and colours) or coco"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the files")
    parser.add_argument(
        "--fill", action="store_true", help="let the network label what nobody annotated, in all images"
    )
    parser.add_argument(
        "--checkpoint", type=Path, metavar="F", help="checkpoint for --fill (default: the project's own)"
    )
    add_device(parser)


def run(arguments: argparse.Namespace) -> int:
    """Export annotated images, or with ``--fill`` all of them; damaged ones are named and skipped."""
    from engine.catalog import format_by_name
    from engine.exchange.base import labelled_images
    from engine.project.project import Project

    exporter = format_by_name(arguments.format)
    project = Project.open(arguments.folder, read_only=True)
    try:
        if not project.exists_on_disk:
            raise ExchangeError(
                f"“{arguments.folder}” has no project yet.", hint="Annotate or import masks first."
            )
        items = _items(project, everything=arguments.fill)
        predict = _predictor(project, arguments) if arguments.fill else None
        failed: list[EngineError] = []
        with Bar("Exporting", len(items)) as bar:
            source = labelled_images(items, project.store, predict, skipped=failed.append)
            report = exporter.export(source, project.manifest.classes, arguments.out, bar.update)
    finally:
        project.close()
    for error in failed:
        complain_about(error)
    say(f"{report.images} images, {report.files} files → {report.folder}")
    for note in report.notes:
        say(note)
    return 1 if failed else 0


def _items(project: "Project", *, everything: bool) -> list["ExportItem"]:
    """Annotated images, or all; those whose header cannot be read are left out with a line."""
    from engine.messages import ExportItem
    from engine.project.images import probe

    items: list[ExportItem] = []
    for record in project.manifest.images.values():
        if not everything and record.revision == 0:
            continue
        path = project.image_path(record.image_id)
        try:
            size = record.size or probe(path).size
        except EngineError as error:
            complain_about(error)
            continue
        items.append(ExportItem(image_id=record.image_id, image_path=str(path), size=size))
    if not items:
        raise ExchangeError("Nothing is annotated yet.", hint="Annotate an image, or use --fill.")
    return items


def _predictor(
    project: "Project", arguments: argparse.Namespace
) -> Callable[["ExportItem"], "NDArray[np.uint8]"]:
    """Predict with the given checkpoint or the project's; classes are matched by name."""
    from engine.cli.networks import load_network
    from engine.config import Device
    from engine.exchange.relabel import relabelled
    from engine.project.images import read_image

    stored = project.manifest.checkpoint
    path = arguments.checkpoint or (project.folder / stored if stored else None)
    if path is None:
        raise ExchangeError(
            "This project has no trained network yet.", hint="Train first, or name --checkpoint."
        )
    network = load_network(path, Device(arguments.device), complain)

    def predict(item: "ExportItem") -> "NDArray[np.uint8]":
        label_map, _ = network.predictor.predict_whole(read_image(Path(item.image_path)))
        return relabelled(label_map, network.classes, project.manifest.classes)

    return predict
