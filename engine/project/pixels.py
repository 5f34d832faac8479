"""Any image Pillow decodes, as upright 8-bit RGB pixels.

Pure: arrays and opened images in, arrays and notes for the user out. The file itself is the business of
`images`.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

_GREY_16: Final = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
_WITH_ALPHA: Final = frozenset({"RGBA", "RGBa", "LA", "La", "PA"})


def to_rgb(image: Image.Image) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Decode an opened image into RGB.

    Args:
        image: an image opened by Pillow, in any of its modes.

    Returns:
        (H, W, 3) uint8 RGB pixels as they lie in the file, and one sentence for every loss a person should
        know of.
    """
    if image.mode in _GREY_16 or image.mode in {"I", "F"}:
        return _stretched(image)
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        return _on_white(image)
    if image.mode == "LAB":
        return _from_lab(image), ("Lab colours shown as RGB.",)
    if image.mode == "CMYK":
        return np.asarray(image.convert("RGB")), (
            "Print colours (CMYK) shown as RGB; they may look a little different.",
        )
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB")), ()


def upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn pixels the way the camera was held.

    Args:
        pixels: (h, w, 3) as they lie in the file.
        orientation: EXIF orientation, 1 to 8.

    Returns:
        Contiguous (H, W, 3) pixels as a person sees them; rows and columns change places for 5 to 8.
    """
    if orientation in {5, 6, 7, 8}:
        pixels = pixels.swapaxes(0, 1)
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _stretched(image: Image.Image) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Scale one channel of more than 8 bits so that its darkest value is black and its brightest is white.

    Cameras of 10 to 14 bits store into 16: dividing by 256 would show such an image as black.
    """
    values = np.asarray(image).astype(np.float32)
    finite = np.isfinite(values)
    everywhere = bool(finite.all())
    known = values if everywhere else values[finite]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    if not everywhere:
        values = np.where(finite, values, np.float32(low))
    # Halves first: the span of two float32 values may be more than float32 holds.
    span = high / 2 - low / 2
    grey = (values / 2 - low / 2) * (255.0 / span) if span > 0 else np.zeros_like(values)
    kind = {"I": "32-bit grey", "F": "decimal grey"}.get(image.mode, "16-bit grey")
    note = f"{kind} image: {low:g} … {high:g} shown as black … white."
    missing = () if everywhere else ("Pixels without a finite value are shown as black.",)
    rounded = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
    return np.repeat(rounded[:, :, None], 3, axis=2), (note, *missing)


def _on_white(image: Image.Image) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Lay transparent pixels on white: the colours hidden below full transparency are often rubbish."""
    straight = image if image.mode == "RGBA" else image.convert("RGBA")
    if straight.getchannel("A").getextrema() == (255, 255):
        return np.asarray(straight.convert("RGB")), ()
    white = Image.new("RGBA", straight.size, (255, 255, 255, 255))
    return np.asarray(Image.alpha_composite(white, straight).convert("RGB")), (
        "Transparent parts are shown on white.",
    )


def _from_lab(image: Image.Image) -> NDArray[np.uint8]:
    transform = ImageCms.buildTransform(
        ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB"
    )
    converted = ImageCms.applyTransform(image, transform)
    if converted is None:  # only with inPlace, which is not used here
        raise ValueError("no image came back from the colour conversion")
    return np.asarray(converted)
