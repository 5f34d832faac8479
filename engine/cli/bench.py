"""``maskloop bench``: parameters, operations, time and memory, beside what was published."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli.arguments import add_device, natural, positive
from engine.cli.console import complain, say

if TYPE_CHECKING:
    from engine.learn.device import ResolvedDevice
    from engine.measure.bench import Measured

SUMMARY = "Measure context modules, networks, losses or training steps on this computer."
EXAMPLE = (
    "maskloop bench modules --out tables/\n"
    "  maskloop bench networks --count-only\n"
    "  maskloop bench losses --classes 150 --edge 256\n"
    "  maskloop bench steps --preset idrnet-resnet50 --device cuda"
)

_TABLES = ("modules", "networks", "losses", "steps")
_EDGES = {
    "modules": {"cpu": 32, "other": 128},
    "networks": {"cpu": 256, "other": 1024},
    "losses": {"cpu": 256, "other": 512},
    "steps": {"cpu": 192, "other": 512},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare options."""
    parser.add_argument(
        "table",
        choices=_TABLES,
        metavar="TABLE",
        help="modules, networks or losses, beside published figures; steps of training in several settings, "
        "beside plain ones",
    )
    parser.add_argument(
        "--count-only", action="store_true", help="parameters and operations only; takes seconds anywhere"
    )
    parser.add_argument(
        "--edge",
        type=positive,
        metavar="N",
        help="edge of what is timed: features of modules (default: 128 as published, 32 on a processor), "
        "height of images of networks, twice as wide (1024; 256), crops of "
        "losses (512; 256), of steps (512; 192)",
    )
    parser.add_argument(
        "--classes", type=positive, default=19, metavar="K", help="classes of losses and steps (default: 19)"
    )
    parser.add_argument(
        "--preset", default="tiny", metavar="NAME", help="network and loss of the steps (default: tiny)"
    )
    parser.add_argument("--batch", type=positive, default=6, metavar="N", help="crops of a step (default: 6)")
    parser.add_argument(
        "--compiled", action="store_true", help="steps of compiled networks as well, which takes minutes"
    )
    parser.add_argument("--runs", type=positive, default=5, metavar="N", help="timed runs of each row")
    parser.add_argument("--threads", type=natural, default=0, metavar="N", help="processor threads; 0: all")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder for the table as text, CSV and picture"
    )
    add_device(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure, print the table, write it where asked to."""
    from engine.config import Device
    from engine.files import check_can_write
    from engine.learn.device import limit_threads, resolve_device
    from engine.measure.bench_table import as_text

    if arguments.out is not None:
        check_can_write(arguments.out / f"bench-{arguments.table}.txt")
    if arguments.threads:
        limit_threads(arguments.threads)
    device = resolve_device(Device(arguments.device))
    if device.notice:
        complain(device.notice)
    rows = []
    for row in _rows(arguments, device):
        rows.append(row)
        complain(f"{row.title}: {row.note or 'done'}")
    title = _title(arguments, device)
    say(title)
    say(as_text(rows))
    if arguments.out is not None:
        _write(arguments.out / f"bench-{arguments.table}", title, rows)
        say(f"Written: {arguments.out / f'bench-{arguments.table}'}.txt, .csv, .png")
    return 0


def _edge(arguments: argparse.Namespace, device: "ResolvedDevice") -> int:
    kind = "cpu" if device.device.type == "cpu" else "other"
    return int(arguments.edge or _EDGES[arguments.table][kind])


def _rows(arguments: argparse.Namespace, device: "ResolvedDevice") -> "Iterator[Measured]":
    from engine.cli.chosen import preset_named
    from engine.learn.bench_steps import bench_steps
    from engine.measure.bench import bench_losses, bench_modules, bench_networks
    from models.cost import without_weights

    edge = 0 if arguments.count_only else _edge(arguments, device)
    match arguments.table:
        case "modules":
            return bench_modules(device.device, edge=edge, runs=arguments.runs)
        case "networks":
            return bench_networks(device.device, size=(edge, 2 * edge), runs=arguments.runs)
        case "steps":
            preset = preset_named(arguments.preset)
            return bench_steps(
                without_weights(preset.network),
                preset.loss,
                device.device,
                batch=arguments.batch,
                edge=_edge(arguments, device),
                classes=arguments.classes,
                runs=arguments.runs,
                compiled=arguments.compiled,
            )
        case _:
            edge = _edge(arguments, device)
            return bench_losses(device.device, classes=arguments.classes, edge=edge, runs=arguments.runs)


def _title(arguments: argparse.Namespace, device: "ResolvedDevice") -> str:
    """What was measured where, for the head of the table."""
    edge = _edge(arguments, device)
    timed = {
        "modules": f"timed on 1 x 2048 x {edge} x {edge}; counted on 128 x 128",
        "networks": f"timed on {edge} x {2 * edge}; counted on 1025 x 2049",
        "steps": f"{arguments.preset}, {arguments.batch} x 3 x {edge} x {edge}, {arguments.classes} classes",
        "losses": f"forward and backward, 2 x {arguments.classes} x {edge} x {edge}",
    }[arguments.table]
    if arguments.count_only and arguments.table in ("modules", "networks"):
        timed = timed.partition("; ")[2]
    return f"{arguments.table.capitalize()} on {device.title}, {timed}"


def _write(path: Path, title: str, rows: "list[Measured]") -> None:
    from engine.exchange.png import encode_rgb
    from engine.files import atomic_write
    from engine.measure.bench_table import as_csv, as_text, draw_table

    atomic_write(path.with_suffix(".txt"), f"{title}\n\n{as_text(rows)}\n".encode())
    atomic_write(path.with_suffix(".csv"), as_csv(rows).encode())
    atomic_write(path.with_suffix(".png"), encode_rgb(draw_table(rows, title)))
