"""Networks for verbs: chosen by words, or read from a checkpoint, ready to predict. Imports torch."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.annotate.classes import ClassTable
from engine.catalog import networks
from engine.config import Device, Precision, PredictConfig
from engine.errors import CheckpointError
from engine.learn.checkpoint import CheckpointAbout, read_checkpoint, restore
from engine.learn.device import ResolvedDevice, choose_precision, limit_threads, resolve_device
from engine.predict.predictor import Predictor
from models.base import SegmentationModel
from models.build import build_model
from models.configs import NetworkConfig
from models.cost import without_weights
from models.weights import LoadReport


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedNetwork:
    """A trained network, ready to predict.

    Attributes:
        predictor: predicts permanent class indices of ``classes``.
        classes: class table of the checkpoint.
        about: what the checkpoint says about itself.
        device: where it runs.
    """

    predictor: Predictor
    classes: ClassTable
    about: CheckpointAbout
    device: ResolvedDevice


def load_network(checkpoint: Path, device: Device, notice: Callable[[str], None]) -> LoadedNetwork:
    """Read a checkpoint and build its network, without downloading anything.

    Args:
        checkpoint: the file.
        device: where to run.
        notice: called with sentences worth reading.

    Raises:
        CheckpointError: the file cannot be used.
    """
    content = read_checkpoint(checkpoint)
    about = content.about
    limit_threads()
    resolved = resolve_device(device)
    if resolved.notice:
        notice(resolved.notice)
    model = build_model(
        without_download(about.network), len(about.classes), seed=0, notice=notice, specs=networks()
    )
    report = restore(model, content, about.classes)
    _check_whole(checkpoint, model, report.load)
    for sentence in report.sentences:
        notice(sentence)
    return LoadedNetwork(
        predictor=make_predictor(model, about.classes, resolved),
        classes=about.classes,
        about=about,
        device=resolved,
    )


def _check_whole(path: Path, model: SegmentationModel[Any], load: LoadReport) -> None:
    """Refuse a file whose tensors are not those of the network it names: the rest would be random.

    Raises:
        CheckpointError: a parameter was not in the file, or is not a number.
    """
    parameters = dict(model.named_parameters())
    if any(name in parameters for name in (*load.missing, *load.mismatched)):
        raise CheckpointError(
            f"“{path}” does not hold the network it names: {load.summary()}", "Choose another checkpoint."
        )
    if not all(bool(values.isfinite().all()) for values in parameters.values()):
        raise CheckpointError(
            f"“{path}” holds weights that are no numbers: its training failed.",
            "Choose an earlier checkpoint.",
        )


def make_predictor(model: SegmentationModel[Any], classes: ClassTable, device: ResolvedDevice) -> Predictor:
    """A predictor on a device with the fastest precision it has."""
    precision = choose_precision(Precision.AUTO, model, device.device)
    return Predictor(model.to(device.device), classes, PredictConfig(), device.device, precision)


def without_download(network: NetworkConfig) -> NetworkConfig:
    """The same network with backbones that start untrained."""
    plain: NetworkConfig = without_weights(network)
    return plain
