"""What a training step of a network will take, measured on two small crops before the first one.

The tensors that the backward pass needs are counted as they are saved. Their number grows with the pixels,
and in networks that compare all places with all others with the square of the pixels: two sizes tell both.
Worker thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.config import Precision
from engine.learn.distributed import least
from engine.learn.machine_memory import available_bytes
from engine.learn.memory_plan import Plan, sentence, smaller
from engine.learn.ranks import current_rank
from engine.predict.compute import autocast, is_out_of_memory
from models.base import SegmentationModel
from models.losses.total import TotalLoss
from models.processes import apart

_EDGES = (64, 128)
_BESIDE = 1.4
"""What a step takes at its peak beside the saved tensors: gradients of activations and working space."""
_COPIES = 3
"""Of every weight: its gradient and what the optimizer remembers."""
_SHARE = 0.9
_UNKNOWN = 1 << 62
_UNMEASURED = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryNeed:
    """Bytes of a step by its crops.

    Attributes:
        fixed: Whatever the crops.
        per_pixel: For each pixel of a crop.
        per_pair: For each pair of pixels of a crop.
    """

    fixed: float
    per_pixel: float
    per_pair: float

    def bytes(self, plan: Plan) -> int:
        """Return what a step of this plan takes; number formats count as they were measured."""
        pixels = float(plan.crop * plan.crop)
        return int(self.fixed + plan.batch * pixels * (self.per_pixel + self.per_pair * pixels))


def fitting(plan: Plan, need: Callable[[Plan], int], available: int) -> Plan:
    """Return the first of the plans, each smaller than the one before, that takes no more than there is.

    Where nothing fits, the smallest plan that stays on the device is worth a try: the figures are estimates,
    and the processor is the trainer's last resort.
    """
    while need(plan) > available:
        following = smaller(plan)
        if following is None or following.on_cpu != plan.on_cpu:
            return plan
        plan = following
    return plan


def measured_plan(
    plan: Plan,
    model: SegmentationModel[Any],
    loss: TotalLoss,
    device: torch.device,
    notice: Callable[[str], None],
) -> Plan:
    """Return the plan, or a smaller one that fits into the memory there is, with a sentence about it.

    Nothing of the network changes, no random number is used up.
    """
    needs: dict[Precision, MemoryNeed] = {}
    try:
        needs = {form: measure(model, loss, device, form) for form in {plan.precision, _half(plan)}}
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    # Several processes take one plan, and all of them wait here for all: also one that could not measure.
    available = least(room(device) if needs else _UNMEASURED)
    if available == _UNMEASURED:
        return plan

    def need(candidate: Plan) -> int:
        return needs[candidate.precision].bytes(candidate)

    fits = fitting(plan, need, available)
    if fits != plan:
        notice(sentence(plan, fits))
    return fits


def _half(plan: Plan) -> Precision:
    """The format a smaller plan may change to."""
    return plan.precision if plan.on_cpu else Precision.BFLOAT16


def room(device: torch.device) -> int:
    """Return the bytes a step may take on a device; a very large number where nobody knows."""
    match device.type:
        case "cuda":
            free = torch.cuda.mem_get_info(device)[0]
            held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
            return int(_SHARE * (free + held))
        case "mps":
            return int(_SHARE * (torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()))
        case _:
            free_bytes = available_bytes()
            if free_bytes is None:
                return _UNKNOWN
            return int(_SHARE * free_bytes / current_rank().local_count)


def measure(
    model: SegmentationModel[Any], loss: TotalLoss, device: torch.device, precision: Precision
) -> MemoryNeed:
    """Run two small crops forward and count what waits for the backward pass.

    Args:
        model: On `device`; its buffers and training mode are as before afterwards.
        loss: On `device`.
        device: Where to measure.
        precision: Never AUTO.
    """
    weights = sum(value.numel() * value.element_size() for value in model.parameters())
    copies = 0 if precision is Precision.FLOAT32 else _bytes_in_half(model)
    with _untouched(model, device), apart():
        saved = [max(0, _saved_bytes(model, loss, device, precision, edge) - copies) for edge in _EDGES]
    pixels = [float(edge * edge) for edge in _EDGES]
    per_pair = (saved[1] / pixels[1] - saved[0] / pixels[0]) / (pixels[1] - pixels[0])
    # Padding and pooled maps weigh more in the smaller crop, which is no falling curve.
    per_pair = max(0.0, per_pair)
    per_pixel = saved[1] / pixels[1] - per_pair * pixels[1]
    return MemoryNeed(
        fixed=_COPIES * weights + copies, per_pixel=_BESIDE * max(0.0, per_pixel), per_pair=_BESIDE * per_pair
    )


def _bytes_in_half(model: nn.Module) -> int:
    """Return what the 16-bit copies of the weights take, which wait for the backward pass with all the rest.

    They do not grow with the pixels. Biases and scales, with one axis, are few and mostly not copied.
    """
    return sum(2 * value.numel() for value in model.parameters() if value.dim() > 1)


def _saved_bytes(
    model: SegmentationModel[Any], loss: TotalLoss, device: torch.device, precision: Precision, edge: int
) -> int:
    known = {value.untyped_storage().data_ptr() for value in model.state_dict().values()}
    sizes: dict[int, int] = {}
    held: list[Tensor] = []

    def keep(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        # Without its history: a node that saves its own result would hold itself and all before it for good.
        bare = value.detach()
        if storage.data_ptr() not in known and storage.data_ptr() not in sizes:
            sizes[storage.data_ptr()] = storage.nbytes()
            # Nothing may be freed meanwhile: its address would come back as another tensor's.
            held.append(bare)
        return bare

    image = torch.zeros(1, 3, edge, edge, device=device).contiguous(memory_format=torch.channels_last)
    target = (torch.arange(edge * edge, device=device) % model.num_classes).view(1, edge, edge)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value), autocast(device, precision):
        loss(model(image), target)
    return sum(sizes.values())


@contextmanager
def _untouched(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Let a network run in training mode and leave no trace: buffers, mode and random numbers."""
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    was_training = model.training
    model.train()
    cards = [torch.cuda.current_device()] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=cards):
            yield
    finally:
        model.train(was_training)
        with torch.no_grad():
            for name, value in model.named_buffers():
                value.copy_(buffers[name])
