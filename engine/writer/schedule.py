"""What the disk thread does next. Pure bookkeeping: no thread, no disk, no clock of its own."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from engine.annotate.journal import RecordKind
from engine.annotate.patch import Patch
from engine.project.manifest import MANIFEST_NAME, Manifest
from engine.project.store import AnnotationStore
from engine.writer.jobs import Append, Hashing, Job, ManifestJob, Snapshot, Work

_LONGEST_WAIT_S: Final = 10.0
_FIRST_RETRY_S: Final = 0.5
_LAST_RETRY_S: Final = 15.0


@dataclass(slots=True)
class _Failure:
    attempts: int
    again: float


_Key = tuple[Path, str]


class Schedule:
    """Everything that is not on disk yet, and the order in which it goes there.

    Steps come first, in the order they were asked for. Before a step comes the manifest of its project, if
    that has other classes than the one on disk. Layers wait until all steps of their image are written and
    the hand rests; other manifests wait for the hand too. What failed waits longer each time, and what
    depends on it waits with it.

    Times are seconds of any one clock. Not thread-safe.
    """

    def __init__(self, rest_s: float) -> None:
        """Args: rest_s: how long the hand must rest, in seconds."""
        self._rest_s = rest_s
        self._orders = 0
        self._appends: dict[_Key, deque[Append]] = {}
        self._works: deque[Work] = deque()
        self._snapshots: dict[_Key, Snapshot] = {}
        self._manifests: dict[Path, ManifestJob] = {}
        self._written: dict[Path, ManifestJob] = {}
        self._hashes: dict[Path, str | None] = {}
        self._hashed: set[Path] = set()
        self._failures: dict[str, _Failure] = {}

    @property
    def count(self) -> int:
        """Number of jobs whose data is not on disk."""
        steps = sum(len(queue) for queue in self._appends.values())
        return steps + len(self._works) + len(self._snapshots) + len(self._manifests)

    # --- what is to be done ---------------------------------------------------------------------

    def add_append(
        self,
        now: float,
        store: AnnotationStore,
        image_id: str,
        kind: RecordKind,
        revision: int,
        patch: Patch | bytes | None,
    ) -> None:
        """Note one step of an image."""
        self._orders += 1
        key = (store.folder, image_id)
        job = Append(self._orders, store, image_id, kind, revision, patch)
        self._appends.setdefault(key, deque()).append(job)
        snapshot = self._snapshots.get(key)
        if snapshot is not None:
            snapshot.due = self._rest_after(now, snapshot.since)

    def add_snapshot(self, now: float, store: AnnotationStore, image_id: str, size: tuple[int, int]) -> None:
        """Note that the layers of an image are to be written once the hand rests."""
        key = (store.folder, image_id)
        known = self._snapshots.get(key)
        since = known.since if known is not None else now
        # A new object: the one being written just now does not cover what came after it began.
        self._snapshots[key] = Snapshot(store, image_id, size, since, self._rest_after(now, since))

    def add_manifest(self, now: float, path: Path, images_folder: Path, manifest: Manifest) -> None:
        """Note that a manifest is to be written; it replaces one that waits."""
        due = now + self._rest_s
        known = self._manifests.get(path)
        if known is not None:
            due = min(due, known.due)
        self._manifests[path] = ManifestJob(path, images_folder, manifest, self._hashes, due)

    def add_work(self, target: str, work: Callable[[], None]) -> None:
        """Note larger work, to be done between the steps before and the steps after it."""
        self._orders += 1
        self._works.append(Work(self._orders, target, work))

    def _rest_after(self, now: float, since: float) -> float:
        return min(now + self._rest_s, since + _LONGEST_WAIT_S)

    # --- choosing -------------------------------------------------------------------------------

    def next_job(self, now: float, *, at_once: bool, hashing: bool = True) -> Job | None:
        """Return what can be done now, or None.

        Args:
            now: the time.
            at_once: do not wait for the hand to rest.
            hashing: take hashes of images when there is nothing else to do.
        """
        for job in (*self._next_steps(), *self._next_rest(now, at_once=at_once)):
            failure = self._failures.get(job.target)
            if failure is None or failure.again <= now:
                if isinstance(job, ManifestJob):
                    job.limits = self._limits(job.path)
                return job
        return self._next_hashing() if hashing else None

    def _next_steps(self) -> list[Job]:
        barrier = self._works[0].order if self._works else self._orders + 1
        heads = [queue[0] for queue in self._appends.values() if queue[0].order < barrier]
        jobs: list[Job] = []
        for head in sorted(heads, key=lambda job: job.order):
            manifest = self._manifests.get(head.store.folder / MANIFEST_NAME)
            jobs.append(manifest if manifest is not None and self._changes_classes(manifest) else head)
        if self._works and not heads:
            jobs.append(self._works[0])
        return jobs

    def _changes_classes(self, job: ManifestJob) -> bool:
        written = self._written.get(job.path)
        return written is None or written.manifest.classes != job.manifest.classes

    def _limits(self, path: Path) -> dict[str, int]:
        """The revisions that the disk holds, for images of which it does not hold all steps yet."""
        return {
            image_id: queue[0].revision - 1
            for (folder, image_id), queue in self._appends.items()
            if folder / MANIFEST_NAME == path
        }

    def _next_rest(self, now: float, *, at_once: bool) -> list[Job]:
        jobs: list[Job] = [
            job
            for job in self._manifests.values()
            if (at_once or job.due <= now) and not (job.after_steps and self._limits(job.path))
        ]
        ready = [key for key in self._snapshots if key not in self._appends]
        jobs += [self._snapshots[key] for key in ready if at_once or self._snapshots[key].due <= now]
        return jobs

    def _next_hashing(self) -> Job | None:
        for written in self._written.values():
            if written.unhashed:
                return Hashing(written.unhashed[0], written)
        return None

    def wake_after(self, now: float) -> float | None:
        """Return the seconds until something becomes due; None if only a call can change anything."""
        times = [job.due for job in self._manifests.values()]
        times += [job.due for job in self._snapshots.values()]
        times += [failure.again for failure in self._failures.values()]
        return min((at - now for at in times if at > now), default=None)

    # --- what became of it ----------------------------------------------------------------------

    def succeeded(self, now: float, job: Job) -> bool:
        """Strike a job off, unless it was asked for again meanwhile; return whether it had failed before."""
        match job:
            case Append():
                key = (job.store.folder, job.image_id)
                self._appends[key].popleft()
                if not self._appends[key]:
                    del self._appends[key]
            case Work():
                self._works.popleft()
            case Snapshot():
                key = (job.store.folder, job.image_id)
                newer = self._snapshots.get(key)
                if newer is job:
                    del self._snapshots[key]
                elif newer is not None:  # asked for meanwhile: it waits as long as any other
                    newer.since, newer.due = now, self._rest_after(now, now)
            case ManifestJob():
                self._manifest_written(now, job)
            case Hashing():
                self._hashed.add(job.manifest_job.path)
                if not job.manifest_job.unhashed:
                    self.save_hashes(now)
        return self._failures.pop(job.target, None) is not None

    def save_hashes(self, now: float) -> bool:
        """Have the hashes written that were taken so far; return whether there are any for that."""
        lacking = self._hashed - self._manifests.keys()
        self._hashed.clear()
        for path in lacking:
            self._manifests[path] = replace(self._written[path], due=now)
        return bool(lacking)

    def _manifest_written(self, now: float, job: ManifestJob) -> None:
        self._written[job.path] = job
        if self._manifests.get(job.path) is job:
            del self._manifests[job.path]
        if job.limits:  # it had to leave out what the journals did not hold yet
            again = replace(job, due=now + self._rest_s, limits={}, after_steps=True)
            self._manifests.setdefault(job.path, again)

    def failed(self, now: float, job: Job) -> bool:
        """Keep a job for later; return whether this is the first failure of its target."""
        failure = self._failures.get(job.target)
        attempts = 1 if failure is None else failure.attempts + 1
        delay = min(_FIRST_RETRY_S * 2 ** min(attempts - 1, 10), _LAST_RETRY_S)
        self._failures[job.target] = _Failure(attempts, now + delay)
        return failure is None

    def forgive(self) -> None:
        """Let everything that failed be tried again at once."""
        for failure in self._failures.values():
            failure.again = float("-inf")
