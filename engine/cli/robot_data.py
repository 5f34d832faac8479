"""Images and masks for the robot: which are annotated, which are held out, and their truth."""

import argparse
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from engine.annotate.classes import UNLABELLED, VOID, ClassTable
from engine.cli.console import complain
from engine.cli.masks import preview_masks
from engine.errors import ExchangeError
from engine.exchange.mask_files import read_mask_file
from engine.exchange.mask_import import ImportPreview, import_labels
from engine.exchange.relabel import relabelled
from engine.files import storage_errors
from engine.measure.robot.tool import LabelMap, Material

HELD_OUT = "held out/images/"
"""Ids of held-out images begin so: two folders deep, where a project does not look for images."""

_OWN_SHARE = 0.2


def open_material(arguments: argparse.Namespace) -> Material:
    """What the options name; without test images the last fifth of the folder is held out.

    Raises:
        EngineError: nothing can be annotated there; says why.
    """
    preview = _preview(arguments.images, arguments.masks, ClassTable(), arguments)
    classes = preview.classes
    if len(classes) < 2:
        raise ExchangeError(
            f"The masks in “{arguments.masks}” tell fewer than two classes apart.", hint="Check --classes."
        )
    if arguments.ignore not in {None, VOID, UNLABELLED, *classes.indices}:
        known = ", ".join(f"{spec.index} {spec.name}" for spec in classes.classes)
        raise ExchangeError(
            f"--ignore {arguments.ignore} is no class of the masks.", hint=f"They are: {known}."
        )
    names = [match.image_id for match in preview.matched]
    sources = {match.image_id: (preview, match.path) for match in preview.matched}
    held_out: dict[str, Path] = {}
    if arguments.test_images is None:
        count = max(1, round(len(names) * _OWN_SHARE))
        names, last = names[:-count], names[-count:]
        for name in last:
            held_out[HELD_OUT + name] = arguments.images / name
            sources[HELD_OUT + name] = sources[name]
    else:
        test = _preview(arguments.test_images, arguments.test_masks, classes, arguments)
        for match in test.matched:
            held_out[HELD_OUT + match.image_id] = arguments.test_images / match.image_id
            sources[HELD_OUT + match.image_id] = (test, match.path)
    if not names:
        raise ExchangeError("There is no image left to annotate.", hint="Name --test-images.")
    if arguments.limit is not None:
        names = names[: arguments.limit]
    held_out = _spread(held_out, arguments.test_limit)

    def read_truth(image_id: str) -> LabelMap:
        source, path = sources[image_id]
        labels = import_labels(read_mask_file(path), source.mapping)
        if arguments.ignore is not None:
            labels = np.where(labels == arguments.ignore, np.uint8(UNLABELLED), labels)
        return np.asarray(relabelled(labels, source.classes, classes), np.uint8)

    return Material(
        classes=classes,
        folder={name: arguments.images / name for name in names},
        held_out=held_out,
        read_truth=read_truth,
        reference=f"{len(names)} images of {arguments.images.name} to annotate, {len(held_out)} held out",
    )


def _preview(images: Path, masks: Path, classes: ClassTable, arguments: argparse.Namespace) -> ImportPreview:
    preview = preview_masks(images, masks, classes, arguments.classes)
    for problem in preview.problems:
        complain(problem.message)
    return preview


def _spread(images: dict[str, Path], limit: int | None) -> dict[str, Path]:
    """At most ``limit`` of them, evenly spread."""
    names = list(images)
    if limit is None or len(names) <= limit:
        return images
    return {name: images[name] for name in (names[place * len(names) // limit] for place in range(limit))}


@contextlib.contextmanager
def work_folder(material: Material, keep: Path | None) -> Iterator[Path]:
    """A folder that holds all images under their ids, for a project in it; gone afterwards unless kept.

    Args:
        material: the images.
        keep: new or empty folder that stays, or ``None`` for one that goes.

    Raises:
        StorageError: the disk refuses.
    """
    with contextlib.ExitStack() as stack:
        if keep is None:
            base = stack.enter_context(tempfile.TemporaryDirectory(prefix="maskloop-robot-"))
            folder = Path(base) / "images"
        else:
            folder = keep
        with storage_errors(folder):
            for name, path in {**material.folder, **material.held_out}.items():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                _place(path, target)
        yield folder


def _place(path: Path, target: Path) -> None:
    """Link a file, or copy it where links do not reach."""
    try:
        os.link(path.resolve(), target)
    except OSError:
        shutil.copyfile(path, target)
