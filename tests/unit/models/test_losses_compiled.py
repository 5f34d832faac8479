"""Every kind of loss in half precision and compiled; region mutual information has its own tests of both."""

from typing import Any

import pytest
import torch
from torch import Tensor

from models.base import IGNORE_INDEX
from models.build import build_loss, build_model
from models.catalog import MODELS
from models.configs import CrossEntropyConfig, LossConfig, RmiConfig
from models.loss_configs import AffinityConfig
from models.losses.total import total
from models.output import SegmentationOutput

LOSSES: dict[str, LossConfig] = {
    "plain": CrossEntropyConfig(),
    "smooth": CrossEntropyConfig(label_smoothing=0.1),
    "balanced": CrossEntropyConfig(class_balance=0.5),
    "weighted": CrossEntropyConfig(class_weights=(0.5, 3.0)),
    "affinity": AffinityConfig(),
    "rmi": RmiConfig(factor=2),
}


def example(*, small: bool) -> tuple[SegmentationOutput, Tensor]:
    generator = torch.Generator().manual_seed(1)
    logits = 3 * torch.randn(2, 4, 24, 32, generator=generator)
    target = torch.randint(0, 4, (2, 24, 32), generator=generator)
    target[:, ::5] = IGNORE_INDEX
    few = logits[..., ::4, ::4].contiguous() if small else None
    output = SegmentationOutput(
        logits=logits, small_logits=few, auxiliary_logits={"stage3": logits[..., ::2, ::2].contiguous()}
    )
    return output, target


def halved(output: SegmentationOutput) -> SegmentationOutput:
    few = output.small_logits
    return SegmentationOutput(
        logits=output.logits.bfloat16(),
        small_logits=None if few is None else few.bfloat16(),
        auxiliary_logits={name: values.bfloat16() for name, values in output.auxiliary_logits.items()},
    )


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_gives_single_precision_losses(name: str, small: bool) -> None:
    output, target = example(small=small)
    loss = build_loss(LOSSES[name])
    expected = loss(output, target)
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(halved(output), target)
    assert found.keys() == expected.keys()
    for part, value in found.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, expected[part], rtol=0.05, atol=0.05)


# The compiler looks at every tensor's gradient where it goes on after the part that stays as it is.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("name", ["weighted", "balanced", "affinity"])
def test_losses_can_be_compiled(name: str, small: bool) -> None:
    output, target = example(small=small)
    loss = build_loss(LOSSES[name])
    torch._dynamo.reset()
    found = total(torch.compile(loss, backend="eager")(output, target))
    torch._dynamo.reset()
    torch.testing.assert_close(found, total(loss(output, target)))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.parametrize("name", ["idrnet", "mcibi", "mcibi++", "spgnet"])
def test_the_methods_can_be_compiled_while_they_train(name: str) -> None:
    """Same seed, same logits, same gradients as without compiling; random draws included."""
    config: Any = next(spec for spec in MODELS if spec.name == name).tiny()
    image = torch.randn(2, 3, 64, 64, generator=torch.manual_seed(0))
    target = torch.randint(0, 4, (2, 64, 64), generator=torch.manual_seed(1))
    runs: list[tuple[Tensor, dict[str, Tensor]]] = []
    for compiled in (False, True):
        model: Any = build_model(config, 4, seed=2)
        model.train()
        torch._dynamo.reset()
        forward = torch.compile(model, backend="eager") if compiled else model
        torch.manual_seed(3)
        output = forward(image)
        total(build_loss(CrossEntropyConfig())(output, target)).backward()
        gradients = {key: value.grad for key, value in model.named_parameters() if value.grad is not None}
        runs.append((output.logits.detach(), gradients))
    torch._dynamo.reset()
    torch.testing.assert_close(runs[0][0], runs[1][0])
    assert runs[0][1].keys() == runs[1][1].keys()
    for key, value in runs[0][1].items():
        torch.testing.assert_close(runs[1][1][key], value, rtol=1e-4, atol=1e-5)
