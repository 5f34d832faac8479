"""``maskloop networks``: what there is to choose from, with paper, size and what it can show."""

import argparse
from typing import TYPE_CHECKING, Any

from engine.cli.arguments import positive
from engine.cli.console import complain, say

if TYPE_CHECKING:
    from models.catalog import ModelSpec

SUMMARY = "List the networks with paper, parameters, what they can show, presets and published trainings."
EXAMPLE = "maskloop networks\n  maskloop networks fcn --classes 150"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare options."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="networks to list (default: all)")
    parser.add_argument(
        "--classes", type=positive, default=19, metavar="K", help="classes that parameters are counted for"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the list."""
    from engine.catalog import broken_plugins, networks
    from engine.errors import EngineError

    specs = networks()
    unknown = sorted(set(arguments.names) - {spec.name for spec in specs})
    if unknown:
        known = ", ".join(spec.name for spec in specs)
        raise EngineError(f"There is no network “{unknown[0]}”.", hint=f"Choose one of: {known}.")
    for spec in specs:
        if not arguments.names or spec.name in arguments.names:
            say("\n".join(_lines(spec, arguments.classes)) + "\n")
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
