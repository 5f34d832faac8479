"""What the train verb learns from: a project's annotations, or images with masks. Imports torch."""

import argparse
import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED, ClassTable, Provenance
from engine.cli.masks import preview_masks, tell_left_out
from engine.config import TrainingConfig
from engine.errors import ExchangeError, ProjectError
from engine.exchange.mask_files import read_mask_file
from engine.exchange.mask_import import ImportPreview, MatchedMask, import_labels
from engine.exchange.relabel import relabelled
from engine.learn.pool import Layers, store_reader
from engine.learn.ranks import current_rank
from engine.messages import PoolItem
from engine.project.images import probe
from engine.project.manifest import Split
from engine.project.project import Project
from models.configs import NetworkConfig

_HELD_OUT_EVERY = 5
_HELD_OUT_PREFIX = "held out/"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """Images, what is known about them, and where a checkpoint goes.

    Attributes:
        classes: class table; its order is the order of the channels.
        items: images to learn from and to measure on, by their split.
        read_layers: label map and provenance of an item.
        network: the project's network, or ``None`` without a project.
        training: the project's training choices, or the ordinary ones.
        project: the open project, or ``None``.
        summary: one sentence for the console.
    """

    classes: ClassTable
    items: tuple[PoolItem, ...]
    read_layers: Callable[[PoolItem], Layers]
    network: NetworkConfig | None
    training: TrainingConfig
    project: Project | None
    summary: str

    def of_split(self, split: Split) -> tuple[PoolItem, ...]:
        """The items of one split."""
        return tuple(item for item in self.items if item.split is split)


@contextlib.contextmanager
def open_material(arguments: argparse.Namespace) -> Iterator[Material]:
    """The material the options of ``train`` name; a project that will hold the checkpoint stays locked.

    Raises:
        EngineError: nothing can be learnt from there; says why.
    """
    folder: Path = arguments.folder
    images, masks = folder / "images", folder / "masks"
    if arguments.masks is not None:
        yield _from_masks(folder, arguments.masks, arguments)
        return
    if images.is_dir() and masks.is_dir():
        yield _from_masks(images, masks, _with_val(arguments, folder))
        return
    # Where the checkpoint goes elsewhere, the project is only read: the window may have it open meanwhile.
    writes = current_rank().is_first and arguments.out is None
    project = Project.open(folder, read_only=not writes)
    try:
        yield _from_project(project, writes=writes)
    finally:
        project.close()


def _with_val(arguments: argparse.Namespace, folder: Path) -> argparse.Namespace:
    """The options, with a ``val`` folder of the same form beside FOLDER where none was named."""
    val = folder.absolute().parent / "val"
    is_other = val != folder.absolute() and (val / "images").is_dir() and (val / "masks").is_dir()
    changed = argparse.Namespace(**vars(arguments))
    if arguments.val_images is None and is_other:
        changed.val_images, changed.val_masks = val / "images", val / "masks"
    return changed


def _from_project(project: Project, *, writes: bool) -> Material:
    """Everything people annotated in a project."""
    if project.read_only and writes:
        raise ProjectError(f"“{project.images_folder}” cannot be changed: {project.read_only_reason}", "")
    records = [record for record in project.manifest.images.values() if record.revision > 0]
    if not records:
        raise ProjectError(
            f"“{project.images_folder}” has no annotations, and no images/ and masks/ folders.",
            "Annotate it in the window, import masks, or name --masks.",
        )
    items = [
        PoolItem(
            image_id=record.image_id,
            image_path=str(project.image_path(record.image_id)),
            size=record.size or probe(project.image_path(record.image_id)).size,
            split=record.split,
            revision=record.revision,
        )
        for record in records
    ]
    return _material(
        project.manifest.classes,
        items,
        store_reader(str(project.folder)),
        network=project.manifest.network,
        training=project.manifest.training,
        project=project,
    )


def _material(
    classes: ClassTable,
    items: list[PoolItem],
    read_layers: Callable[[PoolItem], Layers],
    *,
    network: NetworkConfig | None,
    training: TrainingConfig,
    project: Project | None,
) -> Material:
    learn = sum(item.split is Split.TRAIN for item in items)
    held_out = sum(item.split is Split.VAL for item in items)
    return Material(
        classes=classes,
        items=tuple(items),
        read_layers=read_layers,
        network=network,
        training=training,
        project=project,
        summary=f"{learn} images to learn from, {held_out} held out, {len(classes)} classes.",
    )


def _from_masks(images: Path, masks: Path, arguments: argparse.Namespace) -> Material:
    """Images with masks; every fifth is held out where no others are named."""
    preview = preview_masks(images, masks, ClassTable(), arguments.classes)
    tell_left_out(preview)
    classes = preview.classes
    if len(classes) < 2:
        raise ExchangeError(
            f"The masks in “{masks}” tell fewer than two classes apart.", hint="Check --classes."
        )
    sources = {match.image_id: (preview, match) for match in preview.matched}
    own_val = arguments.val_images is None
    items = [
        _item(
            match.image_id,
            images,
            match,
            Split.VAL if own_val and place % _HELD_OUT_EVERY == 2 else Split.TRAIN,
        )
        for place, match in enumerate(preview.matched)
    ]
    if not own_val:
        val = preview_masks(arguments.val_images, arguments.val_masks, classes, arguments.classes)
        tell_left_out(val)
        for match in val.matched:
            name = f"{_HELD_OUT_PREFIX}{match.image_id}"
            sources[name] = (val, match)
            items.append(_item(name, arguments.val_images, match, Split.VAL))

    def read_layers(item: PoolItem) -> Layers:
        source, match = sources[item.image_id]
        return _layers(source, match, classes)

    return _material(classes, items, read_layers, network=None, training=TrainingConfig(), project=None)


def _item(name: str, images: Path, match: MatchedMask, split: Split) -> PoolItem:
    return PoolItem(
        image_id=name,
        image_path=str(images / match.image_id),
        size=match.size,
        split=split,
        revision=1,
    )


def _layers(preview: ImportPreview, match: MatchedMask, classes: ClassTable) -> Layers:
    """Label map and provenance from a mask file."""
    labels = import_labels(read_mask_file(match.path), preview.mapping)
    label_map: NDArray[np.uint8] = relabelled(labels, preview.classes, classes)
    provenance = np.where(label_map == UNLABELLED, Provenance.NOBODY, Provenance.IMPORTED).astype(np.uint8)
    return label_map, provenance
