"""The contract of every network.

B batch, K classes, H W image size. The trainer calls the four methods in the order in which they stand here.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Generic, TypedDict, TypeVar

import torch
from torch import Tensor, nn

from models.backbones.base import Backbone
from models.class_rows import Sources, follow
from models.configs import BackboneConfig
from models.output import SegmentationOutput

IGNORE_INDEX = 255
"""Target value of pixels about which nobody said anything."""

MEAN = (0.485, 0.456, 0.406)
"""Mean of ImageNet in RGB order, range 0..1."""

STD = (0.229, 0.224, 0.225)
"""Standard deviation of ImageNet in RGB order, range 0..1."""

OutputT = TypeVar("OutputT", bound=SegmentationOutput)

MakeBackbone = Callable[[BackboneConfig], Backbone]
"""How a network gets its backbone; whether weights are loaded into it is not the network's business."""


class ParameterGroup(TypedDict):
    """One group for a torch optimizer."""

    params: list[nn.Parameter]
    lr: float
    weight_decay: float
    name: str


class SegmentationModel(nn.Module, Generic[OutputT]):
    """A network that labels every pixel.

    Subclasses are constructed as `Class(config, num_classes, make_backbone)`, see `models.build`.

    Attributes:
        num_classes: K, number of channels of the logits.
        independent_classes: whether the logits of a class stay exactly what they were when other classes
            come or go; False where what one class looks like depends on the others, as in a softmax over
            classes inside the network.
    """

    num_classes: int
    independent_classes: bool = True

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        if num_classes < 1:
            raise ValueError(f"a network needs at least one class, not {num_classes}")
        self.num_classes = num_classes

    if TYPE_CHECKING:

        def __call__(self, image: Tensor, *, inspect: bool = False) -> OutputT:
            """Calls `forward`."""

    @abstractmethod
    def forward(self, image: Tensor, *, inspect: bool = False) -> OutputT:
        """Computes logits; no side effects (the statistics of batch normalisation in training excepted).

        Args:
            image: (B, 3, H, W) float, as `normalise` returns it; any size, padded inside to at least 32.
            inspect: whether to fill `inspection`.
        """

    def extra_losses(self, output: OutputT, target: Tensor, step: int) -> Mapping[str, Tensor]:
        """Returns losses that only this network knows, weighted, by name; they are added to the total.

        Args:
            output: what `forward` returned for this batch.
            target: (B, H, W) int64, class channels 0..K-1 and 255 where nothing is known.
            step: number of updates done so far.
        """
        del output, target, step  # names for those who override; this network knows nothing extra
        return {}

    def observe(self, output: OutputT, target: Tensor, learning_rate: float) -> None:
        """Updates statistics (buffers only); the trainer calls it under `torch.no_grad` after the update.

        Args:
            output: what `forward` returned for this batch.
            target: (B, H, W) int64 as in `extra_losses`.
            learning_rate: rate of the update just done.
        """

    def parameter_groups(self, learning_rate: float, weight_decay: float) -> list[ParameterGroup]:
        """Returns the trainable parameters in groups for an optimizer.

        Weight decay is left out for everything with at most one axis: biases and the scales of
        normalisations. The head learns `head_rate` times as fast as the backbone.
        """
        groups: dict[tuple[bool, bool], ParameterGroup] = {}
        backbone = {id(parameter) for parameter in self.backbone_parameters()}
        for parameter in self.parameters():
            if not parameter.requires_grad:
                continue
            key = (id(parameter) in backbone, parameter.dim() > 1)
            groups.setdefault(key, self._empty_group(*key, learning_rate, weight_decay))["params"].append(
                parameter
            )
        return list(groups.values())

    def _empty_group(
        self, in_backbone: bool, decays: bool, learning_rate: float, weight_decay: float
    ) -> ParameterGroup:
        return ParameterGroup(
            params=[],
            lr=learning_rate if in_backbone else learning_rate * self.head_rate,
            weight_decay=weight_decay if decays else 0.0,
            name=f"{'backbone' if in_backbone else 'head'}{'' if decays else ' without decay'}",
        )

    @property
    def head_rate(self) -> float:
        """Learning rate of everything outside the backbone, relative to the backbone's."""
        return 1.0

    def backbone_parameters(self) -> Iterator[nn.Parameter]:
        """Yields the parameters of every backbone inside this network."""
        for module in self.modules():
            if isinstance(module, Backbone):
                yield from module.parameters()

    def follow_classes(self, sources: Sources) -> None:
        """Changes the classes: new channel i takes over what old channel `sources[i]` learned.

        None stands for a class never seen, which starts fresh. The logits of classes kept stay exactly as
        they were in networks with `independent_classes`, and under a mere new order in every network.
        Parameters are replaced: build the optimizer anew.

        Raises:
            IndexError: a source is no channel of this network; nothing has been changed then.
            ValueError: `sources` is empty.
        """
        if not sources:
            raise ValueError("a network needs at least one class")
        follow(self, sources)
        self.num_classes = len(sources)


def normalise(rgb: Tensor) -> Tensor:
    """Turns RGB pixels into what networks expect.

    Args:
        rgb: (B, H, W, 3) or (B, 3, H, W), uint8 in 0..255 or floating point in 0..1. A last axis of 3 is
            taken for the colours.

    Returns:
        (B, 3, H, W) float32 with ImageNet's mean and deviation, on the same device.

    Raises:
        ValueError: no axis for three colours, or neither uint8 nor floating point.
    """
    if rgb.dim() != 4 or (rgb.shape[-1] != 3 and rgb.shape[1] != 3):
        raise ValueError(f"expected (B, H, W, 3) or (B, 3, H, W), got {tuple(rgb.shape)}")
    if rgb.dtype != torch.uint8 and not rgb.is_floating_point():
        raise ValueError(f"expected uint8 or floating-point pixels, got {rgb.dtype}")
    image = rgb.permute(0, 3, 1, 2) if rgb.shape[-1] == 3 else rgb
    scale = 255.0 if rgb.dtype == torch.uint8 else 1.0
    image = image.to(torch.float32, copy=True)
    # Numbers instead of tensors: making a tensor on a GPU would wait for everything the GPU has still to do.
    for channel, (mean, deviation) in enumerate(zip(MEAN, STD, strict=True)):
        image[:, channel].sub_(mean * scale).mul_(1.0 / (deviation * scale))
    return image
