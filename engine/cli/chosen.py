"""What ``--preset``, ``--loss`` and ``--recipe`` of the train verb stand for."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from engine.cli.materials import Material
from engine.cli.networks import without_download
from engine.config import TrainingConfig
from engine.errors import EngineError
from engine.learn.recipe_choice import with_head_rate
from engine.learn.recipes import QUICK, QUICK_CPU, RECIPES
from models.configs import NetworkConfig
from models.loss_configs import AffinityConfig, CrossEntropyConfig, LossConfig, RmiConfig
from models.presets import PRESETS, Preset

LOSSES: dict[str, LossConfig] = {
    "cross-entropy": CrossEntropyConfig(),
    "rmi": RmiConfig(),
    "affinity": AffinityConfig(),
}
"""By the words of `engine.cli.arguments.LOSS_NAMES`."""

_T = TypeVar("_T")
_QUICK = {"quick": QUICK, "quick-cpu": QUICK_CPU}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the options choose.

    Attributes:
        network: of the preset, or None where other options or the project decide.
        loss: the loss, or None where the project decides.
        training: the recipe's training, or the project's.
    """

    network: NetworkConfig | None
    loss: LossConfig | None
    training: TrainingConfig


def choose(arguments: argparse.Namespace, material: Material) -> Choice:
    """The choice of the options; ``--loss`` beats the recipe's loss, which beats the preset's.

    Raises:
        EngineError: there is no preset or recipe of that name.
    """
    network, loss = None, None
    if arguments.preset is not None:
        preset = preset_named(arguments.preset)
        network, loss = preset.network, preset.loss
        network = network if arguments.pretrained else without_download(network)
    training = material.training
    if arguments.recipe in _QUICK:
        training = _QUICK[arguments.recipe]
    elif arguments.recipe is not None:
        recipe = _named(arguments.recipe, {item.name: item for item in RECIPES}, "recipe")
        training, loss = recipe.training(), recipe.loss
        network = None if network is None else with_head_rate(network, recipe)
    if arguments.loss is not None:
        loss = LOSSES[arguments.loss]
    return Choice(network=network, loss=loss, training=training)


def preset_named(name: str, kind: str = "preset") -> Preset:
    """The preset of a name; options that take one call it differently.

    Raises:
        EngineError: there is none; names those there are.
    """
    return _named(name, {item.name: item for item in PRESETS}, kind)


def _named(name: str, known: Mapping[str, _T], kind: str) -> _T:
    if name not in known:
        raise EngineError(f"There is no {kind} “{name}”.", hint=f"Choose one of: {', '.join(known)}.")
    return known[name]
