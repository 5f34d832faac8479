"""``maskloop networks``: networks and backbones, with paper, size and what they can show."""

import argparse
import dataclasses
from enum import Enum
from typing import TYPE_CHECKING, Any

from engine.cli.arguments import positive
from engine.cli.console import complain, say

if TYPE_CHECKING:
    from models.backbone_catalog import BackboneSpec
    from models.catalog import ModelSpec

SUMMARY = "List networks with paper, parameters, views, presets and published trainings, and backbones."
EXAMPLE = "maskloop networks\n  maskloop networks fcn --classes 150\n  maskloop networks resnet"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare options."""
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="networks or backbones to list (default: all)"
    )
    parser.add_argument(
        "--classes", type=positive, default=19, metavar="K", help="classes that parameters are counted for"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the list."""
    from engine.catalog import broken_plugins, networks
    from engine.errors import EngineError
    from models.backbone_catalog import BACKBONES

    specs = networks()
    known = [*(spec.name for spec in specs), *(backbone.name for backbone in BACKBONES)]
    unknown = sorted(set(arguments.names) - set(known))
    if unknown:
        hint = f"Choose one of: {', '.join(dict.fromkeys(known))}."
        raise EngineError(f"There is no network or backbone “{unknown[0]}”.", hint=hint)
    wanted = set(arguments.names or known)
    for spec in specs:
        if spec.name in wanted:
            say("\n".join(_lines(spec, arguments.classes)) + "\n")
    for backbone in BACKBONES:
        if backbone.name in wanted:
            say("\n".join(_backbone_lines(backbone)) + "\n")
    for plugin in broken_plugins():
        complain(plugin.reason)
    return 0


def _lines(spec: "ModelSpec", classes: int) -> list[str]:
    """What is said of one network."""
    from engine.learn.recipes import recipes_for
    from models.presets import PRESETS

    presets = [preset for preset in PRESETS if type(preset.network) is spec.config_type]
    lines = [f"{spec.name}: {spec.title}"]
    if spec.paper:
        lines.append(f"  {spec.paper}")
    lines.append(f"  {_millions(spec.config_type(), spec, classes)} parameters with {classes} classes")
    lines += [f"  shows {title}" for title in _views(spec, classes)]
    lines += [
        f"  preset {preset.name}: {_millions(preset.network, spec, classes)}. {preset.help}"
        for preset in presets
    ]
    trainings = ", ".join(recipe.name for recipe in recipes_for(spec.name))
    if trainings:
        lines.append(f"  published trainings: {trainings}")
    return lines


def _backbone_lines(spec: "BackboneSpec") -> list[str]:
    """What is said of one family of backbones."""
    lines = [f"{spec.name} (backbone): {spec.title}"]
    if spec.paper:
        lines.append(f"  {spec.paper}")
    for title, config in _sizes(spec):
        lines.append(f"  {title}: {_backbone_millions(config)}")
    if spec.package:
        lines.append(f"  needs the package {spec.package}")
    return lines


def _sizes(spec: "BackboneSpec") -> list[tuple[str, object]]:
    """The sizes a family comes in: one configuration for each choice of its depth, size or width."""
    default: Any = spec.default
    for field in dataclasses.fields(default):
        value = getattr(default, field.name)
        if field.name in {"depth", "size", "width"} and isinstance(value, Enum):
            return [
                (f"{field.name} {choice.value}", dataclasses.replace(default, **{field.name: choice}))
                for choice in type(value)
            ]
    return [("as it comes", spec.default)]


def _backbone_millions(config: Any) -> str:
    """Parameters of a backbone, or why it cannot be counted."""
    import torch

    from models.backbone_catalog import BackboneUnavailableError
    from models.backbones.build import build_backbone
    from models.cost import count_parameters, without_weights

    try:
        with torch.device("meta"):
            backbone = build_backbone(without_weights(config))
    except BackboneUnavailableError:
        return "not counted, its package is not installed"
    return f"{count_parameters(backbone) / 1e6:.2f} M parameters"


def _millions(config: object, spec: "ModelSpec", classes: int) -> str:
    """Parameters of a configuration, counted without taking memory."""
    import torch

    from models.build import build_model
    from models.cost import count_parameters, without_weights

    with torch.device("meta"):
        model = build_model(without_weights(config), classes, specs=(spec,))
    return f"{count_parameters(model) / 1e6:.2f} M"


def _views(spec: "ModelSpec", classes: int) -> list[str]:
    """Titles of what the network can show, asked from its smallest form."""
    import torch

    from models.build import build_model

    config: Any = spec.tiny()  # plug-ins are typed by their own packages
    model = build_model(config, classes, seed=0, specs=(spec,)).eval()
    with torch.no_grad():
        output = model(torch.zeros(1, 3, 64, 64), inspect=True)
    return [view.title for view in output.inspection.values()]
