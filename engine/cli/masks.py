"""Folders of images and folders of masks, for the verbs that take both."""

from pathlib import Path

from engine.annotate.classes import ClassTable
from engine.cli.console import Bar
from engine.errors import EngineError, ImageError
from engine.exchange.mask_import import ImportImage, ImportPreview, preview_import
from engine.project.images import list_images, probe


def preview_masks(
    images_folder: Path, masks_folder: Path, classes: ClassTable, class_file: Path | None
) -> ImportPreview:
    """Match masks with images and find out what their values mean, with a progress bar.

    Args:
        images_folder: the images.
        masks_folder: the masks.
        classes: classes that are known already; may be empty.
        class_file: class list of the masks, or ``None`` to look beside them.

    Raises:
        ImageError: the folder holds no images.
        ExchangeError: no mask fits.
    """
    image_ids = list_images(images_folder)
    if not image_ids:
        raise ImageError(
            f"“{images_folder}” holds no images.", hint="Choose the folder that holds the images."
        )
    images = [ImportImage(image_id=name, size=_size(images_folder / name)) for name in image_ids]
    with Bar("Reading masks", len(images)) as bar:
        return preview_import(
            images, masks_folder, classes, class_file=class_file, progress=lambda done, _: bar.update(done)
        )


def _size(path: Path) -> tuple[int, int] | None:
    """(H, W) of an image, or None where its header cannot be read; reading it later says why."""
    try:
        return probe(path).size
    except EngineError:
        return None
