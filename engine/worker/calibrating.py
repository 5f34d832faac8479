"""How far what is on screen can be trusted, learnt from what people labelled, image by image. Worker thread.

On screen is the network, the quick model, or the pool of both. The quick model there has learnt from the very
images that could tell, so that it is asked in turns: what is said of some images comes from a quick model
fitted to all the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import EngineError
from engine.inspect.calibration import WHOLE_IMAGES
from engine.inspect.judged import Judged, calibration, evidence
from engine.inspect.shown import judged_image
from engine.inspect.snapshot import Snapshot
from engine.learn.pool import Layers
from engine.messages import Event, FitCalibration, PoolItem, PredictionSource, Progress
from engine.project.images import read_image
from engine.project.manifest import Split
from engine.quick.head import Readout
from engine.worker.network import LiveNetwork
from engine.worker.quick_desk import QuickDesk

TURNS = 8
"""Quick models fitted for the images of a split at most; with fewer images each is left out alone."""


@dataclass(frozen=True, slots=True, eq=False)
class OnScreen:
    """Who predicts what is on screen, at one moment.

    Attributes:
        quick: The quick model's desk.
        share: The network's share: 0 is the quick model alone, 1 the network alone.
    """

    quick: QuickDesk
    share: float

    @property
    def source(self) -> PredictionSource:
        """Who that is."""
        if self.share == 0:
            return PredictionSource.QUICK
        return PredictionSource.NETWORK if self.share == 1 else PredictionSource.JOINT


def calibrate(
    network: LiveNetwork,
    snapshot: Snapshot | None,
    shown: OnScreen,
    command: FitCalibration,
    *,
    read: Callable[[PoolItem], Layers],
    emit: Callable[[Event], None],
) -> Iterator[object]:
    """Fit how far the confidence of what is on screen can be trusted; one piece of work per step.

    Held-out images are asked about first, others only where these have too few labels. The quick model alone
    has learnt from none of the images it is asked about, so that to it all are held out: it is asked about
    all of them, unless enough held-out ones are labelled whole.

    Args:
        network: Whose classes count.
        snapshot: The network as it is shown; None where the quick model is alone.
        shown: Who predicts.
        command: Which images there are.
        read: Returns what people labelled in one.
        emit: Receives progress, and `CalibrationFitted` at the end.

    Raises:
        EngineError: Too few pixels are labelled, or only the image that the quick model has learnt from.
    """
    found: dict[Split, list[Judged]] = {}
    done, total = 0, len(command.items)
    while shown.share < 1 and shown.quick.has_news:
        yield None  # it learns between our pieces: one of half of the annotations is not who is shown
    for split in (Split.VAL, Split.TRAIN):
        kept = found.setdefault(Split.VAL if shown.share == 0 else split, [])
        for item, readout in _in_turns([item for item in command.items if item.split is split], shown):
            if item is not None and (readout is not None or shown.share == 1):
                judged = _judged(network, snapshot, shown, item, readout, read)
                kept += [] if judged is None else [judged]
            done += item is not None
            emit(Progress(task="Calibration", done=done, total=total))
            yield None
        if _suffices(found, shown.share):
            break
    emit(Progress(task="Calibration", done=total, total=total))
    if not any(found.values()) and shown.share < 1 and total:
        raise EngineError(
            "The quick model cannot be asked about the only labelled image: it has learnt from it.",
            "Paint two classes in another image, too.",
        )
    parts = evidence(found)
    fitted = calibration(command.request_id, parts)
    if any(part not in found[Split.VAL] for part in parts):
        fitted = replace(fitted, images=0)  # what a network has learnt by heart tells nothing of other images
    step = 0 if shown.share == 0 else network.shown_step
    emit(replace(fitted, source=shown.source, share=shown.share, step=step))


def _in_turns(items: Sequence[PoolItem], shown: OnScreen) -> Iterator[tuple[PoolItem | None, Readout | None]]:
    """Yield images, each with a quick model that has not learnt from it; no image where one was fitted."""
    if shown.share == 1:
        yield from ((item, None) for item in items)
        return
    for start in range(min(TURNS, len(items))):
        turn = items[start::TURNS]
        readout = shown.quick.without([item.image_id for item in turn])
        yield None, None
        yield from ((item, readout) for item in turn)


def _judged(
    network: LiveNetwork,
    snapshot: Snapshot | None,
    shown: OnScreen,
    item: PoolItem,
    readout: Readout | None,
    read: Callable[[PoolItem], Layers],
) -> Judged | None:
    try:
        label_map: NDArray[np.uint8] = read(item)[0]
        image = read_image(Path(item.image_path))
    except EngineError:
        # The pool and the measurement name files that cannot be read.
        return None
    return judged_image(
        image, label_map, network.classes, snapshot=snapshot, readout=readout, share=shown.share
    )


def _suffices(found: dict[Split, list[Judged]], share: float) -> bool:
    """Whether no more images are worth asking about: the network has learnt from those that are not held out.

    The quick model alone is asked about strokes elsewhere as honestly; only whole images tell more.
    """
    try:
        parts = evidence(found)
    except EngineError:
        return False
    return share > 0 or (len(parts) >= WHOLE_IMAGES and all(part.whole for part in parts))
