"""``maskloop evaluate``: how well a trained network agrees with given masks."""

import argparse
import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli.arguments import add_checkpoint, add_device, positive
from engine.cli.console import Bar, complain, complain_about, say
from engine.errors import EngineError, ExchangeError, ImageError

if TYPE_CHECKING:
    from engine.cli.networks import LoadedNetwork
    from engine.exchange.mask_import import ImportPreview
    from engine.learn.evaluator import EvaluationResult, EvaluationSample

SUMMARY = "Measure a trained network on images with masks."
EXAMPLE = "maskloop evaluate --checkpoint trained.pt --images val/images --masks val/masks --json scores.json"

_SHOWN = (
    ("Pixel accuracy", "pixel_accuracy"),
    ("Weighted by frequency", "frequency_weighted_iou"),
    ("Outlines (boundary F)", "boundary_f"),
    ("Calibration error", "calibration_error"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare options."""
    add_checkpoint(parser)
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="folder of images")
    parser.add_argument(
        "--masks", type=Path, required=True, metavar="DIR", help="folder of masks with the same names"
    )
    parser.add_argument(
        "--classes", type=Path, metavar="F", help="class list of the masks, where it is not beside them"
    )
    parser.add_argument("--json", type=Path, metavar="F", help="write all figures there")
    parser.add_argument(
        "--confusion",
        type=Path,
        metavar="DIR",
        help="write the confusion matrix there, as confusion.csv and confusion.png",
    )
    parser.add_argument(
        "--crf",
        type=positive,
        metavar="N",
        help="for comparison: also measure what N rounds of a dense CRF make of every prediction (slow)",
    )
    add_device(parser)


def run(arguments: argparse.Namespace) -> int:
    """Predict every image that has a mask, and compare.

    Images that cannot be read are named and skipped, and the exit code is then 1.
    """
    from engine.cli.masks import preview_masks, tell_left_out
    from engine.cli.networks import load_network
    from engine.config import Device
    from engine.files import atomic_write, check_can_write
    from engine.learn.evaluator import evaluate

    if arguments.json is not None:
        check_can_write(arguments.json)
    if arguments.confusion is not None:
        check_can_write(arguments.confusion / "confusion.csv")
    network = load_network(arguments.checkpoint, Device(arguments.device), complain)
    preview = preview_masks(arguments.images, arguments.masks, network.classes, arguments.classes)
    tell_left_out(preview)
    start = time.perf_counter()
    failed: list[EngineError] = []
    with Bar("Evaluating", len(preview.matched)) as bar:
        samples = _samples(arguments.images, preview, failed.append)
        result = evaluate(network.predictor, samples, preview.classes, progress=bar.update, detailed=True)
    seconds = time.perf_counter() - start
    for error in failed:
        complain_about(error)
    if not result.pixels:
        raise ExchangeError(
            f"Nothing was measured: no pixel of the masks in “{arguments.masks}” has a class of the network.",
            hint="Check --classes, and that the masks belong to these images.",
        )
    scores = {**figures(result, preview.classes.names), "step": network.about.step}
    say(table(result.iou_per_class))
    say(f"{'mIoU':<24} {_percent(result.miou)}   {result.images} images, {result.pixels:,} pixels")
    for title, key in _SHOWN:
        say(f"{title:<24} {_percent(scores[key])}")
    if arguments.crf is not None:
        scores["crf"] = _with_crf(arguments, network, preview, seconds)
    if arguments.confusion is not None:
        _write_confusion(arguments.confusion, result, preview.classes.names)
    if arguments.json is not None:
        atomic_write(
            arguments.json, (json.dumps(scores, ensure_ascii=False, indent=1) + "\n").encode("utf-8")
        )
    return 1 if failed else 0


def _with_crf(
    arguments: argparse.Namespace, network: "LoadedNetwork", preview: "ImportPreview", seconds: float
) -> dict[str, Any]:
    """Measure once more with a dense CRF after the network; print the row, return its figures."""
    from engine.learn.evaluator import evaluate
    from engine.measure.dense_crf import CrfConfig, refined

    config = CrfConfig(iterations=arguments.crf)
    predictor = network.predictor.refined_by(
        lambda image, probabilities, _box: refined(image, probabilities, config)
    )
    start = time.perf_counter()
    with Bar("With a dense CRF", len(preview.matched)) as bar:
        samples = _samples(arguments.images, preview, lambda _: None)  # named before
        result = evaluate(predictor, samples, preview.classes, progress=bar.update, detailed=True)
    own = time.perf_counter() - start
    images = max(1, result.images)
    say(
        f"{f'mIoU, dense CRF, {arguments.crf}':<24} {_percent(result.miou)}   "
        f"{own / images:.2f} s an image instead of {seconds / images:.2f}"
    )
    return {
        "iterations": arguments.crf,
        **figures(result, preview.classes.names),
        "seconds_per_image": own / images,
        "seconds_per_image_without": seconds / images,
    }


def figures(result: "EvaluationResult", names: Sequence[str]) -> dict[str, Any]:
    """Every figure of a detailed evaluation by its name in ``--json``; ``None`` where nothing was counted.

    Args:
        result: from ``evaluate(…, detailed=True)``.
        names: of the classes, in channel order.
    """
    agreement = result.agreement
    found: dict[str, Any] = {
        "miou": result.miou,
        "iou_per_class": dict(result.iou_per_class),
        "pixel_accuracy": result.pixel_accuracy,
        "frequency_weighted_iou": agreement.matrix.frequency_weighted_iou(),
        "images": result.images,
        "pixels": result.pixels,
        "confusion": {
            "classes": list(names),
            "counts": agreement.matrix.counts.tolist(),
            "no_class": agreement.matrix.missed.tolist(),
        },
    }
    if agreement.boundary is not None:
        found |= {
            "boundary_f": agreement.boundary.mean(),
            "boundary_f_per_class": dict(zip(names, agreement.boundary.per_class(), strict=True)),
            "boundary_tolerance": agreement.boundary.tolerance,
        }
    if agreement.calibration is not None:
        found |= {
            "calibration_error": agreement.calibration.error(),
            "reliability": [dataclasses.asdict(part) for part in agreement.calibration.bins()],
        }
    return found


def _write_confusion(folder: Path, result: "EvaluationResult", names: Sequence[str]) -> None:
    from engine.files import atomic_write
    from engine.measure.confusion_report import confusion_csv, confusion_png

    atomic_write(folder / "confusion.csv", confusion_csv(result.agreement.matrix, names))
    atomic_write(folder / "confusion.png", confusion_png(result.agreement.matrix, names))


def table(iou_per_class: Mapping[str, float | None]) -> str:
    """One line per class: name, IoU, a small bar."""
    return "\n".join(
        f"{name[:24]:<24} {_percent(value)}   {'#' * round(24 * (value or 0.0))}"
        for name, value in iou_per_class.items()
    )


def _percent(value: float | None) -> str:
    return "   –   " if value is None else f"{100 * value:5.1f} %"


def _samples(
    images: Path, preview: "ImportPreview", failed: Callable[[EngineError], None]
) -> Iterator["EvaluationSample"]:
    """Image and label map of every mask that fits, one at a time."""
    from engine.exchange.mask_import import ImportProblem, imported_labels
    from engine.learn.evaluator import EvaluationSample
    from engine.project.images import read_image

    for matched, labels in imported_labels(preview, preview.mapping):
        if isinstance(labels, ImportProblem):
            complain(labels.message)
            continue
        try:
            image = read_image(images / matched.image_id)
        except ImageError as error:
            failed(error)
            continue
        yield EvaluationSample(image=image, label_map=labels)
