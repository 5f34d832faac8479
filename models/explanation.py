"""What a network keeps of an image, so that later questions about it rerun no more than its head.

A network asked to show its inner state returns an `Explanation` beside its views: the features that its last
classifier reads, and, where it has them, representations of classes that can be deleted, a memory of classes
and gates. A new network that fills in what it has is explained without any change elsewhere.

B batch, K classes, M slots per class, C channels, H W size of the padded image, h w size of a feature map.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Representations(ABC):
    """What the head knows of each class, kept for one batch so that classes can be deleted.

    Deleting changes nothing: neither the network nor what was kept.

    Attributes:
        title: what is deleted, for people, e.g. "class vectors of this image".
        present: (B, K) bool, classes that have a representation here.
        diagnosed: whether training deletes the same way and measures what happens (IDRNet).
        slow: whether deleting takes so long that a rough answer should come before.
    """

    title: str
    present: Tensor
    diagnosed: bool = False
    slow: bool = False

    def prepare(self) -> bool:
        """Computes what deletions will need, so that the first is no slower than the next.

        Returns:
            Whether there was anything to compute.
        """
        return False

    def without_at(self, deleted: Tensor, places: Tensor) -> Tensor | None:
        """Returns logits (B, K, n) of `without` at a few places alone; None where that saves nothing.

        Args:
            deleted: (K,) bool.
            places: (n,) int64, numbers of places of a map (h, w), row by row.
        """
        del deleted, places
        return None

    @abstractmethod
    def without(self, deleted: Tensor) -> Tensor:
        """Returns logits (B, K, h, w) of the head alone, rerun without some classes.

        Args:
            deleted: (K,) bool; all False gives the logits of the whole network.
        """

    def in_pieces(self, deleted: Tensor) -> Iterator[Tensor | None]:
        """Yields None after pieces of work that are over soon, at last what `without` returns.

        Args:
            deleted: (K,) bool.
        """
        yield self.without(deleted)

    def changed_roughly(self, deleted: Tensor) -> Tensor:
        """Returns about how `without` changes the logits, (B, K, h, w), sooner than it could if it is slow.

        Args:
            deleted: (K,) bool.
        """
        return self.without(deleted) - self.without(torch.zeros_like(deleted))

    def relearnt(self, memory: Tensor) -> Tensor | None:
        """Returns logits (B, K, h, w) of the head rerun with another memory (K, M, D).

        None where the head reads no memory that learns by itself.
        """
        del memory
        return None

    def taken(self) -> Tensor | None:
        """Returns how much of each class's representation every place takes, (B, K, h, w), or None."""
        return None

    def influence(self, y: float, x: float) -> Tensor | None:
        """Returns which places act on one place, (B, h, w) in [0, 1], or None.

        Args:
            y: place in the height of the padded image, in [0, 1).
            x: place in its width, in [0, 1).
        """
        del y, x
        return None


@dataclass(frozen=True, kw_only=True)
class Gate:
    """How a prediction opens and closes channels of features.

    Attributes:
        stage: number of the stage whose prediction it is, from 1.
        values: (B, C, h, w) float, 0..1 if the gate is a sigmoid.
        opened_by: (C,) int64, the class whose logit opens the channel most.
    """

    stage: int
    values: Tensor
    opened_by: Tensor

    def by_class(self, num_classes: int) -> Tensor:
        """Returns the mean gate of the channels each class opens, (B, K, h, w); 0 for a class without."""
        groups = F.one_hot(self.opened_by, num_classes).to(self.values.dtype)
        shares = groups / groups.sum(dim=0).clamp(min=1)
        return torch.einsum("bchw,ck->bkhw", self.values, shares)


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What is kept of one batch. Everything is detached.

    Attributes:
        features: (B, C, h, w) float, what the last classifier reads.
        weight: (K, C) of that classifier: logits = weight @ features + bias, enlarged to the image.
        bias: (K,).
        padded: (H, W) to which logits are enlarged; the image is its upper left part.
        representations: of classes, which can be deleted; None without any.
        memory: (K, M, D) vectors of the classes over the whole data set, zero where empty; None without one.
        remembered: (B, D, h', w') features that the memory is made of; None without one.
        gates: of every stage that guides another one.
    """

    features: Tensor
    weight: Tensor
    bias: Tensor
    padded: tuple[int, int]
    representations: Representations | None = None
    memory: Tensor | None = None
    remembered: Tensor | None = None
    gates: tuple[Gate, ...] = ()

    def logits(self) -> Tensor:
        """Returns the logits (B, K, h, w) at the size of the features."""
        return F.conv2d(self.features, self.weight[:, :, None, None], self.bias)

    def spoken_for(self) -> Tensor:
        """Returns for each channel the class that its weight speaks for most, (C,) int64."""
        return (self.weight - self.weight.mean(dim=0)).argmax(dim=0)


def explained(
    features: Tensor,
    classifier: nn.Conv2d,
    padded: Tensor,
    *,
    representations: Representations | None = None,
    memory: Tensor | None = None,
    remembered: Tensor | None = None,
    gates: tuple[Gate, ...] = (),
) -> Explanation:
    """Returns the explanation of a network whose last layer is a 1 x 1 convolution.

    Args:
        features: (B, C, h, w), what the convolution reads.
        classifier: the convolution; its weights of now are copied.
        padded: (B, 3, H, W), the padded image.
        representations: see `Explanation`, as are the others.
        memory: (K, M, D).
        remembered: (B, D, h', w').
        gates: of every stage.
    """
    bias = classifier.bias
    weight = classifier.weight.detach().flatten(1).clone()
    return Explanation(
        features=features.detach(),
        weight=weight,
        bias=weight.new_zeros(len(weight)) if bias is None else bias.detach().clone(),
        padded=(padded.shape[-2], padded.shape[-1]),
        representations=representations,
        memory=None if memory is None else memory.detach().clone(),
        remembered=None if remembered is None else remembered.detach(),
        gates=gates,
    )


def read_by_last(decoder: nn.Sequential, values: Tensor) -> tuple[Tensor, nn.Conv2d]:
    """Returns what the last layer of a decoder reads, (B, C, h, w), and that layer.

    Raises:
        TypeError: the last layer is no convolution.
    """
    *layers, last = decoder
    if not isinstance(last, nn.Conv2d):
        raise TypeError(f"the last layer is a {type(last).__name__}, no convolution")
    for layer in layers:
        values = layer(values)
    return values, last
