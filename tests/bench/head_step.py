"""IDRNet's head on given features of a backbone: training steps of the head alone."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from models.backbones.base import Backbone, Features
from models.build import build_loss
from models.configs import CrossEntropyConfig
from models.idrnet_configs import IdrnetConfig
from models.losses.total import TotalLoss
from models.networks.idrnet import Idrnet, IdrnetOutput


class GivenFeatures(Backbone):
    """Returns the features it was given last, whatever the image."""

    strides = (4, 8, 8, 8)

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.channels = tuple(channels)
        self.stages: tuple[Tensor, ...] = ()

    def forward(self, image: Tensor) -> Features:
        """Returns `stages`."""
        del image
        return self.stages


def make_head(config: IdrnetConfig, classes: int, channels: Sequence[int], *, seed: int) -> Idrnet:
    """Returns an IDRNet on given features, in training mode."""
    torch.manual_seed(seed)
    return Idrnet(config, classes, lambda _: GivenFeatures(channels))


def set_features(model: Idrnet, stages: Sequence[Tensor]) -> None:
    """Gives the head the features of its next steps."""
    if not isinstance(model.backbone, GivenFeatures):
        raise TypeError("this network computes features of its own")
    model.backbone.stages = tuple(stages)


def our_losses(
    model: Idrnet, loss: TotalLoss, image: Tensor, target: Tensor
) -> tuple[dict[str, Tensor], IdrnetOutput]:
    """Runs a step up to the losses."""
    output = model(image)
    return loss(output, target), output


def published_loss() -> TotalLoss:
    """Returns cross-entropy, 0.4 times as much of the auxiliary ones."""
    return build_loss(CrossEntropyConfig())


def blocks(classes: int, present: int, edge: int, cells: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Returns a target and a coarse label map of `present` classes in each of 2 images, in blocks.

    Args:
        classes: K.
        present: classes in each image.
        edge: of the image in pixels; blocks have 64.
        cells: edge of the feature map.

    Returns:
        (2, edge, edge) int64 and (2, cells, cells) int64.
    """
    generator = torch.Generator().manual_seed(seed)
    targets = []
    for _ in range(2):
        chosen = torch.randperm(classes, generator=generator)[:present]
        places = chosen[torch.randint(0, present, (edge // 64, edge // 64), generator=generator)]
        targets.append(places.repeat_interleave(64, 0).repeat_interleave(64, 1))
    target = torch.stack(targets)
    step = edge // cells
    return target, target[:, step // 2 :: step, step // 2 :: step].contiguous()


@torch.no_grad()
def teach_coarse(model: Idrnet, stages: Sequence[Tensor], label: Tensor) -> None:
    """Makes the coarse decoder predict a label map, so that a step meets as many classes as it shall.

    Every class gets the mean of its pixels as a template, absent ones nothing.

    Args:
        model: without context within the image; one batch passes its normalisations.
        stages: features of the backbone.
        label: (B, h, w) int64.
    """
    *before, classifier = model.context.coarse_decoder
    values = model.context.bottleneck(stages[3])
    for module in before:
        values = module(values)
    members = F.one_hot(label.flatten(), model.num_classes).to(values.dtype)
    count = members.sum(dim=0)
    means = members.T @ values.transpose(0, 1).flatten(1).T / count.clamp(min=1)[:, None]
    classifier.weight.copy_(means[:, :, None, None])
    classifier.bias.copy_(torch.where(count > 0, -means.square().sum(dim=1) / 2, -1e6))


def block_features(label: Tensor, channels: Sequence[int], *, noise: float = 0.3) -> list[Tensor]:
    """Returns features of four stages, (B, channels[i], h, w), that look alike within a class."""
    generator = torch.Generator().manual_seed(3)
    classes = int(label.max()) + 1
    return [
        (
            torch.randn(classes, count, generator=generator)[label].permute(0, 3, 1, 2)
            + noise * torch.randn(len(label), count, *label.shape[1:], generator=generator)
        )
        .relu()
        .contiguous()
        for count in channels
    ]
