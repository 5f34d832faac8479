"""Memories of classes: updates agree with slow, obvious ones; corners where published code breaks."""

import numpy as np
import pytest
import torch
from torch import Tensor

from models.class_memory import ClassMemory, NormalMemory, class_shares, normal_draws, pad_target
from models.class_rows import follow
from models.memory_configs import ClassMemoryConfig, MemoryUpdate, MomentumSchedule
from tests.support.slow_memory import loop_update, update_class_memory, update_normal_memory

K, C = 5, 12


def batch(seed: int, size: tuple[int, int] = (37, 50), classes: int = K - 1) -> tuple[Tensor, Tensor]:
    """Returns features (3, C, 6, 8) and a target with ignored pixels; the last class never occurs."""
    generator = torch.manual_seed(seed)
    features = torch.randn(3, C, 6, 8, generator=generator).relu()
    target = torch.randint(0, classes, (3, size[0] // 6 + 1, size[1] // 6 + 1), generator=generator)
    target = target.repeat_interleave(6, 1).repeat_interleave(6, 2)[:, : size[0], : size[1]].clone()
    target[0, :4] = 255
    target[1, :, 3] = 254
    target[2, 5] = -100
    return features, target


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("update", list(MemoryUpdate))
def test_ten_updates_agree_with_the_slow_ones(slots: int, update: MemoryUpdate) -> None:
    config = ClassMemoryConfig(slots=slots, update=update, momentum=0.3)
    memory = ClassMemory(K, C, config)
    slow = memory.memory.double().numpy()
    for seed in range(10):
        features, target = batch(seed, classes=1 + seed % (K - 1))
        memory.update(features, target, 0.01)
        slow = update_class_memory(slow, features, target, 0.3, cosine=update is MemoryUpdate.COSINE)
        np.testing.assert_allclose(memory.memory.numpy(), slow, rtol=2e-4, atol=1e-5)
    assert memory.filled()[:3].all()
    assert not memory.filled()[K - 1].any()


def test_the_loop_of_the_bench_is_the_same_update() -> None:
    memory = ClassMemory(K, C, ClassMemoryConfig(momentum=0.3))
    loop = memory.memory.clone()
    for seed in range(3):
        features, target = batch(seed)
        memory.update(features, target, 0.01)
        loop = loop_update(loop, features, target, 0.3)
        torch.testing.assert_close(memory.memory, loop, rtol=1e-4, atol=1e-5)


def test_ten_updates_of_distributions_agree_with_the_slow_ones() -> None:
    memory = NormalMemory(K, C, 0.1)
    slow = memory.memory.double().numpy()
    for seed in range(10):
        features, target = batch(seed)
        memory.update(features, target)
        slow = update_normal_memory(slow, features, target, 0.1)
        np.testing.assert_allclose(memory.memory.numpy(), slow, rtol=1e-4, atol=1e-6)
    assert memory.memory[K - 1].tolist() == [0.0, 1.0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_features_are_read_in_full(dtype: torch.dtype) -> None:
    memory, full = (ClassMemory(K, C, ClassMemoryConfig(momentum=0.3)) for _ in range(2))
    for seed in range(2):
        features, target = batch(seed)
        with torch.autocast("cpu", torch.bfloat16):
            memory.update(features.to(dtype), target, 0.01)
        full.update(features.to(dtype).float(), target, 0.01)
    assert memory.memory.dtype == torch.float32
    assert torch.equal(memory.memory, full.memory)


def test_a_class_that_points_where_its_memory_does_keeps_finite() -> None:
    memory = ClassMemory(2, C, ClassMemoryConfig(momentum=0.5))
    features = torch.rand(1, C, 1, 1, generator=torch.manual_seed(0))
    target = torch.full((1, 8, 8), 255)
    target[0, 3, 3] = 1
    for _ in range(4):
        memory.update(features, target, 0.01)
    torch.testing.assert_close(memory.memory[1, 0], features.flatten())
    memory.update(2 * features, target, 0.01)
    torch.testing.assert_close(memory.memory[1, 0], 1.5 * features.flatten())


def test_features_that_are_not_finite_leave_the_memory_alone() -> None:
    memory = ClassMemory(K, C, ClassMemoryConfig())
    features, target = batch(0)
    memory.update(features, target, 0.01)
    before = memory.memory.clone()
    memory.update(torch.full_like(features, float("inf")), target, 0.01)
    memory.update(torch.full_like(features, float("nan")), target, 0.01)
    assert torch.equal(memory.memory, before)


def test_nothing_labelled_changes_nothing() -> None:
    memory, normal = ClassMemory(K, C, ClassMemoryConfig()), NormalMemory(K, C, 0.1)
    features, target = batch(0)
    memory.update(features, target, 0.01)
    normal.update(features, target)
    before = memory.memory.clone(), normal.memory.clone()
    nothing = torch.full_like(target, 255)
    memory.update(features, nothing, 0.01)
    normal.update(features, nothing)
    assert torch.equal(memory.memory, before[0])
    assert torch.equal(normal.memory, before[1])


def test_momentum_follows_the_rate_and_never_extrapolates() -> None:
    config = ClassMemoryConfig(schedule=MomentumSchedule.FOLLOWS_RATE, momentum=0.9, base_rate=0.01)
    memory = ClassMemory(K, C, config)
    assert memory.momentum(0.01) == pytest.approx(0.9)
    assert memory.momentum(0.001) == pytest.approx(0.09)
    assert memory.momentum(0.5) == 1.0
    assert ClassMemory(K, C, ClassMemoryConfig(momentum=0.2)).momentum(0.5) == 0.2


def test_slots_fill_one_batch_at_a_time_and_stay_when_they_get_no_pixel() -> None:
    memory = ClassMemory(1, 2, ClassMemoryConfig(slots=2, momentum=0.5))
    right, up = torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)
    right[:, 0], up[:, 1] = 1.0, 1.0
    target = torch.zeros(1, 16, 16, dtype=torch.int64)
    memory.update(right, target, 0.01)
    assert memory.filled().tolist() == [[True, False]]
    memory.update(up, target, 0.01)
    assert memory.memory[0].tolist() == [[1.0, 0.0], [0.0, 1.0]]
    memory.update(3 * up, target, 0.01)
    torch.testing.assert_close(memory.memory[0], torch.tensor([[1.0, 0.0], [0.0, 2.0]]))


def test_mixtures_are_sums_of_vectors() -> None:
    memory = ClassMemory(K, C, ClassMemoryConfig(slots=2))
    memory.memory.normal_(generator=torch.manual_seed(1))
    logits = torch.randn(2, K, 3, 4, generator=torch.manual_seed(2), requires_grad=True)
    shares = class_shares(logits, hard=False)
    mixed = memory.mixture(shares)
    torch.testing.assert_close(mixed, torch.einsum("bkhw,kmc->mbchw", logits.softmax(1), memory.memory))
    mixed.sum().backward()
    assert logits.grad is not None
    normal = NormalMemory(K, C, 0.1)
    expected = torch.einsum("bkhw,kc->bchw", shares, normal.vectors())
    torch.testing.assert_close(normal.mixture(shares), expected)


def test_hard_shares_are_one_class_without_gradient() -> None:
    logits = torch.randn(2, K, 3, 4, generator=torch.manual_seed(2), requires_grad=True)
    shares = class_shares(logits, hard=True)
    assert not shares.requires_grad
    assert torch.equal(shares.argmax(dim=1), logits.argmax(dim=1))
    assert torch.equal(shares.sum(dim=1), torch.ones(2, 3, 4))


@pytest.mark.parametrize("channels", [8, 15, 32, 512])
def test_draws_are_those_of_a_generator_seeded_with_the_class(channels: int) -> None:
    draws = normal_draws(4, channels)
    for number in range(4):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(number)
            assert torch.equal(draws[number], torch.randn(1, channels)[0])


def test_draws_leave_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    NormalMemory(7, C, 0.1)
    assert torch.equal(before, torch.get_rng_state())


def test_memories_follow_the_classes_and_new_ones_start_fresh() -> None:
    memory, normal = ClassMemory(3, C, ClassMemoryConfig()), NormalMemory(3, C, 0.1)
    memory.memory.normal_(generator=torch.manual_seed(1))
    normal.memory.uniform_(generator=torch.manual_seed(1))
    vectors, distributions, draws = memory.memory.clone(), normal.memory.clone(), normal.draws.clone()
    sources = [2, None, 0, None]
    follow(torch.nn.ModuleList([memory, normal]), sources)
    for place, source in ((0, 2), (2, 0)):
        assert torch.equal(memory.memory[place], vectors[source])
        assert torch.equal(normal.memory[place], distributions[source])
        assert torch.equal(normal.draws[place], draws[source])
    assert memory.filled().flatten().tolist() == [True, False, True, False]
    assert normal.memory[1].tolist() == [0.0, 1.0]
    assert len(torch.unique(normal.draws, dim=0)) == 4


def test_small_targets_are_padded_as_images_are() -> None:
    padded = pad_target(torch.zeros(2, 5, 40, dtype=torch.int64))
    assert padded.shape == (2, 32, 40)
    assert (padded[:, 5:] == 255).all()
    assert (padded[:, :5] == 0).all()


def test_meta_tensors_pass() -> None:
    with torch.device("meta"):
        memory, normal = ClassMemory(K, C, ClassMemoryConfig()), NormalMemory(K, C, 0.1)
        shares = torch.empty(2, K, 3, 4)
        assert memory.mixture(shares).shape == (1, 2, C, 3, 4)
        assert normal.mixture(shares).shape == (2, C, 3, 4)


def test_two_processes_together_see_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process holds half of the batch; the exchange is imitated by adding what the other one sent."""
    features, target = batch(0)
    halves = (slice(0, 1), slice(1, 3))
    whole = ClassMemory(K, C, ClassMemoryConfig(momentum=0.3))
    parts = [ClassMemory(K, C, ClassMemoryConfig(momentum=0.3)) for _ in halves]
    for seed in range(2):
        features, target = batch(seed)
        sent: list[Tensor] = []
        monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
        monkeypatch.setattr(
            torch.distributed, "all_reduce", lambda values, sent=sent: sent.append(values.clone())
        )
        for half in halves:
            copy = ClassMemory(K, C, ClassMemoryConfig(momentum=0.3))
            copy.memory.copy_(parts[0].memory)
            copy.update(features[half], target[half], 0.01)
        for number, half in enumerate(halves):
            other = sent[1 - number]
            monkeypatch.setattr(
                torch.distributed, "all_reduce", lambda values, other=other: values.add_(other)
            )
            parts[number].update(features[half], target[half], 0.01)
        monkeypatch.setattr(torch.distributed, "is_initialized", lambda: False)
        whole.update(features, target, 0.01)
        for part in parts:
            torch.testing.assert_close(part.memory, whole.memory, rtol=1e-4, atol=1e-5)
