"""MCIBI and MCIBI++ compute what their authors' code computed: logits, losses, gradients, memory, statistics.

The order of the calls is that of the published code (memory before losses), which the networks allow. One
thing is imitated here and not in the product: the published backward pass of MCIBI reads the memory after the
update has overwritten it (`_overwritten_mixture`).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from models.backbone_configs import TinyBackboneConfig
from models.base import IGNORE_INDEX, SegmentationModel
from models.blocks import resize
from models.build import build_loss
from models.class_memory import ClassMemory
from models.configs import CrossEntropyConfig, McibiConfig
from models.losses.total import total
from models.networks.mcibi import Mcibi
from models.networks.mcibipp import McibiPlusPlus
from models.released import mcibi as released
from models.weights import load_state
from tests.support.reference_backbone import NarrowResNet
from tests.support.reference_data import stored

pytestmark = pytest.mark.golden

CASES = ("mcibi_deeplabv3_r18", "mcibipp_ppm_r18")
LOSSES = {
    "cross-entropy": ("loss_cls_stage2", "loss_cls"),
    "auxiliary: coarse": ("loss_cls_stage1",),
    "auxiliary: pixels": ("loss_pr",),
    "auxiliary: stage3": ("loss_aux",),
    "within image": ("loss_cwi",),
    "consistency": ("loss_memory",),
}


class _Overwritten(torch.autograd.Function):
    """Mixture whose gradient uses the memory as it is when backward runs."""

    @staticmethod
    def forward(ctx: Any, shares: Tensor, memory: Tensor) -> Tensor:
        ctx.memory, ctx.size = memory, shares.shape
        return torch.einsum("bkhw,kmc->mbchw", shares, memory)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return torch.einsum("mbchw,kmc->bkhw", gradients[0], ctx.memory), None


def _overwritten_mixture(self: ClassMemory, shares: Tensor, memory: Tensor | None = None) -> Tensor:
    assert memory is None
    mixed: Tensor = _Overwritten.apply(shares, self.memory)
    return mixed


def network_of(case: Mapping[str, Any]) -> SegmentationModel[Any]:
    """Returns our network with the stored state; every stored tensor finds its place."""
    state = case["state"]

    def make(_: object) -> NarrowResNet:
        return NarrowResNet()

    model: SegmentationModel[Any]
    classes = released.num_classes(state)
    config = replace(released.mcibi_config(state, TinyBackboneConfig()), dropout=0.0)
    if isinstance(config, McibiConfig):
        memory = replace(config.memory, consistency_start=1)
        model = Mcibi(replace(config, dilations=(1, 2, 3, 4), memory=memory), classes, make)
    else:
        model = McibiPlusPlus(config, classes, make)
    report = load_state(model, released.own_state(state))
    assert report.complete, report.summary()
    return model


def close(found: Tensor, expected: Tensor, relative: float = 1e-4) -> None:
    """Compares with a tolerance relative to the largest value of the tensor."""
    scale = max(float(expected.abs().max()), 1e-6)
    torch.testing.assert_close(found.to(expected.dtype), expected, rtol=relative, atol=relative * scale)


@pytest.mark.parametrize("name", CASES)
def test_evaluation(name: str) -> None:
    case = stored(name)
    model = network_of(case).eval()
    with torch.no_grad():
        logits = model(case["images"]).logits
    close(logits, resize(case["eval_logits"], case["images"].shape[-2:]), 1e-5)


@pytest.mark.parametrize("name", CASES)
def test_two_steps(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClassMemory, "mixture", _overwritten_mixture)
    case = stored(name)
    model = network_of(case).train()
    names = dict(zip(case["state"], released.own_state(case["state"]), strict=False))
    target = torch.where(case["target"] < 0, IGNORE_INDEX, case["target"])
    loss = build_loss(CrossEntropyConfig())
    for step in range(2):
        expected = case[f"train{step}"]
        before = {key: values.clone() for key, values in model.state_dict().items()}
        model.zero_grad()
        output = model(case["images"])
        model.observe(output, target, expected["lr"])
        losses = loss(output, target) | dict(model.extra_losses(output, target, step))
        total(losses).backward()

        assert len(losses) == len(expected["losses"]) - 1
        for key, value in losses.items():
            stored_value = next(expected["losses"][n] for n in LOSSES[key] if n in expected["losses"])
            assert value.item() == pytest.approx(stored_value, rel=1e-5)
        close(total(losses).detach(), expected["loss"], 1e-5)

        after = model.state_dict()
        changed = {key for key, values in after.items() if not torch.equal(values, before[key])}
        assert changed == {names[key] for key in expected["changed_state"]}
        for key, values in expected["changed_state"].items():
            close(after[names[key]], values, 1e-5)

        gradients = {key: parameter.grad for key, parameter in model.named_parameters()}
        assert gradients.keys() == {names[key] for key in expected["grads"]}
        for key, values in expected["grads"].items():
            gradient = gradients[names[key]]
            assert gradient is not None
            # Normalising two values gives +1 and -1 whatever they are: such gradients are rounding noise.
            torch.testing.assert_close(
                gradient, values, rtol=1e-4, atol=max(1e-5, 1e-4 * float(values.abs().max()))
            )
