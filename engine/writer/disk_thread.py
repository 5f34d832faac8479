"""The disk thread: strokes to their journals at once, layers when the hand rests, the manifest soon after.

Nothing is given up: what cannot be written stays pending and is tried again, later and later; the user hears
of it once per target, and once more when it worked.
"""

import logging
import threading
import time
import traceback
from collections.abc import Callable
from typing import Final

from engine.annotate.journal import RecordKind
from engine.annotate.patch import Patch
from engine.errors import EngineError
from engine.messages import Event, Problem, WriteFailed, WriteRecovered
from engine.priority import step_aside
from engine.project.manifest import Manifest
from engine.project.project import Project
from engine.project.store import AnnotationStore
from engine.writer.jobs import Job
from engine.writer.schedule import Schedule

REST_S: Final = 2.0
"""The hand rests when it has not changed an image for this long: longer than it pauses between two strokes.

Writing layers takes a core for a moment, and the steps are on disk before.
"""

HASHING_S: Final = 3.0
"""How long the end of the thread may wait for the hashes of images; opening the project takes the rest."""

_log = logging.getLogger(__name__)


class Writer:
    """The disk thread. Every method may be called from any thread; none waits except `flush` and `stop`.

    Args:
        emit: gets every event, on the disk thread.
        rest_s: how long the hand must rest before layers and manifest are written, in seconds.
    """

    def __init__(self, emit: Callable[[Event], None], *, rest_s: float = REST_S) -> None:
        self._emit = emit
        self._changed = threading.Condition()
        self._schedule = Schedule(rest_s)
        self._current: Job | None = None
        self._flushing = 0
        self._stalled = False
        self._stopping = False
        self._hash_until = float("-inf")
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        """Start the thread, once."""
        self._thread.start()

    @property
    def pending(self) -> int:
        """Number of steps, layers, manifests and other works that are not on disk yet."""
        with self._changed:
            return self._schedule.count

    def append(
        self,
        store: AnnotationStore,
        image_id: str,
        kind: RecordKind,
        revision: int,
        patch: Patch | bytes | None = None,
    ) -> None:
        """Have one step added to the journal of an image; `AnnotationStored` follows once it is on disk.

        Args:
            store: where the image's annotation lies.
            image_id: the image.
            kind: what happened.
            revision: one more than the last one.
            patch: the patch of a `RecordKind.PATCH`, otherwise None.
        """
        with self._changed:
            self._schedule.add_append(time.monotonic(), store, image_id, kind, revision, patch)
            self._changed.notify_all()

    def snapshot(self, store: AnnotationStore, image_id: str, size: tuple[int, int]) -> None:
        """Have the layers of an image brought up to its journal once the hand rests: `SnapshotStored`.

        Calls for the same image coalesce. The layers are made from what is on disk, so nobody copies arrays.

        Args:
            store: where the image's annotation lies.
            image_id: the image.
            size: its (H, W).
        """
        with self._changed:
            self._schedule.add_snapshot(time.monotonic(), store, image_id, size)
            self._changed.notify_all()

    def manifest(self, project: Project, manifest: Manifest) -> None:
        """Have the manifest of a project written soon: `ManifestStored`. The last of several calls counts.

        Content hashes that annotated images lack are taken when there is nothing else to do, at the latest
        by `stop`, and filled in.
        """
        path, whole = project.manifest_path, project.complete(manifest)
        with self._changed:
            self._schedule.add_manifest(time.monotonic(), path, project.images_folder, whole)
            self._changed.notify_all()

    def run(self, target: str, work: Callable[[], None]) -> None:
        """Have larger work done on the disk thread, between the steps asked for before and those after.

        Args:
            target: what is written, for messages.
            work: must be repeatable: it is called again if it raises `EngineError`.
        """
        with self._changed:
            self._schedule.add_work(target, work)
            self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Write everything now and wait for it, `timeout` seconds at most.

        Returns:
            Whether everything is on disk. False comes early if all that is left was tried and refused.
        """
        with self._changed:
            self._schedule.forgive()
            self._flushing += 1
            self._stalled = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._is_done() or self._stalled, timeout)
            self._flushing -= 1
            return self._is_done()

    def stop(self, timeout: float = 30.0) -> bool:
        """Write everything, trying once more what failed, and end the thread. May be called twice.

        Hashes of images that were annotated a moment ago are still taken, for `HASHING_S` at most: an image
        that is renamed before the project is opened again is found by its hash only.

        Returns:
            Whether everything is on disk.
        """
        with self._changed:
            self._schedule.forgive()
            if not self._stopping:
                self._hash_until = time.monotonic() + HASHING_S
            self._stopping = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return self.pending == 0

    def _is_done(self) -> bool:
        return self._schedule.count == 0 and self._current is None

    # --- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        step_aside()
        while (job := self._wait_for_job()) is not None:
            try:
                event = job.write()
            except EngineError as error:
                self._failed(job, Problem.from_error(error))
            except Exception as error:  # noqa: BLE001 - a bug in one job must not stop the saving of others
                hint = "Everything is kept in memory and tried again. Please report this."
                report = traceback.format_exc()
                problem = Problem(message=f"Saving failed: {error!r}", hint=hint, report=report)
                self._failed(job, problem)
            else:
                self._succeeded(job, event)

    def _wait_for_job(self) -> Job | None:
        """Return what to do next; None once the thread shall end."""
        with self._changed:
            while True:
                now = time.monotonic()
                self._current = self._next_job(now)
                self._stalled = self._current is None
                self._changed.notify_all()
                if self._current is not None or self._stopping:
                    return self._current
                self._changed.wait(self._schedule.wake_after(now))

    def _next_job(self, now: float) -> Job | None:
        at_once = self._flushing > 0 or self._stopping
        hashing = now < self._hash_until if self._stopping else not at_once
        job = self._schedule.next_job(now, at_once=at_once, hashing=hashing)
        if job is None and self._stopping and self._schedule.save_hashes(now):
            return self._schedule.next_job(now, at_once=True, hashing=False)
        return job

    def _succeeded(self, job: Job, event: Event | None) -> None:
        with self._changed:
            recovered = self._schedule.succeeded(time.monotonic(), job)
        if event is not None:
            self._tell(event)
        if recovered:
            self._tell(WriteRecovered(target=job.target))

    def _failed(self, job: Job, problem: Problem) -> None:
        with self._changed:
            first = self._schedule.failed(time.monotonic(), job)
        if first:
            self._tell(WriteFailed(target=job.target, problem=problem))

    def _tell(self, event: Event) -> None:
        try:
            self._emit(event)
        except Exception:  # noqa: BLE001 - whoever listens must not be able to stop the saving
            _log.exception("An event of the writer could not be delivered.")
