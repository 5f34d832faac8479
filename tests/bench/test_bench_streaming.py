"""Training on a thousand 4k images within four gigabytes: `pytest -m bench -s` on this file, and on no other.

The settings are those of a new project. What was measured is written in DECISIONS.md.
"""

import pytest

from engine.config import TrainingConfig
from models.presets import tiny
from tests.support.resident import KNOWN, peak_mib
from tests.support.streaming import stream

pytestmark = [
    pytest.mark.bench,
    pytest.mark.skipif(not KNOWN, reason="reads resident memory as Linux tells it"),
]

IMAGES, SIZE = 1000, (2160, 3840)
LIMIT_MIB = 4096
"""What the whole process may take at its peak."""
WORK_MIB = 512
"""Beside the cache: one image (40 MiB with its layers), the places of its labels while they are sorted by
class (a few times 63 MiB), the tensors of a step and of a prediction, and what the allocator keeps."""


def test_a_thousand_images_are_learnt_from_in_bounded_memory() -> None:
    config = TrainingConfig()
    steps = -(-IMAGES // config.batch_size)
    streamed = stream(IMAGES, SIZE, network=tiny(), config=config, steps=steps, predict_every=20)
    peak = peak_mib()
    print(
        f"resident: {streamed.before:.0f} MiB before, {max(streamed.held):.0f} at most, "
        f"{streamed.held[-1]:.0f} at last, {peak:.0f} at the peak of a step; "
        f"cache {config.image_cache_mb}, all images {streamed.all_mib:.0f}; {streamed.decoded} times read"
    )
    assert streamed.decoded > IMAGES / 2
    assert streamed.grown < config.image_cache_mb + WORK_MIB
    assert peak < LIMIT_MIB
