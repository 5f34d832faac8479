"""What the backbone of a network that came trained sees of images, for the quick model. Worker thread.

The weights are a frozen copy of those the network came with. So what is kept of images stays valid however
long the network is trained, and nothing in it was fitted to what is painted here: the head would take
features that were for more than they are worth. Therefore of a checkpoint of the project's own runs the one
counts that the first of these runs began with. Any network will do, for only the backbone is asked.

The copy lies in the machine's memory. A graphics card sees it while one image is looked at and is free again
for training; where it has no room, the processor does the work.

C channels of a stage, k of them after mixing, h w cells, H W size of an image.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.config import Precision
from engine.errors import CheckpointError, DeviceMemoryError
from engine.learn.checkpoint import read_checkpoint, restore
from engine.opencv import cv2
from engine.predict.compute import autocast, is_out_of_memory, release_memory
from engine.quick.pretrained import seen_size
from engine.worker.network import LiveNetwork
from models.backbone_catalog import BackboneUnavailableError
from models.backbones.base import Backbone
from models.backbones.stages import StemlessBackbone
from models.base import SegmentationModel, normalise
from models.build import build_model
from models.cost import measure_cost, without_weights

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

STAGES = 2
"""So many of the backbone's stages, the last ones."""
CHANNELS = 128
"""Most channels of a stage that the head gets."""

_MOST_PIXELS, _FEWEST_PIXELS = 2**19, 2**14
_PRODUCTS = {"cpu": 2e10}
"""Most multiply-accumulates an image may cost: about half a second of one core."""
_PRODUCTS_ELSEWHERE = 1e12
_SAMPLE = 128
_LIMIT = 1000.0
"""Beyond any useful feature, and within what float16 can say."""
_SEED = 22


class Sight:
    """A frozen backbone on a device; `stages` always returns the same for the same image.

    Args:
        backbone: Copied, the original is left alone.
        device: Where images are looked at.
        precision: Number format there; never AUTO.
        source: Tells whose backbone it is: two of one source see the same.
    """

    def __init__(
        self, backbone: Backbone, device: torch.device, precision: Precision, source: str = ""
    ) -> None:
        self.source = source
        self._backbone = _copied(backbone)
        self._device, self._precision = device, precision
        self._pixels = _affordable(self._backbone, device)
        self._mixing = [_mixing(channels) for channels in backbone.channels[-STAGES:]]

    def stages(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.float16], ...]:
        """Return features of an image, coarser from stage to stage.

        Args:
            image: (H, W, 3) uint8 RGB, at least one pixel.

        Returns:
            Of each of the last `STAGES` (k, h, w) float16, read-only.

        Raises:
            DeviceMemoryError: Memory is too small; see `fallback`.
        """
        height, width = seen_size((int(image.shape[0]), int(image.shape[1])), self._pixels)
        seen = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        try:
            return self._look(np.ascontiguousarray(seen))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # Outside the handler: its traceback would keep the tensors alive that have to go.
        release_memory(self._device)
        raise DeviceMemoryError(
            "There is not enough memory to look at an image through the network's backbone.",
            "Close other programs, or choose a smaller network.",
        )

    def fallback(self) -> Sight | None:
        """Return the same on the processor, None where this one is there already."""
        if self._device.type == "cpu":
            return None
        import torch

        return Sight(self._backbone, torch.device("cpu"), Precision.FLOAT32, self.source)

    def _look(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float16], ...]:
        """Return what `stages` does of (h, w, 3) pixels as they are given to the backbone."""
        import torch

        backbone = self._backbone
        if self._device.type != "cpu":
            backbone = copy.deepcopy(backbone).to(self._device)
        found = []
        with torch.inference_mode():
            image = normalise(torch.from_numpy(pixels)[None].to(self._device))
            with autocast(self._device, self._precision):
                features = backbone(image.contiguous(memory_format=torch.channels_last))
            for stage, mixing in zip(features[-STAGES:], self._mixing, strict=True):
                plain = torch.nan_to_num(stage[0].float(), nan=0.0)
                if mixing is not None:
                    plain = torch.tensordot(mixing.to(self._device), plain, dims=1)
                array = plain.clamp(-_LIMIT, _LIMIT).to(torch.float16).cpu().contiguous().numpy()
                array.setflags(write=False)
                found.append(array)
        return tuple(found)


def sight_of(network: LiveNetwork, came: Path | None) -> Sight | None:
    """Return what a network that was just opened sees; None where it came untrained or has no backbone.

    Args:
        network: The network.
        came: The file from elsewhere it goes back to, see `engine.worker.origin.came_from`.
    """
    if came is None or not network.request.quick_head:
        return None
    model = network.model if str(came) == network.request.checkpoint else _model_of(came)
    backbone = None if model is None else _backbone_of(model)
    if backbone is None:
        return None
    source = f"{came} {came.stat().st_mtime_ns}"
    return Sight(backbone, network.device.device, network.precision, source)


def _model_of(path: Path) -> SegmentationModel[Any] | None:
    """Return the network of a checkpoint, None where it cannot be had any more."""
    from engine.catalog import networks

    try:
        checkpoint = read_checkpoint(path)
        about = checkpoint.about
        model = build_model(without_weights(about.network), len(about.classes), seed=0, specs=networks())
    except (CheckpointError, BackboneUnavailableError, LookupError):
        return None
    restore(model, checkpoint, about.classes)
    return model


def _backbone_of(model: nn.Module) -> Backbone | None:
    """Return the backbone that is given the image; later stages may begin at features of earlier ones."""
    for module in model.modules():
        if isinstance(module, Backbone) and not isinstance(module, StemlessBackbone):
            return module
    return None


def _copied(backbone: Backbone) -> Backbone:
    """Return a copy in the machine's memory that never learns; no memory of the device is needed for it."""
    from torch import nn

    memo: dict[int, object] = {}
    for value in backbone.parameters():
        memo[id(value)] = nn.Parameter(value.detach().to("cpu", copy=True), requires_grad=False)
    for buffer in backbone.buffers():
        memo[id(buffer)] = buffer.detach().to("cpu", copy=True)
    return copy.deepcopy(backbone, memo).eval()


def _affordable(backbone: Backbone, device: torch.device) -> int:
    """Return how many pixels of an image are looked at."""
    cost = measure_cost(lambda: copy.deepcopy(backbone).to("meta"), (1, 3, _SAMPLE, _SAMPLE))
    of_a_pixel = max(1.0, cost.multiply_accumulates / _SAMPLE**2)
    most = _PRODUCTS.get(device.type, _PRODUCTS_ELSEWHERE) / of_a_pixel
    return int(min(_MOST_PIXELS, max(_FEWEST_PIXELS, most)))


def _mixing(channels: int) -> Tensor | None:
    """Return (CHANNELS, channels) random directions at right angles, None where there are few channels.

    Distances between features hardly suffer from it (Johnson and Lindenstrauss 1984).
    """
    if channels <= CHANNELS:
        return None
    import torch

    drawn = np.random.Generator(np.random.PCG64(_SEED)).normal(size=(channels, CHANNELS))
    return torch.from_numpy(np.linalg.qr(drawn)[0].T.astype(np.float32).copy())
