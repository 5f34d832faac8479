"""Questions that need many images, annotations or several runs of the network, in pieces. Worker thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED
from engine.annotate.geometry import Box
from engine.errors import AnnotationError, EngineError, StorageError
from engine.inspect.effect import effect, learnt_layer, present_layer, to_learn
from engine.inspect.labelled import (
    Stroke,
    labelled_image,
    memory_of,
    strokes_of,
)
from engine.inspect.look import Look, look_at
from engine.inspect.mask_shift import place_of_labels
from engine.inspect.memory_map import map_memory
from engine.inspect.overlays import disagreement, doubt, overlay_ready, structure, undone
from engine.inspect.ranking import ranked_errors
from engine.inspect.snapshot import Snapshot
from engine.inspect.uncertainty import FlickerHistory
from engine.learn.pool import store_reader
from engine.messages import (
    Effect,
    EffectPreviewed,
    Event,
    FindLabelErrors,
    LabelErrorsFound,
    MakeOverlay,
    MapMemory,
    OverlayKind,
    PoolItem,
    Prediction,
    PreviewEffect,
    Progress,
)
from engine.project.images import read_image
from engine.project.manifest import Split
from engine.worker.network import LiveNetwork

Layers = tuple[NDArray[np.uint8], NDArray[np.uint8]]

_MOST_STROKES = 4000
"""Strokes that are compared with each other, largest first."""


class PredictionNotes:
    """The last predictions of the images on screen, for flicker."""

    def __init__(self) -> None:
        self.history = FlickerHistory()
        self._image_id = ""
        self._whole: NDArray[np.uint8] = np.zeros((0, 0), np.uint8)

    def note(self, prediction: Prediction, *, complete: bool) -> None:
        """Take in a part of a prediction; with the last one it counts."""
        size = prediction.size
        if prediction.box == Box(0, 0, *size):
            self.history.add(prediction.image_id, prediction.label_map, prediction.step)
            return
        if self._image_id != prediction.image_id or self._whole.shape != size:
            self._image_id, self._whole = prediction.image_id, np.full(size, UNLABELLED, np.uint8)
        self._whole[prediction.box.slices] = prediction.label_map
        if complete:
            self.history.add(prediction.image_id, self._whole, prediction.step)
            self._whole = self._whole[:0]

    def clear(self) -> None:
        """Forget everything."""
        self.history.clear()
        self._whole = self._whole[:0]


class Survey:
    """Long questions, each an iterator: one piece of work per step, and the answer with the last.

    Args:
        emit: Receives progress and answers.
        notes: What was predicted lately.
    """

    def __init__(self, emit: Callable[[Event], None], notes: PredictionNotes) -> None:
        self._emit = emit
        self._notes = notes
        self._strokes: dict[tuple[str, int, int], tuple[Stroke, ...]] = {}
        self._memory: tuple[int, NDArray[np.float32] | None] | None = None

    def forget(self) -> None:
        """Forget what belongs to a network that is no longer there."""
        self._strokes.clear()
        self._memory = None

    # --- overlays -----------------------------------------------------------------------------------------

    def overlay(
        self, network: LiveNetwork, command: MakeOverlay, look: Callable[[], Look]
    ) -> Iterator[object]:
        """Make an overlay of one image."""
        values, high, more = np.zeros((1, 1), np.float32), 1.0, ""
        match command.kind:
            case OverlayKind.ENTROPY | OverlayKind.MARGIN:
                values = doubt(look(), command.kind)
            case OverlayKind.AUGMENTATION:
                for found in disagreement(look()):
                    yield None
                    values = values if found is None else found
            case OverlayKind.FLICKER:
                values = self._flickered(command.image_id)
            case OverlayKind.STRUCTURE:
                annotation = annotation_of(network, look(), command.image_path)
                values, high = structure(look(), annotation)
                more = yield from place_of_labels(look(), annotation)
            case OverlayKind.CANDIDATE_FLIPS:
                values, more = _undone(network, look(), command)
        self._emit(overlay_ready(command.request_id, command.image_id, command.kind, values, high, more))

    def _flickered(self, image_id: str) -> NDArray[np.float32]:
        values = self._notes.history.flicker(image_id)
        if values is None:
            raise EngineError(
                "This image was predicted only once so far, so nothing could flicker.",
                "Let training go on while the image is on screen.",
            )
        return values

    # --- class memory and label errors --------------------------------------------------------------------

    def map_memory(self, network: LiveNetwork, snapshot: Snapshot, command: MapMemory) -> Iterator[object]:
        """Put class memory and the strokes of all images on a plane."""
        yield from self._gather(network, snapshot, command.items)
        found = self._found(snapshot, command.items)
        painted = [stroke for stroke in found if stroke.painted]
        memory = None if self._memory is None else self._memory[1]
        self._emit(
            map_memory(
                command.request_id,
                snapshot.step,
                snapshot.classes.indices,
                memory,
                painted or found,
                command.projection,
            )
        )

    def find_errors(
        self, network: LiveNetwork, snapshot: Snapshot, command: FindLabelErrors
    ) -> Iterator[object]:
        """Rank labelled regions by how likely each is a slip."""
        yield from self._gather(network, snapshot, command.items)
        found = self._found(snapshot, command.items)
        memory = None if self._memory is None else self._memory[1]
        errors = ranked_errors(found, snapshot.classes.indices, memory)
        self._emit(LabelErrorsFound(request_id=command.request_id, errors=errors, regions=len(found)))

    def _gather(
        self, network: LiveNetwork, snapshot: Snapshot, items: Sequence[PoolItem]
    ) -> Iterator[object]:
        """Look at images whose strokes are not known yet, one per piece."""
        self._strokes = {key: kept for key, kept in self._strokes.items() if key[2] == snapshot.step}
        if self._memory is not None and self._memory[0] != snapshot.step:
            self._memory = None
        for done, item in enumerate(items, start=1):
            key = (item.image_id, item.revision, snapshot.step)
            if key in self._strokes:
                continue
            image = labelled_image(snapshot, item, reader_of(network))
            self._strokes[key] = () if image is None else strokes_of(image)
            if image is not None:
                self._memory = (snapshot.step, memory_of(image.look))
            self._emit(Progress(task="Strokes", done=done, total=len(items)))
            yield None

    def _found(self, snapshot: Snapshot, items: Sequence[PoolItem]) -> list[Stroke]:
        keys = [(item.image_id, item.revision, snapshot.step) for item in items]
        found = [stroke for key in keys for stroke in self._strokes.get(key, ())]
        return sorted(found, key=lambda stroke: -stroke.region.pixels)[:_MOST_STROKES]

    # --- effect -------------------------------------------------------------------------------------------

    def preview(
        self, network: LiveNetwork, snapshot: Snapshot, command: PreviewEffect, held: Look | None
    ) -> Iterator[object]:
        """Say what would flip if the network learnt what is labelled in one image.

        Raises:
            EngineError: Nothing is labelled there, or the network keeps no features.
        """
        item = command.item
        if held is not None and (held.image_id != item.image_id or held.snapshot is not snapshot):
            held = None
        image = labelled_image(snapshot, item, reader_of(network), held)
        if image is None:
            raise EngineError("Nothing is painted in this image yet.", "Paint a stroke, then look again.")
        before, after, learnt = present_layer(image.look), learnt_layer(image), to_learn(image)
        effects: list[Effect] = [effect(image.look, before, after, image.channels, learnt)]
        for image_id, path in command.pinned:
            yield None
            look = look_at(snapshot, image_id, read_image(Path(path)))
            effects.append(effect(look, before, after, None, learnt))
        self._emit(EffectPreviewed(request_id=command.request_id, effects=tuple(effects)))


def _read_layers(network: LiveNetwork, item: PoolItem) -> Layers | None:
    """Return label map and provenance of an image, or None where there is no project or they are damaged."""
    if not network.request.store_folder:
        return None
    try:
        return store_reader(network.request.store_folder)(item)
    except (AnnotationError, StorageError):
        return None


def reader_of(network: LiveNetwork) -> Callable[[PoolItem], Layers]:
    """Return what reads the annotations of the open project; raises `EngineError` where there is none."""
    if not network.request.store_folder:
        raise EngineError("There is no project with annotations.", "Open a folder of images first.")
    return store_reader(network.request.store_folder)


def annotation_of(network: LiveNetwork, look: Look, path: str) -> NDArray[np.uint8] | None:
    """Return what people labelled in the image looked at, (H, W) uint8; None where nothing can be read."""
    item = PoolItem(image_id=look.image_id, image_path=path, size=look.size, split=Split.NONE, revision=0)
    layers = _read_layers(network, item)
    return None if layers is None else layers[0]


def _undone(network: LiveNetwork, look: Look, command: MakeOverlay) -> tuple[NDArray[np.float32], str]:
    if network.trained is None:
        raise EngineError("Nothing is being trained that could undo your work.", "Start training first.")
    annotation = annotation_of(network, look, command.image_path)
    if annotation is None:
        raise EngineError("Nothing is labelled in this image.", "Paint a stroke first.")
    candidate = Snapshot(
        model=network.candidate_predictor().frozen_copy(),
        classes=network.classes,
        step=network.step,
        device=next(network.trained.parameters()).device,
    )
    newest = look_at(candidate, look.image_id, read_image(Path(command.image_path)))
    return undone(look, newest, annotation)
