"""Grouping, mixing and the statistics of IDRNet, against slow loops and by what they promise."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from models.class_rows import follow
from models.grouping import group, group_vectors, masked_softmax, spread
from models.relation import ClassRelations, pixel_losses
from tests.support import slow_relations as slow

SEEDS = st.integers(0, 10_000)


def relations_of(classes: int, channels: int, momentum: float = 0.1) -> ClassRelations:
    return ClassRelations(classes, channels, relation_momentum=momentum, vector_momentum=momentum)


@given(seed=SEEDS, classes=st.integers(1, 7), deletes=st.booleans())
def test_mixtures_are_those_of_the_slow_loops(seed: int, classes: int, deletes: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, classes, 4, 5, generator=generator, dtype=torch.float64)
    features = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    relations = relations_of(classes, 3).double()
    relations.mean.copy_(torch.randn(classes, classes, generator=generator))
    relations.mean[0] = -1.0  # nobody gives to class 0 by a positive relation
    relations.variance.copy_(torch.randn(classes, classes, generator=generator))
    groups = group(logits)
    deleted = torch.tensor([int(row.nonzero()[0]) for row in groups.present]) if deletes else None
    kept = groups.present.clone()
    if deleted is not None:
        kept[torch.arange(2), deleted] = False
    vectors = group_vectors(logits, features, groups)
    found = [spread(shares @ vectors, groups) for shares in relations.mixtures(kept)]
    for number, (matrix, only_positive) in enumerate(((relations.mean, True), (relations.variance, False))):
        for image in range(2):
            expected = slow.mixture(
                logits[image].flatten(1).numpy(),
                features[image].flatten(1).numpy(),
                matrix.numpy(),
                only_positive=only_positive,
                deleted=None if deleted is None else int(deleted[image]),
            )
            np.testing.assert_allclose(found[number][image].flatten(1).numpy(), expected, atol=1e-10)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradients_of_grouping_are_exact(layout: torch.memory_format) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 3, 2, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    features = torch.randn(2, 2, 2, 3, generator=generator, dtype=torch.float64, requires_grad=True)

    def grouped(logits: Tensor, features: Tensor) -> Tensor:
        groups = group(logits)
        found = spread(group_vectors(logits, features, groups), groups, like=like)
        assert found.is_contiguous(memory_format=layout)
        return found

    like = torch.empty(2, 5, 2, 3).to(memory_format=layout)
    assert torch.autograd.gradcheck(grouped, (logits, features))


def test_absent_classes_have_no_vector_and_no_gradient() -> None:
    logits = torch.zeros(1, 3, 2, 2)
    logits[:, 1] = 5.0
    logits.requires_grad_()
    features = torch.ones(1, 2, 2, 2)
    groups = group(logits)
    vectors = group_vectors(logits, features, groups)
    assert groups.present.tolist() == [[False, True, False]]
    assert vectors.tolist() == [[[0, 0], [1, 1], [0, 0]]]
    vectors.sum().backward()
    assert logits.grad is not None
    assert (logits.grad[:, [0, 2]] == 0).all()


def test_huge_logits_do_not_overflow() -> None:
    logits = torch.tensor([1e4, -1e4, 3e38]).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    vectors = group_vectors(logits, torch.ones(1, 1, 2, 2), group(logits))
    assert vectors.flatten().tolist() == [0, 0, 1]


def test_softmax_over_nothing_is_nothing() -> None:
    scores = torch.tensor([[1.0, 900.0, 2.0], [-1e30, 3.0, 1e30]])
    allowed = torch.tensor([[True, False, True], [False, False, False]])
    found = masked_softmax(scores, allowed)
    torch.testing.assert_close(found[0, [0, 2]], torch.tensor([1.0, 2.0]).softmax(0))
    assert found[0, 1] == 0
    assert (found[1] == 0).all()


@given(seed=SEEDS, classes=st.integers(1, 6), batch=st.integers(1, 5))
def test_relations_move_as_in_the_slow_loops(seed: int, classes: int, batch: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    target = slow.random_target((batch, 6, 7), classes, seed)
    normal, without = (torch.randn(batch, classes, 6, 7, generator=generator) for _ in range(2))
    deleted = torch.randint(0, min(2, classes), (batch,), generator=generator)  # the same one again and again
    relations = relations_of(classes, 2)
    relations.mean.copy_(torch.randn(classes, classes, generator=generator))
    before = relations.counter.clone()
    expected = slow.moved_relations(
        relations.mean.double().numpy(),
        relations.variance.double().numpy(),
        deleted.tolist(),
        target,
        slow.pixel_losses(normal, target),
        slow.pixel_losses(without, target),
        0.1,
    )
    relations.update(deleted, target, pixel_losses(normal, target), pixel_losses(without, target))
    np.testing.assert_allclose(relations.mean.numpy(), expected[0], atol=2e-6)
    np.testing.assert_allclose(relations.variance.numpy(), expected[1], atol=4e-6)
    counted = torch.bincount(deleted, minlength=classes)
    torch.testing.assert_close(relations.counter, before + counted)


@given(seed=SEEDS, classes=st.integers(1, 6))
def test_class_vectors_move_as_in_the_slow_loops(seed: int, classes: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    target = slow.random_target((2, 9, 13), classes, seed)
    features = torch.randn(2, 5, 3, 4, generator=generator)
    relations = relations_of(classes, 5)
    relations.vectors.copy_(torch.randn(classes, 5, generator=generator))
    expected = slow.moved_vectors(relations.vectors.double().numpy(), features, target, 0.1)
    relations.update_vectors(features, target)
    np.testing.assert_allclose(relations.vectors.numpy(), expected, atol=2e-6)


def test_small_changes_of_large_losses_are_seen() -> None:
    """The variance of the change is 1e-6 of the variance of the losses; float32 would lose the difference."""
    generator = torch.Generator().manual_seed(0)
    losses = 50 * torch.rand(1, 64, 64, generator=generator)
    without = losses + 1e-3 * torch.rand(1, 64, 64, generator=generator)
    relations = relations_of(1, 1, momentum=1.0)
    relations.update(torch.tensor([0]), torch.zeros(1, 64, 64, dtype=torch.int64), losses, without)
    exact = without.double().var(unbiased=False) - losses.double().var(unbiased=False)
    assert relations.variance.item() == pytest.approx(exact.item(), rel=1e-3)


def test_nothing_labelled_moves_the_counter_only() -> None:
    relations = relations_of(3, 2)
    relations.vectors.fill_(0.5)
    target = torch.full((2, 4, 4), 255)
    relations.update(torch.tensor([1, 1]), target, torch.rand(2, 4, 4), torch.rand(2, 4, 4))
    relations.update_vectors(torch.rand(2, 2, 2, 2), target)
    assert torch.equal(relations.mean, torch.eye(3))
    assert torch.equal(relations.variance, torch.eye(3))
    assert relations.counter[1] == pytest.approx(2.0)
    assert (relations.vectors == 0.5).all()


def test_the_balanced_draw_has_the_published_odds() -> None:
    relations = relations_of(4, 1)
    relations.counter.copy_(torch.tensor([2.0, 1.0, 8.0, 4.0]))
    present = torch.tensor([[True, False, True, True]])
    torch.manual_seed(0)
    odds = torch.zeros(4)
    for _ in range(3000):
        odds[relations.draw(present, balanced=True)] += 1
    expected = torch.tensor([1 / 2, 0, 1 / 8, 1 / 4])
    assert ((odds / 3000) - expected / expected.sum()).abs().max() < 0.03


def test_a_class_never_deleted_comes_first_and_counts_within_the_batch() -> None:
    relations = relations_of(4, 1)
    torch.manual_seed(0)
    for _ in range(50):
        drawn = relations.draw(torch.ones(4, 4, dtype=torch.bool), balanced=True)
        assert sorted(drawn.tolist()) == [0, 1, 2, 3]
    assert torch.equal(relations.counter, torch.full((4,), 1e-6))


def test_the_random_draw_takes_all_alike() -> None:
    relations = relations_of(3, 1)
    relations.counter.copy_(torch.tensor([1.0, 1e6, 1.0]))
    torch.manual_seed(0)
    drawn = relations.draw(torch.tensor([[False, True, True]]).expand(2000, 3), balanced=False)
    assert (drawn != 0).all()
    assert abs((drawn == 1).float().mean().item() - 0.5) < 0.04


def test_a_new_class_starts_as_in_a_new_network() -> None:
    relations = relations_of(3, 2)
    relations.mean.copy_(torch.arange(9.0).view(3, 3))
    relations.counter.copy_(torch.tensor([5.0, 6.0, 7.0]))
    relations.vectors.fill_(1.0)
    follow(relations, [2, None, 0])
    assert relations.mean.tolist() == [[8, 0, 6], [0, 1, 0], [2, 0, 0]]
    assert relations.counter.tolist() == pytest.approx([7, 1e-6, 5])
    assert relations.vectors.tolist() == [[1, 1], [0, 0], [1, 1]]


def _process(rank: int, folder: str) -> None:
    """One of two processes, each of which sees half of a batch."""
    store = dist.FileStore(f"{folder}/store", 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2)
    try:
        relations = relations_of(3, 2)
        deleted, target, losses, without, features = _joint_batch()
        half = slice(2 * rank, 2 * rank + 2)
        relations.update(deleted[half], target[half], losses[half], without[half])
        relations.update_vectors(features[half], target[half])
        torch.save(relations.state_dict(), f"{folder}/{rank}.pt")
    finally:
        dist.destroy_process_group()


def _joint_batch() -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(4)
    target = slow.random_target((4, 8, 8), 3, 4)
    target[:2][target[:2] == 2] = 255  # class 2 is seen by the second process only
    losses, without = (torch.rand(4, 8, 8, generator=generator) for _ in range(2))
    return torch.tensor([0, 1, 0, 0]), target, losses, without, torch.rand(4, 2, 3, 3, generator=generator)


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_from_the_joint_batch(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_process, args=(str(tmp_path),), nprocs=2)
    relations = relations_of(3, 2)
    deleted, target, losses, without, features = _joint_batch()
    relations.update(deleted, target, losses, without)
    relations.update_vectors(features, target)
    for rank in range(2):
        torch.testing.assert_close(torch.load(tmp_path / f"{rank}.pt"), dict(relations.state_dict()))
