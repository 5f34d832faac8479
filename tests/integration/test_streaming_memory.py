"""Many large images run through loader and predictor in the memory of a few."""

import pytest

from tests.support.resident import KNOWN
from tests.support.streaming import stream


@pytest.mark.skipif(not KNOWN, reason="reads resident memory as Linux tells it")
def test_memory_does_not_follow_the_number_of_images() -> None:
    # 5 MiB an image with its layers, 16 MiB of cache: eighteen more images would be 90 MiB if they stayed.
    held = stream(30, (1080, 960), predict_every=10)
    assert max(held[12:]) - held[12] < 50
