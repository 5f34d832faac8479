"""Strokes on screen at once while a network without a class memory is shown. Worker thread.

The network's own answer about the image on screen is kept. A stroke made since its weights are shown changes
that answer around it as the quick model sees it (`engine.quick.nearby`), in the time the quick model takes;
taking the stroke back brings the old bits back. When other weights are shown, strokes begin anew: training
has learnt from the old ones. Exports, checkpoints and judging know nothing of what happens here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from engine.annotate.classes import UNLABELLED
from engine.annotate.geometry import Box
from engine.messages import PoolItem, Predict
from engine.predict.predictor import PredictedPart, Predictor
from engine.project.images import ImageArray
from engine.quick.nearby import Answer, box_around, corrected, painted_in
from engine.quick.samples import Cells
from engine.worker.assembly import MOST_PIXELS, Assembly
from engine.worker.fresh_strokes import FreshStrokes
from engine.worker.network import LiveNetwork
from engine.worker.quick_desk import QuickDesk
from models.instant_memory import RemembersClasses


class NearbyDesk:
    """Strokes made since the present weights are shown, and what these weights say of the image on screen.

    Args:
        quick: The quick model's desk.
    """

    def __init__(self, quick: QuickDesk) -> None:
        self._quick = quick
        self._fresh = FreshStrokes()
        self._said: dict[str, Cells] = {}
        self._base: tuple[Predict, PredictedPart] | None = None
        self._dirty: Box | None = None

    def look(self, network: LiveNetwork, image_id: str, cells: Cells | None) -> None:
        """Note what is painted in an image already: only later strokes count.

        Args:
            network: Whose answer is corrected.
            image_id: The image.
            cells: All its painted cells, None without any.
        """
        self._follow(network)
        self._fresh.look(image_id, cells)

    def corrected(self, network: LiveNetwork, item: PoolItem, cells: Cells, wanted: Predict) -> bool:
        """Take in an annotation as it is now; return whether the image on screen looks different by it.

        Where the network has not yet answered in full there is nothing to change: its last part will tell.

        Args:
            network: Whose answer is corrected.
            item: The image, the one on screen.
            cells: All its painted cells.
            wanted: What is on screen.
        """
        self._follow(network)
        if isinstance(network.model, RemembersClasses) or item.image_id not in self._fresh:
            return False
        old = box_around(self._said.get(item.image_id, Cells.none()), item.size)
        self._said[item.image_id] = self._fresh.among(item.image_id, cells)
        new = box_around(self._said[item.image_id], item.size)
        self._dirty = _both(self._dirty, _both(old, new))
        return self._dirty is not None and self._answer_to(wanted) is not None

    def parts(
        self, network: LiveNetwork, predictor: Callable[[], Predictor], image: ImageArray, wanted: Predict
    ) -> Iterator[PredictedPart]:
        """Predict the image on screen: after a stroke only what that changes, else all of it.

        Args:
            network: Whose weights are shown.
            predictor: Returns what predicts the image with them; not asked for where a stroke changes a part.
            image: (H, W, 3) uint8 RGB.
            wanted: Which image it is and what is visible of it.

        Raises:
            DeviceMemoryError: Memory is too small even for small tiles.
        """
        dirty, self._dirty = self._dirty, None
        base = self._answer_to(wanted)
        if dirty is not None and base is not None:
            yield self._answer(base, dirty, image, wanted)
            return
        self._base = None
        size = (int(image.shape[0]), int(image.shape[1]))
        keeps = self._quick.is_on and not isinstance(network.model, RemembersClasses)
        assembly = Assembly(size) if keeps and size[0] * size[1] <= MOST_PIXELS else None
        for part in predictor().predict(image, visible=wanted.visible):
            whole = None if assembly is None else assembly.add(part)
            if whole is None:
                yield part
                continue
            self._base, self._dirty = (wanted, whole), None
            around = box_around(self._said.get(wanted.image_id, Cells.none()), size)
            if around is None:
                yield part
            elif part.box == whole.box:
                yield self._answer(whole, whole.box, image, wanted)
            else:
                yield replace(part, complete=False)
                yield self._answer(whole, around, image, wanted)

    def _answer_to(self, wanted: Predict) -> PredictedPart | None:
        """Return what the network says of the whole image; None where it was not asked, or is under way."""
        return self._base[1] if self._base is not None and self._base[0] is wanted else None

    def _answer(self, base: PredictedPart, box: Box, image: ImageArray, wanted: Predict) -> PredictedPart:
        """Return the network's answer about a box, changed around strokes."""
        label_map, confidence = base.label_map[box.slices].copy(), base.confidence[box.slices].copy()
        cells = self._said.get(wanted.image_id, Cells.none())
        around = box_around(cells, base.label_map.shape)
        if around is not None and self._quick.has_learnt:
            painted = painted_in(cells, base.label_map.shape, around)
            network = base.label_map[around.slices], base.confidence[around.slices]
            inside = around.shifted(-box.top, -box.left).slices
            label_map[inside], confidence[inside] = corrected(
                painted, network, self._quick_answer(around, image, wanted)
            )
        label_map.setflags(write=False)
        confidence.setflags(write=False)
        return PredictedPart(box=box, label_map=label_map, confidence=confidence, complete=True)

    def _quick_answer(self, box: Box, image: ImageArray, wanted: Predict) -> Answer:
        """Return what the quick model says of a box."""
        label_map = np.full((box.height, box.width), UNLABELLED, np.uint8)
        confidence = np.zeros(label_map.shape, np.float32)
        missing = box.area
        for part in self._quick.predict(image, replace(wanted, visible=box)):
            shared = part.box.intersect(box)
            if shared.is_empty:
                continue
            missing -= shared.area
            there = shared.shifted(-box.top, -box.left).slices
            here = shared.shifted(-part.box.top, -part.box.left).slices
            label_map[there], confidence[there] = part.label_map[here], part.confidence[here]
            if missing <= 0:
                break  # bands do not overlap, and the nearest come first
        return label_map, confidence

    def _follow(self, network: LiveNetwork) -> None:
        if self._fresh.follow(network):
            self._said, self._base, self._dirty = {}, None, None


def _both(one: Box | None, other: Box | None) -> Box | None:
    """Return the smallest box around both."""
    if one is None or other is None:
        return one or other
    return one.union(other)
