"""Baselines by name."""

from engine.errors import EngineError
from engine.measure.baselines.lane import LaneTool
from engine.measure.baselines.learner import Learner
from engine.measure.robot.tool import Material

BASELINES = ("rf", "sgd")
"""Names of the baselines."""


def make_baseline(name: str, material: Material, *, seed: int, sync: bool = False) -> LaneTool:
    """A baseline as a tool under test.

    Args:
        name: one of ``BASELINES``.
        material: images and classes.
        seed: start of its random choices.
        sync: learn between images only.

    Raises:
        EngineError: there is none of that name, or a package is missing.
    """
    return LaneTool(_learner(name, material, seed), material, sync=sync)


def _learner(name: str, material: Material, seed: int) -> Learner:
    match name:
        case "rf":
            from engine.measure.baselines.forest import ForestLearner

            return ForestLearner(material.classes, seed=seed)
        case "sgd":
            from engine.measure.baselines.forest import LinearLearner

            return LinearLearner(material.classes, seed=seed)
        case _:
            raise EngineError(f"There is no baseline “{name}”.", f"Choose one of: {', '.join(BASELINES)}.")
