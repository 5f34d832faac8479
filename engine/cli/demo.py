"""``maskloop demo``: the whole product at work without a window, with a simulated annotator."""

import argparse
import json
from pathlib import Path

from engine.cli.arguments import add_device, add_seed, seconds
from engine.cli.console import Bar, complain, say
from engine.errors import EngineError

SUMMARY = "Show the whole work without a window: a simulated person corrects while a network learns."
EXAMPLE = "maskloop demo --out demo/ --seconds 120"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare options."""
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="new or empty folder for everything"
    )
    parser.add_argument(
        "--seconds",
        type=seconds,
        default=120.0,
        metavar="N",
        help="length of the simulated session (default: 120)",
    )
    add_device(parser)
    add_seed(parser)


def run(arguments: argparse.Namespace) -> int:
    """Make the example, annotate and learn, export, report."""
    folder: Path = arguments.out
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise EngineError(f"“{folder}” is not an empty folder.", hint="Name a new folder with --out.")
    from engine.cli.report import summary, write_report
    from engine.cli.simulation import Simulation
    from engine.config import Device
    from engine.files import atomic_write
    from engine.sample.scenes import SAMPLE_COUNT, write_sample

    images = folder / "images"
    with Bar("Drawing the example", SAMPLE_COUNT) as bar:
        write_sample(images, seed=arguments.seed, progress=lambda done, _total: bar.update(done))
    with Bar("Annotating and learning", round(arguments.seconds)) as bar:
        simulation = Simulation(
            images,
            seconds=arguments.seconds,
            device=Device(arguments.device),
            seed=arguments.seed,
            progress=bar.update,
        )
        outcome = simulation.run(folder / "masks")
    for note in outcome.notes:
        complain(note)
    report = json.dumps(outcome.as_json(), ensure_ascii=False, indent=1) + "\n"
    atomic_write(folder / "report.json", report.encode("utf-8"))
    write_report(folder, outcome)
    say(summary(outcome))
    say(f"Report: {folder / 'report.html'}   project: {images}   masks: {folder / 'masks'}")
    return 0
