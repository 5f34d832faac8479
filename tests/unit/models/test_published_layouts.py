"""Files of exactly the published layout, written from its description, and the networks that read them."""

import pytest
import torch

from models.backbone_configs import (
    BackboneConfig,
    HrNetConfig,
    HrNetWidth,
    ResNestConfig,
    ResNestDepth,
    VitConfig,
)
from models.build import build_model
from models.memory_configs import McibiConfig
from models.released.published import read_published
from tests.support.layouts import LAYOUTS, STAGES, layout, mcibi
from tests.support.published import published_names

MADE_HERE = {"memory.draws"}
"""MCIBI++'s normal vectors, which the authors draw anew in every pass."""


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_file_of_the_published_layout_finds_its_network_without_rest(name: str) -> None:
    make, (entries, elements) = LAYOUTS[name]
    state = make()
    assert len(state) == entries
    assert sum(values.numel() for values in state.values()) == elements

    found = read_published({f"module.{key}": values for key, values in state.items()}, file=f"{name}.pth")
    assert found.num_classes == (19 if "cityscapes" in name else 150)
    with torch.device("meta"):
        own = build_model(found.network, found.num_classes).state_dict()
    shapes = {key: values.shape for key, values in own.items() if key not in MADE_HERE}
    assert {key: values.shape for key, values in found.state.items() if key not in MADE_HERE} == shapes
    # Every tensor of the file is used, or computed here (the offsets that Swin stores).
    used = {found.names[key] for key in shapes}
    assert used.isdisjoint(found.left_out)
    assert used | set(found.left_out) == set(state)
    assert all("relative_position_index" in key for key in found.left_out)


@pytest.mark.parametrize(
    ("backbone", "channels", "package"),
    [
        (ResNestConfig(depth=ResNestDepth.RESNEST101), STAGES, "timm"),
        (HrNetConfig(width=HrNetWidth.W48, stem_activation=False), (720,) * 4, "timm"),
        (VitConfig(positions=32, pretrained=False), (1024,) * 4, "torch"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_backbone_of_mcibis_files_has_a_home(
    backbone: BackboneConfig, channels: tuple[int, ...], package: str
) -> None:
    pytest.importorskip(package, reason="the backbone is built by this optional package")
    supervised = isinstance(backbone, ResNestConfig)
    state = layout(mcibi(channels, 150, auxiliary=supervised))
    state |= {f"backbone_net.{name}": values for name, values in published_names(backbone).items()}
    found = read_published(state, file="mcibi_deeplabv3_other_cocostuff10k.pth")
    assert isinstance(found.network, McibiConfig)
    assert found.network.backbone == backbone
    assert found.network.auxiliary is supervised
    with torch.device("meta"):
        own = build_model(found.network, 150).state_dict()
    assert {key: values.shape for key, values in found.state.items()} == {
        key: values.shape for key, values in own.items()
    }
    assert found.left_out == ()
