"""The strongest channel of enlarged logits is that of enlarging them all."""

import pytest
import torch
import torch.nn.functional as F

from engine.inspect.strongest import strongest, strongest_enlarged


@pytest.mark.parametrize(
    ("cells", "frame", "size"),
    [
        ((6, 9), (48, 72), (48, 72)),
        ((6, 9), (45, 67), (41, 60)),
        ((1, 5), (8, 40), (8, 33)),
        ((7, 1), (32, 32), (20, 32)),
        ((5, 5), (5, 5), (5, 5)),
        ((12, 16), (9, 11), (9, 11)),
    ],
)
def test_it_is_that_of_all_logits_enlarged(
    cells: tuple[int, int], frame: tuple[int, int], size: tuple[int, int]
) -> None:
    logits = torch.randn(5, *cells, generator=torch.Generator().manual_seed(0))
    logits[:, : cells[0] // 2] += torch.tensor([4.0, 0, 0, 0, 0])[:, None, None]  # a region that agrees
    whole = F.interpolate(logits[None], size=frame, mode="bilinear", align_corners=False)[0]
    expected = strongest(whole[:, : size[0], : size[1]])
    assert torch.equal(strongest_enlarged(logits, frame, size), expected)


def test_where_all_agree_nothing_is_computed() -> None:
    logits = torch.zeros(3, 4, 4)
    logits[2] = 1.0
    assert torch.equal(strongest_enlarged(logits, (16, 16), (15, 16)), torch.full((15, 16), 2))
