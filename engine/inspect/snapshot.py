"""A network as it was at one moment, and what it kept of one image. Worker thread.

Questions come one after the other while training goes on. A copy of the network makes their answers fit
together, and nothing a question does can reach the weights that are trained or saved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.annotate.classes import ClassTable
from engine.opencv import cv2
from engine.predict.compute import shortage_told
from models.base import SegmentationModel, normalise
from models.output import SegmentationOutput

WORKING_PIXELS = 2**20
"""Largest image inspected at its own size; a larger one is shrunk to as many pixels, keeping its shape.

A look keeps features of the whole image at once, which tiles cannot give: relations and attention run over
all places. Shapes finer than the shrunken image shows are therefore inspected as the network sees them there.
"""
_LOOK = (
    "There is not enough memory to look into the network at this image.",
    "Close other programs, or stop training first.",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """A copy of a network.

    Attributes:
        model: The copy, in evaluation mode, without gradients.
        classes: Class table; its order is the order of the channels.
        step: Training step of the weights.
        device: Where the copy is.
    """

    model: SegmentationModel[Any]
    classes: ClassTable
    step: int
    device: torch.device

    def run(self, image: NDArray[np.uint8]) -> SegmentationOutput:
        """Run the network with its inner state visible.

        Args:
            image: (H, W, 3) uint8 RGB, of working size.

        Raises:
            DeviceMemoryError: Memory is too small.
        """
        with shortage_told(*_LOOK), torch.inference_mode():
            pixels = torch.from_numpy(np.array(image[None], np.uint8)).to(self.device)
            output: SegmentationOutput = self.model(normalise(pixels), inspect=True)
        return output


def working_image(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an (h, w, 3) uint8 image of at most `WORKING_PIXELS` pixels: the same one, or a shrunken one."""
    height, width = image.shape[:2]
    shrink = (WORKING_PIXELS / (height * width)) ** 0.5
    if shrink >= 1.0:
        return image
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
