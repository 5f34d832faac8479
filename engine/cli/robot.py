"""``maskloop robot``: a simulated person annotates images whose masks are known, and the tool is measured."""

import argparse
from pathlib import Path

from engine.cli.arguments import LOSS_NAMES, add_device, natural, positive, seconds, share
from engine.cli.console import Bar, complain, say
from engine.errors import EngineError

SUMMARY = "Measure how fast a simulated person's corrections turn into accuracy, beside other methods."
EXAMPLE = (
    "maskloop robot --images train/images --masks train/masks --test-images val/images\n"
    "      --test-masks val/masks --session 600 --seeds 0-2 --json ours.json\n"
    "  maskloop robot --images train/images --masks train/masks --session S --baseline rf --json rf.json\n"
    "  maskloop robot --compare ours.json rf.json --report comparison.html"
)

BASELINES = ("rf", "sgd", "unet", "lraspp", "deeplabv3")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare options."""
    _add_data(parser.add_argument_group("images"))
    _add_person(parser.add_argument_group("the simulated person"))
    _add_tool(parser.add_argument_group("the tool under test"))
    out = parser.add_argument_group("results")
    out.add_argument(
        "--full-masks",
        type=share,
        metavar="MIOU",
        help="what the same network reaches on whole masks (`maskloop train`, then `evaluate`), 0 … 1: tells "
        "the seconds to 50, 80 and 90 %% of that, too",
    )
    out.add_argument("--json", type=Path, metavar="OUT", help="write all figures there")
    out.add_argument("--report", type=Path, metavar="F.html", help="write a page with curves and tables")
    out.add_argument("--journal", type=Path, metavar="DIR", help="write every action of every seed there")
    out.add_argument(
        "--compare",
        type=Path,
        nargs="+",
        metavar="F.json",
        help="measure nothing: compare earlier results, the first against the others, paired by seed",
    )
    add_device(parser)


def _add_data(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--images", type=Path, metavar="DIR", help="folder to annotate")
    group.add_argument("--masks", type=Path, metavar="DIR", help="its true masks, by name")
    group.add_argument(
        "--classes", type=Path, metavar="F", help="class list of the masks, where it is not beside them"
    )
    group.add_argument(
        "--ignore", type=natural, metavar="ID", help="value of the masks, or class index, that says nothing"
    )
    group.add_argument("--limit", type=positive, metavar="N", help="annotate only the first N images")
    group.add_argument(
        "--test-images",
        type=Path,
        metavar="DIR",
        help="images to measure on (default: the folder's last fifth)",
    )
    group.add_argument("--test-masks", type=Path, metavar="DIR", help="their masks")
    group.add_argument("--test-limit", type=positive, metavar="N", help="measure on N of them, evenly spread")
    group.add_argument(
        "--folder-limit",
        type=natural,
        metavar="N",
        help="measure the masks of N images of the folder, evenly spread, 0: none (default: as --test-limit, "
        "else all)",
    )


def _add_person(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--session",
        default="S",
        metavar="S|M|L|L1800|N",
        help="10 images, 40 images, 600 s, 1800 s, or N seconds of the person's time (default: S)",
    )
    group.add_argument("--until", type=seconds, metavar="N", help="stop after N seconds in any case")
    group.add_argument("--user", choices=("perfect", "careful", "hasty"), default="careful")
    group.add_argument(
        "--gaze", choices=("errors", "blind", "unsure"), default="errors", help="what they look for"
    )
    group.add_argument(
        "--rare-first", action="store_true", help="weigh errors by how rare their class is in the image"
    )
    group.add_argument(
        "--policy",
        choices=("folder", "names", "queue"),
        default="folder",
        help="order of images: folder, shuffled by the seed; names, as they lie; queue, most useful first "
        "(default: folder)",
    )
    group.add_argument(
        "--feedback",
        choices=("corrections", "accept", "replay"),
        default="accept",
        help="what of a prediction becomes a label when an image is left (default: accept)",
    )
    group.add_argument(
        "--accept-regions",
        action="store_true",
        help="accept right regions one by one where an image is not good enough as a whole",
    )
    group.add_argument("--strokes", type=positive, default=12, metavar="K", help="actions per image")
    group.add_argument(
        "--gap", type=seconds, default=1.0, metavar="X", help="multiply the pause between actions (0.5, 2)"
    )
    group.add_argument(
        "--seeds", type=seeds, default=(0,), metavar="A-B", help="seeds, such as 0-4 or 0,3 (default: 0)"
    )
    group.add_argument(
        "--sync",
        action="store_true",
        help="learn between images, --sync-steps in no time, instead of alongside",
    )
    group.add_argument(
        "--sync-steps",
        type=positive,
        default=100,
        metavar="N",
        help="steps of learning after each image, of networks",
    )
    group.add_argument(
        "--measure-at", type=moments, metavar="T,T", help="seconds at which to measure, beside the end"
    )
    group.add_argument(
        "--every-model",
        action="store_true",
        help="measure every newer model too, in no user time: counts all that are worse than the one before",
    )


def _add_tool(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--network", metavar="NAME", help="a preset of `maskloop networks` (default: tiny)")
    group.add_argument(
        "--pretrained",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="start from ImageNet weights",
    )
    group.add_argument("--loss", choices=LOSS_NAMES, help="default: the preset's, or cross-entropy")
    group.add_argument(
        "--loss-set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a choice of --loss, such as class_balance=1; may be repeated",
    )
    group.add_argument("--baseline", choices=BASELINES, help="measure another method instead")
    group.add_argument(
        "--weights", type=Path, metavar="F", help="tensors for lraspp or deeplabv3 to start from"
    )
    group.add_argument(
        "--training",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a training choice, such as crop.recent_share=0.5; may be repeated",
    )
    group.add_argument("--title", metavar="TEXT", help="name in reports")
    group.add_argument("--keep", type=Path, metavar="DIR", help="keep the annotated projects there")


def seeds(text: str) -> tuple[int, ...]:
    """Seeds from ``0-4`` or ``0,2,5``; anything else is misuse."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(natural(first), natural(last or first) + 1)
    if not found:
        raise argparse.ArgumentTypeError(f"{text} names no seed")
    return tuple(dict.fromkeys(found))


def moments(text: str) -> tuple[float, ...]:
    """Seconds from ``60,180``; anything else is misuse."""
    return tuple(seconds(part) for part in text.split(","))


def run(arguments: argparse.Namespace) -> int:
    """Work through the seeds, or compare earlier results."""
    if arguments.compare is not None:
        from engine.cli.robot_compare import compare_files

        return compare_files(arguments.compare, arguments.report)
    if arguments.images is None or arguments.masks is None:
        complain("Name --images and --masks, or --compare earlier results.")
        return 2
    if (arguments.test_images is None) != (arguments.test_masks is None):
        complain("Name --test-images and --test-masks together.")
        return 2
    _check(arguments)
    from engine.cli.robot_compare import print_summary, write_page
    from engine.cli.robot_files import Outcome, write_results
    from engine.cli.robot_runs import run_seeds
    from engine.files import check_can_write

    for path in filter(None, (arguments.json, arguments.report)):
        check_can_write(path)

    def keep(so_far: Outcome) -> None:
        if arguments.json is not None:
            write_results(arguments.json, so_far)

    outcome = run_seeds(arguments, Bar, keep)
    print_summary([outcome])
    if arguments.report is not None:
        write_page(arguments.report, [outcome])
        say(f"Report: {arguments.report}")
    return 0


def _check(arguments: argparse.Namespace) -> None:
    if arguments.baseline is not None and (arguments.network or arguments.training or arguments.loss):
        raise EngineError(
            "--baseline measures another method.",
            hint="Leave out --network, --training and --loss, or --baseline.",
        )
    if arguments.loss_set and arguments.loss is None:
        raise EngineError("--loss-set changes a loss.", hint="Name the loss with --loss.")
    if arguments.weights is not None and arguments.baseline not in ("lraspp", "deeplabv3"):
        raise EngineError("--weights belongs to --baseline lraspp or deeplabv3.", hint="Leave it out.")
