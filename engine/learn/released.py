"""Published checkpoints of the papers' authors become checkpoints of ours. Any thread; nothing is shared.

Files are read without running code in them. What a file does not say (class names, some settings) comes from
its name or from the user; everything used, missing and left over is reported by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.annotate.classes import ClassTable
from engine.annotate.data_sets import DataSet, class_table, data_set_of
from engine.errors import CheckpointError
from engine.learn.checkpoint import FORMAT, Checkpoint, CheckpointAbout, read_plain, save_checkpoint
from engine.learn.checkpoint_files import checkpoint_path
from models.backbone_catalog import BackboneUnavailableError
from models.base import MEAN, STD
from models.build import build_model
from models.configs import CrossEntropyConfig, NetworkConfig
from models.cost import without_weights
from models.released.published import Published, UnknownCheckpointError, read_published
from models.weights import load_state

_PLACES = ("model", "state_dict", "model_ema")
"""Where the tensors are in a file that also holds the state of a training."""

_CLASS_STATE = ("context.relations.vectors", "memory.memory")
_FEW_ROWS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What became of a published checkpoint.

    Attributes:
        title: What the file is, for people.
        network: Configuration read from its tensors and its name.
        classes: Class table, in the order of the channels.
        used: Published names of the tensors loaded.
        computed: Published names of tensors that are computed here instead.
        missing: Our names of tensors the file does not have, or has in another shape.
        left_over: Published names of tensors that have no place here.
        notes: Sentences worth reading.
    """

    title: str
    network: NetworkConfig
    classes: ClassTable
    used: tuple[str, ...]
    computed: tuple[str, ...]
    missing: tuple[str, ...]
    left_over: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether the network has everything it needs."""
        return not self.missing

    def summary(self) -> str:
        """Return one sentence for the user."""
        counts = (
            f"{len(self.used)} tensors used, {len(self.missing)} missing, {len(self.left_over)} left over."
        )
        return f"{self.title}, {len(self.classes)} classes: {counts}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Imported:
    """A published checkpoint in our form, and what was done to it."""

    checkpoint: Checkpoint
    report: ImportReport


def read_released(
    path: Path,
    *,
    classes: ClassTable | None = None,
    published_name: str = "",
    change: Callable[[NetworkConfig], NetworkConfig] = lambda network: network,
) -> Imported:
    """Read a published checkpoint.

    Args:
        path: File of the authors.
        classes: Class table to use, in the order of its channels; None takes that of the data set in the
            file's name, or numbers.
        published_name: What the authors called the file, where it was renamed: data set and some settings
            are known by it.
        change: Gets the configuration that tensors and name tell and returns the one to use: what leaves no
            trace in either (dilations, output stride, who gathers) is for a person to say.

    Raises:
        CheckpointError: The file is damaged, of no network known here, or needs a package that is not
            installed; or `classes` are not as many as its channels.
    """
    content = _content(path)
    name = published_name or path.name
    published = _translated(path, _tensors(path, content), name)
    table, notes = _classes(path, name, published.num_classes, classes)
    network = change(published.network)
    try:
        model = build_model(without_weights(network), published.num_classes, seed=0)
    except BackboneUnavailableError as error:
        raise CheckpointError(f"“{path}” cannot be imported. {error}", "") from error
    load = load_state(model, published.state)
    report = ImportReport(
        title=published.title,
        network=network,
        classes=table,
        used=tuple(published.names[name] for name in load.used if published.names.get(name)),
        computed=published.left_out,
        missing=(*load.missing, *load.mismatched),
        left_over=tuple(published.names[name] for name in (*load.unexpected, *load.mismatched)),
        notes=(*notes, *_doubts(published.state), _preprocessing()),
    )
    about = CheckpointAbout(network=network, loss=CrossEntropyConfig(), classes=table, step=_step(content))
    return Imported(checkpoint=Checkpoint(about=about, weights=model.state_dict()), report=report)


def save_released(imported: Imported, out: Path, *, name: str = "") -> Path:
    """Write an imported checkpoint.

    Args:
        imported: What `read_released` returned.
        out: File to write, or an existing folder (a project's `checkpoints`) that gets a file.
        name: What the file in a folder is called.

    Returns:
        The file written.

    Raises:
        CheckpointError: A tensor of the network is missing: it would predict nonsense.
        StorageError: The disk refuses.
    """
    report = imported.report
    if report.missing:
        shown = ", ".join(report.missing[:3])
        more = f" and {len(report.missing) - 3} more" if len(report.missing) > 3 else ""
        raise CheckpointError(
            f"The file does not fit: the network also needs {shown}{more}.",
            "It is damaged, or a variant that is not known here.",
        )
    step = imported.checkpoint.about.step
    path = checkpoint_path(out, step=step, miou=None, name=name or "imported") if out.is_dir() else out
    save_checkpoint(path, imported.checkpoint)
    return path


def _content(path: Path) -> Mapping[Any, Any]:
    if not path.is_file():
        raise CheckpointError(f"The file “{path}” is not there.", "Choose another file.")
    content = read_plain(path)
    if isinstance(content, Mapping) and content.get("format") == FORMAT:
        raise CheckpointError(f"“{path}” is a checkpoint of Maskloop already.", "Use it as it is.")
    if not isinstance(content, Mapping):
        raise CheckpointError(f"“{path}” holds no tensors by name.", "Choose a checkpoint file.")
    return content


def _tensors(path: Path, content: Mapping[Any, Any]) -> dict[str, Tensor]:
    """Return the tensors by name: those of the network where the file also holds other things."""
    places = [content[place] for place in _PLACES if isinstance(content.get(place), Mapping)]
    found = places[0] if places else content
    tensors = {str(name): values for name, values in found.items() if isinstance(values, Tensor)}
    if not tensors:
        raise CheckpointError(f"“{path}” holds no tensors by name.", "Choose a checkpoint file.")
    return tensors


def _translated(path: Path, tensors: Mapping[str, Tensor], name: str) -> Published:
    try:
        return read_published(tensors, file=name)
    except UnknownCheckpointError as error:
        raise CheckpointError(
            f"“{path}” cannot be imported. {error}", "Choose a checkpoint file of one of those papers."
        ) from error


def _classes(
    path: Path, name: str, count: int, given: ClassTable | None
) -> tuple[ClassTable, tuple[str, ...]]:
    if given is not None:
        if len(given) != count:
            raise CheckpointError(
                f"The class list has {len(given)} classes, “{path}” has {count}.",
                "Give a list with one class for each, in the order of the data set.",
            )
        return given, ()
    data_set: DataSet | None = data_set_of(name, count)
    if data_set is None:
        names = tuple(f"class {number + 1}" for number in range(count))
        note = (
            "Its name tells no data set known here, so classes are only numbered: rename them or give a list."
        )
        return class_table(names), (note,)
    title = f"The classes are those of {data_set.title}."
    return class_table(data_set.classes), (title, data_set.images) if data_set.images else (title,)


def _doubts(state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Return what looks wrong about what the file remembers of every class."""
    found = []
    for name in _CLASS_STATE:
        values = state.get(name)
        if values is None:
            continue
        if not bool(torch.isfinite(values).all()):
            found.append("Some of what it remembers of the classes is not a number: predictions suffer.")
        empty = int((values.flatten(1) == 0).all(dim=1).sum())
        if empty > _FEW_ROWS:
            found.append(f"It remembers nothing of {empty} of its {len(values)} classes.")
    return tuple(found)


def _preprocessing() -> str:
    mean = ", ".join(f"{255 * value:.6g}" for value in MEAN)
    deviation = ", ".join(f"{255 * value:.6g}" for value in STD)
    return f"Pixels go in as red, green, blue with mean ({mean}) and deviation ({deviation}), as published."


def _step(content: Mapping[Any, Any]) -> int:
    step = content.get("cur_iter")
    return step if isinstance(step, int) and 0 <= step < 10**8 else 0
