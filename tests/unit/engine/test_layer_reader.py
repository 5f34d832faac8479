"""Annotations read again and again: always what is on disk, without unpacking it anew."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.annotate.classes import UNLABELLED
from engine.project.layer_reader import LayerReader
from engine.project.store import AnnotationStore
from tests.support.disk import Painter
from tests.support.stored import IMAGE, SIZE


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(seed=st.integers(0, 10_000), plan=st.lists(st.sampled_from("sssscwa"), max_size=30))
def test_it_reads_what_the_store_reads(tmp_path: Path, seed: int, plan: list[str]) -> None:
    """s: step; c: the layers follow; w: everything is written anew without history; a: set aside."""
    folder = tmp_path / "project"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    store, painter = AnnotationStore(folder), Painter(SIZE, seed)
    reader = LayerReader(AnnotationStore(folder))
    for action in plan:
        if action == "s":
            store.append(IMAGE, *painter.step())
        elif action == "c":
            store.settle(IMAGE, SIZE)
        elif action == "w":
            painter.revision += 1
            flipped = np.where(painter.annotation.label_map == 0, np.uint8(1), painter.annotation.label_map)
            store.rewrite(IMAGE, flipped, painter.annotation.provenance, painter.revision)
            painter = _resumed(store, painter)
        else:
            store.set_aside(IMAGE)
            painter = Painter(SIZE, seed + 1)
        label_map, provenance = reader.read(IMAGE, SIZE)
        expected = AnnotationStore(folder).load(IMAGE, SIZE).annotation
        assert np.array_equal(label_map, expected.label_map)
        assert np.array_equal(provenance, expected.provenance)


def _resumed(store: AnnotationStore, before: Painter) -> Painter:
    painter = Painter(SIZE)
    loaded = store.load(IMAGE, SIZE)
    painter.annotation, painter.history = loaded.annotation, loaded.history
    painter.revision, painter.rng = before.revision, before.rng
    return painter


def test_after_a_step_no_layer_is_unpacked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, painter = AnnotationStore(tmp_path), Painter(SIZE)
    store.append(IMAGE, *painter.step())
    store.settle(IMAGE, SIZE)
    reader = LayerReader(AnnotationStore(tmp_path))
    reader.read(IMAGE, SIZE)
    monkeypatch.setattr(AnnotationStore, "load", lambda *_: pytest.fail("read whole"))
    for _ in range(3):
        store.append(IMAGE, *painter.step())
        label_map, _ = reader.read(IMAGE, SIZE)
        assert np.array_equal(label_map, painter.annotation.label_map)


def test_what_was_handed_out_stays_as_it_was(tmp_path: Path) -> None:
    store, painter = AnnotationStore(tmp_path), Painter(SIZE)
    reader = LayerReader(AnnotationStore(tmp_path))
    first, _ = reader.read(IMAGE, SIZE)
    store.append(IMAGE, *painter.step())
    second, _ = reader.read(IMAGE, SIZE)
    assert (first == UNLABELLED).all()
    assert not np.array_equal(first, second)
    assert not second.flags.writeable
