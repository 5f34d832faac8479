"""Colour ramps for numbers: what is drawn of values, never of classes.

The steps of a ramp look equally far apart, also in grey and to colour-blind eyes; black text is never laid
over them without asking `text_on`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

STEPS = 256

_SEQUENTIAL = (
    (68, 1, 84),
    (71, 45, 123),
    (59, 82, 139),
    (44, 114, 142),
    (33, 145, 140),
    (40, 174, 128),
    (94, 201, 98),
    (173, 220, 48),
    (253, 231, 37),
)
_DIVERGING = (
    (20, 70, 160),
    (76, 130, 200),
    (150, 185, 225),
    (224, 226, 228),
    (235, 175, 140),
    (214, 110, 72),
    (160, 45, 30),
)


@dataclass(frozen=True, slots=True)
class Ramp:
    """A run of colours.

    Attributes:
        anchors: RGB colours at equal distances, low first.
        centred: Whether the middle means nothing: values are then laid symmetrically about 0.
    """

    anchors: tuple[tuple[int, int, int], ...]
    centred: bool = False

    def rgb(self) -> NDArray[np.uint8]:
        """Return the (256, 3) uint8 RGB colours."""
        return _rgb(self.anchors)

    def table(self, *, faint_low: bool = False) -> NDArray[np.uint32]:
        """Return (256,) uint32 premultiplied 0xAARRGGBB colours.

        Args:
            faint_low: Let low values (of a centred ramp: values near the middle) show what lies beneath.
        """
        alpha = np.ones(STEPS)
        if faint_low:
            run = np.linspace(-1.0, 1.0, STEPS) if self.centred else np.linspace(0.0, 1.0, STEPS)
            alpha = 0.1 + 0.9 * np.abs(run)
        return packed(self.rgb(), alpha)

    def bounds(self, values: NDArray[np.floating]) -> tuple[float, float]:
        """Return the range of values the ramp spans: of all finite ones, about 0 where it is centred."""
        finite = values[np.isfinite(values)]
        if finite.size == 0:
            return (-1.0, 1.0) if self.centred else (0.0, 1.0)
        low, high = float(finite.min()), float(finite.max())
        if self.centred:
            reach = max(abs(low), abs(high)) or 1.0
            return -reach, reach
        return (low, high) if high > low else (low, low + 1.0)


SEQUENTIAL = Ramp(_SEQUENTIAL)
DIVERGING = Ramp(_DIVERGING, centred=True)


def ramp_for(values: NDArray[np.floating]) -> Ramp:
    """Return the centred ramp where values lie on both sides of 0, else the plain one."""
    finite = values[np.isfinite(values)]
    both = finite.size > 0 and bool(finite.min() < 0.0 < finite.max())
    return DIVERGING if both else SEQUENTIAL


def codes(values: NDArray[np.floating], low: float, high: float) -> NDArray[np.uint8]:
    """Return which of the 256 steps each value takes; what is no number takes the lowest."""
    scale = (STEPS - 1) / (high - low if high > low else 1.0)
    steps = np.multiply(values, scale)
    steps -= low * scale
    np.fmax(steps, 0, out=steps)  # in place, and unlike clip it turns what is no number into 0
    np.fmin(steps, STEPS - 1, out=steps)
    return np.asarray(steps, dtype=np.uint8)


def packed(rgb: NDArray[np.uint8], alpha: NDArray[np.float64]) -> NDArray[np.uint32]:
    """Return premultiplied 0xAARRGGBB of (n, 3) uint8 colours and (n,) opacities in [0, 1]."""
    parts = np.rint(rgb.astype(np.float64) * alpha[:, None]).astype(np.uint32)
    opacity = np.rint(255.0 * alpha).astype(np.uint32)
    return np.asarray(opacity << 24 | parts[:, 0] << 16 | parts[:, 1] << 8 | parts[:, 2], dtype=np.uint32)


@lru_cache(maxsize=8)
def _rgb(anchors: tuple[tuple[int, int, int], ...]) -> NDArray[np.uint8]:
    places = np.linspace(0.0, len(anchors) - 1.0, STEPS)
    columns = np.asarray(anchors, dtype=np.float64).T
    runs = [np.interp(places, np.arange(len(anchors)), column) for column in columns]
    return np.asarray(np.rint(np.stack(runs, axis=1)), dtype=np.uint8)
