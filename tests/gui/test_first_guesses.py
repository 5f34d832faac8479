"""First guesses that were overruled count in the queue without INSPECT having looked at the image."""

import pytest

from app.panels.queue_model import Shown
from engine.messages import ImageScored, PredictionSource
from tests.support.window import Desk

pytestmark = pytest.mark.gui


def test_small_looks_fill_the_filter(desk: Desk) -> None:
    model = desk.window.queue.model
    assert model.count_of(Shown.DISPUTED) == 0
    for image_id, share in (("image_01.png", 0.3), ("image_02.png", 0.0), ("image_00.png", None)):
        source = PredictionSource.NETWORK
        desk.session.emit(ImageScored(image_id=image_id, uncertainty=0.2, source=source, disputed=share))
    desk.settle()
    assert model.count_of(Shown.DISPUTED) == 1
    model.set_shown(Shown.DISPUTED)
    assert model.rowCount() == 1
