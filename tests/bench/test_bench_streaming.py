"""A thousand 4k images through loader and predictor: `pytest -m bench -s` on this file."""

import pytest

from tests.support.resident import KNOWN
from tests.support.streaming import stream

pytestmark = [
    pytest.mark.bench,
    pytest.mark.skipif(not KNOWN, reason="reads resident memory as Linux tells it"),
]


def test_memory_does_not_follow_a_thousand_images() -> None:
    held = stream(1000, (2160, 3840), predict_every=50)
    print(
        f"resident: {held[50]:.0f} MiB after 50 images, {max(held[50:]):.0f} at most, {held[-1]:.0f} at last"
    )
    assert max(held[50:]) < 1.25 * held[50] + 100
