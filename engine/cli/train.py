"""``maskloop train``: training without a window, from a project or from images with masks."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli.arguments import LOSS_NAMES, add_device, natural, positive, seconds
from engine.cli.console import complain, say
from engine.config import Compiling
from engine.errors import EngineError

if TYPE_CHECKING:
    from engine.cli.materials import Material
    from engine.config import TrainingConfig
    from engine.learn.ranks import Rank
    from models.configs import NetworkConfig

SUMMARY = "Train a network on a project's annotations, or on images with masks."
EXAMPLE = (
    "maskloop train photos/ --seconds 600\n"
    "  maskloop train data/train --network fcn --backbone resnet18 --out fcn.pt"
)

BACKBONES = ("tiny", "resnet18", "resnet34", "resnet50", "resnet101")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare options."""
    parser.add_argument(
        "folder",
        type=Path,
        metavar="FOLDER",
        help="folder of images with a project, or one that holds images/ and masks/ "
        "(a val/ of the same form beside it is measured on)",
    )
    _add_data(parser.add_argument_group("images with masks"))
    _add_network(parser.add_argument_group("network and training"))
    _add_long_run(parser.add_argument_group("long runs"))
    add_device(parser)


def _add_data(data: "argparse._ArgumentGroup") -> None:
    data.add_argument("--masks", type=Path, metavar="DIR", help="masks of FOLDER's images, by name")
    data.add_argument(
        "--classes", type=Path, metavar="F", help="class list of the masks, where it is not beside them"
    )
    data.add_argument("--val-images", type=Path, metavar="DIR", help="images to measure on")
    data.add_argument("--val-masks", type=Path, metavar="DIR", help="their masks")


def _add_network(network: "argparse._ArgumentGroup") -> None:
    network.add_argument(
        "--preset", metavar="NAME", help="network and loss that go together; `maskloop networks` lists them"
    )
    network.add_argument("--network", choices=("tiny", "fcn"), help="default: the project's, or tiny")
    network.add_argument("--backbone", choices=BACKBONES, help="backbone of fcn (default: resnet18)")
    network.add_argument(
        "--pretrained",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="start from ImageNet weights",
    )
    network.add_argument(
        "--loss", choices=LOSS_NAMES, help="default: the preset's or project's, or cross-entropy"
    )
    network.add_argument(
        "--recipe",
        metavar="NAME",
        help="a paper's training, such as idrnet-ade20k, at its length unless --seconds or --steps say "
        "otherwise; or quick and quick-cpu, for a few images",
    )
    network.add_argument(
        "--start-from", type=Path, metavar="F", help="checkpoint to continue from, matched by class name"
    )
    network.add_argument("--seconds", type=seconds, metavar="N", help="stop after N seconds (default: 300)")
    network.add_argument("--steps", type=positive, metavar="N", help="stop after N steps")
    network.add_argument("--batch", type=positive, metavar="N", help="windows per step")
    network.add_argument("--crop", type=positive, metavar="PX", help="edge of a window")
    network.add_argument("--learning-rate", type=float, metavar="X", help="largest step width")
    network.add_argument("--evaluate-every", type=seconds, metavar="N", help="seconds between measurements")
    network.add_argument("--seed", type=natural, default=0, metavar="S", help="start of all random choices")
    network.add_argument(
        "--out", type=Path, metavar="F", help="checkpoint to write (default: in the project, or trained.pt)"
    )


def _add_long_run(longer: "argparse._ArgumentGroup") -> None:
    longer.add_argument(
        "--save-every",
        type=seconds,
        default=600.0,
        metavar="N",
        help="seconds between two states of the run kept beside the checkpoint (default: 600)",
    )
    longer.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run of the same --out that was interrupted; under torchrun that happens by "
        "itself after one of the processes has died",
    )
    longer.add_argument(
        "--compile",
        choices=tuple(kind.value for kind in Compiling),
        help="translate the network first, which takes minutes: code, or on a graphics card graphs; "
        "`maskloop bench steps --compiled` tells what that gains here",
    )
    longer.add_argument(
        "--tensorboard",
        type=Path,
        metavar="DIR",
        help="write curves there for TensorBoard (needs the package tensorboard)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Train, print the curve, write the checkpoint; under torchrun as one of several processes."""
    from engine.cli.console import silent
    from engine.config import Device
    from engine.learn.distributed import has_cards, joined
    from engine.learn.ranks import current_rank

    _check(arguments)
    rank = current_rank()
    with (
        silent(not rank.is_first),
        joined(rank, on_cuda=has_cards(Device(arguments.device), rank.local_count)),
    ):
        _train(arguments, rank)
    return 0


def _train(arguments: argparse.Namespace, rank: "Rank") -> None:
    from engine.cli.chosen import choose
    from engine.cli.clock import Limits
    from engine.cli.materials import open_material
    from engine.cli.training_run import TrainingRun
    from engine.config import Device
    from engine.files import check_can_write
    from engine.learn.scalars import Scalars

    if arguments.out is not None and rank.is_first:
        check_can_write(arguments.out)
    scalars = Scalars(arguments.tensorboard) if arguments.tensorboard and rank.is_first else None
    with open_material(arguments) as material:
        choice = choose(arguments, material)
        network = choice.network or _network(arguments, material)
        config = _config(arguments, choice.training)
        run_ = TrainingRun(
            material,
            network,
            config,
            Device(arguments.device),
            loss=choice.loss,
            rank=rank,
            compiling=Compiling(arguments.compile) if arguments.compile else None,
        )
        steps = arguments.steps or (None if arguments.seconds else config.max_steps)
        limits = Limits(seconds=arguments.seconds if arguments.seconds or steps else 300.0, steps=steps)
        running = run_.running(arguments.out)
        resumed = running.read() if arguments.resume or rank.restarts else None
        if resumed is not None:
            run_.resume(resumed, limits)
        else:
            run_.forget(running)
            if arguments.start_from is not None:
                run_.continue_from(arguments.start_from)
        for note in run_.notes:
            complain(note)
        say(material.summary)
        run_.train(limits, running=running, save_every_s=arguments.save_every, scalars=scalars)
        say(f"Checkpoint: {run_.save(arguments.out)}")
        run_.forget(running)


def _check(arguments: argparse.Namespace) -> None:
    """Options that only make sense together.

    Raises:
        EngineError: one of a pair is missing.
    """
    if (arguments.val_images is None) != (arguments.val_masks is None):
        raise EngineError("--val-images and --val-masks belong together.", hint="Give both or none.")
    if arguments.backbone not in (None, "tiny") and arguments.network == "tiny":
        raise EngineError("The network “tiny” has its own backbone.", hint="Choose --network fcn.")
    if arguments.preset and (arguments.network or arguments.backbone):
        raise EngineError("A preset names its network.", hint="Leave out --network and --backbone.")


def _network(arguments: argparse.Namespace, material: "Material") -> "NetworkConfig":
    """The network the options describe; without any, the project's own."""
    import dataclasses

    from engine.cli.networks import without_download
    from models.configs import FcnConfig, ResNetConfig, ResNetDepth
    from models.presets import fcn_resnet18, tiny, tiny_fcn

    backbone = arguments.backbone or "resnet18"
    if arguments.network is None and arguments.backbone is None:
        chosen: NetworkConfig = material.network or tiny()
    elif arguments.network == "tiny":
        chosen = tiny()
    elif backbone == "tiny":
        chosen = tiny_fcn()
    else:
        width = fcn_resnet18().width if backbone in ("resnet18", "resnet34") else FcnConfig().width
        depth = ResNetDepth[backbone.upper()]
        chosen = dataclasses.replace(fcn_resnet18(), backbone=ResNetConfig(depth=depth), width=width)
    return chosen if arguments.pretrained else without_download(chosen)


def _config(arguments: argparse.Namespace, config: "TrainingConfig") -> "TrainingConfig":
    """Training choices with the options laid over."""
    import dataclasses

    from models.described import ConfigError

    try:
        crop = dataclasses.replace(config.crop, size=arguments.crop or config.crop.size)
        optimizer = dataclasses.replace(
            config.optimizer, learning_rate=arguments.learning_rate or config.optimizer.learning_rate
        )
        return dataclasses.replace(
            config,
            crop=crop,
            optimizer=optimizer,
            batch_size=arguments.batch or config.batch_size,
            evaluate_every_s=arguments.evaluate_every or config.evaluate_every_s,
            seed=arguments.seed,
        )
    except ConfigError as error:
        raise EngineError(f"{error}.", hint="Choose a value within the bounds.") from error
