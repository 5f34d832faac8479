"""The network the worker owns: built, loaded, saved, following the class table. Worker thread."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.annotate.classes import ClassTable
from engine.config import Device, Precision
from engine.errors import CheckpointError, EngineError
from engine.learn.checkpoint import (
    Checkpoint,
    CheckpointAbout,
    read_checkpoint,
    restore,
    save_checkpoint,
)
from engine.learn.checkpoint_files import (
    CHECKPOINTS_FOLDER,
    checkpoint_path,
    list_checkpoints,
    prune_checkpoints,
)
from engine.learn.device import ResolvedDevice, choose_precision, resolve_device
from engine.learn.optimizer_state import OptimizerState
from engine.messages import CheckpointSaved, NetworkOpened, OpenNetwork
from engine.predict.compute import is_out_of_memory
from engine.predict.predictor import Predictor
from engine.project.disk_steps import make_parent
from models.backbone_catalog import BackboneUnavailableError
from models.base import SegmentationModel
from models.build import build_loss, build_model, spec_of
from models.cost import without_weights
from models.losses.total import TotalLoss

if TYPE_CHECKING:
    import torch

_SEED = 0

ProgressCallback = Callable[[int, int], None]
"""Called with bytes done and bytes in total while weights are downloaded."""


@dataclass(slots=True, eq=False, weakref_slot=True)
class LiveNetwork:
    """A network and everything that belongs to it; changed by the worker only.

    Two sets of weights live apart: those shown, which predict, export, inspect and prefetch, and those being
    trained, the candidate.

    Attributes:
        request: What was asked for, kept up to date: opening it again gives the same network.
        model: The network with the weights that are shown, on the device.
        loss: Its loss.
        device: Where it is.
        precision: Number format of predictions.
        step: Updates the weights being trained have had.
        checkpoint: Name of the checkpoint file the shown weights are in, "" where they were never saved.
        optimizer: State of the last run, to resume from.
        miou: Held-out figure of weights being trained and the step it was measured at.
        trained: The network with the weights being trained, also between runs; None where they are those
            shown.
        shown_step: Updates the shown weights have had.
        saved_step: Updates the shown weights had when they were last saved or loaded; None before.
        is_descent: Whether the shown weights are earlier ones of those being trained; a checkpoint a person
            chose meanwhile is not.
    """

    request: OpenNetwork
    model: SegmentationModel[Any]
    loss: TotalLoss
    device: ResolvedDevice
    precision: Precision
    step: int = 0
    checkpoint: str = ""
    optimizer: OptimizerState | None = None
    miou: tuple[int, float] | None = None
    trained: SegmentationModel[Any] | None = None
    shown_step: int = 0
    saved_step: int | None = None
    is_descent: bool = True

    @property
    def is_trained_shown(self) -> bool:
        """Whether the weights being trained are those shown."""
        return self.is_descent and self.step == self.shown_step

    @property
    def classes(self) -> ClassTable:
        """Class table; its order is the order of the channels."""
        return self.request.classes

    @property
    def has_learnt(self) -> bool:
        """Whether there is anything to show: an untrained network would flood the screen with noise."""
        return self.shown_step > 0 or self.checkpoint != ""

    def predictor(self) -> Predictor:
        """Return a predictor with the shown weights."""
        return self._predictor(self.model)

    def candidate_predictor(self) -> Predictor:
        """Return a predictor with the weights being trained; the shown ones while nothing trains."""
        return self._predictor(self.model if self.trained is None else self.trained)

    def _predictor(self, model: SegmentationModel[Any]) -> Predictor:
        return Predictor(model, self.classes, self.request.predict, self.device.device, self.precision)

    def begin_training(self) -> SegmentationModel[Any]:
        """Return the network to train: where the last run left it, else a copy of what is shown."""
        if self.trained is None:
            self.trained, self.is_descent = copy.deepcopy(self.model), True
        return self.trained

    def show_trained(self) -> None:
        """Show the weights being trained from now on."""
        if self.trained is not None:
            self.model.load_state_dict(self.trained.state_dict())
            self.shown_step, self.is_descent = self.step, True

    def follow_to(self, device: torch.device) -> None:
        """Show on the processor from now on where training had to move there."""
        if device.type == "cpu" and self.device.device.type != "cpu":
            self.model.to("cpu")

    def bring_back(self) -> None:
        """Go back to the device this was opened on, if there is room: training may have left it."""
        try:
            self.model.to(self.device.device)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            self.model.to("cpu")

    def end_training(self) -> None:
        """Let go of trained weights that are shown anyway; others wait for the next run."""
        if self.is_trained_shown:
            self.trained = None

    def give_up_training(self) -> None:
        """Let go of trained weights: what is shown is all there is."""
        if not self.is_trained_shown:
            # What the optimizer knows belongs to weights that are gone.
            self.optimizer = None
        self.trained = None
        self.step, self.is_descent = self.shown_step, True

    def class_sources(self, classes: ClassTable) -> tuple[int | None, ...]:
        """Return for each channel of a changed table the present channel of that class, or None."""
        channels = {index: channel for channel, index in enumerate(self.classes.indices)}
        return tuple(channels.get(spec.index) for spec in classes)

    def set_classes(self, classes: ClassTable) -> None:
        """Take over a table the model follows already."""
        self.request = replace(self.request, classes=classes)


def open_network(request: OpenNetwork, *, progress: ProgressCallback) -> tuple[LiveNetwork, NetworkOpened]:
    """Build a network, with weights from a checkpoint where one is named.

    A checkpoint that cannot be read leaves the network fresh and says so: the project stays usable.

    Raises:
        EngineError: The class table is empty.
    """
    if not len(request.classes):
        raise EngineError(
            "There are no classes yet, so there is nothing to tell apart.", "Add a class, then try again."
        )
    notices: list[str] = []
    checkpoint = None
    if request.checkpoint is not None:
        try:
            checkpoint = read_checkpoint(Path(request.checkpoint))
        except CheckpointError as error:
            notices.append(f"{error.message} The network starts untrained.")
    network = _build(request, progress, notices, from_checkpoint=checkpoint is not None)
    if checkpoint is not None and request.checkpoint is not None:
        _load(network, checkpoint, request.checkpoint, notices)
    return network, _opened(network, notices)


def load_network(
    path: str, request: OpenNetwork, *, progress: ProgressCallback
) -> tuple[LiveNetwork, NetworkOpened]:
    """Build the network a checkpoint was saved with and load it.

    Args:
        path: Checkpoint file.
        request: Class table, folders and device to use; its network is used if it is the checkpoint's.
        progress: As in `open_network`.

    Raises:
        CheckpointError: The file cannot be used; nothing has changed.
    """
    checkpoint = read_checkpoint(Path(path))
    notices: list[str] = []
    if checkpoint.about.network != request.network:
        notices.append("The checkpoint was saved with another network or other settings; these are used now.")
    request = replace(request, network=checkpoint.about.network, loss=checkpoint.about.loss, checkpoint=path)
    network = _build(request, progress, notices, from_checkpoint=True)
    _load(network, checkpoint, path, notices)
    return network, _opened(network, notices)


def _build(
    request: OpenNetwork, progress: ProgressCallback, notices: list[str], *, from_checkpoint: bool
) -> LiveNetwork:
    import torch

    from engine.catalog import networks

    device = resolve_device(request.device)
    if device.notice:
        notices.append(device.notice)
    try:
        model = build_model(
            # A checkpoint brings every tensor: published weights would be downloaded to be overwritten.
            without_weights(request.network) if from_checkpoint else request.network,
            len(request.classes),
            seed=_SEED,
            progress=progress,
            notice=notices.append,
            specs=networks(),
        )
    except BackboneUnavailableError as error:
        raise EngineError(str(error), "Then try again, or choose another backbone.") from error
    try:
        model = model.to(device.device)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        notices.append(f"The memory of {device.title} is full: the network runs on the processor.")
        device = resolve_device(Device.CPU)
        model = model.to(device.device)
    precision = choose_precision(Precision.AUTO, model, device.device)
    # One layout in memory for fresh, trained and loaded weights: the same weights then give the same bits.
    model.to(memory_format=torch.channels_last)
    return LiveNetwork(
        request=request, model=model, loss=build_loss(request.loss), device=device, precision=precision
    )


def _load(network: LiveNetwork, checkpoint: Checkpoint, path: str, notices: list[str]) -> None:
    report = restore(network.model, checkpoint, network.classes)
    notices.extend(report.sentences)
    network.model.to(network.device.device)
    about = checkpoint.about
    network.step = network.shown_step = network.saved_step = about.step
    network.checkpoint = Path(path).name
    network.optimizer = checkpoint.optimizer
    network.miou = None if about.miou is None else (about.step, about.miou)


def _opened(network: LiveNetwork, notices: list[str]) -> NetworkOpened:
    from engine.catalog import networks

    return NetworkOpened(
        title=spec_of(network.request.network, networks()).title,
        parameters=sum(p.numel() for p in network.model.parameters() if p.requires_grad),
        device=network.device.title,
        checkpoint=network.request.checkpoint if network.checkpoint else None,
        notices=tuple(notices),
        step=network.step,
    )


def save_network(
    network: LiveNetwork,
    *,
    name: str | None,
    optimizer: OptimizerState | None,
    keep: int | None,
    labels_version: int | None = None,
    better: bool = True,
) -> CheckpointSaved:
    """Save weights as a checkpoint of the project and delete what is beyond `keep`.

    Args:
        network: Whose weights being trained to save.
        name: What a person calls it, or None.
        optimizer: State of a running optimizer; None takes that of the last run.
        keep: Automatic checkpoints to keep; None deletes nothing.
        labels_version: Number of changes people have made to annotations; None where unknown.
        better: False where the weights are kept but not shown.

    Raises:
        EngineError: There is no project to save into.
        StorageError: The disk refuses, or the project folder is gone.
    """
    model = network.model if network.trained is None else network.trained
    optimizer = optimizer if optimizer is not None else network.optimizer
    return _save(network, model, network.step, name, optimizer, keep, labels_version, better=better)


def save_shown(
    network: LiveNetwork, *, name: str | None = None, keep: int | None, labels_version: int | None
) -> CheckpointSaved:
    """Save the shown weights, without what an optimizer knows about others. Arguments as `save_network`.

    Raises:
        EngineError: There is no project to save into.
        StorageError: The disk refuses, or the project folder is gone.
    """
    optimizer = network.optimizer if network.is_trained_shown else None
    return _save(
        network, network.model, network.shown_step, name, optimizer, keep, labels_version, better=True
    )


def _save(
    network: LiveNetwork,
    model: SegmentationModel[Any],
    step: int,
    name: str | None,
    optimizer: OptimizerState | None,
    keep: int | None,
    labels_version: int | None,
    *,
    better: bool,
) -> CheckpointSaved:
    if not network.request.store_folder:
        raise EngineError("There is no project to save a checkpoint in.", "Open a folder of images first.")
    project_folder = Path(network.request.store_folder)
    folder = project_folder / CHECKPOINTS_FOLDER
    miou = network.miou[1] if network.miou is not None and network.miou[0] == step else None
    path = checkpoint_path(
        folder, step=step, miou=miou, name=name, labels_version=labels_version, better=better
    )
    make_parent(path, project_folder)
    about = CheckpointAbout(
        network=network.request.network,
        loss=network.request.loss,
        classes=network.classes,
        step=step,
        miou=miou,
        cycle_position=0.0 if optimizer is None else optimizer.cycle_position,
        labels_version=labels_version,
        better=better,
    )
    save_checkpoint(path, Checkpoint(about=about, weights=model.state_dict(), optimizer=optimizer))
    if better:
        network.checkpoint, network.saved_step = path.name, step
    if keep is not None:
        prune_checkpoints(folder, keep, in_use=(path, folder / network.checkpoint))
    is_best = any(info.is_best for info in list_checkpoints(folder) if info.path == path)
    return CheckpointSaved(path=str(path), step=step, miou=miou, is_best=is_best, better=better)
