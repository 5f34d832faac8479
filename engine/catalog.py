"""Networks and formats that are built in, and those other packages plug in by entry points.

A plug-in package declares an entry point in the group ``maskloop.networks`` (naming a ``ModelSpec``) or
``maskloop.formats`` (naming an exporter, or a class that makes one without arguments). Each is loaded by
itself; a broken one is reported and skipped. Torch-free.
"""

import dataclasses
import functools
import importlib.metadata
from typing import get_args

from engine.errors import ExchangeError
from engine.exchange.base import Exporter
from engine.exchange.coco import CocoExporter
from engine.exchange.png import PngExporter
from models.catalog import MODELS, ModelSpec
from models.configs import LossConfig

# The window draws its forms from these; it may not import `models` itself.
from models.described import ConfigError, FieldDescription, describe
from models.presets import PRESETS, Preset

__all__ = [
    "FORMATS_GROUP",
    "NETWORKS_GROUP",
    "PRESETS",
    "BrokenPlugin",
    "ConfigError",
    "FieldDescription",
    "ModelSpec",
    "Plugins",
    "Preset",
    "broken_plugins",
    "built_in_formats",
    "describe",
    "format_by_name",
    "formats",
    "loss_types",
    "network_types",
    "networks",
    "plugins",
]

NETWORKS_GROUP = "maskloop.networks"
FORMATS_GROUP = "maskloop.formats"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BrokenPlugin:
    """A plug-in that could not be used.

    Attributes:
        group: its entry point group.
        name: its entry point name.
        reason: one sentence for the user.
    """

    group: str
    name: str
    reason: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plugins:
    """What the installed packages add."""

    networks: tuple[ModelSpec, ...]
    formats: tuple[Exporter, ...]
    broken: tuple[BrokenPlugin, ...]


@functools.cache
def plugins() -> Plugins:
    """Load all plug-ins once; safe to call from any thread."""
    found_networks, broken_networks = _load(NETWORKS_GROUP)
    found_formats, broken_formats = _load(FORMATS_GROUP)
    broken = [*broken_networks, *broken_formats]
    networks = {spec.name: spec for spec in MODELS}
    for name, value in found_networks:
        if not isinstance(value, ModelSpec):
            broken.append(_broken(NETWORKS_GROUP, name, "it names no ModelSpec"))
        elif value.name in networks:
            broken.append(_broken(NETWORKS_GROUP, name, f"there is already a network “{value.name}”"))
        else:
            networks[value.name] = value
    formats = {exporter.name: exporter for exporter in built_in_formats()}
    for name, value in found_formats:
        if not isinstance(value, Exporter):
            broken.append(_broken(FORMATS_GROUP, name, "it names no exporter"))
        elif value.name in formats:
            broken.append(_broken(FORMATS_GROUP, name, f"there is already a format “{value.name}”"))
        else:
            formats[value.name] = value
    return Plugins(networks=tuple(networks.values()), formats=tuple(formats.values()), broken=tuple(broken))


def built_in_formats() -> tuple[Exporter, ...]:
    """The formats of this program, in the order the export dialog shows them."""
    return (PngExporter(), CocoExporter())


def networks() -> tuple[ModelSpec, ...]:
    """All networks, built-in ones first."""
    return plugins().networks


def network_types() -> tuple[type, ...]:
    """Configuration types of all networks, in their order."""
    return tuple(dict.fromkeys(spec.config_type for spec in networks()))


def loss_types() -> tuple[type, ...]:
    """Configuration types of all losses."""
    return get_args(LossConfig) or (LossConfig,)


def formats() -> tuple[Exporter, ...]:
    """All export formats, built-in ones first."""
    return plugins().formats


def broken_plugins() -> tuple[BrokenPlugin, ...]:
    """Plug-ins that were skipped, with the reason."""
    return plugins().broken


def format_by_name(name: str) -> Exporter:
    """The exporter with this name.

    Raises:
        ExchangeError: there is none; the hint lists the names.
    """
    for exporter in formats():
        if exporter.name == name:
            return exporter
    known = ", ".join(exporter.name for exporter in formats())
    raise ExchangeError(f"There is no format “{name}”.", hint=f"Choose one of: {known}.")


def _broken(group: str, name: str, reason: str) -> BrokenPlugin:
    return BrokenPlugin(group=group, name=name, reason=f"The plug-in “{name}” was skipped: {reason}.")


def _load(group: str) -> tuple[list[tuple[str, object]], list[BrokenPlugin]]:
    """Load the entry points of one group one by one; classes are called."""
    found: list[tuple[str, object]] = []
    broken: list[BrokenPlugin] = []
    for point in sorted(importlib.metadata.entry_points(group=group), key=lambda point: point.name):
        try:
            value: object = point.load()
            found.append((point.name, value() if isinstance(value, type) else value))
        except Exception as error:  # noqa: BLE001 - a stranger's code; it is reported, not hidden
            broken.append(_broken(group, point.name, f"{type(error).__name__}: {error}"))
    return found, broken
