"""How each class guides the later stages of SPGNet, kept so that its guidance can be taken away.

B batch, K classes, C channels, h w size of the finest features.
"""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from models.backbones.base import Features
from models.blocks import resize
from models.explanation import Representations

Kept = tuple[Tensor, Features, Features]
"""Finest features (B, C, h, w) of the first stage, features of its encoder and of its decoder by level."""

Reguided = Callable[[Tensor, Features, Features, Tensor], Iterator[Tensor | None]]
"""Runs all stages after the first in pieces: what was kept, and classes (K,) bool that guide nothing."""

_COARSER = 3
"""How many places along each axis become one for a rough answer. On streets of CamVid the pixels said to
change and those that do overlap by 0.52, 0.42 and 0.36 for two, three and four; two take a quarter of the
time."""


class GuidedChannels(Representations):
    """How the classes of one batch guide the stages after the first.

    A class is deleted by giving the channels that it opens most the gate they have where nothing is said.
    Every stage after the first runs again, so this costs as much as these stages did. A rough answer comes
    from the same stages on features a third as fine: how many pixels change it tells well, which ones less.

    Args:
        reguided: Runs these stages, see `SpgNet.reguided`.
        kept: finest features, features of the encoder and of the decoder of the first stage.
        opened: (K,) bool, classes that open a channel most.
    """

    title = "how each class guides the next stage"
    slow = True

    def __init__(self, reguided: Reguided, kept: Kept, opened: Tensor) -> None:
        self._reguided = reguided
        self._kept = kept
        self._coarser: tuple[Kept, Tensor] | None = None
        self.present = opened.expand(len(kept[0]), -1)

    def without(self, deleted: Tensor) -> Tensor:
        """Returns logits (B, K, h, w) with classes (K,) bool guiding nothing."""
        return _last(self.in_pieces(deleted))

    def in_pieces(self, deleted: Tensor) -> Iterator[Tensor | None]:
        """Yields None while levels of the stages run again, at last what `without` returns."""
        return self._reguided(*self._kept, deleted)

    def prepare(self) -> bool:
        """Makes the coarser features and what the network says of them; True where that was not yet done."""
        if self._coarser is not None:
            return False
        finest, encoded, decoded = self._kept
        kept = (_coarser(finest), _all_coarser(encoded), _all_coarser(decoded))
        nobody = torch.zeros(self.present.shape[1], dtype=torch.bool, device=finest.device)
        self._coarser = kept, _last(self._reguided(*kept, nobody))
        return True

    def changed_roughly(self, deleted: Tensor) -> Tensor:
        """Returns about how deletion changes the logits, (B, K, h, w), in a ninth of the time."""
        self.prepare()
        if self._coarser is None:
            raise RuntimeError("the coarser features were just made")
        kept, before = self._coarser
        change = _last(self._reguided(*kept, deleted)) - before
        return resize(change, self._kept[0].shape[-2:])


def _coarser(features: Tensor) -> Tensor:
    """Returns features (B, C, h, w) averaged to a third of their size, rounded up as strides round."""
    height, width = features.shape[-2:]
    return F.adaptive_avg_pool2d(features, (-(-height // _COARSER), -(-width // _COARSER)))


def _all_coarser(features: Features) -> Features:
    first, second, third, fourth = (_coarser(level) for level in features)
    return first, second, third, fourth


def _last(pieces: Iterator[Tensor | None]) -> Tensor:
    """Returns what the last piece of `SpgNet.reguided` gives, (B, K, h, w)."""
    *_, logits = pieces
    if logits is None:
        raise RuntimeError("the last piece gives the logits")
    return logits
