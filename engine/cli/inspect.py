"""``maskloop inspect``: what a network sees inside an image, as pictures and numbers for papers."""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli.arguments import add_checkpoint, add_device
from engine.cli.console import complain, say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from engine.inspect.snapshot import Snapshot

SUMMARY = "Show what a network does inside, for one image: pictures and numbers."
EXAMPLE = "maskloop inspect street.png --checkpoint trained.pt --view why --at 412,233 --out inside/"

VIEWS = ("relations", "attention", "memory", "pseudo-label", "uncertainty", "structure", "why")
"""What ``--view`` may name."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare options."""
    parser.add_argument("image", type=Path, metavar="IMAGE", help="image file")
    add_checkpoint(parser)
    parser.add_argument(
        "--view",
        choices=(*VIEWS, "all"),
        default="all",
        help="what to show (default: all that this network has)",
    )
    parser.add_argument("--at", type=place, metavar="Y,X", help="pixel that --view why explains")
    parser.add_argument(
        "--mask",
        type=Path,
        metavar="F",
        help="mask of class ids: relations and structure are measured against it, and whether it is shifted",
    )
    parser.add_argument(
        "--projection",
        choices=("pca", "umap"),
        default="pca",
        help="layout of --view memory; umap needs the extra maskloop[umap] (default: %(default)s)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the files")
    add_device(parser)


def run(arguments: argparse.Namespace) -> int:
    """Look at the image and write the files of every view asked for."""
    from engine.errors import EngineError
    from engine.inspect.files import ViewFiles, read_mask
    from engine.inspect.look import look_at
    from engine.messages import Projection

    image = _image(arguments)
    look = look_at(_snapshot(arguments), arguments.image.name, image)
    mask = None if arguments.mask is None else read_mask(arguments.mask, look.size, look.classes)
    files = ViewFiles(look, arguments.out, mask, Projection(arguments.projection))
    wanted = VIEWS if arguments.view == "all" else (arguments.view,)
    for view in wanted:
        if view == "why" and arguments.at is None:
            continue
        try:
            files.write(view, arguments.at)
        except EngineError as error:
            # Of all views, those count that this network has; one that was asked for must be there.
            if arguments.view != "all":
                raise
            complain(f"{view}: {error.message}")
    for name in files.written:
        say(name)
    say(f"{len(files.written)} files → {arguments.out}")
    return 0


def _image(arguments: argparse.Namespace) -> "NDArray[np.uint8]":
    """The image, (H, W, 3) uint8 RGB, once the options fit it: no network runs in vain.

    Raises:
        EngineError: a file is not there, or the pixel to explain is missing or outside.
    """
    from engine.errors import EngineError
    from engine.project.images import read_image

    if arguments.view == "why" and arguments.at is None:
        raise EngineError("There is no pixel to explain.", "Name one: --at Y,X")
    for path in filter(None, (arguments.image, arguments.mask)):
        if not path.is_file():
            raise EngineError(f"“{path}” is not a file.", "Check the path.")
    image = read_image(arguments.image)
    height, width = image.shape[:2]
    if arguments.at is not None and not (arguments.at[0] < height and arguments.at[1] < width):
        raise EngineError(
            f"“{arguments.image}” has {height} rows and {width} columns: "
            f"row {arguments.at[0]}, column {arguments.at[1]} is outside.",
            f"Name a pixel from 0,0 to {height - 1},{width - 1}.",
        )
    return image


def _snapshot(arguments: argparse.Namespace) -> "Snapshot":
    """The network of the checkpoint.

    Raises:
        CheckpointError: the file cannot be used.
    """
    from engine.cli.networks import load_network
    from engine.config import Device
    from engine.inspect.snapshot import Snapshot

    network = load_network(arguments.checkpoint, Device(arguments.device), complain)
    return Snapshot(
        model=network.predictor.frozen_copy(),
        classes=network.classes,
        step=network.about.step,
        device=network.device.device,
    )


def place(text: str) -> tuple[int, int]:
    """Row and column as ``Y,X``; anything else is misuse."""
    found = re.fullmatch(r"(\d+),(\d+)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text} is no pixel; write row and column, such as 412,233")
    return int(found.group(1)), int(found.group(2))
