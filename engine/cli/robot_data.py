"""Images and masks for the robot: which are annotated, which are held out, and their truth."""

import argparse
import contextlib
import dataclasses
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

import numpy as np

from engine.annotate.classes import UNLABELLED, VOID, ClassTable
from engine.cli.console import complain
from engine.cli.masks import preview_masks, tell_left_out
from engine.errors import EngineError, ExchangeError, StorageError
from engine.exchange.mask_files import MaskValue, read_mask_file
from engine.exchange.mask_import import ImportPreview, MatchedMask, import_labels
from engine.exchange.relabel import relabelled
from engine.files import storage_errors
from engine.measure.robot.tool import LabelMap, Material

HELD_OUT = "held out/images/"
"""Ids of held-out images begin so: two folders deep, where a project does not look for images."""

_OWN_SHARE = 0.2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Source:
    """A folder of images with masks.

    Attributes:
        images: the folder.
        preview: which mask fits which image, and what values mean.
        mapping: class index of each value, 255 where it says nothing.
        classes: table of these indices, without what is ignored.
        usable: masks in which at least one pixel has a class.
    """

    images: Path
    preview: ImportPreview
    mapping: Mapping[MaskValue, int]
    classes: ClassTable
    usable: tuple[MatchedMask, ...]

    def classes_in(self, match: MatchedMask) -> frozenset[int]:
        """Indices of the classes that occur in a mask."""
        return frozenset(self.mapping[value] for value in match.values) - {UNLABELLED, VOID}


def open_material(arguments: argparse.Namespace) -> Material:
    """What the options name; without test images the last fifth of the folder is held out.

    Images are left out, and named, where no mask fits or where no pixel of the mask has a known class.

    Raises:
        EngineError: nothing can be annotated or measured there; says why.
    """
    own = _source(arguments.images, arguments.masks, ClassTable(), arguments)
    classes = own.classes
    _check_classes(own, arguments)
    matches = {match.image_id: (own, match) for match in own.usable}
    names = list(matches)
    held_out: dict[str, Path] = {}
    if arguments.test_images is None:
        names, last = _split(names, arguments.images)
        for name in last:
            held_out[HELD_OUT + name] = arguments.images / name
            matches[HELD_OUT + name] = matches[name]
    else:
        test = _source(arguments.test_images, arguments.test_masks, classes, arguments)
        for match in test.usable:
            held_out[HELD_OUT + match.image_id] = arguments.test_images / match.image_id
            matches[HELD_OUT + match.image_id] = test, match
    names = names[: arguments.limit]
    held_out = _spread(held_out, arguments.test_limit)
    material = Material(
        classes=classes,
        folder={name: arguments.images / name for name in names},
        held_out=held_out,
        read_truth=_truth_reader(matches, classes),
        reference=f"{len(names)} images of {arguments.images.name} to annotate, {len(held_out)} held out",
    )
    _check_contents(material, frozenset().union(*(own.classes_in(matches[name][1]) for name in names)))
    return material


def _source(images: Path, masks: Path, classes: ClassTable, arguments: argparse.Namespace) -> _Source:
    """Look at a folder, and say what of it is not used."""
    preview = preview_masks(images, masks, classes, arguments.classes)
    mapping = _without(preview.mapping, arguments.ignore)
    left_out = {value for value, index in mapping.items() if index != preview.mapping[value]}
    tell_left_out(preview, left_out | {arguments.ignore})
    gone = {preview.mapping[value] for value in left_out}
    if not left_out:
        gone = {arguments.ignore}
    table = tuple(spec for spec in preview.classes if spec.index not in gone)
    source = _Source(
        images=images,
        preview=preview,
        mapping=mapping,
        classes=dataclasses.replace(preview.classes, classes=table),
        usable=(),
    )
    usable = tuple(match for match in preview.matched if source.classes_in(match))
    if len(usable) < len(preview.matched):
        complain(
            f"{len(preview.matched) - len(usable)} of {len(preview.matched)} images in “{images}” are left "
            "out: no pixel of their masks has a known class."
        )
    return dataclasses.replace(source, usable=usable)


def _without(mapping: Mapping[MaskValue, int], ignored: int | None) -> Mapping[MaskValue, int]:
    """The mapping with a value of the masks left unlabelled, or a class where no mask has such a value."""
    if ignored is None:
        return mapping
    if ignored in mapping:
        return {**mapping, ignored: UNLABELLED}
    return {value: UNLABELLED if index == ignored else index for value, index in mapping.items()}


def _check_classes(source: _Source, arguments: argparse.Namespace) -> None:
    known = source.preview.classes
    if arguments.ignore not in {None, VOID, UNLABELLED, *known.indices, *source.mapping}:
        listed = ", ".join(f"{spec.index} {spec.name}" for spec in known)
        raise ExchangeError(
            f"--ignore {arguments.ignore} is no class of the masks.", hint=f"They are: {listed}."
        )
    if len(source.classes) < 2:
        raise ExchangeError(
            f"The masks in “{source.preview.folder}” tell fewer than two classes apart.",
            hint="Check --classes.",
        )


def _check_contents(material: Material, seen: Collection[int]) -> None:
    """Refuse what would give figures that say nothing.

    Raises:
        ExchangeError: fewer than two classes occur, or there is nothing to measure on.
    """
    if len(seen) < 2:
        names = ", ".join(spec.name for spec in material.classes if spec.index in seen) or "none"
        raise ExchangeError(
            f"The masks of the images to annotate show fewer than two classes: {names}.",
            hint="Check --classes, --ignore and --limit, and whether the class list knows the masks' values.",
        )
    if not material.held_out:
        raise ExchangeError(
            "There is nothing to measure on: no test image has a mask with a known class.",
            hint="Check --test-images, --test-masks and --classes.",
        )
    annotated = {path.resolve() for path in material.folder.values()}
    both = sum(path.resolve() in annotated for path in material.held_out.values())
    if both:
        complain(f"{both} of {len(material.held_out)} test images are annotated too: figures will flatter.")


def _split(names: list[str], folder: Path) -> tuple[list[str], list[str]]:
    """Images to annotate and the last fifth, which is held out."""
    if len(names) < 2:
        raise ExchangeError(
            f"“{folder}” holds {len(names)} images whose mask shows a known class; one to annotate and one "
            "to measure on are needed.",
            hint="Add images with masks, name --test-images and --test-masks, or check --classes.",
        )
    count = max(1, round(len(names) * _OWN_SHARE))
    return names[:-count], names[-count:]


def _truth_reader(
    matches: Mapping[str, tuple[_Source, MatchedMask]], classes: ClassTable
) -> Callable[[str], LabelMap]:
    def read_truth(image_id: str) -> LabelMap:
        source, match = matches[image_id]
        labels = import_labels(read_mask_file(match.path), source.mapping)
        return np.asarray(relabelled(labels, source.preview.classes, classes), np.uint8)

    return read_truth


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
        StorageError: there is something in the folder already, or the disk refuses.
    """
    with contextlib.ExitStack() as stack:
        if keep is None:
            base = stack.enter_context(tempfile.TemporaryDirectory(prefix="maskloop-robot-"))
            folder = Path(base) / "images"
        else:
            folder = keep
        files = {**material.folder, **material.held_out}
        with storage_errors(folder):
            if folder.is_dir() and any(folder.iterdir()):
                raise StorageError(
                    f"“{folder}” is not empty, and a session is kept in a folder of its own.",
                    "Name another folder, or delete this one.",
                )
            for name, path in files.items():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                _place(path, target)
        try:
            yield folder
        except EngineError as error:
            origins = {str(folder / name): str(path) for name, path in files.items()}
            raise _in_words_of_origin(error, origins) from error


def _in_words_of_origin(error: EngineError, origins: Mapping[str, str]) -> EngineError:
    """The error with the person's own files named instead of their links in a folder that is soon gone."""
    message = error.message
    for link, origin in origins.items():
        message = message.replace(f"“{link}”", f"“{origin}”")
    return error if message == error.message else type(error)(message, error.hint)


def _place(path: Path, target: Path) -> None:
    """Link a file, or copy it where links do not reach; what is there may be a link and stays as it is."""
    try:
        os.link(path.resolve(), target)
    except FileExistsError:
        raise
    except OSError:
        shutil.copyfile(path, target)
