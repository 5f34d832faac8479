"""The decode threads: newest request first, nothing decoded twice, bounded memory, every failure told."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine import loader as loader_module
from engine.annotate.classes import ClassTable
from engine.annotate.journal import RecordKind
from engine.loader import Loader
from engine.messages import ImageFailed, ImageLoaded, ThumbnailReady
from engine.project.images import DecodedImage, decode_image
from engine.project.pyramid import build_pyramid
from engine.project.store import AnnotationStore
from tests.support.disk import Painter, images_folder
from tests.support.events import Events

SIZE = (24, 32)


class LoaderEvents(Events):
    """Events with the loader's own two questions."""

    def loaded(self, image_id: str) -> ImageLoaded:
        event = self.wait(lambda e: isinstance(e, ImageLoaded) and e.image_id == image_id)
        assert isinstance(event, ImageLoaded)
        return event

    def failed(self, image_id: str) -> ImageFailed:
        event = self.wait(lambda e: isinstance(e, ImageFailed) and e.image_id == image_id)
        assert isinstance(event, ImageFailed)
        return event


class Gate:
    """Stands in for decoding: notes every image and waits where it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.decoded: list[str] = []
        self.closed: dict[str, threading.Event] = {}
        self.entered: dict[str, threading.Event] = {}
        monkeypatch.setattr(loader_module, "decode_image", self.decode)

    def close(self, name: str) -> None:
        self.closed[name], self.entered[name] = threading.Event(), threading.Event()

    def open(self, name: str) -> None:
        self.closed[name].set()

    def decode(self, path: Path) -> DecodedImage:
        self.decoded.append(path.name)
        if path.name in self.closed:
            self.entered[path.name].set()
            assert self.closed[path.name].wait(60)
        return decode_image(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return images_folder(tmp_path, 8, SIZE)


@pytest.fixture
def events() -> LoaderEvents:
    return LoaderEvents()


@pytest.fixture
def loader(events: LoaderEvents) -> Iterator[Loader]:
    made = Loader(events)
    yield made
    made.stop()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(monkeypatch)


# --- showing -------------------------------------------------------------------------------------


def test_image_comes_with_pyramid_and_annotation(folder: Path, loader: Loader, events: LoaderEvents) -> None:
    store, painter = AnnotationStore(folder / "maskloop"), Painter(SIZE)
    store.folder.mkdir()
    store.append("a3.png", *painter.step(RecordKind.PATCH))
    loader.load("a3.png", folder / "a3.png", store)
    event = events.loaded("a3.png")
    assert event.size == SIZE
    assert event.pyramid.levels[0][0, 0].tolist() == [80, 80, 80, 255]
    assert event.annotation is not None
    assert event.annotation.annotation.label_map.tobytes() == painter.annotation.label_map.tobytes()
    assert event.annotation_problem is None
    assert event.notes == ()


def test_without_a_store_there_is_no_annotation(folder: Path, loader: Loader, events: LoaderEvents) -> None:
    loader.load("a0.png", folder / "a0.png", None)
    assert events.loaded("a0.png").annotation is None


def test_damaged_annotation_hides_no_image(folder: Path, loader: Loader, events: LoaderEvents) -> None:
    store = AnnotationStore(folder / "maskloop")
    path = store.label_path("a3.png")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"rubbish")
    loader.load("a3.png", folder / "a3.png", store)
    event = events.loaded("a3.png")
    assert event.annotation is None
    assert event.annotation_problem is not None
    assert "damaged" in event.annotation_problem.message
    assert path.read_bytes() == b"rubbish"


def test_class_that_does_not_exist_is_damage(folder: Path, loader: Loader, events: LoaderEvents) -> None:
    store = AnnotationStore(folder / "maskloop")
    store.folder.mkdir()
    store.append("a3.png", *Painter(SIZE).step(RecordKind.PATCH))
    loader.load("a3.png", folder / "a3.png", store, ClassTable())
    problem = events.loaded("a3.png").annotation_problem
    assert problem is not None
    assert "without a class" in problem.message


def test_notes_of_the_reader_come_along(folder: Path, loader: Loader, events: LoaderEvents) -> None:
    Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30)).save(folder / "deep.png")
    loader.load("deep.png", folder / "deep.png", None)
    assert "16-bit" in events.loaded("deep.png").notes[0]


def test_unreadable_image_is_told(folder: Path, loader: Loader, events: LoaderEvents) -> None:
    (folder / "a1.png").write_bytes(b"")
    loader.load("a1.png", folder / "a1.png", None)
    problem = events.failed("a1.png").problem
    assert "empty" in problem.message
    assert problem.hint
    assert problem.report == ""
    loader.load("a2.png", folder / "a2.png", None)
    events.loaded("a2.png")


def test_folder_that_vanishes_may_come_back(folder: Path, loader: Loader, events: LoaderEvents) -> None:
    away = folder.with_name("away")
    folder.rename(away)
    loader.load("a1.png", folder / "a1.png", None)
    assert "folder is gone" in events.failed("a1.png").problem.message
    away.rename(folder)
    loader.load("a1.png", folder / "a1.png", None)
    events.loaded("a1.png")


def test_bug_is_reported_and_the_threads_live_on(
    folder: Path, loader: Loader, events: LoaderEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(loader_module, "build_pyramid", lambda rgb: 1 / 0)
        loader.load("a1.png", folder / "a1.png", None)
        assert "Traceback" in events.failed("a1.png").problem.report
    loader.load("a1.png", folder / "a1.png", None)
    events.loaded("a1.png")


# --- order ---------------------------------------------------------------------------------------


def test_newest_request_wins(folder: Path, loader: Loader, events: LoaderEvents, gate: Gate) -> None:
    gate.close("a0.png")
    gate.close("a1.png")
    loader.load("a0.png", folder / "a0.png", None)
    assert gate.entered["a0.png"].wait(60)
    loader.load("a1.png", folder / "a1.png", None)
    assert gate.entered["a1.png"].wait(60)  # the second thread is free for it
    loader.load("a2.png", folder / "a2.png", None)
    loader.load("a3.png", folder / "a3.png", None)
    gate.open("a0.png")
    gate.open("a1.png")
    events.loaded("a3.png")
    assert [event.image_id for event in events.all if isinstance(event, ImageLoaded)] == ["a3.png"]
    assert "a2.png" not in gate.decoded


def test_asking_again_for_an_image_being_decoded_decodes_it_once(
    folder: Path, loader: Loader, events: LoaderEvents, gate: Gate
) -> None:
    gate.close("a0.png")
    loader.load("a0.png", folder / "a0.png", None)
    assert gate.entered["a0.png"].wait(60)
    loader.load("a1.png", folder / "a1.png", None)
    events.loaded("a1.png")
    loader.load("a0.png", folder / "a0.png", None)
    gate.open("a0.png")
    events.loaded("a0.png")
    assert gate.decoded.count("a0.png") == 1


def test_neighbours_are_ready_when_they_are_asked_for(
    folder: Path, loader: Loader, events: LoaderEvents, gate: Gate
) -> None:
    gate.close("a1.png")
    loader.prefetch("a1.png", folder / "a1.png")
    assert gate.entered["a1.png"].wait(60)
    loader.load("a1.png", folder / "a1.png", None)
    gate.open("a1.png")
    events.loaded("a1.png")
    assert gate.decoded == ["a1.png"]


def test_image_on_screen_does_not_wait_for_neighbours(
    folder: Path, loader: Loader, events: LoaderEvents, gate: Gate
) -> None:
    for name in ("a1.png", "a2.png"):
        gate.close(name)
        loader.prefetch(name, folder / name)
    assert gate.entered["a1.png"].wait(60)
    loader.load("a5.png", folder / "a5.png", None)
    events.loaded("a5.png")
    assert "a2.png" not in gate.decoded
    gate.open("a1.png")
    gate.open("a2.png")


def test_unreadable_neighbour_is_silent_until_looked_at(
    folder: Path, loader: Loader, events: LoaderEvents, gate: Gate
) -> None:
    (folder / "a1.png").write_bytes(b"")
    loader.prefetch("a1.png", folder / "a1.png")
    loader.thumbnails([("a2.png", folder / "a2.png")])
    events.wait(lambda event: isinstance(event, ThumbnailReady))
    assert not any(isinstance(event, ImageFailed) for event in events.all)
    loader.load("a1.png", folder / "a1.png", None)
    events.failed("a1.png")


def test_only_the_last_guesses_are_decoded_ahead(
    folder: Path, loader: Loader, events: LoaderEvents, gate: Gate
) -> None:
    gate.close("a0.png")
    loader.prefetch("a0.png", folder / "a0.png")
    assert gate.entered["a0.png"].wait(60)
    for number in (1, 2, 3, 4, 5, 5, 6):
        loader.prefetch(f"a{number}.png", folder / f"a{number}.png")
    gate.open("a0.png")
    loader.thumbnails([("a7.png", folder / "a7.png")])
    events.wait(lambda event: isinstance(event, ThumbnailReady))
    assert gate.decoded == ["a0.png", "a3.png", "a4.png", "a5.png", "a6.png"]


def test_cancel_drops_what_waits(folder: Path, loader: Loader, events: LoaderEvents, gate: Gate) -> None:
    gate.close("a0.png")
    loader.load("a0.png", folder / "a0.png", None)
    assert gate.entered["a0.png"].wait(60)
    loader.cancel()
    gate.open("a0.png")
    loader.load("a1.png", folder / "a1.png", None)
    events.loaded("a1.png")
    assert not any(isinstance(event, ImageLoaded) and event.image_id == "a0.png" for event in events.all)


# --- memory --------------------------------------------------------------------------------------


def test_image_seen_before_is_not_decoded_again(
    folder: Path, loader: Loader, events: LoaderEvents, gate: Gate
) -> None:
    loader.load("a0.png", folder / "a0.png", None)
    first = events.loaded("a0.png")
    events.all.clear()
    loader.load("a0.png", folder / "a0.png", None)
    assert events.loaded("a0.png").pyramid is first.pyramid
    assert gate.decoded == ["a0.png"]


def test_image_that_changed_is_decoded_again(folder: Path, loader: Loader, events: LoaderEvents) -> None:
    loader.load("a0.png", folder / "a0.png", None)
    events.loaded("a0.png")
    events.all.clear()
    Image.new("RGB", (50, 60)).save(folder / "a0.png")
    loader.load("a0.png", folder / "a0.png", None)
    assert events.loaded("a0.png").size == (60, 50)


def test_memory_is_bounded_and_the_oldest_leaves(folder: Path, events: LoaderEvents, gate: Gate) -> None:
    one = build_pyramid(decode_image(folder / "a0.png").pixels).nbytes
    loader = Loader(events, cache_bytes=2 * one)
    for name in ("a0.png", "a1.png", "a0.png", "a2.png", "a0.png", "a1.png"):
        events.all.clear()
        loader.load(name, folder / name, None)
        events.loaded(name)
    loader.stop()
    assert gate.decoded == ["a0.png", "a1.png", "a2.png", "a1.png"]


def test_image_larger_than_the_cache_is_shown_all_the_same(folder: Path, events: LoaderEvents) -> None:
    loader = Loader(events, cache_bytes=10)
    loader.load("a0.png", folder / "a0.png", None)
    events.loaded("a0.png")
    loader.stop()


# --- thumbnails ----------------------------------------------------------------------------------


def test_thumbnails_come_in_order_and_are_kept(
    folder: Path, loader: Loader, events: LoaderEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    real = loader_module.thumbnail

    def count(path: Path, edge: int) -> np.ndarray:
        made.append(path.name)
        return real(path, edge)

    monkeypatch.setattr(loader_module, "thumbnail", count)
    names = [f"a{number}.png" for number in (4, 1, 6)]
    for _ in range(2):
        events.all.clear()
        loader.thumbnails([(name, folder / name) for name in names])
        events.wait(lambda event: isinstance(event, ThumbnailReady) and event.image_id == "a6.png")
        assert [event.image_id for event in events.all if isinstance(event, ThumbnailReady)] == names
    assert made == names


def test_thumbnail_of_an_unreadable_image_is_told_and_the_rest_goes_on(
    folder: Path, loader: Loader, events: LoaderEvents
) -> None:
    (folder / "a1.png").write_bytes(b"rubbish")
    loader.thumbnails([(name, folder / name) for name in ("a0.png", "a1.png", "a2.png")])
    events.failed("a1.png")
    events.wait(lambda event: isinstance(event, ThumbnailReady) and event.image_id == "a2.png")


def test_thumbnails_kept_are_bounded(
    folder: Path, loader: Loader, events: LoaderEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader_module, "THUMBNAIL_BYTES", 2 * SIZE[0] * SIZE[1] * 3)
    loader.thumbnails([(f"a{n}.png", folder / f"a{n}.png") for n in range(8)])
    events.wait(lambda event: isinstance(event, ThumbnailReady) and event.image_id == "a7.png")
    assert len(loader._thumbnails) == 2
    Image.new("RGB", (9, 8)).save(folder / "a7.png")
    events.all.clear()
    loader.thumbnails([("a7.png", folder / "a7.png")])
    event = events.wait(lambda event: isinstance(event, ThumbnailReady))
    assert isinstance(event, ThumbnailReady)
    assert event.thumbnail.shape == (8, 9, 3)
    assert loader._thumbnail_bytes == SIZE[0] * SIZE[1] * 3 + 8 * 9 * 3


# --- the end -------------------------------------------------------------------------------------


def test_stopping_ends_the_threads_and_silences_them(folder: Path, events: LoaderEvents, gate: Gate) -> None:
    loader = Loader(events)
    gate.close("a0.png")
    loader.load("a0.png", folder / "a0.png", None)
    assert gate.entered["a0.png"].wait(60)
    stopper = threading.Thread(target=loader.stop)
    stopper.start()
    while not loader._stopping:
        pass
    gate.open("a0.png")
    stopper.join(60)
    assert not stopper.is_alive()
    assert events.all == []
    loader.load("a1.png", folder / "a1.png", None)
    assert not any(thread.is_alive() for thread in loader._threads)


def test_loader_that_never_worked_stops_at_once(events: LoaderEvents) -> None:
    Loader(events).stop()
