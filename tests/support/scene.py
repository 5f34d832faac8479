"""A picture that shows how it is turned, and the parts a PNG file is made of."""

import struct
import zlib

import numpy as np
from PIL import Image

RED, GREEN = (200, 30, 20), (10, 220, 30)


def scene(height: int = 12, width: int = 20) -> Image.Image:
    """A picture in which every orientation looks different."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width, dtype=np.uint8)
    pixels[..., 1] = np.linspace(0, 255, height, dtype=np.uint8)[:, None]
    pixels[: height // 3, : width // 4] = RED
    return Image.fromarray(pixels)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
