"""Names and configurations of IDRNet's published checkpoints."""

import dataclasses

import pytest
import torch
from torch import Tensor

from models.backbone_configs import ResNetConfig
from models.idrnet_configs import IdrnetConfig, PyramidPlace
from models.idrnet_presets import (
    idrnet_aspp,
    idrnet_aspp_cocostuff,
    idrnet_aspp_lip,
    idrnet_fcn,
    idrnet_fcn_ade20k,
    idrnet_ppm,
    idrnet_ppm_cityscapes,
    idrnet_ppm_cocostuff,
    idrnet_ppm_lip,
    idrnet_swin_large,
    idrnet_swin_large_lip,
    idrnet_upernet,
    idrnet_upernet_cocostuff,
    idrnet_upernet_lip,
    tiny_idrnet,
)
from models.networks.idrnet import Idrnet
from models.released.idrnet import idrnet_config, is_idrnet, num_classes, own_state
from tests.support.no_backbone import NoBackbone

K = 5
PUBLISHED = {
    "context.relations.mean": "class_relations_mean",
    "context.relations.variance": "class_relations_var",
    "context.relations.counter": "selected_classes_counter",
    "context.relations.vectors": "dl_cls_representations",
    "context.bottleneck.": "bottleneck.",
    "context.context.": "coarse_context_module.",
    "context.refiner.attention.": "idcontext_refiner.",
    "context.pyramid.": "",
    "context.coarse_decoder.": "decoder_stage1.",
    "decoder.": "decoder_stage2.",
    "auxiliary_decoder.": "auxiliary_decoder.",
}
PROJECTIONS = {
    "query.0": "query_project.0.0",
    "query.1": "query_project.0.1",
    "query.3": "query_project.1.0",
    "query.4": "query_project.1.1",
    "key.0": "key_project.0.0",
    "key.1": "key_project.0.1",
    "key.3": "key_project.1.0",
    "key.4": "key_project.1.1",
    "value.0": "value_project.0",
    "value.1": "value_project.1",
    "out.0": "out_project.0",
    "out.1": "out_project.1",
}


def published_name(name: str, config: IdrnetConfig) -> str:
    prefixes = PUBLISHED | {
        "context.context_refiner.": f"coarsecontext_refiner_{config.context_refinement.value}."
    }
    own = max((prefix for prefix in prefixes if name.startswith(prefix)), key=len)
    rest = name.removeprefix(own)
    for ours, theirs in PROJECTIONS.items():
        if rest.startswith(f"{ours}."):
            rest = theirs + rest.removeprefix(ours)
    return prefixes[own] + rest


def published(config: IdrnetConfig) -> dict[str, Tensor]:
    with torch.device("meta"):
        state = Idrnet(config, K, lambda _: NoBackbone()).state_dict()
    return {published_name(name, config): values for name, values in state.items()}


@pytest.mark.parametrize(
    ("config", "file"),
    [
        (idrnet_fcn(), "idrnet_fcn_resnet50os8_cityscapes.pth"),
        (idrnet_fcn_ade20k(), "idrnet_fcn_resnet50os8_ade20k.pth"),
        (idrnet_ppm(), ""),
        (idrnet_ppm_cityscapes(), "idrnet_ppm_resnet50os8_cityscapes.pth"),
        (idrnet_ppm_cocostuff(), ""),
        (idrnet_ppm_lip(), ""),
        (idrnet_aspp(), "idrnet_aspp_resnet50os8_cityscapes.pth"),
        (idrnet_aspp_cocostuff(), ""),
        (idrnet_aspp_lip(), ""),
        (idrnet_upernet(), ""),
        (idrnet_swin_large(), "idrnet_upernet_swinlarge_ade20k.pth"),
        (idrnet_swin_large_lip(), "idrnet_upernet_swinlarge_lip.pth"),
        (dataclasses.replace(idrnet_upernet_lip(), pyramid=PyramidPlace.BEFORE), ""),
        (dataclasses.replace(idrnet_upernet(), pyramid_width=64, coarse_from_features=True), ""),
        (idrnet_upernet_cocostuff(), ""),
        (idrnet_upernet_lip(), ""),
        (dataclasses.replace(idrnet_upernet(), level_width=48), ""),
        (dataclasses.replace(idrnet_upernet_lip(), pyramid=PyramidPlace.BEFORE, level_width=24), ""),
        (dataclasses.replace(idrnet_fcn(), auxiliary=False), ""),
    ],
)
def test_the_tensors_tell_the_configuration(config: IdrnetConfig, file: str) -> None:
    state = published(config)
    assert is_idrnet(state)
    assert num_classes(state) == K
    backbone = ResNetConfig(pretrained=False)
    assert idrnet_config(state, backbone, file=file) == dataclasses.replace(config, backbone=backbone)
    with torch.device("meta"):
        model = Idrnet(config, K, lambda _: NoBackbone())
    shapes = {name: values.shape for name, values in model.state_dict().items()}
    assert {name: values.shape for name, values in own_state(state).items()} == shapes


class NoSwin(NoBackbone):
    channels = (192, 384, 768, 1536)
    strides = (4, 8, 16, 32)


def test_the_largest_published_network_has_the_published_shapes() -> None:
    config = idrnet_swin_large()
    with torch.device("meta"):
        state = Idrnet(config, 150, lambda _: NoSwin()).state_dict()
    shapes = {published_name(name, config): tuple(values.shape) for name, values in state.items()}
    assert len(shapes) == 535 - 357
    assert shapes["bottleneck.0.weight"] == (512, 1536, 3, 3)
    assert shapes["coarse_context_module.bottleneck.0.weight"] == (1024, 5120, 3, 3)
    assert shapes["decoder_stage1.0.weight"] == (512, 1024, 1, 1)
    assert shapes["decoder_stage2.0.weight"] == (512, 5120, 1, 1)
    assert shapes["auxiliary_decoder.0.weight"] == (512, 768, 3, 3)


def test_the_backbone_keeps_its_names() -> None:
    state = {"backbone_net.layer1.0.conv1.weight": torch.zeros(1), "bottleneck.0.weight": torch.zeros(1)}
    assert list(own_state(state)) == ["backbone.layer1.0.conv1.weight", "context.bottleneck.0.weight"]


def test_other_networks_are_told_apart() -> None:
    assert not is_idrnet({"memory_module.memory": torch.zeros(2, 1, 3)})
    with pytest.raises(KeyError):
        idrnet_config({"bottleneck.0.weight": torch.zeros(4, 4, 3, 3)}, tiny_idrnet().backbone)
