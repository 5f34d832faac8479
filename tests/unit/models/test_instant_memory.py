"""Class memories that take in corrections at once and forget them without a trace."""

import pytest
import torch

from models.class_memory import ClassMemory, NormalMemory
from models.instant_memory import ClassSums, InstantMemory, class_sums, together
from models.memory_configs import ClassMemoryConfig

CLASSES, CHANNELS = 3, 5


def memories() -> list[InstantMemory]:
    torch.manual_seed(0)
    vectors = ClassMemory(CLASSES, CHANNELS, ClassMemoryConfig(slots=2))
    vectors.memory.normal_()
    normals = NormalMemory(CLASSES, CHANNELS, 0.1)
    normals.memory.uniform_(0.5, 2.0)
    return [vectors, normals]


def said(*pixels: float, value: float = 3.0) -> ClassSums:
    counts = torch.tensor(pixels, dtype=torch.float64)
    values = torch.arange(CHANNELS, dtype=torch.float64) + value
    return ClassSums(sums=counts[:, None] * values, pixels=counts)


@pytest.mark.parametrize("memory", memories(), ids=["vectors", "normal"])
def test_only_corrected_classes_move_and_the_base_stays(memory: InstantMemory) -> None:
    base = memory.memory.clone()
    moved = memory.with_corrections(said(0.0, 500.0, 0.0))
    assert torch.equal(memory.memory, base)
    changed = (moved != base).flatten(1).any(dim=1)
    assert changed.tolist() == [False, True, False]
    assert torch.equal(memory.with_corrections(said(0.0, 0.0, 0.0)), base)


def test_more_pixels_move_further_but_never_all_the_way() -> None:
    memory = memories()[1]
    far = said(0.0, 1.0, 0.0).means()[1]
    goal = torch.stack([far.mean(), far.std()]).float()
    left = [float((memory.with_corrections(said(0.0, n, 0.0))[1] - goal).norm()) for n in (1.0, 100.0, 1e6)]
    start = float((memory.memory[1] - goal).norm())
    assert start > left[0] > left[1] > left[2]
    assert left[2] == pytest.approx(start / 2, rel=1e-2)


def test_the_most_similar_slot_moves_and_an_empty_one_is_filled() -> None:
    memory = ClassMemory(1, 2, ClassMemoryConfig(slots=2))
    memory.memory[0] = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    up = ClassSums(
        sums=torch.tensor([[0.0, 800.0]], dtype=torch.float64), pixels=torch.tensor([200.0]).double()
    )
    assert torch.allclose(memory.with_corrections(up)[0], torch.tensor([[1.0, 0.0], [0.0, 1.75]]))
    memory.memory[0, 1] = 0
    assert torch.allclose(memory.with_corrections(up)[0], torch.tensor([[1.0, 0.0], [0.0, 4.0]]))


def test_sums_are_those_of_the_enlarged_features_and_repeat_bit_for_bit() -> None:
    torch.manual_seed(1)
    features = torch.randn(1, CHANNELS, 8, 10)
    size = (64, 80)
    y, x = torch.tensor([0, 10, 33, 63]), torch.tensor([0, 71, 40, 79])
    channels, pixels = torch.tensor([0, 2, 2, 0]), torch.tensor([1, 4, 2, 3])
    found = class_sums(features, size, y, x, channels, pixels, CLASSES)
    large = torch.nn.functional.interpolate(features, size, mode="bilinear")[0]
    expected = torch.zeros(CLASSES, CHANNELS)
    for row, column, channel, weight in zip(y, x, channels, pixels, strict=True):
        expected[channel] += weight * large[:, row, column]
    assert torch.allclose(found.sums.float(), expected, atol=1e-5)
    assert found.pixels.tolist() == [4.0, 0.0, 6.0]
    again = class_sums(features, size, y, x, channels, pixels, CLASSES)
    assert torch.equal(found.sums, again.sums)
    both = together([found, again])
    assert torch.equal(both.sums, 2 * found.sums)
    assert found.pixels.tolist() == [4.0, 0.0, 6.0]
