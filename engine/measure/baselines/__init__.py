"""Other methods behind the robot's interface, made of ordinary packages."""

from engine.measure.baselines.choice import BASELINES, make_baseline

__all__ = ["BASELINES", "make_baseline"]
