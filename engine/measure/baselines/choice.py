"""Baselines by name."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine.errors import EngineError
from engine.measure.baselines.lane import LaneTool
from engine.measure.baselines.learner import Learner
from engine.measure.robot.tool import Material

if TYPE_CHECKING:
    from torch import Tensor

Weights = Mapping[str, "Tensor"]

BASELINES = ("rf", "sgd", "unet", "lraspp", "deeplabv3")
"""Names of the baselines."""


def make_baseline(
    name: str,
    material: Material,
    *,
    seed: int,
    sync_steps: int | None = None,
    weights: Weights | None = None,
) -> LaneTool:
    """A baseline as a tool under test.

    Args:
        name: one of ``BASELINES``.
        material: images and classes.
        seed: start of its random choices.
        sync_steps: learn between images only, networks so many steps; ``None``: alongside.
        weights: tensors to start from, by name, for networks.

    Raises:
        EngineError: there is none of that name, or a package is missing.
    """
    learner = _learner(name, material, seed, sync_steps, weights)
    return LaneTool(learner, material, sync=sync_steps is not None)


def _learner(
    name: str, material: Material, seed: int, sync_steps: int | None, weights: Weights | None
) -> Learner:
    match name:
        case "rf":
            from engine.measure.baselines.forest import ForestLearner

            return ForestLearner(material.classes, seed=seed)
        case "sgd":
            from engine.measure.baselines.forest import LinearLearner

            return LinearLearner(material.classes, seed=seed)
        case "unet" | "lraspp" | "deeplabv3":
            from engine.measure.baselines import networks

            recipes = {
                "unet": networks.unet_recipe,
                "lraspp": networks.lraspp_recipe,
                "deeplabv3": networks.deeplab_recipe,
            }
            recipe = recipes[name]()
            if sync_steps is not None:
                recipe = dataclasses.replace(recipe, sync_steps=sync_steps)
            return networks.NetworkLearner(recipe, material.classes, seed=seed, weights=weights)
        case _:
            raise EngineError(f"There is no baseline “{name}”.", f"Choose one of: {', '.join(BASELINES)}.")
