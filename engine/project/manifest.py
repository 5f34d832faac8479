"""The manifest: what a project knows about its images, classes and choices. A frozen value."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Final

from engine.annotate.classes import ClassTable
from engine.codec import decode, dumps, loads
from engine.config import TrainingConfig
from engine.errors import CodecError, ProjectError
from engine.files import atomic_write, read_bytes
from engine.project.image_ids import check_image_id
from engine.project.migrations import SCHEMA, NewerSchemaError, brought_forward, schema_of
from models.configs import CrossEntropyConfig, LossConfig, NetworkConfig, TinyConfig

MANIFEST_NAME: Final = "project.json"
MANIFEST_LIMIT: Final = 256 * 1024 * 1024
"""Largest file that is read as a manifest, in bytes."""


class Split(Enum):
    """What an image is for: learning, measuring, or neither yet."""

    TRAIN = "train"
    VAL = "val"
    NONE = "none"


class ImageStatus(Enum):
    """How far a person is with an image."""

    NEW = "new"
    STARTED = "started"
    REVIEWED = "reviewed"


class OrderKind(Enum):
    """Which image of the queue comes next."""

    FOLDER = "folder"
    USEFUL = "useful"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """One image of the project.

    Attributes:
        image_id: POSIX path relative to the images folder; never leaves it.
        content_hash: hash of the file, taken after the first annotation; finds the image again if it is
            renamed.
        split: what the image is for.
        status: how far a person is.
        revision: revision of its annotation; 0 without one.
        size: (H, W) upright, once known.
        labelled: permanent class indices its annotation held at some time, ascending.

    Raises:
        ProjectError: the image id is not a plain relative path.
    """

    image_id: str
    content_hash: str | None = None
    split: Split = Split.NONE
    status: ImageStatus = ImageStatus.NEW
    revision: int = 0
    size: tuple[int, int] | None = None
    labelled: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_image_id(self.image_id)

    @property
    def is_untouched(self) -> bool:
        """Whether nobody did anything with the image: such a record says no more than the file's name."""
        return (
            self.revision == 0
            and self.status is ImageStatus.NEW
            and self.split is Split.NONE
            and self.content_hash is None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything `project.json` holds.

    Attributes:
        schema: version of the file's layout.
        classes: class table.
        images: records by image id, in queue order; on disk only those of images that somebody touched.
        network: network configuration in use.
        loss: loss configuration in use.
        training: how training is done.
        checkpoint: checkpoint in use, POSIX path relative to the project folder, or None.
        pinned: ids of images whose change by training a person wants to see.
        order: which image of the queue comes next.

    Raises:
        ProjectError: a record lies under another image's id, or the checkpoint leaves the folder.
    """

    schema: int = SCHEMA
    classes: ClassTable = field(default_factory=ClassTable)
    images: Mapping[str, ImageRecord] = field(default_factory=dict)
    network: NetworkConfig = field(default_factory=TinyConfig)
    loss: LossConfig = field(default_factory=CrossEntropyConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    checkpoint: str | None = None
    pinned: tuple[str, ...] = ()
    order: OrderKind = OrderKind.FOLDER

    def __post_init__(self) -> None:
        for image_id, record in self.images.items():
            if image_id != record.image_id:
                raise ProjectError(
                    f"The entry of “{image_id}” speaks of “{record.image_id}”.",
                    "Restore project.json from a backup.",
                )
        if self.checkpoint is not None:
            check_image_id(self.checkpoint)

    def with_record(self, record: ImageRecord) -> "Manifest":
        """Return the manifest with one image's record put in or replaced."""
        return replace(self, images={**self.images, record.image_id: record})


def read_manifest(path: Path) -> Manifest:
    """Read a manifest, strictly. Older layouts are brought forward in memory; the file stays as it is.

    Raises:
        ProjectError: the file is damaged, or was written by a newer version of the program.
        StorageError: the disk cannot be read.
    """
    data = read_bytes(path, limit=MANIFEST_LIMIT)
    try:
        schema, raw = schema_of(data, path.name)
        if schema == SCHEMA:
            return loads(Manifest, data.decode(), path.name)
        return decode(Manifest, brought_forward(raw, schema, path.name), path.name)
    except NewerSchemaError:
        raise
    except (CodecError, ProjectError) as error:
        backup = backup_path(path)
        known = f"“{backup.name}” beside it is the last good one." if backup.exists() else ""
        raise ProjectError(
            f"“{path}” is damaged: {error.message}",
            f"Nothing will overwrite it. Restore it from a backup. {known}".strip(),
        ) from error


def backup_path(path: Path) -> Path:
    """Where the last manifest that opened without fault is kept."""
    return path.with_name("project.backup.json")


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the manifest as it stands on disk: UTF-8 JSON.

    Images that nobody touched are left out, so a folder of ten thousand images costs nothing; they are found
    again by looking into the folder.
    """
    touched = {name: record for name, record in manifest.images.items() if not record.is_untouched}
    return dumps(replace(manifest, images=touched)).encode()


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Replace the manifest on disk, whole or not at all.

    Raises:
        StorageError: the disk refuses; the old file is still there.
    """
    atomic_write(path, encode_manifest(manifest))
