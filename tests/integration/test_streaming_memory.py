"""Training on many large images takes the memory of the cache it was allowed and a little to work with."""

from dataclasses import replace

import pytest

from tests.support.learning import NETWORK, TRAINING
from tests.support.resident import KNOWN
from tests.support.streaming import stream

CACHE_MIB = 16
WORK_MIB = 64
"""One image with its layers (5 MiB here), the places of its labels (8 bytes a pixel, a few times over while
they are sorted by class), one prediction in tiles, and what the allocator keeps for later."""


@pytest.mark.skipif(not KNOWN, reason="reads resident memory as Linux tells it")
def test_memory_follows_the_cache_and_not_the_number_of_images() -> None:
    images = 60
    streamed = stream(
        images,
        (1080, 960),
        network=NETWORK,
        config=replace(TRAINING, image_cache_mb=CACHE_MIB),
        steps=60,
        predict_every=20,
    )
    assert streamed.decoded > images, "an image that was put out of the cache is read again"
    assert streamed.all_mib > 3 * (CACHE_MIB + WORK_MIB), "they would not fit if they stayed"
    assert streamed.grown < CACHE_MIB + WORK_MIB
