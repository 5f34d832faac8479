"""One project on disk: its folder, its lock, its manifest in memory and its annotations.

The project folder is `maskloop` inside the folder of images. If nothing can be written there it lies in the
user's data folder instead. It is made at the first change, never before.

A `Project` belongs to one thread, the session's.
"""

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import platformdirs

from engine.errors import EngineError, ProjectError, StorageError
from engine.files import FolderLock, atomic_write, hash_file, read_bytes, remove_leftovers, storage_error
from engine.project.image_ids import check_image_id
from engine.project.images import scan_images
from engine.project.manifest import (
    MANIFEST_LIMIT,
    MANIFEST_NAME,
    ImageRecord,
    Manifest,
    backup_path,
    read_manifest,
    write_manifest,
)
from engine.project.migrations import SCHEMA, schema_of
from engine.project.recovery import recovered
from engine.project.store import AnnotationStore

FOLDER_NAME: Final = "maskloop"
LINK_NAME: Final = "images-folder.txt"


class Project:
    """An open project. Use `Project.open`.

    Attributes:
        images_folder: absolute path of the folder of images.
        folder: the project folder; it may not exist yet.
        store: annotations below `folder`.
        read_only: whether nothing may be changed.
        read_only_reason: why not, for people; "" if it may.
        notes: sentences about files that were left out, and other things worth knowing.
        recovered: ids of images whose first strokes the manifest did not know of, after a crash.
        missing: records of images that somebody worked on and whose file is not there, by image id.
    """

    def __init__(self, images_folder: Path, folder: Path) -> None:
        """For `Project.open`."""
        self.images_folder = images_folder
        self.folder = folder
        self.store = AnnotationStore(folder)
        self.read_only = False
        self.read_only_reason = ""
        self.notes: tuple[str, ...] = ()
        self.missing: Mapping[str, ImageRecord] = {}
        self.recovered: tuple[str, ...] = ()
        self._manifest = Manifest()
        self._lock: FolderLock | None = None
        self._existed = False

    @classmethod
    def open(cls, images_folder: Path, *, read_only: bool = False) -> "Project":
        """Open a folder of images and its project, if there is one. Writes nothing but lock and backup.

        A project that cannot be trusted (damaged, made by a newer version, on a medium that cannot be
        written) opens read-only and says why.

        Args:
            images_folder: the folder of images.
            read_only: take no lock and refuse every change.

        Raises:
            ProjectLockedError: another instance works on it; it can still be opened with `read_only`.
            ProjectError: the folder is gone or is no folder.
        """
        images_folder = images_folder.absolute()
        if not images_folder.is_dir():
            gone = "is a file, not a folder" if images_folder.exists() else "is not there"
            raise ProjectError(f"“{images_folder}” {gone}.", "Connect the drive, or open another folder.")
        scan = scan_images(images_folder)
        project = cls(images_folder, locate(images_folder))
        project.notes = scan.notes
        if read_only:
            project._refuse_changes("it was opened for looking only.")
        elif project.folder.is_dir():
            project._take_lock()
        try:
            project._read(scan.image_ids)
        except BaseException:
            project.close()
            raise
        return project

    # --- what there is --------------------------------------------------------------------------

    @property
    def exists_on_disk(self) -> bool:
        """Whether the project folder stands and belongs to this program (or is open read-only)."""
        return self._existed or self._lock is not None

    @property
    def manifest(self) -> Manifest:
        """The manifest as it stands in memory."""
        return self._manifest

    @property
    def manifest_path(self) -> Path:
        """Where the manifest lies on disk."""
        return self.folder / MANIFEST_NAME

    def image_path(self, image_id: str) -> Path:
        """File of an image.

        Raises:
            ProjectError: the id leads out of the folder.
        """
        check_image_id(image_id)
        return self.images_folder / image_id

    # --- changing -------------------------------------------------------------------------------

    def update(self, manifest: Manifest) -> None:
        """Replace the manifest in memory. The writer brings it to disk; `save` does so at once.

        Raises:
            ProjectError: the project is open read-only.
        """
        self._check_writable()
        self._manifest = manifest

    def ensure(self) -> None:
        """Make the project folder and take its lock, if that has not happened yet. A few milliseconds, once.

        Raises:
            ProjectError: the project is open read-only.
            ProjectLockedError: another instance made a project here meanwhile.
            StorageError: neither the folder of images nor the user's data folder can be written.
        """
        self._check_writable()
        if self._lock is not None:
            return
        _make_folder(self.folder)
        if self.folder.parent != self.images_folder:
            atomic_write(self.folder / LINK_NAME, f"{self.images_folder}\n".encode())
        self._take_lock()

    def save(self) -> None:
        """Write the manifest now, on this thread. For command lines; the window uses the writer.

        Raises:
            ProjectError: the project is open read-only.
            StorageError: the disk refuses.
        """
        self.ensure()
        write_manifest(self.manifest_path, self.complete(self._manifest))

    def close(self) -> None:
        """Release the lock. May be called twice."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None
            self._existed = True

    # --- renamed images -------------------------------------------------------------------------

    def find_renamed(self, cancelled: Callable[[], bool] = lambda: False) -> dict[str, str]:
        """Look for missing annotated images among the files nobody annotated, by content.

        Reads those files whole, so call it away from the window's thread; it only reads.

        Args:
            cancelled: asked before each file; True ends the search early.

        Returns:
            Present image id by missing image id, where contents are equal.
        """
        wanted = {record.content_hash: name for name, record in self.missing.items() if record.content_hash}
        found: dict[str, str] = {}
        for image_id, record in self._manifest.images.items():
            if not wanted or cancelled():
                break
            if record.revision == 0:
                try:
                    missing = wanted.pop(hash_file(self.image_path(image_id)), None)
                except StorageError:
                    continue  # unreadable images have notices of their own
                if missing is not None:
                    found[missing] = image_id
        return found

    def relink(self, missing_id: str, present_id: str) -> None:
        """Give the annotation of a missing image to a file that is there, and write that down.

        Raises:
            ProjectError: there is nothing to give, or the project is open read-only; nothing was changed.
            AnnotationError: that file has an annotation of its own; nothing was changed.
            StorageError: the disk refuses; nothing was changed.
        """
        self._check_writable()
        record, place = self.missing.get(missing_id), self._manifest.images.get(present_id)
        if record is None or place is None:
            raise ProjectError(f"“{missing_id}” cannot be found as “{present_id}”.", "Open the folder again.")
        before = self._manifest
        self.store.move(missing_id, present_id)
        self._manifest = before.with_record(replace(record, image_id=present_id))
        try:
            write_manifest(self.manifest_path, self.complete(self._manifest, without=missing_id))
        except StorageError:
            self._manifest = before
            self.store.move(present_id, missing_id)
            raise
        self.found_again({missing_id})

    def found_again(self, missing_ids: Collection[str]) -> None:
        """Forget missing images whose annotations belong to others now; the manifest is the caller's."""
        self.missing = {name: kept for name, kept in self.missing.items() if name not in missing_ids}

    def complete(self, manifest: Manifest, *, without: str | None = None) -> Manifest:
        """Return a manifest with the records of missing images added: what goes to disk forgets nobody."""
        missing = {name: record for name, record in self.missing.items() if name != without}
        return replace(manifest, images={**manifest.images, **missing})

    # --- opening --------------------------------------------------------------------------------

    def _read(self, image_ids: Sequence[str]) -> None:
        self._existed = self.folder.is_dir()
        stored = self._stored_manifest()
        records = {name: stored.images.get(name, ImageRecord(image_id=name)) for name in image_ids}
        self.missing = {
            name: record
            for name, record in stored.images.items()
            if name not in records and not record.is_untouched
        }
        self._manifest = replace(stored, schema=SCHEMA, images=records)
        expected = {name: record.revision for name, record in stored.images.items() if record.revision > 0}
        self.store = AnnotationStore(self.folder, expected=expected, read_only=self.read_only)
        if self._existed:
            read = self._manifest
            self._manifest = recovered(read, self.manifest_path, self.store, self.images_folder)
            self.recovered = tuple(
                name
                for name, record in self._manifest.images.items()
                if record.revision > 0 and read.images[name].revision == 0
            )

    def _stored_manifest(self) -> Manifest:
        """The manifest on disk; the last good one, read-only, where it cannot be trusted."""
        path = self.manifest_path
        try:
            if not path.exists():
                return self._without_manifest()
            manifest = read_manifest(path)
            self._keep_old_copies(path)
        except EngineError as error:
            self._refuse_changes(f"{error.message} {error.hint}".strip())
            self._release_early()
            return _last_good(path)
        return manifest

    def _without_manifest(self) -> Manifest:
        if self.store.annotated_ids():
            raise ProjectError(
                f"“{self.manifest_path}” is missing, but there are annotations.",
                "Nothing will be overwritten. Restore it from a backup.",
            )
        return Manifest()

    def _keep_old_copies(self, path: Path) -> None:
        """Keep what opened without fault beside the manifest: the last good one, and one of an old layout."""
        if self.read_only:
            return
        data = read_bytes(path, limit=MANIFEST_LIMIT)
        schema = schema_of(data, path.name)[0]
        copies = [backup_path(path)]
        if schema != SCHEMA:
            copies.append(path.with_name(f"project.layout-{schema}.json"))
        for copy in copies:
            if copy.exists() and read_bytes(copy, limit=MANIFEST_LIMIT) == data:
                continue
            try:
                atomic_write(copy, data)
            except StorageError as error:
                if schema != SCHEMA:  # the old layout must not be overwritten without a copy
                    raise
                self.notes = (*self.notes, f"{error.message} {error.hint}".strip())

    def _take_lock(self) -> None:
        if not can_write(self.folder):
            self._refuse_changes(f"the project folder “{self.folder}” cannot be written.")
            return
        lock = FolderLock(self.folder)
        lock.acquire()
        self._lock = lock
        for folder in (self.folder, *(path for path in self.folder.rglob("*") if path.is_dir())):
            remove_leftovers(folder)

    def _release_early(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _refuse_changes(self, reason: str) -> None:
        self.read_only = True
        self.read_only_reason = self.read_only_reason or reason

    def _check_writable(self) -> None:
        if self.read_only:
            raise ProjectError(f"The project is open read-only: {self.read_only_reason}", "")


def locate(images_folder: Path) -> Path:
    """Return the project folder of a folder of images, whether it exists yet or not.

    Args:
        images_folder: absolute path.
    """
    inside, outside = images_folder / FOLDER_NAME, elsewhere(images_folder)
    if inside.is_dir() or (not outside.is_dir() and can_write(images_folder)):
        return inside
    return outside


def elsewhere(images_folder: Path) -> Path:
    """Return the place in the user's data folder for images that lie where nothing can be written."""
    name = re.sub(r"[^\w-]+", "-", images_folder.name)[:40].strip("-") or "images"
    key = hashlib.blake2b(os.fsencode(images_folder.resolve()), digest_size=8).hexdigest()
    return Path(platformdirs.user_data_dir("maskloop", appauthor=False)) / "projects" / f"{name}-{key}"


def can_write(folder: Path) -> bool:
    """Whether a file can be made in a folder. Tries it: modes tell little about network drives."""
    try:
        with tempfile.TemporaryFile(dir=folder, prefix=".maskloop-"):
            return True
    except OSError:
        return False


def _last_good(path: Path) -> Manifest:
    """The backup of a damaged manifest, so that people still see their classes; else an empty manifest."""
    try:
        return read_manifest(backup_path(path)) if backup_path(path).exists() else Manifest()
    except EngineError:
        return Manifest()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(folder, "made", error) from error
