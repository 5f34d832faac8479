"""What the disk thread can do. A job touches the disk in `write` and nothing else; it may be tried again."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from engine.annotate.journal import RecordKind
from engine.annotate.patch import Patch
from engine.errors import StorageError
from engine.files import hash_file
from engine.messages import AnnotationStored, Event, ManifestStored, SnapshotStored
from engine.project.manifest import ImageRecord, Manifest, write_manifest
from engine.project.store import AnnotationStore


@dataclass(eq=False, slots=True)
class Append:
    order: int
    store: AnnotationStore
    image_id: str
    kind: RecordKind
    revision: int
    patch: Patch | bytes | None

    @property
    def target(self) -> str:
        return f"strokes of “{self.image_id}”"

    def write(self) -> Event | None:
        if isinstance(self.patch, Patch):
            self.patch = self.patch.encode()
        self.store.append(self.image_id, self.kind, self.revision, self.patch)
        return AnnotationStored(image_id=self.image_id, revision=self.revision)


@dataclass(eq=False, slots=True)
class Snapshot:
    store: AnnotationStore
    image_id: str
    size: tuple[int, int]
    since: float
    due: float

    @property
    def target(self) -> str:
        return f"label map of “{self.image_id}”"

    def write(self) -> Event | None:
        revision = self.store.settle(self.image_id, self.size)
        return SnapshotStored(image_id=self.image_id, revision=revision)


@dataclass(eq=False, slots=True)
class ManifestJob:
    path: Path
    images_folder: Path
    manifest: Manifest
    hashes: dict[Path, str | None]
    due: float
    unhashed: deque[Path] = field(default_factory=deque)
    # Never ahead of the journals: a revision that they do not reach means on opening that strokes are lost.
    limits: dict[str, int] = field(default_factory=dict)
    after_steps: bool = False

    @property
    def target(self) -> str:
        return f"“{self.path.name}”"

    def write(self) -> Event | None:
        if not self.path.parent.is_dir():
            raise StorageError(
                f"The project folder “{self.path.parent}” is gone.",
                "Connect the drive again; everything is kept in memory and written then.",
            )
        write_manifest(self.path, self._with_hashes(self._within_limits()))
        lacking = [
            self.images_folder / name for name, r in self.manifest.images.items() if self._lacks_hash(r)
        ]
        self.unhashed = deque(path for path in lacking if path not in self.hashes)
        return ManifestStored()

    def _within_limits(self) -> Manifest:
        images = self.manifest.images
        found = {
            name: replace(images[name], revision=min(images[name].revision, limit))
            for name, limit in self.limits.items()
            if name in images
        }
        return replace(self.manifest, images={**images, **found}) if found else self.manifest

    def _with_hashes(self, manifest: Manifest) -> Manifest:
        found = {
            name: replace(record, content_hash=self.hashes.get(self.images_folder / name))
            for name, record in manifest.images.items()
            if self._lacks_hash(record)
        }
        return replace(manifest, images={**manifest.images, **found}) if found else manifest

    @staticmethod
    def _lacks_hash(record: ImageRecord) -> bool:
        return record.revision > 0 and record.content_hash is None


@dataclass(eq=False, slots=True)
class Work:
    order: int
    target: str
    work: Callable[[], None]

    def write(self) -> Event | None:
        self.work()
        return None


@dataclass(eq=False, slots=True)
class Hashing:
    """Taking the hash of one image file; only ever done when there is nothing else to do."""

    path: Path
    manifest_job: ManifestJob

    @property
    def target(self) -> str:
        return f"“{self.path.name}”"

    def write(self) -> Event | None:
        try:
            self.manifest_job.hashes[self.path] = hash_file(self.path)
        except StorageError:
            self.manifest_job.hashes[self.path] = None  # gone or unreadable: its notice comes from reading it
        self.manifest_job.unhashed.popleft()
        return None


Job = Append | Snapshot | ManifestJob | Work | Hashing
"""Everything the disk thread can do; each member has `target`, its name for people, and `write`."""
