"""Measures the rows of the comparison tables. Imports torch when asked to measure.

Parameters and operations are counted at the published input whatever the device, on the meta device; time and
memory are measured at an input the caller chooses, which is the published one on a graphics card.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from engine.errors import brief
from engine.measure.bench_rows import (
    LOSSES,
    MODULE_INPUT,
    MODULES,
    NETWORK_INPUT,
    NETWORKS,
    ModuleRow,
    Published,
)
from models.configs import Supervision

if TYPE_CHECKING:
    import torch

_CLASSES = 19


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One row of a table, measured.

    Attributes:
        title: first column.
        parameters: millions, or None where there are none to count.
        operations: thousand millions, as the published table counts, at its input; None likewise.
        milliseconds: median of a run, or None where it was not timed.
        memory_mb: most memory held by a run, or None.
        ratio: how many times as fast as the setting of the first row, which runs in turns with each; or None.
        published: what the paper says.
        note: why something is missing, "" if nothing is.
    """

    title: str
    parameters: float | None = None
    operations: float | None = None
    milliseconds: float | None = None
    memory_mb: float | None = None
    ratio: float | None = None
    published: Published = field(default_factory=Published)
    note: str = ""


def bench_modules(device: torch.device, *, edge: int, runs: int) -> Iterator[Measured]:
    """Measures every context module, one forward pass in evaluation.

    Args:
        device: where to time.
        edge: of the feature map that is timed; 128 is the published one. 0 counts only.
        runs: timed runs of each row.
    """
    for row in MODULES:
        yield _guarded(row, partial(_module, row, device, edge, runs))


def bench_networks(device: torch.device, *, size: tuple[int, int], runs: int) -> Iterator[Measured]:
    """Measures every network of the table, one forward pass in evaluation, 19 classes.

    Args:
        device: where to time.
        size: (H, W) of the image that is timed; (0, 0) counts only.
        runs: timed runs of each row.
    """
    for row in NETWORKS:
        yield _guarded(row, partial(_network, row, device, size, runs))


def bench_losses(device: torch.device, *, classes: int, edge: int, runs: int) -> Iterator[Measured]:
    """Measures every loss, forward and backward, on two crops of `edge` pixels, at most 12 classes each."""
    import torch

    from models.build import build_loss
    from models.losses.total import total
    from models.output import SegmentationOutput
    from models.speed import measure_speed

    generator = torch.Generator().manual_seed(0)
    cells = max(1, edge // 64)
    blocks = torch.randint(0, min(classes, 12), (2, cells, cells), generator=generator)
    target = torch.nn.functional.interpolate(blocks[:, None].float(), (edge, edge))[:, 0].long().to(device)
    logits = torch.randn(2, classes, edge, edge, generator=generator).to(device).requires_grad_()
    for row in LOSSES:
        loss = build_loss(row.config).to(device)

        def step(loss: Callable[..., Any] = loss) -> None:
            logits.grad = None
            total(loss(SegmentationOutput(logits=logits), target)).backward()

        speed = measure_speed(step, device, runs=runs)
        yield Measured(title=row.title, milliseconds=speed.milliseconds, memory_mb=speed.memory_mb)


def _guarded(row: ModuleRow, measure: Callable[[], Measured]) -> Measured:
    """Returns a row without figures where the module cannot be built or does not fit into memory."""
    try:
        return measure()
    except (ImportError, AttributeError, RuntimeError, MemoryError) as error:
        return Measured(title=row.title, published=row.published, note=brief(error))


def _resolve(target: str) -> Callable[[], Any]:
    module, _, name = target.partition(":")
    found: Callable[[], Any] = getattr(importlib.import_module(module), name)
    return found


def _without_auxiliary(config: Any) -> Any:
    """Returns the network without the head that only training needs: the papers do not count it."""
    names = {item.name for item in dataclasses.fields(config)}
    if "auxiliary" in names:
        return dataclasses.replace(config, auxiliary=False)
    return dataclasses.replace(config, supervision=Supervision.NONE) if "supervision" in names else config


def _module(row: ModuleRow, device: torch.device, edge: int, runs: int) -> Measured:
    import torch

    from models.cost import measure_cost
    from models.speed import measure_speed

    make = _resolve(row.target)
    cost = measure_cost(make, MODULE_INPUT)
    speed = None
    if edge:
        module = make().to(device).eval()
        features = torch.randn(*MODULE_INPUT[:2], edge, edge, device=device)
        with torch.no_grad():
            speed = measure_speed(lambda: module(features), device, runs=runs)
    return Measured(
        title=row.title,
        parameters=cost.parameters / 1e6,
        operations=cost.module_operations / 1e9,
        milliseconds=None if speed is None else speed.milliseconds,
        memory_mb=None if speed is None else speed.memory_mb,
        published=row.published,
    )


def _network(row: ModuleRow, device: torch.device, size: tuple[int, int], runs: int) -> Measured:
    import torch

    from models.build import build_model
    from models.cost import measure_cost, without_weights
    from models.speed import measure_speed

    config = _without_auxiliary(without_weights(_resolve(row.target)()))
    cost = measure_cost(lambda: build_model(config, _CLASSES), NETWORK_INPUT, training=row.counts_training)
    speed = None
    if all(size):
        model = build_model(config, _CLASSES, seed=0).to(device).eval()
        image = torch.randn(1, 3, *size, device=device)
        with torch.no_grad():
            speed = measure_speed(lambda: model(image), device, runs=runs)
    return Measured(
        title=row.title,
        parameters=cost.parameters / 1e6,
        operations=cost.multiply_accumulates / 1e9,
        milliseconds=None if speed is None else speed.milliseconds,
        memory_mb=None if speed is None else speed.memory_mb,
        published=row.published,
    )
