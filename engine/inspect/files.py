"""The files of every view: what `maskloop inspect` writes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import UNLABELLED, ClassTable
from engine.errors import EngineError, ImageError
from engine.exchange.mask_files import MaskKind, read_mask_file
from engine.files import atomic_write, storage_errors
from engine.inspect import pictures
from engine.inspect.explain import explain
from engine.inspect.labelled import memory_of
from engine.inspect.look import Look
from engine.inspect.mask_shift import mask_shift
from engine.inspect.memory_map import map_memory
from engine.inspect.overlays import disagreement, doubt, overlay_ready, structure
from engine.inspect.what_if import changes, relations, target_of
from engine.messages import OverlayKind, OverlayReady, Projection
from models.inspection import InspectionKind

_MAPS = (InspectionKind.HEATMAP, InspectionKind.CLASS_HEATMAPS)


class ViewFiles:
    """Writes views of one look into a folder.

    Args:
        look: What a network kept of an image.
        folder: Where the files go; made where it is not there.
        mask: (H, W) uint8 permanent class indices to measure against, or None.
        projection: How the memory is put on a plane.
    """

    def __init__(
        self,
        look: Look,
        folder: Path,
        mask: NDArray[np.uint8] | None,
        projection: Projection = Projection.PRINCIPAL,
    ) -> None:
        self._look = look
        self._folder = folder
        self._mask = mask
        self._projection = projection
        self.written: list[str] = []

    def write(self, view: str, place: tuple[int, int] | None) -> None:
        """Write one view.

        Args:
            view: Its name, see `engine.cli.inspect.VIEWS`.
            place: Row and column of the pixel to explain; only for "why".

        Raises:
            EngineError: This network has no such view, or the pixel is outside.
            StorageError: The disk refuses.
        """
        writers = {
            "relations": self._relations,
            "attention": self._attention,
            "memory": self._memory,
            "pseudo-label": self._pseudo_label,
            "uncertainty": self._uncertainty,
            "structure": self._structure,
        }
        if view == "why":
            self._why(place)
        else:
            writers[view]()

    def _relations(self) -> None:
        views = [view for view in self._look.views if view.kind is InspectionKind.CLASS_MATRIX]
        known = self._look.representations
        if known is not None and known.diagnosed:
            for more in relations(self._look, target_of(self._look, self._mask)):
                views += more
        if not views:
            raise EngineError("This network keeps no relations between classes.", "Choose IDRNet or MCIBI.")
        names = self._look.classes.names
        for view in views:
            values = view.values.astype(np.float64)
            self._put(f"{view.name}.png", pictures.matrix_png(values, names, view.title))
            self._put(f"{view.name}.csv", pictures.matrix_csv(values, names))

    def _attention(self) -> None:
        found = [view for view in self._look.views if view.kind in _MAPS]
        for view in found:
            if view.kind is InspectionKind.HEATMAP:
                self._heat(view.name, view.title, view.values.astype(np.float32))
                continue
            for name, values in zip(self._look.classes.names, view.values, strict=True):
                self._heat(f"{view.name}_{_plain(name)}", f"{view.title}: {name}", values.astype(np.float32))
        if not found:
            raise EngineError("This network shows no maps.", "Choose another view.")

    def _memory(self) -> None:
        memory = memory_of(self._look)
        if memory is None:
            raise EngineError("This network keeps no memory of classes.", "Choose MCIBI or IDRNet.")
        classes = self._look.classes
        mapped = map_memory(0, self._look.snapshot.step, classes.indices, memory, (), self._projection)
        self._put("memory.png", pictures.plane_png(mapped, classes, "Class memory"))
        names = {spec.index: spec.name for spec in classes}
        rows = [
            (names[index], slot, f"{place[0]:.6g}", f"{place[1]:.6g}")
            for index, places in mapped.classes.items()
            for slot, place in enumerate(places)
        ]
        self._put("memory.csv", pictures.csv_bytes(["class", "slot", "first axis", "second axis"], rows))
        content = {"between_classes": mapped.between, "explained_by_axes": mapped.explained}
        self._put("memory.json", _json(content))

    def _pseudo_label(self) -> None:
        coarse = self._look.coarse()
        if coarse is None:
            raise EngineError("This network has no first stage that predicts.", "Choose another view.")
        look, classes = self._look, self._look.classes
        final = look.predicted()
        differs = np.where(coarse == final, np.uint8(255), final)
        for name, title, values in (
            ("pseudo_label", "First stage", coarse),
            ("final", "Final prediction", final),
            ("disagreement", "Where they differ: final class", differs),
        ):
            self._put(f"{name}.png", pictures.label_png(values, look.image, classes, title))
        rows = pictures.counts_rows(changes(coarse, final), classes)
        self._put("disagreement.csv", pictures.csv_bytes(["first stage", "final", "pixels"], rows))

    def _uncertainty(self) -> None:
        made = {kind: doubt(self._look, kind) for kind in (OverlayKind.ENTROPY, OverlayKind.MARGIN)}
        for values in disagreement(self._look):
            if values is not None:
                made[OverlayKind.AUGMENTATION] = values
        for kind, values in made.items():
            self._overlay(overlay_ready(0, self._look.image_id, kind, values))
        means = {kind.value: float(values.mean()) for kind, values in made.items()}
        self._put("uncertainty.json", _json({"means": means}))

    def _structure(self) -> None:
        values, high = structure(self._look, self._mask)
        self._overlay(overlay_ready(0, self._look.image_id, OverlayKind.STRUCTURE, values, high))
        shift = None if self._mask is None else mask_shift(self._look, self._mask)
        if shift is not None:
            move = {"rows": shift.move[0], "columns": shift.move[1]} if shift.fits_better else None
            content = {
                "mask_fits_better_moved_by": move,
                "score": shift.score,
                "sentence": shift.sentence or "The mask has no borders to judge its place by.",
            }
            self._put("structure.json", _json(content))

    def _why(self, place: tuple[int, int] | None) -> None:
        height, width = self._look.size
        if place is None or place[0] >= height or place[1] >= width:
            raise EngineError(f"The image has {height} rows and {width} columns.", "Name a pixel inside.")
        if self._look.explanation is not None and self._look.explanation.gates:
            for channel in self._look.present():  # what gates do is known by deletion; here is time for it
                self._look.without(frozenset({channel}))
        found = explain(self._look, 0, *place)
        names = {spec.index: spec.name for spec in self._look.classes}
        content = {
            "y": found.y,
            "x": found.x,
            "label": names[found.label],
            "runner_up": None if found.runner_up is None else names[found.runner_up],
            "margin": found.margin,
            "probabilities": {names[index]: value for index, value in found.probabilities.items()},
            "method": found.method.value,
            "contributions": {part.name: part.value for part in found.contributions},
            "remainder": found.remainder,
            "nearest_memory": None if found.nearest_memory is None else names[found.nearest_memory],
            "sentence": found.sentence,
        }
        self._put("why.json", _json(content))
        rows = [(part.name, f"{part.value:.6g}") for part in found.contributions]
        self._put("why.csv", pictures.csv_bytes(["class", f"contribution ({found.method.value})"], rows))
        title = f"{names[found.label]} at {found.y},{found.x} ({found.method.value})"
        self._put("why.png", pictures.bars_png(found.contributions, title))
        if found.influence is not None:
            self._heat("why_influence", "Regions that act on this pixel", found.influence)

    def _overlay(self, made: OverlayReady) -> None:
        image = self._look.image
        picture = pictures.heat_png(made.values, image, made.title, low=made.low, high=made.high)
        self._put(f"{made.kind.value}.png", picture)
        self._put(f"{made.kind.value}.csv", pictures.map_csv(made.values))

    def _heat(self, name: str, title: str, values: NDArray[np.float32]) -> None:
        self._put(f"{name}.png", pictures.heat_png(values, self._look.image, title))
        self._put(f"{name}.csv", pictures.map_csv(values))

    def _put(self, name: str, data: bytes) -> None:
        with storage_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        atomic_write(self._folder / name, data)
        self.written.append(name)


def read_mask(path: Path, size: tuple[int, int], classes: ClassTable) -> NDArray[np.uint8]:
    """Read a mask of class ids.

    Args:
        path: Grey or palette image.
        size: (H, W) it must have.
        classes: Classes of the network; one of them at least must be in the mask.

    Returns:
        (H, W) uint8; 255 where the mask says nothing this network knows.

    Raises:
        ImageError: It cannot be read, holds no ids, has another size, or none of the classes.
        ExchangeError: It is damaged, or too large for a mask.
    """
    found = read_mask_file(path)
    ids = [value if isinstance(value, int) and value in classes.indices else None for value in found.values]
    if found.kind is MaskKind.COLORS:
        raise ImageError(f"“{path}” holds colours, not class ids.", hint="Export it with ids, one per pixel.")
    if found.size != size:
        raise ImageError(
            f"“{path}” is {found.size[1]} x {found.size[0]} pixels, the image {size[1]} x {size[0]}.",
            hint="Choose its own mask.",
        )
    if all(value is None for value in ids):
        known = ", ".join(f"{spec.index} {spec.name}" for spec in classes)
        raise ImageError(
            f"“{path}” holds no class of this network.", hint=f"Its values must be ids of these: {known}."
        )
    table = np.array([UNLABELLED if value is None else value for value in ids], np.uint8)
    return table[found.codes]


def _json(content: object) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def _plain(name: str) -> str:
    """Return a class name that fits into a file name."""
    return re.sub(r"[^\w-]+", "_", name)
