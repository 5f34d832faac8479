"""The disk thread for tests: a project to write in, writers that end with the test, a person who paints."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.annotate.journal import RecordKind
from engine.project.project import Project
from engine.project.store import AnnotationStore
from engine.writer import Writer
from tests.support.disk import Painter, images_folder
from tests.support.events import Events

SIZE = (24, 32)
NEVER = 3600.0
MakeWriter = Callable[..., Writer]


@contextmanager
def project_of(folder: Path) -> Iterator[Project]:
    """A project on a folder of images, on disk."""
    opened = Project.open(images_folder(folder))
    opened.ensure()
    yield opened
    opened.close()


@contextmanager
def writers(events: Events) -> Iterator[MakeWriter]:
    """Makes writers that tell of `events`; all are stopped at the end."""
    made: list[Writer] = []

    def make(rest_s: float = NEVER, *, start: bool = True) -> Writer:
        writer = Writer(events, rest_s=rest_s)
        made.append(writer)
        if start:
            writer.start()
        return writer

    yield make
    for writer in made:
        writer.stop()


def paint(
    writer: Writer, store: AnnotationStore, painter: Painter, steps: int, image_id: str = "a1.png"
) -> None:
    """Let a person do some steps, each journalled and followed by the wish for a snapshot."""
    for _ in range(steps):
        writer.append(store, image_id, *painter.step(RecordKind.PATCH))
        writer.snapshot(store, image_id, SIZE)
