"""Checkpoints: weights, optimizer, and as JSON the configs and the class table.

Worker thread, or a command line verb.

Files are written whole or not at all and read with `weights_only=True`: no code inside a file is ever run.
Loading into another class table maps classes and says what was new and what was dropped.
"""

from __future__ import annotations

import io
import pickle  # noqa: TID251 - only for the name of the error torch.load raises
import struct
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeGuard

import torch
from torch import Tensor

from engine.annotate.classes import ClassTable
from engine.codec import dumps, loads
from engine.errors import CheckpointError, CodecError, brief
from engine.files import atomic_write
from engine.learn.optimizer_state import OptimizerState
from models.base import SegmentationModel
from models.configs import LossConfig, NetworkConfig
from models.weights import LoadReport, load_state

FORMAT = "maskloop checkpoint"
SCHEMA = 1

_BEFORE_ZIP: Final = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How files begin that torch saved before it wrote zip archives."""

_DAMAGE: Final = (
    RuntimeError,
    OSError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    struct.error,
    zipfile.BadZipFile,
)
"""What reading a damaged file may end in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointAbout:
    """What a checkpoint says about itself, stored as JSON.

    Attributes:
        schema: Version of the layout.
        network: Network the weights belong to.
        loss: Loss it was trained with.
        classes: Class table; its order is the order of the channels.
        step: Updates done.
        miou: Held-out figure of these weights, or None.
        cycle_position: Steps into the cycle of the learning rate.
        labels_version: Number of changes people had made to annotations by then; None where unknown.
        better: False where the weights were kept but not shown, as they were no better.
    """

    schema: int = SCHEMA
    network: NetworkConfig
    loss: LossConfig
    classes: ClassTable
    step: int
    miou: float | None = None
    cycle_position: float = 0.0
    labels_version: int | None = None
    better: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """A checkpoint in memory; all tensors are on the processor."""

    about: CheckpointAbout
    weights: Mapping[str, Tensor]
    optimizer: OptimizerState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreReport:
    """What became of a checkpoint's content.

    Attributes:
        load: Tensor by tensor.
        new_classes: Names of classes the checkpoint does not know; they start fresh.
        dropped_classes: Names of classes of the checkpoint that the table does not have.
        sentences: The same for people; empty where everything fitted.
    """

    load: LoadReport
    new_classes: tuple[str, ...] = ()
    dropped_classes: tuple[str, ...] = ()
    sentences: tuple[str, ...] = field(default=())

    @property
    def is_exact(self) -> bool:
        """Whether every tensor and every class fitted."""
        return not self.sentences


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, whole or not at all.

    Raises:
        StorageError: The disk refuses; an older file of this name is untouched.
    """
    optimizer = checkpoint.optimizer
    content = {
        "format": FORMAT,
        "about": dumps(checkpoint.about),
        "weights": {name: value.detach().cpu() for name, value in checkpoint.weights.items()},
        "optimizer": None if optimizer is None else {name: dict(v) for name, v in optimizer.values.items()},
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    atomic_write(path, buffer.getvalue())


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint onto the processor.

    Raises:
        CheckpointError: The file is missing, damaged, or no checkpoint of ours.
    """
    content = _read_content(path)
    try:
        about = loads(CheckpointAbout, str(content.get("about")), path.name)
    except CodecError as error:
        raise CheckpointError(
            f"“{path}” cannot be used: {error.message}",
            "It may come from a newer version of Maskloop; choose another checkpoint.",
        ) from error
    if not len(about.classes):
        raise _damaged(path, "its class table is empty")
    weights = content.get("weights")
    if not _is_tensors(weights):
        raise _damaged(path, "it holds no weights")
    optimizer = content.get("optimizer")
    values = optimizer if isinstance(optimizer, dict) and all(map(_is_tensors, optimizer.values())) else None
    return Checkpoint(
        about=about,
        weights=weights,
        optimizer=None
        if values is None
        else OptimizerState(values=values, cycle_position=about.cycle_position),
    )


def _read_content(path: Path) -> dict[str, Any]:
    content = read_plain(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(
            f"“{path}” is not a checkpoint of Maskloop.", "Choose a file from a project's checkpoints folder."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()  # torch does not compare the checksums it writes
    except _DAMAGE as error:
        raise _damaged(path, f"it is damaged ({error})") from error
    if broken is not None:
        raise _damaged(path, f"its part “{broken}” was changed since it was written")
    return content


def read_plain(path: Path) -> object:
    """Read what torch saved: tensors, numbers, texts, lists and dictionaries; never code.

    Raises:
        CheckpointError: The file is missing or damaged, or holds anything else.
    """
    try:
        _check_container(path)
        return torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251 - the one place
    except pickle.UnpicklingError as error:
        # What torch says here tells people how to run the program after all.
        why = "it is damaged, or holds more than tensors and plain values; a program in it is never run"
        raise _damaged(path, why) from error
    except _DAMAGE as error:
        raise _damaged(path, f"it is damaged ({brief(error)})") from error


def _check_container(path: Path) -> None:
    """Refuse what torch never wrote: other files, and archives that unpack to more than they are."""
    if not path.is_file():
        raise CheckpointError(f"The checkpoint “{path}” is not there.", "Choose another checkpoint.")
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            if file.read(len(_BEFORE_ZIP)) != _BEFORE_ZIP:
                raise _damaged(path, "it is cut off, or not a checkpoint at all")
        return
    with zipfile.ZipFile(path) as archive:
        if sum(part.file_size for part in archive.infolist()) > path.stat().st_size:
            raise _damaged(path, "it would unpack to more than its own size, which no checkpoint does")


def _is_tensors(value: object) -> TypeGuard[dict[str, Tensor]]:
    return isinstance(value, dict) and all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in value.items()
    )


def _damaged(path: Path, why: str) -> CheckpointError:
    return CheckpointError(f"“{path}” cannot be read: {why}.", "Choose another checkpoint.")


def match_classes(old: ClassTable, new: ClassTable) -> tuple[int | None, ...]:
    """Return for each channel of the new table the channel of the old one that means the same, or None.

    A name says it, whatever the permanent index. Where names differ, the permanent index decides (somebody
    renamed the class), but only between tables of one descent, where at least half of the shared indices
    agree in name: in foreign tables equal numbers mean nothing.
    """
    by_name = {name.casefold(): channel for channel, name in enumerate(old.names)}
    by_index = {index: channel for channel, index in enumerate(old.indices)}
    sources = [by_name.get(spec.name.casefold()) for spec in new]
    if _same_descent(old, new):
        taken = set(sources)
        for channel, spec in enumerate(new):
            candidate = by_index.get(spec.index)
            if sources[channel] is None and candidate is not None and candidate not in taken:
                sources[channel] = candidate
    return tuple(sources)


def _same_descent(old: ClassTable, new: ClassTable) -> bool:
    names = {spec.index: spec.name.casefold() for spec in old}
    shared = [spec for spec in new if spec.index in names]
    same = sum(names[spec.index] == spec.name.casefold() for spec in shared)
    return same > 0 and 2 * same >= len(shared)


def restore(model: SegmentationModel[Any], checkpoint: Checkpoint, classes: ClassTable) -> RestoreReport:
    """Load a checkpoint into a network that shall know `classes`.

    Args:
        model: Network of the kind the checkpoint was saved with, any number of classes; changed in place.
            Parameters are replaced where the classes differ: build optimizers afterwards.
        checkpoint: What to load.
        classes: The table to end up with; at least one class.
    """
    old = checkpoint.about.classes
    if model.num_classes != len(old):
        model.follow_classes([None] * len(old))
    load = load_state(model, checkpoint.weights)
    sources = match_classes(old, classes)
    if sources != tuple(range(len(old))):
        model.follow_classes(sources)
    new = tuple(spec.name for spec, source in zip(classes, sources, strict=True) if source is None)
    dropped = tuple(spec.name for channel, spec in enumerate(old) if channel not in sources)
    return RestoreReport(
        load=load, new_classes=new, dropped_classes=dropped, sentences=_sentences(load, new, dropped)
    )


def _sentences(load: LoadReport, new: Sequence[str], dropped: Sequence[str]) -> tuple[str, ...]:
    found = []
    if not load.complete:
        found.append(f"The checkpoint fits only in part: {load.summary()}")
    if new:
        found.append(f"The checkpoint does not know {_listed(new)}: learnt afresh.")
    if dropped:
        found.append(
            f"The checkpoint also knows {_listed(dropped)}: left out, the class table does not have it."
        )
    return tuple(found)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:6])
    return shown if len(names) <= 6 else f"{shown} and {len(names) - 6} more"
