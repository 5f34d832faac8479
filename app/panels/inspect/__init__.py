"""INSPECT: what goes on inside the network at the image on screen, one file per tab, all on one cursor."""

from app.panels.inspect.panel import InspectPanel
from app.panels.inspect.probe import Laid, Probe

__all__ = ["InspectPanel", "Laid", "Probe"]
