"""Export on the worker thread: with progress, and with a way out at every tile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED
from engine.errors import EngineError
from engine.messages import (
    EXPORT_TASK,
    CancelExport,
    Event,
    Export,
    ExportDone,
    ExportItem,
    Progress,
    Shutdown,
)
from engine.predict.predictor import PredictedPart, Predictor
from engine.project.images import ImageArray, read_image
from engine.project.store import AnnotationStore
from engine.worker.inbox import Inbox
from engine.worker.network import LiveNetwork


class ExportCancelledError(EngineError):
    """Somebody ended the export; what an earlier one wrote is untouched."""

    def __init__(self) -> None:
        super().__init__("The export was cancelled; nothing was changed in its folder.")


def check_wanted(inbox: Inbox) -> None:
    """End an export that nobody waits for any more.

    Raises:
        ExportCancelledError: It was cancelled, there is a newer one, or the program ends.
    """
    if inbox.superseded_by(Shutdown, CancelExport, Export):
        raise ExportCancelledError


class Predicts(Protocol):
    """Fills what nobody annotated."""

    def predict(self, image: ImageArray) -> Iterator[PredictedPart]:
        """Predict an (H, W, 3) uint8 RGB image part by part."""


class Interruptible:
    """Fills what nobody annotated, and can be ended in the middle of a tile.

    On a processor one tile of a large network takes seconds.

    Args:
        predictor: Does the work.
        network: Takes the time.
        inbox: Asked before every layer, as `check_wanted` does.
    """

    def __init__(self, predictor: Predicts, network: LiveNetwork, inbox: Inbox) -> None:
        self._predictor = predictor
        self._network = network
        self._inbox = inbox

    def predict(self, image: ImageArray) -> Iterator[PredictedPart]:
        """Predict an (H, W, 3) uint8 RGB image part by part; between parts others may use the network."""
        from engine.predict.asking import asking

        parts = self._predictor.predict(image)
        while True:
            with asking(self._network.model, lambda: check_wanted(self._inbox)):
                part = next(parts, None)
            if part is None:
                return
            yield part


def export(
    command: Export, predictor: Predicts | None, boundary: Callable[[], None], emit: Callable[[Event], None]
) -> ExportDone:
    """Write the label maps of a project in a foreign format.

    Args:
        command: What to write, and where.
        predictor: Fills what nobody annotated; None leaves it unlabelled.
        boundary: Called between pieces of work; raises `ExportCancelledError` to end it.
        emit: Receives progress.

    Raises:
        ExportCancelledError: From `boundary`.
        ExchangeError: There is no such format, or it cannot express the data.
        StorageError: The disk refuses.
        AnnotationError: An annotation is damaged.
        ImageError: An image to predict cannot be read.
    """
    from engine.catalog import format_by_name
    from engine.exchange.base import labelled_images

    told = 0

    def predict(item: ExportItem) -> NDArray[np.uint8]:
        image = read_image(Path(item.image_path))
        boundary()
        label_map = np.full(image.shape[:2], UNLABELLED, np.uint8)
        if predictor is not None:
            for part in predictor.predict(image):
                label_map[part.box.slices] = part.label_map
                boundary()
        return label_map

    def progress(done: int) -> None:
        nonlocal told
        if done > told:
            told = done
            emit(Progress(task=EXPORT_TASK, done=done, total=len(command.items)))
        boundary()

    images = labelled_images(
        command.items, AnnotationStore(Path(command.store_folder)), None if predictor is None else predict
    )
    report = format_by_name(command.format).export(images, command.classes, Path(command.folder), progress)
    return ExportDone(folder=str(report.folder), files=report.files, notes=report.notes)


def filling_predictor(network: LiveNetwork) -> Predictor:
    """Return what fills unlabelled pixels: the weights that are shown.

    Raises:
        EngineError: There are none yet.
    """
    if not network.has_learnt:
        raise EngineError(
            "The network has learnt nothing yet, so it cannot fill what is unlabelled.",
            "Train first, or export without predictions.",
        )
    return network.predictor()
