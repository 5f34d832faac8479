"""Sparse corrections: trust by provenance, strokes spread to edges, the average agreed with."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.annotate.classes import UNLABELLED, VOID, Provenance
from engine.config import SparseConfig
from engine.learn.batches import Batches, trust_of
from engine.learn.consistency import Consistency
from engine.learn.image_cache import ImageCache
from engine.learn.pool import Pool, store_reader
from engine.learn.spread import SPREAD, cells, spread
from engine.learn.trainer import Trainer
from engine.project.manifest import Split
from models.build import build_loss, build_model
from tests.support.learning import BOX, CLASSES, LOSS, NETWORK, SIZE, SKY, TRAINING, make_project, picture

CPU = torch.device("cpu")


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    project = make_project(tmp_path)
    pool = Pool(store_reader(str(project.folder)), CLASSES, TRAINING.crop, 1 << 24)
    for _ in pool.fill(project.items):
        pass
    return pool


def test_cells_follow_edges() -> None:
    image, labels = picture(1, (96, 120))
    cell_of = cells(image)
    assert cell_of.shape == labels.shape
    numbers = [number for number in np.unique(cell_of) if number]
    pure = [np.unique(labels[cell_of == number]).size == 1 for number in numbers]
    assert 60 <= len(pure) <= 8 * 10
    assert np.mean(pure) > 0.8


def test_a_stroke_fills_the_cells_it_is_alone_in() -> None:
    cell_of = np.repeat(np.arange(1, 5, dtype=np.int32), 10)[None].repeat(4, 0)
    labels = np.full(cell_of.shape, UNLABELLED, np.uint8)
    provenance = np.zeros(cell_of.shape, np.uint8)
    labels[1, 2:9], labels[2, 22:26], labels[0, 24:29] = SKY, SKY, BOX
    labels[3, 0], labels[0, 30:38] = VOID, BOX
    provenance[labels != UNLABELLED] = Provenance.STROKE
    provenance[0, 30:38] = Provenance.ACCEPTED
    taught, origin = spread(labels, provenance, cell_of)
    assert (taught[:, :10][labels[:, :10] == UNLABELLED] == SKY).all()
    assert taught[3, 0] == VOID
    # Nobody spoke, strokes disagree, or nobody painted: nothing is spread.
    assert (taught[:, 10:] == labels[:, 10:]).all()
    assert set(np.unique(origin[taught != labels])) == {SPREAD}
    assert (origin[labels != UNLABELLED] == provenance[labels != UNLABELLED]).all()


def test_crops_have_spread_labels_only_where_they_are_wanted(pool: Pool) -> None:
    plain = [pool.draw(48) for _ in range(6)]
    assert not any((crop.provenance == SPREAD).any() for crop in plain)
    pool.spreads = True
    taught = [pool.draw(48) for _ in range(6)]
    assert any((crop.provenance == SPREAD).any() for crop in taught)
    # What is measured on is never spread.
    assert all(pool.layers(item)[0].shape == SIZE for item in pool.items)
    assert not any((pool.layers(item)[1] == SPREAD).any() for item in pool.items)


def test_a_corrected_image_is_spread_anew(pool: Pool, tmp_path: Path) -> None:
    pool.spreads = True
    item = pool.items[0]
    before = pool._taught(item)[0]
    assert (before != UNLABELLED).sum() > (pool.layers(item)[0] != UNLABELLED).sum()
    labels = np.full(SIZE, UNLABELLED, np.uint8)
    labels[:, :4] = SKY
    project = tmp_path / "images" / "maskloop"
    from engine.project.store import AnnotationStore

    origin = np.where(labels == UNLABELLED, 0, Provenance.STROKE).astype(np.uint8)
    AnnotationStore(project).write_snapshot(item.image_id, labels, origin, 2)
    pool.update(replace(item, revision=2))
    after = pool._taught(pool.items[0])[0]
    assert set(np.unique(after)) == {SKY, UNLABELLED}


def test_trust_depends_on_where_a_label_comes_from() -> None:
    assert trust_of(SparseConfig()) is None
    trust = trust_of(SparseConfig(accepted_weight=0.25, spread=0.5))
    assert trust is not None
    wanted = {Provenance.STROKE: 1.0, Provenance.ACCEPTED: 0.25, Provenance.IMPORTED: 1.0, SPREAD: 0.5}
    assert {origin: float(trust[int(origin)]) for origin in wanted} == wanted


def test_what_is_not_trusted_was_never_said(pool: Pool) -> None:
    read = pool._read_layers
    pool._read_layers = lambda item: (read(item)[0], (2 * read(item)[1]).astype(np.uint8))
    pool._cache = ImageCache(1 << 24)
    batches = Batches(pool, CLASSES, TRAINING.augment, CPU, seed=0)
    assert (batches.next(2, 48).target != 255).any()
    batches.set_sparse(SparseConfig(accepted_weight=0.0))
    batch = batches.next(2, 48)
    assert (batch.target == 255).all()
    assert batch.trust is not None


class TestConsistency:
    def teacher(self, pool: Pool, **changes: float) -> Consistency:
        model = build_model(NETWORK, 3, seed=0)
        config = SparseConfig(consistency=1.0, consistency_confidence=0.5, **changes)
        return Consistency(model, pool, CLASSES, config, seed=0)

    def test_processes_open_the_gate_together(self, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
        """This one has nothing held out, the others had 300 sure answers, 290 of them right."""
        others = torch.tensor([300, 290])
        monkeypatch.setattr("engine.learn.consistency.summed", lambda found: found + others)
        monkeypatch.setattr(Pool, "held_out", lambda _: ())
        teacher = self.teacher(pool)
        batch = Batches(pool, CLASSES, TRAINING.augment, CPU, seed=0).next(2, 48)
        assert teacher.prepare(batch, 48) is not None
        assert teacher.precision == pytest.approx(290 / 300)

    def test_the_gate_is_closed_for_a_network_that_knows_nothing(self, pool: Pool) -> None:
        teacher = self.teacher(pool)
        batch = Batches(pool, CLASSES, TRAINING.augment, CPU, seed=0).next(2, 48)
        assert teacher.prepare(batch, 48) is None
        assert not teacher.is_open

    def test_without_held_out_images_the_gate_stays_closed(self, pool: Pool) -> None:
        for item in pool.items:
            pool.update(replace(item, split=Split.TRAIN))
        teacher = self.teacher(pool)
        batch = Batches(pool, CLASSES, TRAINING.augment, CPU, seed=0).next(2, 48)
        assert teacher.prepare(batch, 48) is None
        assert teacher.precision is None

    def test_a_trained_teacher_speaks_on_silent_pixels_only(self, pool: Pool) -> None:
        model = build_model(NETWORK, 3, seed=0)
        config = replace(
            TRAINING,
            sparse=SparseConfig(consistency=1.0, consistency_confidence=0.6, consistency_precision=0.8),
        )
        trainer = Trainer(model, build_loss(LOSS), config, CLASSES, pool, CPU)
        for _ in range(110):
            result = trainer.step()
        assert trainer._consistency.is_open
        assert "consistency" in result.losses
        batch = trainer._batches.next(2, 48)
        prepared = trainer._consistency.prepare(batch, 48)
        assert prepared is not None
        changed, pseudo = prepared
        assert changed.shape == batch.image.shape
        assert (pseudo[batch.target != 255] == 255).all()
        assert (pseudo != 255).any()
