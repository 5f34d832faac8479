"""Label maps as PNG, three twins in one go: class ids (grey), the same ids with a palette, and plain colours.

Ids are the permanent class indices. Unlabelled and void pixels are 255 in ``label_ids/`` and ``indexed/``,
and black in ``color/``.
"""

import io
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.annotate.classes import ClassTable
from engine.exchange.base import (
    ExportReport,
    ExportTally,
    LabelledImage,
    OutputNames,
    ProgressCallback,
    Staging,
    check_known,
    classes_json,
    value_lookup,
)

LABEL_IDS = "label_ids"
INDEXED = "indexed"
COLOR = "color"


class PngExporter:
    """Writes ``label_ids/``, ``indexed/``, ``color/`` and ``classes.json``."""

    name = "png"
    title = "PNG label maps (ids, palette, colours)"
    help = (
        "label_ids/ holds 8-bit grey PNGs whose pixel values are the class ids (black to the eye), "
        "indexed/ the same ids with a palette, color/ the colours, classes.json the class list. "
        "Unlabelled and void pixels are 255, in color/ black."
    )

    def export(
        self, items: Iterable[LabelledImage], classes: ClassTable, folder: Path, progress: ProgressCallback
    ) -> ExportReport:
        """Write three PNGs per image and the class list; see :class:`engine.exchange.base.Exporter`."""
        tally, names = ExportTally(), OutputNames(".png")
        lookup, colors = value_lookup(classes), _colors(classes)
        with Staging(folder) as staging:
            for item in items:
                check_known(item.label_map, classes, item.image_id)
                name = names.name_for(item.image_id)
                values = lookup[item.label_map]
                staging.write(LABEL_IDS / name, encode_grey(values))
                staging.write(INDEXED / name, encode_indexed(values, colors))
                progress(tally.images)  # the colours take as long again
                staging.write(COLOR / name, encode_rgb(colors[values]))
                tally.add(item.label_map)
                progress(tally.images)
            staging.write(PurePosixPath("classes.json"), classes_json(classes))
            files = staging.commit()
        tally.notes.extend(_color_notes(classes))
        if names.renamed:
            tally.notes.append(
                f"Same name, other suffix: {', '.join(names.renamed[:5])} keep their full name."
            )
        return tally.report(folder, files, unlabelled_as="255 in label_ids/ and indexed/, black in color/")


class IdExporter:
    """Writes one grey PNG of class ids per image, straight into the folder, and ``classes.json``."""

    name = "ids"
    title = "PNG of class ids only"
    help = (
        "One 8-bit grey PNG per image whose pixel values are class ids; 255 is unlabelled. "
        "classes.json lists them."
    )

    def export(
        self, items: Iterable[LabelledImage], classes: ClassTable, folder: Path, progress: ProgressCallback
    ) -> ExportReport:
        """Write one PNG per image and the class list; see :class:`engine.exchange.base.Exporter`."""
        tally, names, lookup = ExportTally(), OutputNames(".png"), value_lookup(classes)
        with Staging(folder) as staging:
            for item in items:
                check_known(item.label_map, classes, item.image_id)
                staging.write(names.name_for(item.image_id), encode_grey(lookup[item.label_map]))
                tally.add(item.label_map)
                progress(tally.images)
            staging.write(PurePosixPath("classes.json"), classes_json(classes))
            files = staging.commit()
        return tally.report(folder, files, unlabelled_as="255")


def _colors(classes: ClassTable) -> NDArray[np.uint8]:
    """(256, 3) uint8 colours by permanent index; black where no class is."""
    colors = np.zeros((256, 3), np.uint8)
    for spec in classes:
        colors[spec.index] = spec.color
    return colors


def _color_notes(classes: ClassTable) -> list[str]:
    """Warn where ``color/`` alone cannot tell things apart."""
    notes: list[str] = []
    owner: dict[tuple[int, int, int], str] = {(0, 0, 0): "unlabelled"}
    for spec in classes:
        other = owner.setdefault(spec.color, spec.name)
        if other != spec.name:
            notes.append(f"“{spec.name}” and “{other}” share a colour: use label_ids/ to tell them apart.")
    return notes


def encode_grey(values: NDArray[np.uint8]) -> bytes:
    """8-bit grey PNG of (H, W) uint8 values."""
    return _encode(Image.fromarray(np.ascontiguousarray(values)))


def encode_indexed(values: NDArray[np.uint8], colors: NDArray[np.uint8]) -> bytes:
    """Palette PNG of (H, W) uint8 values with (256, 3) uint8 colours; the index of a pixel is its value."""
    image = Image.fromarray(np.ascontiguousarray(values)).convert("L")
    image.putpalette(colors.reshape(-1).tolist())
    return _encode(image)


def encode_rgb(pixels: NDArray[np.uint8]) -> bytes:
    """RGB PNG of (H, W, 3) uint8 pixels."""
    return _encode(Image.fromarray(np.ascontiguousarray(pixels)))


def _encode(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=4)
    return buffer.getvalue()
