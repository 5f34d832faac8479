"""Loss configurations in manifests: every kind comes back, and those written before there were several."""

import json
from pathlib import Path
from typing import get_args

import pytest

from engine.codec import decode, dumps, encode, loads
from engine.project.manifest import Manifest, encode_manifest, read_manifest
from models.loss_configs import (
    AffinityConfig,
    Balance,
    CrossEntropyConfig,
    LossConfig,
    PixelForm,
    Pooling,
    RmiConfig,
)

RMI = RmiConfig(
    region=5, pooling=Pooling.MAXIMUM, form=PixelForm.SOFTMAX, balance=Balance.ADDITIVE, share=2.0
)


@pytest.mark.parametrize("loss", [*(kind() for kind in get_args(LossConfig)), RMI])
def test_every_loss_comes_back_from_a_manifest(loss: LossConfig, tmp_path: Path) -> None:
    assert loads(LossConfig, dumps(loss)) == loss
    manifest = Manifest(loss=loss)
    path = tmp_path / "project.json"
    path.write_bytes(encode_manifest(manifest))
    assert read_manifest(path) == manifest


def test_an_old_manifest_knows_one_loss_and_names_it(tmp_path: Path) -> None:
    """What the first version wrote: the field was no union then, but its kind was always there."""
    data = json.loads(encode_manifest(Manifest()))
    data["loss"] = {
        "kind": "CrossEntropyConfig",
        "weight": 1.0,
        "auxiliary_weight": 0.4,
        "label_smoothing": 0.0,
        "class_balance": 0.5,
    }
    path = tmp_path / "project.json"
    path.write_text(json.dumps(data))
    assert read_manifest(path).loss == CrossEntropyConfig(class_balance=0.5)


def test_fields_added_to_the_training_have_defaults(tmp_path: Path) -> None:
    data = json.loads(encode_manifest(Manifest()))
    for name in ("repeats", "floor_way", "warmup_start", "decay_after_warmup", "decay_everything"):
        del data["training"]["optimizer"][name]
    path = tmp_path / "project.json"
    path.write_text(json.dumps(data))
    assert read_manifest(path) == Manifest()


def test_only_a_known_loss_is_read() -> None:
    data = encode(AffinityConfig())
    assert isinstance(data, dict)
    assert decode(LossConfig, data) == AffinityConfig()
    with pytest.raises(Exception, match="is not one of"):
        decode(LossConfig, data | {"kind": "GuessConfig"})
