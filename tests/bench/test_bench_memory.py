"""Memory updates against the straightforward reading of the paper: enlarge the features, loop over classes.

Batch 2, 512 channels, features 64 x 64, target 512 x 512 in blocks of 64 pixels. Measured on one of two
shared CPU cores, ours : loop: 19 classes, 12 in an image: 87 : 6935 ms; 150 classes, 25 in an image:
67 : 5036 ms. The largest tensor of ours has 16 MiB, that of the loop 1 GiB.
"""

import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from models.class_memory import ClassMemory
from models.memory_configs import ClassMemoryConfig
from tests.support.slow_memory import loop_update

pytestmark = [pytest.mark.bench, pytest.mark.usefixtures("one_thread")]


def example(classes: int, present: int) -> tuple[Tensor, Tensor]:
    """Returns features and a target in which `present` classes occur in each image."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 512, 64, 64, generator=generator).relu()
    images = []
    for _ in range(2):
        chosen = torch.randperm(classes, generator=generator)[:present]
        blocks = chosen[torch.randint(0, present, (8, 8), generator=generator)]
        images.append(blocks.repeat_interleave(64, 0).repeat_interleave(64, 1))
    return features, torch.stack(images)


def milliseconds(run: Callable[[], object], times: int) -> float:
    """Returns the best of some runs after one that does not count."""
    run()
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return 1e3 * best


@pytest.mark.parametrize(("classes", "present"), [(19, 12), (150, 25)])
def test_update_is_thirty_times_faster_than_the_loop(classes: int, present: int) -> None:
    features, target = example(classes, present)
    memory = ClassMemory(classes, 512, ClassMemoryConfig(momentum=0.1))
    memory.update(features, target, 0.01)
    filled = memory.memory.clone()
    quick = milliseconds(lambda: memory.update(features, target, 0.01), 5)
    slow = milliseconds(lambda: loop_update(filled, features, target, 0.1), 2)
    print(f"{classes} classes, {present} in an image: {quick:.0f} : {slow:.0f} ms")
    assert slow > 30 * quick


@pytest.mark.parametrize("classes", [19, 150])
def test_nothing_of_the_size_of_enlarged_features_exists(classes: int) -> None:
    features, target = example(classes, 12)
    memory = ClassMemory(classes, 512, ClassMemoryConfig())
    memory.update(features, target, 0.01)
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        memory.update(features, target, 0.01)
    largest = max(event.cpu_memory_usage for event in profile.events() or [])
    print(f"{classes} classes: largest allocation {largest / 2**20:.0f} MiB")
    assert largest < 64 * 2**20
    assert not [event for event in profile.events() or [] if event.name in {"aten::item", "aten::nonzero"}]
