"""Region mutual information loss (Zhao, Wang, Yang, Cai: NeurIPS 2019, arXiv 1910.12037).

A pixel-wise loss and, beside it, a lower bound of the mutual information between the R x R regions of labels
and of probabilities (`models.losses.regions`). It costs time in training only.

N images, K classes, H W size of the logits, h w pooled size, s pooling factor, R edge of a region.

As in the authors' code: sigmoid probabilities in both terms, raised by 1e-6; covariances not divided by the
number of regions; a regional term summed over classes; a binary cross-entropy summed over classes
and averaged over pixels. There, unlabelled pixels are background of every class with probability 1e-6 in the
regional term; `only_labelled` leaves their regions out, which is ours, and so is the softmax form.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from models.loss_configs import Balance, PixelForm, Pooling, RmiConfig
from models.losses.pooling import fully_labelled, pooled, pooled_constant, pooled_one_hot, spread
from models.losses.regions import region_bound
from models.precision import as_given
from models.processes import process_count, summed

CLIP = 1e-6
"""Added to every probability."""

_CPU_BYTES = 4 << 20
_DEVICE_BYTES = 256 << 20
_LARGEST_GROUP = 64


class Rmi(nn.Module):
    """Region mutual information and a pixel-wise loss, over one set of logits.

    Args:
        config: which of the published variants, or ours.
    """

    def __init__(self, config: RmiConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, logits: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Returns the weighted terms by name, scalars of at least float32; their sum is the loss.

        The regional term may be negative: it is the logarithm of a volume. Batches smaller than a region
        after pooling have no regional term.

        Args:
            logits: (N, K, H, W) floating point of any precision.
            target: (N, H, W) int64, 0..K-1; every other value is an ignored pixel.
        """
        config = self.config
        pixels, regions = 1.0, config.share
        if config.balance is Balance.CONVEX:
            pixels, regions = config.share, 1.0 - config.share
        with as_given(logits):
            pixel, regional = self.parts(logits, target)
        return {config.form.value: pixels * pixel, "regions": regions * regional}

    def parts(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the pixel-wise and the regional term, not weighted; arguments as in `forward`."""
        config, num_classes = self.config, logits.shape[1]
        labelled = (target >= 0) & (target < num_classes)
        channels = torch.where(labelled, target, num_classes)
        terms = _sigmoid_terms if config.form is PixelForm.SIGMOID else _softmax_terms
        pixel, probabilities = terms(logits, channels, labelled, config)
        return pixel, self._regional(probabilities, channels, labelled)

    def _regional(self, probabilities: Tensor, channels: Tensor, labelled: Tensor) -> Tensor:
        """Returns the regional term of pooled probabilities (N, K, h, w), before they are raised."""
        config, num_classes = self.config, probabilities.shape[1]
        if min(probabilities.shape[-2:]) < config.region:
            return 0.0 * probabilities.sum()
        way, factor = config.pooling, config.factor
        raised = pooled_constant(channels, way, factor, CLIP).to(probabilities.dtype)
        labels = pooled_one_hot(channels, num_classes, way, factor).to(probabilities.dtype)
        counted = fully_labelled(labelled, way, factor) if config.only_labelled else None
        bound = region_bound(labels, probabilities + raised, config.region, counted)
        share = config.region**2 * process_count()
        return (bound.mean(0).to(probabilities.dtype) / share).sum()


def _softmax_terms(
    logits: Tensor, channels: Tensor, labelled: Tensor, config: RmiConfig
) -> tuple[Tensor, Tensor]:
    """Returns cross-entropy over the labelled pixels and pooled probabilities, zero at ignored pixels."""
    logarithms = F.log_softmax(_single(logits), dim=1)
    total = F.nll_loss(logarithms, channels, ignore_index=logits.shape[1], reduction="sum")
    probabilities = logarithms.exp() * labelled[:, None]
    return total / summed(labelled.sum()).clamp(min=1), pooled(probabilities, config.pooling, config.factor)


def _sigmoid_terms(
    logits: Tensor, channels: Tensor, labelled: Tensor, config: RmiConfig
) -> tuple[Tensor, Tensor]:
    """Returns binary cross-entropy and pooled probabilities, zero at ignored pixels."""
    terms: tuple[Tensor, Tensor] = _terms_of(logits, channels, labelled, config.pooling, config.factor)
    return terms


def _single(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def _class_groups(logits: Tensor) -> list[slice]:
    """Returns groups of classes small enough for the processor's cache; on a GPU there are few."""
    images, classes, height, width = logits.shape
    budget = _CPU_BYTES if logits.device.type == "cpu" else _DEVICE_BYTES
    step = min(_LARGEST_GROUP, max(1, budget // max(1, 4 * images * height * width)))
    return [slice(start, min(start + step, classes)) for start in range(0, classes, step)]


def _softplus_parts(logits: Tensor, probabilities: Tensor, scratch: Tensor) -> tuple[Tensor, Tensor]:
    """Returns two maps (N, H, W), whose difference is the sum over classes of log(1 + exp(z)).

    They are the sum of max(z, 0) and the logarithm of the product of max(p, 1 - p): one logarithm for each
    pixel instead of one for each class. The factors lie in 0.5..1, so a group's product cannot vanish. They
    are kept apart because the logit of the right class is taken off the first: where the network is sure and
    right nothing is left of it, and the second, small beside both, is the loss.
    """
    product = torch.sub(probabilities, 0.5, out=scratch).abs_().add_(0.5).prod(1)
    return torch.clamp(logits, min=0, out=scratch).sum(1), product.log_()


class _SigmoidTerms(torch.autograd.Function):
    """Binary cross-entropy and pooled probabilities from one sigmoid.

    Nothing of full size is kept but the logits, which live anyway; the sigmoid is computed again for the
    gradient, a group of classes at a time, which costs less than fetching it from memory.
    """

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, channels: Tensor, labelled: Tensor, way: Pooling, factor: int
    ) -> tuple[Tensor, Tensor]:
        mask = labelled[:, None].to(_single(logits[:0]).dtype)
        positive, logarithms, scratch = torch.zeros_like(mask[:, 0]), torch.zeros_like(mask[:, 0]), mask[:0]
        maps = []
        for group in _class_groups(logits):
            part = _single(logits[:, group])
            probabilities = part.sigmoid()
            scratch = scratch if scratch.shape == part.shape else torch.empty_like(part)
            sums, products = _softplus_parts(part, probabilities, scratch)
            positive += sums
            logarithms += products
            maps.append(pooled(probabilities.mul_(mask), way, factor))
        own = _single(logits.gather(1, channels.clamp(max=logits.shape[1] - 1)[:, None]))[:, 0]
        scale = 1.0 / (summed(labelled.sum()) + 1)
        ctx.save_for_backward(logits, channels, mask, scale)
        ctx.way, ctx.factor = way, factor
        return (((positive - own) - logarithms) * mask[:, 0]).sum() * scale, torch.cat(maps, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_loss: Tensor, of_maps: Tensor) -> tuple[Tensor, None, None, None, None]:
        logits, channels, mask, scale = ctx.saved_tensors
        per_pixel = of_loss * scale
        gradient = torch.empty_like(logits)
        for group in _class_groups(logits):
            probabilities = _single(logits[:, group]).sigmoid().mul_(mask)
            change = spread(of_maps[:, group], probabilities, ctx.way, ctx.factor)
            slope = (1.0 - probabilities).mul_(change).add_(per_pixel)
            gradient[:, group] = slope.mul_(probabilities)
        own = (-per_pixel * mask).to(gradient.dtype)
        gradient.scatter_add_(1, channels.clamp(max=logits.shape[1] - 1)[:, None], own)
        return gradient, None, None, None, None


# Compiled code calls it as it stands, see `models.losses.regions`.
_terms_of: Any = torch.compiler.disable(_SigmoidTerms.apply)
