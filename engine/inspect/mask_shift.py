"""Whether the labels of an image that was looked at are shifted, and what to say of it. Worker thread.

The search itself is `engine.inspect.label_shift`; here prediction, image and labels are brought to one size.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.inspect.label_shift import MOVE, label_shift_in_pieces
from engine.inspect.look import Look
from engine.inspect.structure import WINDOW
from engine.inspect.what_if import labelled_channels
from engine.opencv import cv2
from models.base import IGNORE_INDEX

EDGE = 768
"""Longer edge at most of the part that is searched, in pixels of the image searched."""

_ENOUGH = 0.5

SURE = 0.02
"""Masks that lie right hardly ever score so much: of 72 true masks of CamVid by three networks 2 did, of the
same moved by two pixels 56; above 0.00 were 9 and 68."""


@dataclass(frozen=True, slots=True)
class MaskShift:
    """How much better the labels of a whole image would fit if they were moved.

    Attributes:
        score: Share of the unexplained variance that the best move takes away, see `LabelShift`.
        move: Rows and columns to move the labels by, in pixels of the whole image; (0, 0) where the labels
            have no borders to judge by.
        tried: Rows and columns of one move that was tried, in pixels of the whole image.
        is_exact: Whether the image was searched at its own size, so that pixels are those of the file.
    """

    score: float
    move: tuple[int, int]
    tried: tuple[int, int]
    is_exact: bool

    @property
    def fits_better(self) -> bool:
        """Whether the labels fit better moved; a score that reads as 0.00 is no finding."""
        return round(self.score, 2) > 0.0

    @property
    def sentence(self) -> str:
        """What the search says, for people; empty where there was nothing to judge by."""
        about = "" if self.is_exact else "about "
        if self.move == (0, 0):
            return ""
        if not self.fits_better:
            least = max(self.tried)
            return f"The labels lie where they should: no move by {about}{least} px fits better."
        rows, columns = self.move
        where = ("up" if rows < 0 else "down") if rows else ("to the left" if columns < 0 else "to the right")
        fit = "fit" if self.score >= SURE else "may fit"
        return (
            f"The labels {fit} better moved by {about}{abs(rows or columns)} px {where} "
            f"(score {self.score:+.2f})."
        )


def is_labelled_enough(look: Look, annotation: NDArray[np.uint8]) -> bool:
    """Return whether labels cover half of the image: a few strokes do not say where their borders are.

    Args:
        look: What was kept.
        annotation: (H, W) uint8 permanent indices.
    """
    known = labelled_channels(look, annotation) != IGNORE_INDEX
    return float(known.float().mean()) >= _ENOUGH


def mask_shift(look: Look, mask: NDArray[np.uint8]) -> MaskShift | None:
    """Return by which move labels would fit the image better; see `mask_shift_in_pieces`."""
    *_, found = (None, *mask_shift_in_pieces(look, mask))
    return found


def mask_shift_in_pieces(look: Look, mask: NDArray[np.uint8]) -> Iterator[MaskShift | None]:
    """Find by which move labels would fit the image better, one move per piece.

    The middle of the image is searched, `EDGE` pixels wide and high at most, at its own size where it was
    looked at so. Where it was shrunk, or has so many classes that its logits were not enlarged to all of it,
    image and labels are shrunk alike, and the move is given in pixels of the whole image.

    Args:
        look: What was kept.
        mask: (H, W) uint8 permanent indices.

    Yields:
        None after each piece, then the answer; no answer where the image is smaller than a window.
    """
    enlarged = look.enlarged(look.logits)
    height, width = int(enlarged.shape[1]), int(enlarged.shape[2])
    if min(height, width) < WINDOW:
        return
    image, labels = look.image, labelled_channels(look, mask).numpy()
    if image.shape[:2] != (height, width):
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        labels = _shrunk(labels, (height, width))
    starts = [max(0, extent - EDGE) // 2 for extent in (height, width)]
    middle = tuple(slice(start, start + EDGE) for start in starts)
    probabilities = enlarged[:, *middle].softmax(dim=0).cpu().numpy()
    del enlarged
    zoom = (look.size[0] / height, look.size[1] / width)
    pieces = label_shift_in_pieces(
        probabilities, np.ascontiguousarray(image[middle]), labels[middle], ignore=IGNORE_INDEX
    )
    for found in pieces:
        if found is None:
            yield None
        else:
            yield MaskShift(
                score=found.score,
                move=(round(found.move[0] * zoom[0]), round(found.move[1] * zoom[1])),
                tried=(round(MOVE * zoom[0]), round(MOVE * zoom[1])),
                is_exact=look.size == (height, width),
            )


def place_of_labels(look: Look, annotation: NDArray[np.uint8] | None) -> Generator[None, None, str]:
    """Find in pieces what is to be said of the labels' place.

    Args:
        look: What was kept.
        annotation: (H, W) uint8 permanent indices; None without one.

    Returns:
        A sentence; empty where labels cover too little of the image, or have no borders.
    """
    if annotation is None or not is_labelled_enough(look, annotation):
        return ""
    yield None  # the map that comes before is a piece of its own
    said = ""
    for found in mask_shift_in_pieces(look, annotation):
        if found is not None:
            said = found.sentence
        yield None
    return said


def _shrunk(labels: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.int64]:
    rows = (np.arange(size[0]) * labels.shape[0] + labels.shape[0] // 2) // size[0]
    columns = (np.arange(size[1]) * labels.shape[1] + labels.shape[1] // 2) // size[1]
    return np.asarray(labels[rows][:, columns], np.int64)
