"""Folders of images and folders of masks, for the verbs that take both."""

from collections.abc import Set as AbstractSet
from pathlib import Path

from engine.annotate.classes import UNLABELLED, ClassTable
from engine.cli.console import Bar, complain
from engine.errors import EngineError, ImageError
from engine.exchange.mask_files import MaskValue
from engine.exchange.mask_import import ImportImage, ImportPreview, preview_import
from engine.project.images import list_images, probe

_MOST_NAMED = 8


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


def tell_left_out(preview: ImportPreview, ignored: AbstractSet[MaskValue] = frozenset()) -> None:
    """Say which masks, images and values of the masks are not used.

    Args:
        preview: from :func:`preview_masks`.
        ignored: values left out on request, which nobody needs to hear of.
    """
    for problem in preview.problems:
        complain(problem.message)
    without = preview.without_mask
    if without:
        known = len(preview.matched) + len(preview.problems) + len(without)
        more = "" if len(without) == 1 else " and others"
        complain(
            f"{len(without)} of {known} images have no mask that fits their name and are left out: "
            f"“{without[0]}”{more}."
        )
    strange = [value for value in preview.unknown if preview.mapping[value] == UNLABELLED]
    strange = [value for value in strange if value not in ignored]
    if len(strange) == 1:
        complain(f"Value {_spoken(strange[0])} of the masks belongs to no class and is left unlabelled.")
    elif strange:
        listed = ", ".join(_spoken(value) for value in strange[:_MOST_NAMED])
        more = ", …" if len(strange) > _MOST_NAMED else ""
        complain(
            f"{len(strange)} values of the masks belong to no class and are left unlabelled: {listed}{more}."
        )


def _spoken(value: MaskValue) -> str:
    return str(value) if isinstance(value, int) else "#" + "".join(f"{part:02x}" for part in value)


def _size(path: Path) -> tuple[int, int] | None:
    """(H, W) of an image, or None where its header cannot be read; reading it later says why."""
    try:
        return probe(path).size
    except EngineError:
        return None
