"""COCO JSON: one annotation per connected region, as polygon along pixel edges or as run lengths.

Regions with holes are written as run lengths (RLE). Category ids are the permanent class indices plus one,
because readers treat 0 as "nothing"; annotation and image ids start at 1 for the same reason. Unlabelled and
void pixels are not written. Large exports are streamed: memory holds one image.
"""

import io
import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import ClassTable
from engine.exchange.base import (
    ExportReport,
    ExportTally,
    LabelledImage,
    ProgressCallback,
    Staging,
    check_known,
)
from engine.exchange.rings import Region, column_runs, compressed_runs, outer_ring, regions_of
from engine.files import storage_errors

FILE_NAME = "annotations.json"


class CocoExporter:
    """Writes ``annotations.json``."""

    name = "coco"
    title = "COCO JSON"
    help = (
        "annotations.json with one entry per connected region: polygons along pixel edges, run lengths (RLE) "
        "for regions with holes. Category ids are class ids plus one. "
        "Unlabelled and void pixels are left out."
    )

    def export(
        self, items: Iterable[LabelledImage], classes: ClassTable, folder: Path, progress: ProgressCallback
    ) -> ExportReport:
        """Write one JSON file for all images; see :class:`engine.exchange.base.Exporter`."""
        tally = ExportTally()
        with Staging(folder) as staging:
            target = staging.path(PurePosixPath(FILE_NAME))
            parts = target.with_name("annotations.part")
            with storage_errors(target), target.open("w", encoding="utf-8") as whole:
                with parts.open("w", encoding="utf-8") as annotations:
                    _open_file(whole, classes)
                    _write_images(items, classes, whole, annotations, tally, progress)
                with parts.open("r", encoding="utf-8") as annotations:
                    whole.write('\n],\n"annotations": [')
                    shutil.copyfileobj(annotations, whole)
                whole.write("\n]\n}\n")
            files = staging.commit()
        return tally.report(folder, files, unlabelled_as="left out")


def _open_file(whole: TextIO, classes: ClassTable) -> None:
    """Write everything before the list of images."""
    info = {"description": "Label maps by connected region; category id = class id + 1.", "version": "1.0"}
    categories = [{"id": spec.index + 1, "name": spec.name, "supercategory": ""} for spec in classes]
    whole.write(
        f'{{\n"info": {_json(info)},\n"licenses": [],\n"categories": {_json(categories)},\n"images": ['
    )


def _write_images(
    items: Iterable[LabelledImage],
    classes: ClassTable,
    images: TextIO,
    annotations: TextIO,
    tally: ExportTally,
    progress: ProgressCallback,
) -> None:
    """Stream images and their regions into the two open files."""
    annotation_id = 0
    for image_number, item in enumerate(items, start=1):
        check_known(item.label_map, classes, item.image_id)
        height, width = item.label_map.shape
        entry = {"id": image_number, "file_name": item.image_id, "height": height, "width": width}
        images.write(f"{',' if image_number > 1 else ''}\n{_json(entry)}")
        buffer = io.StringIO()
        for region_entry in image_annotations(item.label_map, classes, image_number):
            annotation_id += 1
            buffer.write(
                f"{',' if annotation_id > 1 else ''}\n{_json({'id': annotation_id, **region_entry})}"
            )
        annotations.write(buffer.getvalue())
        tally.add(item.label_map)
        progress(tally.images)


def image_annotations(
    label_map: NDArray[np.uint8], classes: ClassTable, image_number: int
) -> Iterator[dict[str, object]]:
    """COCO annotations of one label map, without their ids.

    Args:
        label_map: (H, W) uint8 of permanent class indices.
        classes: which indices are classes; others are left out.
        image_number: COCO's image id.
    """
    height, width = label_map.shape
    for region in regions_of(label_map, tuple(classes.indices)):
        box_height, box_width = region.mask.shape
        yield {
            "image_id": image_number,
            "category_id": region.value + 1,
            "iscrowd": 0,
            "area": float(region.pixels),
            "bbox": [region.left, region.top, box_width, box_height],
            "segmentation": _segmentation(region, (height, width)),
        }


def _segmentation(region: Region, size: tuple[int, int]) -> object:
    """A polygon where the outline says everything, run lengths otherwise."""
    if region.has_holes:
        return {"size": list(size), "counts": compressed_runs(column_runs(region, size))}
    ring = outer_ring(region.mask)
    return [[number for y, x in ring for number in (x + region.left, y + region.top)]]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
