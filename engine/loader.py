"""Decoding images off the window's thread: the image on screen first, then its neighbours, then thumbnails.

Two threads share the work. Only one of them ever does what can wait, so the other is free for the image a
person asks for. The newest request wins; an older one that has not started is dropped.
"""

import threading
import traceback
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.annotate.classes import ClassTable
from engine.errors import AnnotationError, EngineError
from engine.messages import Event, ImageFailed, ImageLoaded, Problem, ThumbnailReady
from engine.project.images import decode_image, thumbnail
from engine.project.pyramid import ImagePyramid, build_pyramid
from engine.project.store import AnnotationStore, LoadedAnnotation

CACHE_BYTES: Final = 768 * 1024 * 1024
THUMBNAIL_BYTES: Final = 96 * 1024 * 1024
THUMBNAIL_EDGE: Final = 160
_THREADS: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class _Decoded:
    pyramid: ImagePyramid
    notes: tuple[str, ...]
    stamp: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    image_id: str
    path: Path
    store: AnnotationStore | None = None
    classes: ClassTable | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """What a thread does next: `show` ends in `ImageLoaded`, `small` in a thumbnail; else it only decodes."""

    request: _Request
    show: bool = False
    small: bool = False

    @property
    def background(self) -> bool:
        return not self.show


class Loader:
    """The decode threads. All methods return at once and may be called from any thread, `stop` excepted.

    Args:
        emit: gets every event, on a decode thread.
        cache_bytes: memory for decoded images; the least recently used leave first.
    """

    def __init__(self, emit: Callable[[Event], None], *, cache_bytes: int = CACHE_BYTES) -> None:
        self._emit = emit
        self._cache_bytes = cache_bytes
        self._changed = threading.Condition()
        self._wanted: _Request | None = None
        self._ahead: deque[_Request] = deque()
        self._small: deque[_Request] = deque()
        self._running: set[_Task] = set()
        self._decoded: OrderedDict[Path, _Decoded] = OrderedDict()
        self._thumbnails: OrderedDict[Path, tuple[NDArray[np.uint8], tuple[int, int]]] = OrderedDict()
        self._thumbnail_bytes = 0
        self._stopping = False
        self._threads: list[threading.Thread] = []

    # --- what others ask for --------------------------------------------------------------------

    def load(
        self, image_id: str, path: Path, store: AnnotationStore | None, classes: ClassTable | None = None
    ) -> None:
        """Ask for an image: `ImageLoaded` or `ImageFailed` follows, unless a newer request comes first.

        The annotation is always read anew; if it is damaged, the image comes without it and with the reason.

        Args:
            image_id: the image.
            path: its file.
            store: where its annotation lies; None if there is none.
            classes: if given, labels outside it count as damage.
        """
        with self._changed:
            self._wanted = _Request(image_id, path, store, classes)
            self._wake()

    def prefetch(self, image_id: str, path: Path) -> None:
        """Decode an image ahead of need, when nothing else is to be done; no event follows."""
        with self._changed:
            if all(request.path != path for request in self._ahead):
                self._ahead.append(_Request(image_id, path))
            while len(self._ahead) > 4:  # the oldest guesses are wrong by now
                self._ahead.popleft()
            self._wake()

    def thumbnails(self, images: Sequence[tuple[str, Path]]) -> None:
        """Ask for thumbnails in this order; what was asked for before and not begun is dropped.

        `ThumbnailReady` follows for each, or `ImageFailed`.
        """
        with self._changed:
            self._small = deque(_Request(image_id, path) for image_id, path in images)
            self._wake()

    def cancel(self) -> None:
        """Drop every request that has not begun, and the event of the image being decoded for show."""
        with self._changed:
            self._wanted = None
            self._ahead.clear()
            self._small.clear()

    def stop(self, timeout: float = 30.0) -> None:
        """Drop all requests and wait for the threads to end; a decode under way is finished first."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self.cancel()
        for thread in self._threads:
            thread.join(timeout)

    # --- choosing; the condition is held --------------------------------------------------------

    def _wake(self) -> None:
        if not self._threads and not self._stopping:
            for number in range(_THREADS):
                thread = threading.Thread(target=self._run, name=f"loader-{number}", daemon=True)
                self._threads.append(thread)
                thread.start()
        self._changed.notify_all()

    def _next_task(self) -> _Task | None:
        busy = {task.request.path for task in self._running if not task.small}
        shown = any(task.request is self._wanted for task in self._running)
        if self._wanted is not None and not shown:
            # A neighbour that is being decoded already is waited for instead of decoded twice.
            return None if self._wanted.path in busy else _Task(self._wanted, show=True)
        if any(task.background for task in self._running):
            return None
        while self._ahead:
            request = self._ahead.popleft()
            if request.path not in busy and request.path not in self._decoded:
                return _Task(request)
        return _Task(self._small.popleft(), small=True) if self._small else None

    # --- the threads ----------------------------------------------------------------------------

    def _run(self) -> None:
        while (task := self._wait_for_task()) is not None:
            try:
                event = self._do(task)
            except EngineError as error:
                event = self._failure(task, Problem.from_error(error))
            except Exception as error:  # noqa: BLE001 - a bug with one image must not stop all others
                hint = "The other images are not affected. Please report this."
                report = traceback.format_exc()
                problem = Problem(
                    message=f"“{task.request.path}” failed: {error!r}", hint=hint, report=report
                )
                event = self._failure(task, problem)
            self._finish(task, event)

    def _wait_for_task(self) -> _Task | None:
        with self._changed:
            while not self._stopping:
                task = self._next_task()
                if task is not None:
                    self._running.add(task)
                    return task
                self._changed.wait()
            return None

    def _do(self, task: _Task) -> Event | None:
        if task.small:
            return ThumbnailReady(
                image_id=task.request.image_id, thumbnail=self._thumbnail(task.request.path)
            )
        decoded = self._decode(task.request.path)
        return self._with_annotation(task.request, decoded) if task.show else None

    @staticmethod
    def _failure(task: _Task, problem: Problem) -> Event | None:
        # A neighbour that cannot be read is reported when somebody looks at it.
        wanted = task.show or task.small
        return ImageFailed(image_id=task.request.image_id, problem=problem) if wanted else None

    def _finish(self, task: _Task, event: Event | None) -> None:
        with self._changed:
            self._running.discard(task)
            current = not task.show or task.request is self._wanted
            if task.show and current:
                self._wanted = None
            stopping = self._stopping
            self._changed.notify_all()
        if event is not None and current and not stopping:
            self._emit(event)

    def _with_annotation(self, request: _Request, decoded: _Decoded) -> Event:
        annotation: LoadedAnnotation | None = None
        problem: Problem | None = None
        damaged = False
        if request.store is not None:
            try:
                annotation = request.store.load(request.image_id, decoded.pyramid.size, request.classes)
            except EngineError as error:
                problem = Problem.from_error(error)
                damaged = isinstance(error, AnnotationError)
        return ImageLoaded(
            image_id=request.image_id,
            size=decoded.pyramid.size,
            pyramid=decoded.pyramid,
            annotation=annotation,
            annotation_problem=problem,
            annotation_damaged=damaged,
            notes=decoded.notes,
        )

    # --- caches ---------------------------------------------------------------------------------

    def _decode(self, path: Path) -> _Decoded:
        stamp = _stamp(path)
        with self._changed:
            known = self._decoded.get(path)
            if known is not None and known.stamp == stamp:
                self._decoded.move_to_end(path)
                return known
        image = decode_image(path)
        decoded = _Decoded(build_pyramid(image.pixels), image.notes, stamp)
        with self._changed:
            self._decoded[path] = decoded
            self._decoded.move_to_end(path)
            total = sum(entry.pyramid.nbytes for entry in self._decoded.values())
            while total > self._cache_bytes:
                total -= self._decoded.popitem(last=False)[1].pyramid.nbytes
        return decoded

    def _thumbnail(self, path: Path) -> NDArray[np.uint8]:
        stamp = _stamp(path)
        with self._changed:
            known = self._thumbnails.get(path)
            if known is not None and known[1] == stamp:
                self._thumbnails.move_to_end(path)
                return known[0]
        small = thumbnail(path, THUMBNAIL_EDGE)
        with self._changed:
            if known is not None:
                self._thumbnail_bytes -= known[0].nbytes
            self._thumbnails[path] = (small, stamp)
            self._thumbnail_bytes += small.nbytes
            while self._thumbnail_bytes > THUMBNAIL_BYTES:
                self._thumbnail_bytes -= self._thumbnails.popitem(last=False)[1][0].nbytes
        return small


def _stamp(path: Path) -> tuple[int, int]:
    """Tells whether a file changed; zeros where it is gone, which reading it will report properly."""
    try:
        state = path.stat()
    except OSError:
        return 0, 0
    return state.st_mtime_ns, state.st_size
