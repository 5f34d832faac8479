"""From configurations to networks and losses."""

import importlib
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, assert_never

import torch

from models.backbones.base import Backbone
from models.backbones.build import build_backbone
from models.backbones.pretrained import Notice, Progress
from models.base import SegmentationModel
from models.catalog import MODELS, ModelSpec
from models.configs import BackboneConfig, NetworkConfig
from models.loss_configs import AffinityConfig, CrossEntropyConfig, LossConfig, RmiConfig
from models.losses.affinity import AffinityField
from models.losses.cross_entropy import CrossEntropy
from models.losses.rmi import Rmi
from models.losses.total import TotalLoss, WeightedLoss


def resolve(spec: ModelSpec) -> type[SegmentationModel[Any]]:
    """Imports the class a catalog entry names.

    Raises:
        ImportError, AttributeError: module or class does not exist.
        TypeError: it is no `SegmentationModel`.
    """
    module, _, name = spec.target.partition(":")
    found = getattr(importlib.import_module(module), name)
    if not (isinstance(found, type) and issubclass(found, SegmentationModel)):
        raise TypeError(f"{spec.target} is no SegmentationModel")
    return found


def spec_of(config: object, specs: Sequence[ModelSpec] = MODELS) -> ModelSpec:
    """Returns the catalog entry that a network configuration belongs to.

    Raises:
        LookupError: none of the entries has this type of configuration.
    """
    for spec in specs:
        if type(config) is spec.config_type:
            return spec
    raise LookupError(f"no network is configured by {type(config).__name__}")


def build_model(
    config: NetworkConfig,
    num_classes: int,
    *,
    seed: int | None = None,
    progress: Progress | None = None,
    notice: Notice | None = None,
    specs: Sequence[ModelSpec] = MODELS,
) -> SegmentationModel[Any]:
    """Returns the network a configuration describes, on the CPU, in training mode.

    Args:
        config: which network.
        num_classes: K, channels of the logits, at least 1.
        seed: makes the initial weights repeatable and leaves torch's random state alone; None draws from
            that state.
        progress: called with bytes done and bytes in total while pretrained weights are downloaded.
        notice: called with one sentence if pretrained weights cannot be had; the backbone then starts
            untrained.
        specs: the networks to choose from, plugins included.

    Raises:
        LookupError: no entry of `specs` has this type of configuration.
    """

    def make_backbone(backbone: BackboneConfig) -> Backbone:
        return build_backbone(backbone, progress=progress, notice=notice)

    network = resolve(spec_of(config, specs))
    # The constructor's signature is a convention of the contract that a type of class cannot express.
    construct: Any = network
    with torch.random.fork_rng(devices=[]) if seed is not None else nullcontext():
        if seed is not None:
            torch.manual_seed(seed)
        model: SegmentationModel[Any] = construct(config, num_classes, make_backbone)
    return model


def build_loss(config: LossConfig) -> TotalLoss:
    """Returns the loss a configuration describes.

    Weights of classes hold for channels until `TotalLoss.set_classes` says which class is which.
    """
    match config:
        case CrossEntropyConfig():
            return _cross_entropy(config)
        case RmiConfig():
            return TotalLoss(
                terms=(WeightedLoss(name="rmi", weight=1.0, loss=Rmi(config)),),
                auxiliary=_auxiliary(config.auxiliary_weight, CrossEntropy()),
            )
        case AffinityConfig():
            return TotalLoss(
                terms=(WeightedLoss(name="affinity", weight=1.0, loss=AffinityField(config)),),
                auxiliary=_auxiliary(config.auxiliary_weight, CrossEntropy()),
            )
        case _ as never:
            assert_never(never)


def _cross_entropy(config: CrossEntropyConfig) -> TotalLoss:
    loss = CrossEntropy(config.label_smoothing, config.class_balance, config.class_weights or None)
    return TotalLoss(
        terms=(WeightedLoss(name="cross-entropy", weight=config.weight, loss=loss),),
        auxiliary=_auxiliary(config.auxiliary_weight, loss),
    )


def _auxiliary(weight: float, loss: CrossEntropy) -> WeightedLoss:
    return WeightedLoss(name="auxiliary", weight=weight, loss=loss)
