"""How much a training step asks of the memory, and what to try when that is too much (torch-free)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.config import Precision

SMALLEST_CROP = 128
"""Crops are not made smaller than this (px) to save memory: below, a crop shows too little to learn from."""

_GRID = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Size of a training step.

    Attributes:
        crop: Edge of the crops in pixels.
        batch: Crops per step.
        precision: Number format of the forward pass; never AUTO.
        on_cpu: Whether the step runs on the processor.
    """

    crop: int
    batch: int
    precision: Precision
    on_cpu: bool

    def describe(self) -> str:
        """Return the plan in words, such as "8 crops of 512 px"."""
        crops = f"{self.batch} crop{'s' if self.batch > 1 else ''} of {self.crop} px"
        return crops if self.precision is Precision.FLOAT32 else f"{crops} in {self.precision.value}"


def smaller(plan: Plan) -> Plan | None:
    """Return the next plan that needs less memory, or None where nothing is left to give up.

    The order is what hurts least first: smaller crops, fewer of them, 16-bit numbers, and last the processor.
    """
    if plan.crop > SMALLEST_CROP:
        crop = max(SMALLEST_CROP, plan.crop * 3 // 4 // _GRID * _GRID)
        return replace(plan, crop=crop)
    if plan.batch > 1:
        return replace(plan, batch=plan.batch // 2)
    if plan.on_cpu:
        return None
    if plan.precision is Precision.FLOAT32:
        return replace(plan, precision=Precision.BFLOAT16)
    return replace(plan, precision=Precision.FLOAT32, on_cpu=True)


def sentence(old: Plan, new: Plan) -> str:
    """Return what a person should know about the change of plan."""
    place = " on the processor" if new.on_cpu and not old.on_cpu else ""
    return f"Not enough memory for {old.describe()}: training goes on with {new.describe()}{place}."
