"""The moving average of the weights that are being trained; it is what predicts. Worker thread.

Single steps on a few strokes jump about; their average is steadier and better at every moment of a run
(measured on sparse strokes: 1 to 8 points of mIoU while the learning rate is high, 1 to 3 later).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

_SOON = 5.0
"""After t steps of a run the average reaches over a fourth of them; a ninth wandered twice as far."""


class WeightAverage:
    """Lets one network follow another.

    Args:
        shown: Holds the average; predicts and is saved.
        trained: Is trained; same architecture, same device.
        keep: Share of the past in each step, in [0, 1); less during the first steps.
    """

    def __init__(self, shown: nn.Module, trained: nn.Module, keep: float) -> None:
        self._shown = shown
        self._trained = trained
        self.keep = keep
        self.restart()

    def restart(self) -> None:
        """Begin again after either network changed by other means than a step."""
        self._count = 0
        names = _averaged_names(self._trained)
        own, new = self._shown.state_dict(), self._trained.state_dict()
        self._averages = [own[name] for name in names]
        self._values = [new[name] for name in names]
        self._copied = [(own[name], new[name]) for name in own if name not in names]

    @torch.no_grad()
    def follow(self) -> None:
        """Take in one step."""
        # Young averages forget faster: the first steps are the worst.
        keep = min(self.keep, (1.0 + self._count) / (_SOON + self._count))
        self._count += 1
        torch._foreach_lerp_(self._averages, self._values, 1.0 - keep)
        for own, new in self._copied:
            own.copy_(new)


def _averaged_names(model: nn.Module) -> set[str]:
    """Return what is averaged: parameters, and the statistics of batch normalisation that belong to them.

    Other buffers are moving averages of their own or counters; they are copied.
    """
    names = {name for name, _ in model.named_parameters()}
    for prefix, module in model.named_modules():
        if isinstance(module, _BatchNorm) and isinstance(module.running_mean, Tensor):
            names |= {f"{prefix}.running_mean", f"{prefix}.running_var"}
    return names & {name for name, value in model.state_dict().items() if value.is_floating_point()}
