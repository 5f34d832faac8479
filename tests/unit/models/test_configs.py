"""Configurations, presets and the catalog: torch-free, complete, consistent."""

import dataclasses
import subprocess
import sys
from typing import Any, get_args

import pytest

from models import configs
from models.build import build_loss, resolve, spec_of
from models.catalog import MODELS, ModelSpec
from models.configs import CrossEntropyConfig, FcnConfig, NetworkConfig, ResNetConfig, TinyConfig
from models.described import ConfigError, describe
from models.presets import PRESETS, Preset, fcn_resnet18, fcn_resnet50

CONFIGS = [
    value
    for value in vars(configs).values()
    if isinstance(value, type) and dataclasses.is_dataclass(value) and value.__module__ == configs.__name__
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.__name__)
def test_every_field_is_explained_and_every_default_is_valid(config: type) -> None:
    value = config()
    assert hash(value) == hash(config())
    for item in describe(config):
        assert item.help.endswith(".")
        numeric = item.type in (int, float)
        assert not numeric or (item.low is not None and item.high is not None), item.name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, describe(config)[0].name, None)


def test_every_network_configuration_has_one_entry() -> None:
    assert {spec.config_type for spec in MODELS} == set(get_args(NetworkConfig))
    assert len({spec.name for spec in MODELS}) == len(MODELS)
    assert all(spec.title and spec.target.count(":") == 1 for spec in MODELS)
    assert spec_of(FcnConfig()).name == "fcn"


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_presets_are_complete(preset: Preset) -> None:
    assert preset.title
    assert preset.help.endswith(".")
    assert spec_of(preset.network) in MODELS
    assert build_loss(preset.loss).terms


def test_the_first_preset_needs_no_download() -> None:
    assert isinstance(PRESETS[0].network, TinyConfig)
    for preset in (fcn_resnet18(), fcn_resnet50()):
        assert isinstance(preset.backbone, ResNetConfig)
        assert preset.backbone.pretrained


def test_a_wrong_value_never_becomes_a_configuration() -> None:
    with pytest.raises(ConfigError, match="dropout is 2"):
        TinyConfig(dropout=2)
    with pytest.raises(ConfigError, match="weight is -1"):
        CrossEntropyConfig(weight=-1)


def test_an_unknown_network_is_a_lookup_error() -> None:
    with pytest.raises(LookupError, match="CrossEntropyConfig"):
        spec_of(CrossEntropyConfig())


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("models.nowhere:Net", ModuleNotFoundError),
        ("models.base:Nothing", AttributeError),
        ("models.blocks:BatchNorm", TypeError),
        ("models.blocks:resize", TypeError),
    ],
)
def test_a_target_that_is_no_network_is_refused(target: str, error: type[Exception]) -> None:
    def tiny() -> Any:
        return TinyConfig()

    spec = ModelSpec(name="x", title="X", paper="", config_type=TinyConfig, target=target, tiny=tiny)
    with pytest.raises(error):
        resolve(spec)


def test_the_catalog_does_not_import_torch() -> None:
    code = (
        "import sys, models.described, models.configs, models.presets, models.catalog, models.inspection;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
