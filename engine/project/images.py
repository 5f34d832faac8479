"""Image files: finding, probing and reading them. Pillow reads; RGB comes out and BGR never leaves this room.

Every failure is an `ImageError` that names file, cause and remedy. All functions are safe on any thread.
"""

import functools
import os
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from engine.errors import ImageError, ProjectError
from engine.project.image_ids import is_image_id
from engine.project.pixels import to_rgb, upright

ImageArray: TypeAlias = NDArray[np.uint8]
"""(H, W, 3) uint8 RGB, upright, read-only."""

MAX_PIXELS: Final = 400_000_000
"""Largest image that is decoded: 1.2 GB as RGB, and nearly twice that again on screen."""

IMAGE_SUFFIXES: Final = frozenset(
    {
        ".avif",
        ".bmp",
        ".gif",
        ".jfif",
        ".jp2",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".pbm",
        ".pgm",
        ".png",
        ".pnm",
        ".ppm",
        ".tif",
        ".tiff",
        ".webp",
    }
)

_FORMATS: Final = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")

_OWN_FOLDERS: Final = frozenset({"maskloop", "masks"})

# What Pillow's readers are known to raise on damaged files, beside OSError. A wider net would hide bugs of
# ours.
_DAMAGE: Final = (
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInfo:
    """What the header of an image file says.

    Attributes:
        size: (H, W) as a person sees it, after orientation.
        mode: Pillow's name of the pixel kind, such as ``RGB`` or ``I;16``.
        bytes: length of the file.
        note: what a person should know before trusting the picture, or "".
    """

    size: tuple[int, int]
    mode: str
    bytes: int
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DecodedImage:
    """A whole image and what was lost on the way to 8-bit RGB.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, upright, read-only.
        notes: sentences for the user; empty for an ordinary image.
    """

    pixels: ImageArray
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageScan:
    """The images of a folder.

    Attributes:
        image_ids: relative POSIX paths in natural order.
        notes: sentences about files that were left out.
    """

    image_ids: tuple[str, ...]
    notes: tuple[str, ...] = ()


def probe(path: Path) -> ImageInfo:
    """Read the header only.

    Raises:
        ImageError: the file is missing, empty or no image.
    """
    with _opened(path) as image:
        size = _upright_size(image)
        return ImageInfo(
            size=size, mode=image.mode, bytes=path.stat().st_size, note=" ".join(_frame_notes(image))
        )


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> ImageArray:
    """Read an image; see `decode_image` for the notes.

    Returns:
        (H, W, 3) uint8 RGB, upright, read-only.

    Raises:
        ImageError: the file is missing, empty, damaged, no image, or larger than `max_pixels`.
    """
    return decode_image(path, max_pixels=max_pixels).pixels


def decode_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> DecodedImage:
    """Read an image and say what became of it.

    Args:
        path: an image file.
        max_pixels: height times width above which the file is refused from its header, before any decoding.

    Raises:
        ImageError: the file is missing, empty, damaged, no image, or larger than `max_pixels`.
    """
    with _opened(path) as image:
        _check_pixels(path, image, max_pixels)
        orientation = _orientation(image)
        notes = _frame_notes(image) + _depth_notes(image)
        pixels, losses = to_rgb(image)
        pixels = upright(pixels, orientation)
    pixels.setflags(write=False)
    return DecodedImage(pixels=pixels, notes=notes + losses)


def thumbnail(path: Path, edge: int = 160, *, max_pixels: int = MAX_PIXELS) -> ImageArray:
    """Read an image small. JPEG files are decoded at a fraction of their size, which is several times faster.

    Args:
        path: an image file.
        edge: longest side of the result in pixels; smaller images keep their size.
        max_pixels: as for `decode_image`.

    Returns:
        (h, w, 3) uint8 RGB, upright, read-only.

    Raises:
        ImageError: as `decode_image`.
    """
    with _opened(path) as image:
        _check_pixels(path, image, max_pixels)
        orientation = _orientation(image)
        image.draft("RGB", (2 * edge, 2 * edge))
        small = Image.fromarray(np.ascontiguousarray(to_rgb(image)[0]))
        small.thumbnail((edge, edge), Image.Resampling.BILINEAR, reducing_gap=2.0)
        pixels = upright(np.asarray(small), orientation)
    pixels.setflags(write=False)
    return pixels


def list_images(folder: Path) -> tuple[str, ...]:
    """Return the image ids of a folder; see `scan_images`."""
    return scan_images(folder).image_ids


def scan_images(folder: Path) -> ImageScan:
    """Find images by their names, in a folder and one level below; nothing is opened.

    Hidden entries and folders named ``maskloop`` or ``masks`` are skipped.

    Returns:
        Image ids in natural order (``a2`` before ``a10``), the folder's own images before those of its
        sub-folders.

    Raises:
        ProjectError: the folder is gone or may not be read.
    """
    files, folders = _entries(folder)
    found = list(files)
    for name in folders:
        if name.casefold() not in _OWN_FOLDERS:
            found += [f"{name}/{file}" for file in _entries(folder / name, required=False)[0]]
    image_ids = [name for name in found if is_image_id(name)]
    left_out = len(found) - len(image_ids)
    note = f"{left_out} image files were left out: their names cannot be stored. Rename them."
    return ImageScan(image_ids=tuple(sorted(image_ids, key=_natural)), notes=(note,) if left_out else ())


def _entries(folder: Path, *, required: bool = True) -> tuple[list[str], list[str]]:
    """Names of the image files and of the sub-folders of a folder, hidden ones left out."""
    files: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if Path(entry.name).suffix.lower() in IMAGE_SUFFIXES:
                    files.append(entry.name)
                elif entry.is_dir():
                    folders.append(entry.name)
    except OSError as error:
        if required:
            raise ProjectError(
                f"The folder “{folder}” cannot be read: {error.strerror or error}.",
                "Check that it is still there and that you may read it, or open another folder.",
            ) from error
    return files, folders


def _natural(image_id: str) -> tuple[bool, list[tuple[int, str]], str]:
    """Sort key: own images first, numbers by value, the exact name last so that the order is total."""
    parts = re.split(r"(\d+)", image_id.casefold())
    key = [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
    return "/" in image_id, key, image_id


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open a file with Pillow and turn whatever goes wrong, here or in the body, into an `ImageError`."""
    # Our own limit is checked from the header, with a message a person can use.
    Image.MAX_IMAGE_PIXELS = None
    # Remarks on odd metadata; the pixels are judged by errors. Not catch_warnings: it is not safe between
    # threads.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        with path.open("rb") as file:
            _refuse_empty(path, file)
            with Image.open(file, formats=picture_formats()) as image:
                yield image
    except UnidentifiedImageError as error:
        raise ImageError(
            f"“{path}” cannot be read: its content is no known kind of image, or its beginning is damaged.",
            "Open it in an image viewer; if that fails too, copy it again from its source.",
        ) from error
    except MemoryError as error:
        raise ImageError(
            f"“{path}” cannot be read: not enough memory to decode it.",
            "Close other programs, or scale the image down.",
        ) from error
    except OSError as error:
        raise _image_error(path, error) from error
    except _DAMAGE as error:
        raise _damaged(path, str(error)) from error


@functools.cache
def picture_formats() -> tuple[str, ...]:
    """Return the kinds of content that are decoded, whatever a file is called, as Pillow names them.

    Pillow knows more, among them PostScript, which is a program that another program would run.
    """
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _refuse_empty(path: Path, file: IO[bytes]) -> None:
    if not file.read(1):
        raise ImageError(f"“{path}” cannot be read: it is empty (0 bytes).", "Copy it again from its source.")
    file.seek(0)


def _image_error(path: Path, error: OSError) -> ImageError:
    """Say what the system's error means for a person. Pillow reports damage as OSError without a number."""
    if isinstance(error, FileNotFoundError):
        if not path.parent.is_dir():
            return ImageError(
                f"“{path}” cannot be read: its folder is gone.",
                "Connect the drive again, or open the folder where it is now.",
            )
        return ImageError(
            f"“{path}” is no longer there.", "It was moved, renamed or deleted; open the folder again."
        )
    if isinstance(error, PermissionError):
        return ImageError(
            f"“{path}” cannot be read: no permission.", "Give yourself the right to read the file."
        )
    if error.errno is None:
        return _damaged(path, str(error))
    return ImageError(
        f"“{path}” cannot be read: {error.strerror or error}.",
        "Check the drive; copy the file again from its source.",
    )


def _damaged(path: Path, detail: str) -> ImageError:
    return ImageError(
        f"“{path}” is damaged or cut off: {detail.strip().rstrip('.') or 'its data ends in the middle'}.",
        "Copy it again from its source; the other images are not affected.",
    )


def _check_pixels(path: Path, image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError(
            f"“{path}” is too large: its header says {width} × {height} = {width * height / 1e6:,.0f} "
            f"megapixels, the limit is {max_pixels / 1e6:,.0f}.",
            "Cut it into tiles or scale it down.",
        )


def _orientation(image: Image.Image) -> int:
    """EXIF orientation still to be applied, 1 to 8; 1 where the file says nothing sensible."""
    # Pillow turns TIFF itself while it decodes.
    if image.format == "TIFF" or (
        image.format == "PNG" and "exif" not in image.info and not _has_late_exif(image)
    ):
        return 1
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except (OSError, *_DAMAGE):
        return 1  # damaged metadata does not spoil the pixels
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _has_late_exif(image: Image.Image) -> bool:
    """Whether a PNG has its EXIF after the pixels. Reads chunk headers only; Pillow would decode it all."""
    if not isinstance(image, ImageFile.ImageFile) or (file := image.fp) is None:
        return False
    position = file.tell()
    file.seek(8)
    found = False
    while len(header := file.read(8)) == 8 and not found:
        length, kind = struct.unpack(">I4s", header)
        found = kind == b"eXIf"
        file.seek(length + 4, os.SEEK_CUR)
    file.seek(position)
    return found


def _upright_size(image: Image.Image) -> tuple[int, int]:
    width, height = image.size
    return (width, height) if _orientation(image) >= 5 else (height, width)


def _frame_notes(image: Image.Image) -> tuple[str, ...]:
    # Phones store a second picture in a JPEG (MPO); nobody misses that one.
    if image.format != "MPO" and getattr(image, "is_animated", False):
        return ("The file holds several frames or pages; only the first is used.",)
    return ()


def _depth_notes(image: Image.Image) -> tuple[str, ...]:
    """Say that colours of 16 bits are cut to 8; Pillow does that on reading without a word."""
    tiles = image.tile if isinstance(image, ImageFile.ImageFile) else []
    arguments = tiles[0].args if tiles else None
    raw_mode = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    if image.mode in {"RGB", "RGBA"} and isinstance(raw_mode, str) and ";16" in raw_mode:
        return ("16-bit colours shown with 8 bits.",)
    return ()
