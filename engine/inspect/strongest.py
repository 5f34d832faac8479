"""The channel of the largest logit at every pixel, from small logits that are enlarged bilinearly.

Between four neighbours of a map that agree on the strongest channel no pixel can have another one: a mean of
four numbers that are largest keeps being largest. Only pixels between neighbours that differ are computed,
a strip of rows at a time, which stays in the processor's cache. K channels, (h, w) size of the map, (H, W)
size of the result.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_MOST_LOGITS = 2**26
"""Logits enlarged at once on a graphics card: 256 MB. Large pictures of many classes come in bands."""


def strongest(logits: Tensor) -> Tensor:
    """Return the channel of the largest logit, (h, w) int64 of (K, h, w); much faster than `argmax`."""
    return logits.max(dim=0).indices


def strongest_enlarged(logits: Tensor, frame: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Return the strongest channel at every pixel, (H, W) int64 on the device of the logits.

    Args:
        logits: (K, h, w) float.
        frame: (height, width) the map is enlarged to, with half-pixel centres.
        size: (H, W), the upper left part of the frame that is wanted.
    """
    with torch.inference_mode():
        if logits.device.type != "cpu":
            return _all_at_once(logits, frame, size)
        return _between_neighbours(logits, frame, size)


def _all_at_once(logits: Tensor, frame: tuple[int, int], size: tuple[int, int]) -> Tensor:
    if len(logits) * frame[0] * frame[1] > _MOST_LOGITS:
        return _between_neighbours(logits.cpu(), frame, size).to(logits.device)
    whole = F.interpolate(logits[None], size=frame, mode="bilinear", align_corners=False)[0]
    return strongest(whole[:, : size[0], : size[1]])


def _between_neighbours(logits: Tensor, frame: tuple[int, int], size: tuple[int, int]) -> Tensor:
    logits = logits.float().contiguous()
    best = strongest(logits)
    top, bottom, down = _axis(size[0], logits.shape[1], frame[0])
    left, right, across = _axis(size[1], logits.shape[2], frame[1])
    below, beside = bottom[_first_of(top)], right[_first_of(left)]
    rows, columns = top.unique(), left.unique()
    corners = (best[a][:, b] for a in (rows, below) for b in (columns, beside))
    first, *others = corners
    differ = torch.stack([other != first for other in others]).any(dim=0)
    starts = [*_first_of(top).tolist(), size[0]]
    column_of = torch.searchsorted(columns, left)
    result = best[:, left][top]
    for strip in range(len(rows)):
        if not differ[strip].any():
            continue
        wanted = differ[strip][column_of].nonzero().flatten()
        here = slice(starts[strip], starts[strip + 1])
        ends = logits[:, [int(rows[strip]), int(below[strip])]]
        shares = across[wanted]
        both = torch.lerp(ends[:, :, left[wanted]], ends[:, :, right[wanted]], shares)
        pixels = torch.lerp(both[:, :1], both[:, 1:], down[here, None])
        result[here, wanted] = strongest(pixels)
    return result


def _first_of(values: Tensor) -> Tensor:
    """Return where each new value of a sorted row begins."""
    return torch.cat([values.new_zeros(1), (values[1:] != values[:-1]).nonzero().flatten() + 1])


def _axis(length: int, cells: int, frame: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return first cell, second cell (int64) and weight of the second (float32) of the first pixels."""
    centre = (torch.arange(length, dtype=torch.float32) + 0.5) * (cells / frame) - 0.5
    centre = centre.clamp(0, cells - 1)
    first = centre.floor().to(torch.int64)
    return first, (first + 1).clamp(max=cells - 1), centre - first
