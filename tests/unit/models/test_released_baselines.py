"""Published names of the networks for comparison, as the released checkpoints have them."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from models.baseline_presets import (
    tiny_deeplabv3,
    tiny_deeplabv3plus,
    tiny_dnl,
    tiny_ocrnet,
    tiny_pspnet,
    tiny_upernet,
)
from models.build import build_model
from models.configs import NetworkConfig
from models.presets import tiny_fcn
from models.released.baselines import baseline_config, is_baseline, num_classes, own_state
from models.weights import load_state

K = 5
ATTENTION = [
    (
        rf"^object_context\.attention\.(key|query)\.{layer * 3 + part}\.",
        rf"object_context_block.\1_project.{layer}.{part}.",
    )
    for layer in (0, 1)
    for part in (0, 1)
] + [(r"^object_context\.attention\.(value|out)\.", r"object_context_block.\1_project.")]
SEPARABLE = ["depthwise_conv", "depthwise_bn", "", "pointwise_conv", "pointwise_bn"]

PUBLISHED: dict[str, tuple[Callable[[], NetworkConfig], list[tuple[str, str]]]] = {
    "fcn": (tiny_fcn, [(r"^auxiliary_decoders\.stage3\.", "auxiliary_decoder.")]),
    "pspnet": (tiny_pspnet, [(r"^context\.", "ppm_net."), (r"^classifier\.", "decoder.1.")]),
    "deeplabv3": (tiny_deeplabv3, [(r"^context\.", "aspp_net."), (r"^classifier\.", "decoder.1.")]),
    "deeplabv3+": (
        tiny_deeplabv3plus,
        [
            *(
                (
                    rf"^context\.parallel_branches\.([123])\.{number}\.",
                    rf"aspp_net.parallel_branches.\1.{name}.",
                )
                for number, name in enumerate(SEPARABLE)
            ),
            *(
                (rf"^refine\.([01])\.{number}\.", rf"decoder.\1.{name}.")
                for number, name in enumerate(SEPARABLE)
            ),
            (r"^context\.", "aspp_net."),
            (r"^classifier\.", "decoder.3."),
        ],
    ),
    "upernet": (
        tiny_upernet,
        [
            (r"^pooling\.", "ppm_net."),
            (r"^pyramid\.", ""),
            (r"^fusion\.", "decoder."),
            (r"^classifier\.", "decoder.4."),
        ],
    ),
    "ocrnet": (
        tiny_ocrnet,
        [
            *ATTENTION,
            (r"^object_context\.fusion\.", "object_context_block.bottleneck."),
            (r"^classifier\.", "decoder.1."),
        ],
    ),
    "dnl": (
        tiny_dnl,
        [
            (r"^context\.(before|after)\.", r"conv_\1_dnl."),
            (r"^context\.attention\.value\.", "dnl_block.g.0."),
            (r"^context\.attention\.query\.", "dnl_block.theta.0."),
            (r"^context\.attention\.key\.", "dnl_block.phi.0."),
            (r"^context\.attention\.mask\.", "dnl_block.conv_mask."),
            (r"^context\.attention\.out\.", "dnl_block.conv_out."),
            (r"^context\.fusion\.", "decoder."),
            (r"^classifier\.", "decoder.4."),
        ],
    ),
}


def published_name(name: str, rules: list[tuple[str, str]]) -> str:
    for pattern, replacement in (*rules, (r"^backbone\.", "backbone_net.")):
        if re.match(pattern, name):
            return re.sub(pattern, replacement, name, count=1)
    return name


@pytest.mark.parametrize("network", PUBLISHED)
def test_a_published_state_finds_its_network_and_every_place(network: str) -> None:
    tiny, rules = PUBLISHED[network]
    config: Any = tiny()
    model = build_model(config, K, seed=0)
    state = {published_name(name, rules): values for name, values in model.state_dict().items()}
    assert len(state) == len(model.state_dict())
    assert is_baseline(state)
    assert num_classes(state) == K
    found: Any = baseline_config(state, config.backbone)
    assert type(found) is type(config)
    other = build_model(found, K, seed=1).eval()
    assert load_state(other, own_state(state)).complete
    image = torch.randn(1, 3, 48, 40, generator=torch.manual_seed(2))
    if network.startswith("deeplab"):
        step = config.dilation_step  # its dilations cannot be told from a file
        state = other.state_dict()
        other = build_model(replace(found, dilations=(1, step, 2 * step, 3 * step)), K).eval()
        other.load_state_dict(state)
    with torch.no_grad():
        assert torch.equal(other(image).logits, model.eval()(image).logits)


@pytest.mark.parametrize("width", [24, 16])
def test_fcns_auxiliary_head_may_be_narrower_than_its_head(width: int) -> None:
    config = replace(tiny_fcn(), auxiliary_width=width)
    model = build_model(config, K, seed=0)
    rules = PUBLISHED["fcn"][1]
    state = {published_name(name, rules): values for name, values in model.state_dict().items()}
    assert state["auxiliary_decoder.0.weight"].shape[0] == width
    found = baseline_config(state, config.backbone)
    assert found == replace(config, auxiliary_width=0 if width == config.width else width, dropout=0.1)
    other = build_model(found, K, seed=1)
    assert load_state(other, own_state(state)).complete


def test_without_auxiliary_head_there_is_none() -> None:
    model = build_model(tiny_pspnet(), K, seed=0)
    rules = PUBLISHED["pspnet"][1]
    state: dict[str, Tensor] = {
        published_name(name, rules): values
        for name, values in model.state_dict().items()
        if not name.startswith("auxiliary")
    }
    found = build_model(baseline_config(state, tiny_pspnet().backbone), K)
    assert load_state(found, own_state(state)).complete


def test_other_names_are_refused() -> None:
    state = {"head.weight": torch.zeros(1)}
    assert not is_baseline(state)
    for call in (num_classes, own_state):
        with pytest.raises(LookupError, match="comparison"):
            call(state)
