"""Annotations and projects that tests of the disk side find stored."""

from dataclasses import replace
from pathlib import Path

from engine.annotate.classes import ClassTable
from engine.annotate.journal import RecordKind
from engine.files import hash_file
from engine.project.manifest import ImageRecord, ImageStatus, Split
from engine.project.project import Project
from engine.project.store import AnnotationStore, LoadedAnnotation
from tests.support.disk import Painter

SIZE = (24, 32)
IMAGE = "sub/a.jpg"
CLASSES = ClassTable().add("road").add("tree").add("sky")


def state_of(loaded: LoadedAnnotation) -> tuple[bytes, bytes, int, object]:
    """Everything that must be the same after reading it again."""
    annotation = loaded.annotation
    return (
        annotation.label_map.tobytes(),
        annotation.provenance.tobytes(),
        annotation.revision,
        loaded.history,
    )


def painted(store: AnnotationStore, steps: int = 5, seed: int = 0) -> Painter:
    """Paint so many strokes and store each."""
    painter = Painter(SIZE, seed)
    for _ in range(steps):
        store.append(IMAGE, *painter.step(RecordKind.PATCH))
    return painter


def annotate(project: Project, image_id: str = "a1.png", steps: int = 3, *, hashed: bool = True) -> Painter:
    """Paint a few strokes and write everything down, as a session with its writer does."""
    painter = Painter(SIZE)
    project.ensure()
    for _ in range(steps):
        project.store.append(image_id, *painter.step(RecordKind.PATCH))
    project.store.settle(image_id, SIZE)
    record = ImageRecord(
        image_id=image_id,
        content_hash=hash_file(project.image_path(image_id)) if hashed else None,
        split=Split.TRAIN,
        status=ImageStatus.STARTED,
        revision=painter.revision,
        size=SIZE,
        labelled=(0, 1, 2),
    )
    project.update(replace(project.manifest.with_record(record), classes=CLASSES))
    project.save()
    return painter


def made(folder: Path) -> Painter:
    """Make a project in a folder of images and close it."""
    project = Project.open(folder)
    painter = annotate(project)
    project.close()
    return painter
