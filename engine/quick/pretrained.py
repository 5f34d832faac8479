"""What a network that knows ImageNet sees of an image: features of its four stages, nothing trained here.

The network is a ResNet-18 (He, Zhang, Ren, Sun 2016) with torchvision's published weights, the ones that the
program's presets start from. They are taken where torch keeps them on this computer and never downloaded for
this; without them the quick model goes by hand-made features alone.

C channels, h w cells of a stage.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.opencv import cv2

if TYPE_CHECKING:
    from models.backbones.resnet import ResNetBackbone

CHANNELS = (64, 128, 256, 512)
"""Of the four stages, at strides 4, 8, 16 and 32 of what the network is given."""

_SEEN_PIXELS = 360 * 480
"""Most pixels given to the network: about half a second on one core, and 200 MB while it lasts."""
_SHORTEST = 32
_LIMIT = 64.0


def stage_features(image: NDArray[np.uint8]) -> tuple[NDArray[np.float16], ...]:
    """Return features of an image, coarser from stage to stage; none where there are no weights.

    Args:
        image: (H, W, 3) uint8 RGB, at least one pixel.

    Returns:
        Of each stage (C, h, w) float16 in 0..64, of the order of 1, read-only.
    """
    network = _network()
    if network is None:
        return ()
    import torch

    from models.base import MEAN, STD

    height, width = seen_size((int(image.shape[0]), int(image.shape[1])))
    seen = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    pixels = torch.from_numpy(np.ascontiguousarray(seen)).permute(2, 0, 1)[None].to(torch.float32)
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    found = []
    with torch.inference_mode():
        for stage in network((pixels / 255 - mean) / deviation):
            array = stage[0].clamp(0, _LIMIT).to(torch.float16).contiguous().numpy()
            array.setflags(write=False)
            found.append(array)
    return tuple(found)


def seen_size(size: tuple[int, int], pixels: int = _SEEN_PIXELS) -> tuple[int, int]:
    """Return the (H, W) in which a network sees an image of (H, W): bounded whatever its size and form.

    Args:
        size: (H, W) of the image.
        pixels: Most pixels, 1024 at least.
    """
    scale = min(1.0, math.sqrt(pixels / (size[0] * size[1])))
    height, width = (max(_SHORTEST, round(edge * scale)) for edge in size)
    if height < width:
        return height, min(width, pixels // height)
    return min(height, pixels // width), width


@lru_cache(maxsize=1)
def _network() -> ResNetBackbone | None:
    """Return the network in evaluation mode, None where its weights are not here. Built once, 45 MB.

    Weights that come while the program runs count from its next start: features of images must not change
    their number in between.
    """
    from models.backbone_configs import OutputStride, ResNetConfig, ResNetDepth
    from models.backbones.resnet import ResNetBackbone, has_weights

    if not has_weights(ResNetDepth.RESNET18):
        return None
    notices: list[str] = []
    config = ResNetConfig(depth=ResNetDepth.RESNET18, output_stride=OutputStride.STRIDE32, pretrained=True)
    network = ResNetBackbone(config, notice=notices.append).eval().requires_grad_(False)
    return None if notices else network
