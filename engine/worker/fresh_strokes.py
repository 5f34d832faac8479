"""Which strokes the weights on screen cannot have learnt from. Worker thread."""

from __future__ import annotations

import weakref

from engine.quick.samples import Cells
from engine.worker.network import LiveNetwork


class FreshStrokes:
    """Tells the painted cells that came after the present weights were shown from those before.

    When other weights are shown all begins anew: training has learnt from the older strokes.
    """

    def __init__(self) -> None:
        self._shown: tuple[object, ...] = ()
        self._network: weakref.ref[LiveNetwork] | None = None
        self._before: dict[str, Cells | None] = {}

    def __contains__(self, image_id: str) -> bool:
        """Whether it is known what was painted in an image before."""
        return image_id in self._before

    def are_of(self, network: LiveNetwork) -> bool:
        """Whether the strokes noted came after the present weights of this network, with its classes."""
        return self._network is not None and self._network() is network and self._shown == _shown(network)

    def follow(self, network: LiveNetwork) -> bool:
        """Begin anew where the weights or classes are others now; return whether they are."""
        if self.are_of(network):
            return False
        self._shown, self._network, self._before = _shown(network), weakref.ref(network), {}
        return True

    def look(self, image_id: str, cells: Cells | None) -> None:
        """Note what is painted in an image already, None without anything; the first word counts."""
        self._before.setdefault(image_id, cells)

    def among(self, image_id: str, cells: Cells) -> Cells:
        """Return those of all painted cells of an image that came later."""
        return cells.new_since(self._before[image_id])


def _shown(network: LiveNetwork) -> tuple[object, ...]:
    return network.shown_step, network.classes.indices
