"""What choosing a published training fills in: network, loss and training (torch-free)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from engine.config import TrainingConfig
from engine.learn.recipes import Recipe
from models.backbone_configs import SwinConfig
from models.catalog import MODELS
from models.configs import LossConfig, NetworkConfig
from models.idrnet_presets import idrnet_fcn_ade20k, idrnet_swin_large, idrnet_swin_large_lip
from models.presets import PRESETS

_SWIN: Final = "idrnet-swin-"
_OWN_NETWORKS: Final = {
    "idrnet-ade20k": idrnet_fcn_ade20k,
    "idrnet-swin-lip": idrnet_swin_large_lip,
}
"""Networks that were published for one data set only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeChoice:
    """A whole published training.

    Attributes:
        network: with the recipe's learning rate of the head, where the network has one.
        loss: of the recipe.
        training: of the recipe, as our trainer does it.
    """

    network: NetworkConfig
    loss: LossConfig
    training: TrainingConfig


def choice_of(recipe: Recipe, shown: NetworkConfig) -> RecipeChoice:
    """Return what a recipe stands for.

    Args:
        recipe: the published training.
        shown: the network chosen so far; it stays if the training was published for its kind.
    """
    network = shown if _is_for(recipe, shown) else _published_network(recipe)
    return RecipeChoice(network=with_head_rate(network, recipe), loss=recipe.loss, training=recipe.training())


def with_head_rate(network: NetworkConfig, recipe: Recipe) -> NetworkConfig:
    """Return a network with a recipe's learning rate of the head; unchanged if it has no such field."""
    if not hasattr(network, "head_rate"):
        return network
    changes: dict[str, Any] = {"head_rate": recipe.head_rate}  # not every network has the field
    return replace(network, **changes)


def _is_for(recipe: Recipe, network: NetworkConfig) -> bool:
    kinds = {spec.config_type for spec in MODELS if spec.name in recipe.networks}
    on_swin = isinstance(getattr(network, "backbone", None), SwinConfig)
    return type(network) in kinds and on_swin == recipe.name.startswith(_SWIN)


def _published_network(recipe: Recipe) -> NetworkConfig:
    """The network of the comparison tables that a training is known for: on ResNet-50 or -101, or Swin-L."""
    own = _OWN_NETWORKS.get(recipe.name)
    if own is not None:
        return own()
    if recipe.name.startswith(_SWIN):
        return idrnet_swin_large()
    name = f"{recipe.networks[0]}-resnet50"
    return next(preset.network for preset in PRESETS if preset.name == name)
