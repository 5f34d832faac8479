"""One layer of an annotation as a file: an 8-bit grey PNG that any tool reads and that knows its revision.

Reading is strict. Decoders of PNG files do not insist on the checksums of pixel data, so they are checked
here: a flipped bit must not become another class. OpenCV packs and unpacks, because it lets go of Python's
lock meanwhile and Pillow does not: a layer of twelve megapixels held up the brush for a tenth of a second.
"""

import struct
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.errors import AnnotationError
from engine.opencv import cv2

REVISION_KEY: Final = "maskloop-revision"
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_GREY_8: Final = (8, 0)
_HEADER_END: Final = len(_SIGNATURE) + 25
"""Where a PNG's first chunk ends, the header; what is said about the file comes next."""
_REMEDY: Final = "Nothing will overwrite it. Restore the file from a backup, or move it away to start anew."


def encode_layer(values: NDArray[np.uint8], revision: int) -> bytes:
    """Return a layer as a PNG file.

    Args:
        values: (H, W) uint8.
        revision: of the annotation these values belong to.
    """
    # Fast: label maps are flat, and more effort saves little.
    settings = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
    _, packed = cv2.imencode(".png", np.ascontiguousarray(values), settings)
    data = packed.tobytes()
    body = b"tEXt" + REVISION_KEY.encode() + b"\0" + str(revision).encode()
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:_HEADER_END] + chunk + data[_HEADER_END:]


def decode_layer(data: bytes, size: tuple[int, int], where: str) -> tuple[NDArray[np.uint8], int]:
    """Read a layer.

    Args:
        data: content of the file.
        size: (H, W) it must have.
        where: name of the file, for messages.

    Returns:
        Writable (H, W) uint8 values and their revision.

    Raises:
        AnnotationError: damaged, of another size or kind, or not written by this program.
    """
    header, revision = _read_chunks(data, where)
    width, height, depth, color = struct.unpack(">IIBB", header[:10])
    if (height, width) != size:
        raise AnnotationError(
            f"“{where}” has {width} × {height} pixels, its image {size[1]} × {size[0]}.",
            "Nothing will overwrite it. Put back the image it was made for, or move the file away.",
        )
    if (depth, color) != _GREY_8 or revision is None:
        raise AnnotationError(
            f"“{where}” was saved by another program: it is not as Maskloop wrote it.",
            "Nothing will overwrite it. To use it, move it out of the project and import it as a mask.",
        )
    values = _unpacked(data)
    if values is None or values.shape != size:
        raise AnnotationError(f"“{where}” is damaged: its pixels cannot be unpacked.", _REMEDY)
    return values, revision


def _unpacked(data: bytes) -> NDArray[np.uint8] | None:
    try:
        values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:  # more pixels than it takes
        return None
    return None if values is None or values.dtype != np.uint8 else np.asarray(values, np.uint8)


def _read_chunks(data: bytes, where: str) -> tuple[bytes, int | None]:
    """Check the frame of a PNG and every checksum; return its header and its revision, if it has one."""
    if not data.startswith(_SIGNATURE):
        raise AnnotationError(
            f"“{where}” is damaged: it is {'empty' if not data else 'no PNG file'}.", _REMEDY
        )
    position = len(_SIGNATURE)
    header, revision, kind = b"", None, b""
    while kind != b"IEND":
        kind, body, position = _chunk(data, position, where)
        if kind == b"IHDR":
            header = body
        elif kind == b"tEXt":
            key, _, text = body.partition(b"\0")
            if key == REVISION_KEY.encode() and text.isdigit() and len(text) < 19:
                revision = int(text)
    if position != len(data) or len(header) != 13:
        raise AnnotationError(f"“{where}” is damaged: it is not one whole PNG file.", _REMEDY)
    return header, revision


def _chunk(data: bytes, position: int, where: str) -> tuple[bytes, bytes, int]:
    """Return kind and body of the chunk at a position, and the position after it."""
    frame = data[position : position + 8]
    length = int.from_bytes(frame[:4], "big")
    end = position + 8 + length
    if len(frame) < 8 or end + 4 > len(data):
        raise AnnotationError(f"“{where}” is damaged: it ends in the middle.", _REMEDY)
    if zlib.crc32(data[position + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
        raise AnnotationError(f"“{where}” is damaged: a checksum is wrong.", _REMEDY)
    return frame[4:], data[position + 8 : end], end + 4


def layer_revision(data: bytes, where: str) -> int:
    """Return the revision of a layer without decoding its pixels.

    Raises:
        AnnotationError: damaged, or not written by this program.
    """
    revision = _read_chunks(data, where)[1]
    if revision is None:
        raise AnnotationError(
            f"“{where}” was saved by another program: it is not as Maskloop wrote it.", _REMEDY
        )
    return revision


def layer_size(data: bytes, where: str) -> tuple[int, int]:
    """Return the (H, W) of a layer without decoding its pixels.

    Raises:
        AnnotationError: damaged.
    """
    width, height = struct.unpack(">II", _read_chunks(data, where)[0][:8])
    return height, width
