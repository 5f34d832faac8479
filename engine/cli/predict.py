"""``maskloop predict``: label maps for images, with a trained network."""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from engine.cli.arguments import add_checkpoint, add_device
from engine.cli.console import Bar, complain, complain_about, say
from engine.errors import EngineError, ImageError

if TYPE_CHECKING:
    from engine.cli.networks import LoadedNetwork
    from engine.exchange.base import LabelledImage
    from engine.learn.ranks import Rank

SUMMARY = "Predict label maps of images with a trained network."
EXAMPLE = (
    "maskloop predict photos/ --checkpoint trained.pt --out masks/\n"
    "  torchrun --nproc-per-node 4 -m app predict photos/ --checkpoint trained.pt --out masks/"
)
_FILE_PER_IMAGE = ("ids", "png")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare options."""
    parser.add_argument(
        "images", nargs="+", type=Path, metavar="IMAGE|FOLDER", help="images, or folders of images"
    )
    add_checkpoint(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the label maps")
    parser.add_argument(
        "--format",
        default="ids",
        metavar="NAME",
        help="ids: one 8-bit grey PNG of class ids per image (default); or an export format: png, coco",
    )
    add_device(parser)


def run(arguments: argparse.Namespace) -> int:
    """Predict all images; those that cannot be read are named and skipped, and the exit code is then 1.

    Under torchrun every process predicts its share of them.
    """
    from engine.catalog import format_by_name
    from engine.cli.networks import load_network
    from engine.config import Device
    from engine.exchange.base import Exporter
    from engine.exchange.png import IdExporter
    from engine.learn.distributed import take_own_card
    from engine.learn.ranks import current_rank

    exporter: Exporter = IdExporter() if arguments.format == "ids" else format_by_name(arguments.format)
    rank = current_rank()
    if rank.count > 1 and exporter.name not in _FILE_PER_IMAGE:
        raise EngineError(
            f"The format “{exporter.name}” writes one file for all images: several processes cannot.",
            hint="Start one process, or choose --format ids or png.",
        )
    images = _share(_find(arguments.images), rank)
    take_own_card(rank, Device(arguments.device))
    network = load_network(arguments.checkpoint, Device(arguments.device), complain)
    failed: list[EngineError] = []
    with Bar("Predicting", len(images)) as bar:
        items = _predicted(images, network, failed.append)
        report = exporter.export(items, network.classes, arguments.out, bar.update)
    for error in failed:
        complain_about(error)
    title = network.device.title
    say(f"{rank.spoken}{report.images} of {len(images)} images predicted on {title} → {report.folder}")
    for note in report.notes:
        say(note)
    return 1 if failed else 0


def _find(paths: list[Path]) -> list[tuple[str, Path]]:
    """Image ids and files; folders give all their images.

    Raises:
        ImageError: a path does not exist, or nothing is left.
    """
    from engine.project.images import list_images

    found: list[tuple[str, Path]] = []
    for path in paths:
        if path.is_dir():
            found.extend((image_id, path / image_id) for image_id in list_images(path))
        elif path.is_file():
            found.append((path.name, path))
        else:
            raise ImageError(f"“{path}” is not there.", hint="Check the path.")
    if not found:
        raise ImageError(
            f"“{paths[0]}” holds no images.", hint="Name image files, or a folder that holds some."
        )
    return found


def _share(images: list[tuple[str, Path]], rank: "Rank") -> list[tuple[str, Path]]:
    """This process's images: those that differ in their suffix only stay together."""
    stems = {
        image_id: PurePosixPath(image_id).with_suffix("").as_posix().casefold() for image_id, _ in images
    }
    own = set(rank.share(sorted(set(stems.values()))))
    return [(image_id, path) for image_id, path in images if stems[image_id] in own]


def _predicted(
    images: list[tuple[str, Path]], network: "LoadedNetwork", failed: Callable[[EngineError], None]
) -> Iterator["LabelledImage"]:
    """Read and predict one image at a time."""
    from engine.exchange.base import LabelledImage
    from engine.project.images import read_image

    for image_id, path in images:
        try:
            image = read_image(path)
        except ImageError as error:
            failed(error)
            continue
        label_map, _ = network.predictor.predict_whole(image)
        yield LabelledImage(image_id=image_id, image_path=path, label_map=label_map)
