"""What a network that knows ImageNet sees of an image: features of four of its stages, nothing trained here.

The network is EfficientNet-Lite0, whose weights are installed with the program as a package of data. Where
that package is missing the quick model goes by hand-made features alone.

C channels, h w cells of a stage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.opencv import cv2

if TYPE_CHECKING:
    import torch

    from models.backbones.efficientnet_lite import EfficientNetLiteBackbone

STAGES = (1, 2, 4, 6)
"""The stages taken, at strides 4, 8, 16 and 32 of what the network is given."""
CHANNELS = (24, 40, 112, 320)

_SEEN_PIXELS = 540 * 720
"""Most pixels given to the network: about half a second on one core, and 200 MB while it lasts."""
_ENLARGED = 1.5
"""A small image is enlarged so much at most: objects of a few pixels are seen by the later stages, too."""
_SHORTEST = 32
_LIMIT = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class _Seer:
    """The network with its normalisations folded in, and what its features are like on ordinary images.

    Attributes:
        network: In evaluation mode.
        centres: (C, 1, 1) mean of every channel of each stage taken, as the weights promise it.
        spreads: (C, 1, 1) deviation likewise.
    """

    network: EfficientNetLiteBackbone
    centres: tuple[torch.Tensor, ...]
    spreads: tuple[torch.Tensor, ...]


def stage_features(image: NDArray[np.uint8]) -> tuple[NDArray[np.float16], ...]:
    """Return features of an image, coarser from stage to stage; none where the weights are not installed.

    Args:
        image: (H, W, 3) uint8 RGB, at least one pixel.

    Returns:
        Of each of `STAGES` (C, h, w) float16 within -8..8, of the order of 1, read-only.
    """
    seer = _seer()
    if seer is None:
        return ()
    import torch

    from models.base import MEAN, STD

    height, width = seen_size((int(image.shape[0]), int(image.shape[1])))
    seen = cv2.resize(image, (width, height), interpolation=_interpolation(image.size, height * width * 3))
    pixels = torch.from_numpy(np.ascontiguousarray(seen)).permute(2, 0, 1)[None].to(torch.float32)
    mean = torch.tensor(MEAN).view(1, 3, 1, 1)
    with torch.inference_mode():
        stages = seer.network.every_stage((pixels / 255 - mean) / torch.tensor(STD).view(1, 3, 1, 1))
        found = []
        for stage, centre, spread in zip(STAGES, seer.centres, seer.spreads, strict=True):
            values = ((stages[stage][0] - centre) / spread).clamp(-_LIMIT, _LIMIT)
            array = values.to(torch.float16).contiguous().numpy()
            array.setflags(write=False)
            found.append(array)
    return tuple(found)


def seen_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the (H, W) in which the network sees an image of (H, W): bounded whatever its size and form."""
    scale = min(_ENLARGED, math.sqrt(_SEEN_PIXELS / (size[0] * size[1])))
    height, width = (max(_SHORTEST, round(edge * scale)) for edge in size)
    if height < width:
        return height, min(width, _SEEN_PIXELS // height)
    return min(height, _SEEN_PIXELS // width), width


def _interpolation(before: int, after: int) -> int:
    return cv2.INTER_AREA if after < before else cv2.INTER_CUBIC


@lru_cache(maxsize=1)
def _seer() -> _Seer | None:
    """Return the network, None where its weights are not installed. Built once, 12 MB."""
    from models.backbone_configs import EfficientNetLiteConfig, OutputStride
    from models.backbones.efficientnet_lite import EfficientNetLiteBackbone

    notices: list[str] = []
    config = EfficientNetLiteConfig(output_stride=OutputStride.STRIDE32)
    network = EfficientNetLiteBackbone(config, notice=notices.append).eval().requires_grad_(False)
    if notices:
        return None
    promised = [network.promised(stage) for stage in STAGES]
    network.fold()
    return _Seer(network, tuple(mean for mean, _ in promised), tuple(spread for _, spread in promised))
