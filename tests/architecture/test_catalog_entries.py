"""Every network of the catalog can be found, and every preset belongs to one."""

import dataclasses
import importlib

import pytest

from models.catalog import MODELS, ModelSpec
from models.presets import PRESETS, Preset


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.name)
def test_every_network_resolves_to_its_class(spec: ModelSpec) -> None:
    from models.base import SegmentationModel

    module, _, name = spec.target.partition(":")
    network = getattr(importlib.import_module(module), name)
    assert issubclass(network, SegmentationModel)
    assert dataclasses.is_dataclass(spec.config_type)
    assert spec.title


def test_names_of_networks_and_presets_are_their_own() -> None:
    for names in ([spec.name for spec in MODELS], [preset.name for preset in PRESETS]):
        assert len(set(names)) == len(names) > 0


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_every_preset_is_of_a_network_in_the_catalog(preset: Preset) -> None:
    network = preset.network
    assert type(network) in {spec.config_type for spec in MODELS}
