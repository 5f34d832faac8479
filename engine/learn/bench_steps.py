"""What makes a training step faster on a device: the same step in several settings, against a plain one.

Imports torch. B crops, S their edge, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch

from engine.config import Compiling, OptimizerConfig, Precision
from engine.errors import brief
from engine.learn.batches import Batch
from engine.learn.compiling import compile_network
from engine.learn.update import Updater, make_optimizer, make_scaler
from engine.measure.bench import Measured
from engine.predict.compute import release_memory
from models.build import build_loss, build_model
from models.configs import LossConfig, NetworkConfig
from models.speed import measure_in_turns


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSetting:
    """How a step is computed.

    Attributes:
        title: First column.
        precision: Number format of the forward pass.
        channels_last: Whether the channels of a pixel lie side by side in memory.
        fused: Whether the optimizer goes over all parameters once.
        compiled: How the network is translated; None runs it operation by operation.
    """

    title: str
    precision: Precision = Precision.FLOAT32
    channels_last: bool = False
    fused: bool = False
    compiled: Compiling | None = None


PLAIN = StepSetting(title="plain: float32, one operation after the other")
_TRAINED = StepSetting(title="channels last, fused optimizer", channels_last=True, fused=True)


def settings(device: torch.device, *, compiled: bool) -> tuple[StepSetting, ...]:
    """Return what can be tried on a device; the first is what the others are compared with.

    Args:
        device: Where steps run.
        compiled: Try compiled networks as well, which takes minutes.
    """
    half = replace(_TRAINED, title="the same in bfloat16", precision=Precision.BFLOAT16)
    rows = [
        PLAIN,
        replace(PLAIN, title="channels last", channels_last=True),
        replace(PLAIN, title="fused optimizer", fused=True),
        _TRAINED,
        half,
    ]
    if device.type == "cuda":
        rows.append(replace(_TRAINED, title="the same in float16", precision=Precision.FLOAT16))
    if compiled:
        rows.append(replace(_TRAINED, title="compiled", compiled=Compiling.CODE))
        rows.append(replace(half, title="compiled, bfloat16", compiled=Compiling.CODE))
    if compiled and device.type == "cuda":
        rows.append(replace(half, title="compiled, bfloat16, CUDA graphs", compiled=Compiling.GRAPHS))
    return tuple(rows)


def bench_steps(
    network: NetworkConfig,
    loss: LossConfig,
    device: torch.device,
    *,
    batch: int,
    edge: int,
    classes: int,
    runs: int,
    compiled: bool,
) -> Iterator[Measured]:
    """Measure a step of training in every setting: forward, loss, backward, optimizer, statistics.

    Args:
        network: What is trained, from random weights.
        loss: What it learns by.
        device: Where.
        batch: B.
        edge: S.
        classes: K.
        runs: Timed steps of each setting.
        compiled: Try compiled networks as well, which takes minutes.

    Yields:
        A row per setting, with how many times as fast it is as the first, which runs in turns with each.
    """
    size = (batch, edge, classes)
    for setting in settings(device, compiled=compiled):
        # In a function of its own: both networks are gone before the next ones are built.
        row = _measured(setting, network, loss, device, size, runs)
        release_memory(device)
        yield row


def _measured(
    setting: StepSetting,
    network: NetworkConfig,
    loss: LossConfig,
    device: torch.device,
    size: tuple[int, int, int],
    runs: int,
) -> Measured:
    """Returns the row of a setting; where it cannot run here, a note says why."""
    try:
        steps = [_step(each, network, loss, device, size) for each in (PLAIN, setting)]
        if setting.compiled is Compiling.GRAPHS:
            # The first call prepares and the second records; with the one of the measurement it is three.
            for _ in range(2):
                steps[1]()
        plain, own = measure_in_turns(steps, device, runs=runs)
    except (RuntimeError, MemoryError, OSError) as error:
        return Measured(title=setting.title, note=brief(error))
    return Measured(title=setting.title, milliseconds=own, ratio=plain / own)


def _step(
    setting: StepSetting,
    network: NetworkConfig,
    loss: LossConfig,
    device: torch.device,
    size: tuple[int, int, int],
) -> Callable[[], object]:
    """Returns what does a step."""
    torch.manual_seed(0)
    model = build_model(network, size[2], seed=0).to(device)
    if setting.channels_last:
        model.to(memory_format=torch.channels_last)
    if setting.compiled is not None:
        compile_network(model, setting.compiled)
    updater = Updater(
        model=model,
        loss=build_loss(loss).to(device),
        optimizer=make_optimizer(model, OptimizerConfig(), fused=setting.fused),
        scaler=make_scaler(device, setting.precision),
        device=device,
        precision=setting.precision,
        clip_norm=OptimizerConfig().clip_norm,
    )
    crops = _crops(setting, device, size)
    return lambda: updater.update(crops, 0, 1e-4)


def _crops(setting: StepSetting, device: torch.device, size: tuple[int, int, int]) -> Batch:
    """Returns crops of noise, labelled in blocks all over."""
    count, edge, classes = size
    cells = max(1, edge // 32)
    blocks = torch.randint(0, classes, (count, cells, cells))
    target = torch.nn.functional.interpolate(blocks[:, None].float(), (edge, edge))[:, 0].long()
    image = torch.randn(count, 3, edge, edge)
    form = torch.channels_last if setting.channels_last else torch.contiguous_format
    return Batch(
        image=image.to(device).contiguous(memory_format=form),
        target=target.to(device),
        provenance=torch.ones_like(target, dtype=torch.uint8).to(device),
    )
