"""Random changes of a crop that leave its classes true (torch-free).

Everything runs in OpenCV on uint8 arrays, which releases the interpreter lock: the window stays smooth.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine.config import AugmentConfig
from engine.learn.pool import Crop
from engine.opencv import cv2

_LEVELS = np.arange(256, dtype=np.float32)


def augment(crop: Crop, config: AugmentConfig, rng: np.random.Generator) -> Crop:
    """Return a randomly changed copy; geometry changes all layers alike, colour the image only.

    Args:
        crop: Not changed.
        config: Which changes and how strong.
        rng: Source of all choices.
    """
    if config.flip and rng.random() < 0.5:
        crop = _flipped(crop, 1)
    if config.flip_vertical and rng.random() < 0.5:
        crop = _flipped(crop, 0)
    return replace(crop, image=_coloured(crop.image, config, rng))


def _flipped(crop: Crop, axis: int) -> Crop:
    return Crop(
        image=np.asarray(cv2.flip(crop.image, axis), np.uint8),
        label_map=np.asarray(cv2.flip(crop.label_map, axis), np.uint8),
        provenance=np.asarray(cv2.flip(crop.provenance, axis), np.uint8),
    )


def _coloured(image: NDArray[np.uint8], config: AugmentConfig, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return (H, W, 3) uint8 RGB with other light and colours."""
    shift, contrast, saturation, hue = rng.uniform(-1, 1, 4)
    if config.hue > 0:
        image = _hue_shifted(image, hue * config.hue)
    if config.saturation > 0:
        factor = 1.0 + saturation * config.saturation
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        image = np.asarray(cv2.addWeighted(image, factor, grey, 1.0 - factor, 0.0), np.uint8)
    if config.brightness > 0 or config.contrast > 0:
        levels = (
            (_LEVELS - 127.5) * (1.0 + contrast * config.contrast) + 127.5 + 255.0 * shift * config.brightness
        )
        table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
        image = np.asarray(cv2.LUT(image, table), np.uint8)
    return image


def _hue_shifted(image: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    """Turn the colour circle by a share of its round."""
    # The "full" forms of the conversion count hue in 256 steps, so that uint8 arithmetic wraps as hue does.
    hsv = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL), np.uint8)
    hsv[..., 0] += np.uint8(round(share * 256) % 256)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL), np.uint8)
