"""State that belongs to classes, and how it follows them when the class table changes.

A module that keeps something per class (a classifier, a relation matrix, a memory) is a `FollowsClasses`: it
names its tensors and the axes that run over classes. `follow` then moves every one of them, wherever it sits
in a network, and the network itself needs to know nothing. K old number of classes, K' new one.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.pointwise import PointConv

Sources = Sequence[int | None]
"""For each new channel the old channel whose state it takes over, or None for a class never seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassTensor:
    """A parameter or buffer of a module that has something per class.

    Attributes:
        name: attribute of the module, e.g. "weight".
        axes: axes that run over the classes; (0, 1) for a matrix of class pairs.
        fresh: fills a tensor of the new shape, in place, with what a new network would start from.
    """

    name: str
    axes: tuple[int, ...]
    fresh: Callable[[Tensor], object]


class FollowsClasses(nn.Module):
    """A module that keeps something per class."""

    @abstractmethod
    def class_tensors(self) -> tuple[ClassTensor, ...]:
        """Returns the tensors that have an axis over the classes."""

    def set_class_count(self, count: int) -> None:
        """Called after the tensors were replaced; for modules that store the number of classes."""


class Classifier(FollowsClasses, PointConv):
    """1 x 1 convolution from features (B, C, h, w) to logits (B, K, h, w); named like `nn.Conv2d`."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__(channels, num_classes)

    def class_tensors(self) -> tuple[ClassTensor, ...]:
        """Returns weight and bias, which start as torch starts a convolution."""
        bound = self.in_channels**-0.5
        return tuple(
            ClassTensor(name=name, axes=(0,), fresh=lambda values: nn.init.uniform_(values, -bound, bound))
            for name in ("weight", "bias")
        )

    def set_class_count(self, count: int) -> None:
        """Sets the number of output channels."""
        self.out_channels = count


def follow(network: nn.Module, sources: Sources) -> None:
    """Rearranges all class state of a network so that new channel i has what old channel `sources[i]` had.

    Parameters are replaced by new ones (shapes change), so an optimizer must be built anew.

    Raises:
        IndexError: a source is no channel of the network; nothing has been changed then.
    """
    modules = [module for module in network.modules() if isinstance(module, FollowsClasses)]
    for module in modules:
        for item in module.class_tensors():
            _check_sources(getattr(module, item.name), item, sources)
    for module in modules:
        for item in module.class_tensors():
            _replace(module, item, sources)
        module.set_class_count(len(sources))


def _check_sources(values: Tensor, item: ClassTensor, sources: Sources) -> None:
    for axis in item.axes:
        count = values.shape[axis]
        for source in sources:
            if source is not None and not 0 <= source < count:
                raise IndexError(f"class channel {source} does not exist in {item.name}, which has {count}")


def _replace(module: nn.Module, item: ClassTensor, sources: Sources) -> None:
    old = getattr(module, item.name)
    new = followed(old.detach(), item, sources)
    if isinstance(old, nn.Parameter):
        setattr(module, item.name, nn.Parameter(new, requires_grad=old.requires_grad))
    else:
        setattr(module, item.name, new)


def followed(old: Tensor, item: ClassTensor, sources: Sources) -> Tensor:
    """Returns a new tensor: entries between known classes are the old ones, all others fresh."""
    shape = list(old.shape)
    for axis in item.axes:
        shape[axis] = len(sources)
    new = torch.empty(shape, dtype=old.dtype, device=old.device)
    with torch.no_grad():
        item.fresh(new)
    known = [(place, source) for place, source in enumerate(sources) if source is not None]
    places = torch.tensor([place for place, _ in known], dtype=torch.int64, device=old.device)
    kept = old
    for axis in item.axes:
        taken = torch.tensor([source for _, source in known], dtype=torch.int64, device=old.device)
        kept = kept.index_select(axis, taken)
    new[_grid(places, item.axes, new)] = kept
    return new


def _grid(places: Tensor, axes: tuple[int, ...], values: Tensor) -> tuple[Tensor, ...]:
    """Returns an index of the cross product of `places` on the class axes and of everything on the others.

    Every axis has its own index tensor: a mixture with slices would let torch reorder the axes.
    """
    index = []
    for axis, length in enumerate(values.shape):
        chosen = places if axis in axes else torch.arange(length, device=values.device)
        index.append(chosen.view([-1 if other == axis else 1 for other in range(values.dim())]))
    return tuple(index)
