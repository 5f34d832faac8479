"""The tiny network does what it is there for: it learns from a few strokes, at once."""

import torch
from torch import Tensor

from models.base import IGNORE_INDEX, normalise
from models.build import build_loss, build_model
from models.configs import CrossEntropyConfig
from models.losses.total import total
from models.presets import tiny


def scene(seed: int) -> tuple[Tensor, Tensor]:
    """Returns pixels (96, 128, 3) uint8 and labels (96, 128): sky, striped ground, discs and a thin post."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(96), torch.arange(128), indexing="ij")
    horizon, post, top, left = (
        int(torch.randint(low, high, (1,), generator=generator))
        for low, high in ((30, 60), (10, 118), (15, 80), (15, 110))
    )
    labels = (y > horizon).long()
    labels[(y - top) ** 2 + (x - left) ** 2 < 14**2] = 2
    labels[((x - post).abs() < 4) & (y > 10)] = 3
    colors = torch.tensor([[120, 170, 220], [110, 130, 90], [190, 70, 60], [90, 90, 100]])
    pixels = colors[labels] + torch.where((labels == 1) & (y % 6 < 3), 40, 0)[..., None]
    noise = torch.randint(-18, 19, (96, 128, 3), generator=generator)
    return (pixels + noise).clamp(0, 255).to(torch.uint8), labels


def strokes_of(labels: Tensor) -> Tensor:
    """Returns labels along three thin lines, 255 elsewhere."""
    target = torch.full_like(labels, IGNORE_INDEX)
    for rows in (slice(20, 23), slice(50, 53), slice(80, 83)):
        target[rows] = labels[rows]
    for columns in (slice(30, 32), slice(90, 92)):
        target[:, columns] = labels[:, columns]
    return target


def test_strokes_on_four_images_are_enough_for_images_never_seen() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    scenes = [scene(seed) for seed in range(8)]
    image = normalise(torch.stack([pixels for pixels, _ in scenes]))
    labels = torch.stack([truth for _, truth in scenes])
    target = torch.stack([strokes_of(truth) for truth in labels[:4]])
    assert (target != IGNORE_INDEX).float().mean() < 0.15
    model, loss = build_model(tiny(), 4, seed=0), build_loss(CrossEntropyConfig())
    optimizer = torch.optim.AdamW(model.parameter_groups(3e-3, 1e-4))
    for step in range(60):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * (1 - step / 60)
        value = total(loss(model(image[:4]), target))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    with torch.no_grad():
        found = model.eval()(image[4:]).logits.argmax(dim=1)
    torch.set_num_threads(threads)
    ious = [
        float(((found == k) & (labels[4:] == k)).sum() / ((found == k) | (labels[4:] == k)).sum())
        for k in range(4)
    ]
    assert sum(ious) / 4 > 0.75, ious


def test_it_is_small() -> None:
    parameters = sum(values.numel() for values in build_model(tiny(), 8).parameters())
    assert 100_000 < parameters < 400_000
