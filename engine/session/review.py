"""Which image comes next, and which annotated images are held out.

Pure functions over the image records of the manifest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from engine.annotate.classes import UNLABELLED, VOID
from engine.annotate.patch import Patch
from engine.project.manifest import ImageRecord, ImageStatus, Split

HELD_OUT_EVERY = 5
HELD_OUT_OFFSET = 2


def split_of_new(records: Mapping[str, ImageRecord]) -> Split:
    """Return the split of an image that is annotated for the first time.

    Of every five annotated images the third is held out: the first two always train, so learning starts at
    once, and the score is honest because a held-out image is never trained on. The choice depends on counts
    only, so it cannot be steered by how an image looks.

    Args:
        records: All image records, in which annotated images have a split other than `Split.NONE`.
    """
    annotated = sum(record.split is not Split.NONE for record in records.values())
    return Split.VAL if annotated % HELD_OUT_EVERY == HELD_OUT_OFFSET else Split.TRAIN


def neighbour(order: Sequence[str], current: str | None, offset: int) -> str | None:
    """Return the image `offset` places after the current one, or None beyond the ends."""
    if not order:
        return None
    if current not in order:
        return order[0]
    position = order.index(current) + offset
    return order[position] if 0 <= position < len(order) else None


def next_unreviewed(
    order: Sequence[str], records: Mapping[str, ImageRecord], current: str | None, *, backwards: bool = False
) -> str | None:
    """Return the next image, in queue order and around the end, that is not reviewed; None when all are."""
    if not order:
        return None
    start = order.index(current) if current in order else -1
    rotated = [*order[start + 1 :], *order[: max(start, 0)]]
    if backwards:
        rotated.reverse()
    return next((name for name in rotated if records[name].status is not ImageStatus.REVIEWED), None)


def record_after(images: Mapping[str, ImageRecord], image_id: str, patch: Patch) -> ImageRecord:
    """Return an image's record after a patch: its classes, its status, and a split if it had none.

    Args:
        images: All records.
        image_id: The image that was changed.
        patch: The change.
    """
    record = images[image_id]
    painted = np.flatnonzero(np.bincount(patch.after[patch.mask], minlength=256)).tolist()
    return replace(
        record,
        labelled=tuple(sorted({*record.labelled, *painted} - {UNLABELLED, VOID})),
        split=split_of_new(images) if record.split is Split.NONE else record.split,
        status=ImageStatus.STARTED if record.status is ImageStatus.NEW else record.status,
    )
