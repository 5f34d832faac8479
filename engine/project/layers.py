"""One layer of an annotation as a file: an 8-bit grey PNG that any tool reads and that knows its revision.

Reading is strict. Pillow does not look at the checksums of pixel data, so they are checked here: a flipped
bit must not become another class.
"""

import io
import struct
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from engine.errors import AnnotationError

REVISION_KEY: Final = "maskloop-revision"
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_GREY_8: Final = (8, 0)
_REMEDY: Final = "Nothing will overwrite it. Restore the file from a backup, or move it away to start anew."


def encode_layer(values: NDArray[np.uint8], revision: int) -> bytes:
    """Return a layer as a PNG file.

    Args:
        values: (H, W) uint8.
        revision: of the annotation these values belong to.
    """
    info = PngInfo()
    info.add_text(REVISION_KEY, str(revision))
    buffer = io.BytesIO()
    # Fast: label maps are flat, and more effort saves little.
    Image.fromarray(values).save(buffer, format="PNG", pnginfo=info, compress_level=1)
    return buffer.getvalue()


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
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            values = np.array(image, dtype=np.uint8)
    except (OSError, SyntaxError, ValueError) as error:
        raise AnnotationError(f"“{where}” is damaged: {error}.", _REMEDY) from error
    return values, revision


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
