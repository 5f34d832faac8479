"""The queue with a real worker: images are described, scored and predicted before anybody opens them."""

from pathlib import Path

import numpy as np
from PIL import Image

from engine.messages import ImageScored, PredictedAhead, PredictionReady, PredictionSource
from engine.project.manifest import OrderKind
from tests.support.driver import Driver, two_classes, write_images

FIRST = "image_0.png"


def test_images_nobody_opened_are_scored_and_the_next_is_predicted_ahead(tmp_path: Path) -> None:
    write_images(tmp_path / "photos", count=4)
    odd = np.random.default_rng(5).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(odd).save(tmp_path / "photos" / "odd.png")
    (tmp_path / "photos" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    with Driver(tmp_path / "photos") as driver:
        session = driver.session
        session.set_classes(two_classes())
        driver.show(FIRST)
        session.request_prediction()
        driver.wait(ImageScored, lambda event: event.image_id == "odd.png")
        assert session.queue.score("odd.png") is None, "described before anybody has learnt"
        driver.dab(10, 10, 0)
        driver.dab(30, 50, 1)
        driver.wait(PredictionReady, lambda event: event.complete)

        ahead = driver.wait(PredictedAhead, lambda event: event.complete).prediction
        assert ahead.source is PredictionSource.QUICK
        shown = session.prediction(ahead.image_id)
        assert shown is not None
        assert ahead.image_id != FIRST
        assert (shown.label_map[:, :30] == 0).mean() > 0.9

        driver.wait(ImageScored, lambda event: event.image_id == "odd.png" and event.uncertainty is not None)
        plain = session.queue.score("image_1.png") or driver.wait(
            ImageScored, lambda event: event.image_id == "image_1.png" and event.uncertainty is not None
        )
        strange = session.queue.score("odd.png")
        assert strange is not None
        assert strange.uncertainty is not None
        assert plain.uncertainty is not None
        assert strange.uncertainty > plain.uncertainty

        assert session.next_unreviewed() == "image_1.png", "folder order unless another one is chosen"
        session.queue.kind = OrderKind.USEFUL
        assert session.next_unreviewed() == "odd.png"
        assert session.queue.ids[0] == "odd.png"
        driver.show("odd.png")
        assert session.queue.ids[0] == "odd.png", "nothing moves while a person looks"
        assert session.next_unreviewed() not in ("odd.png", FIRST)


def test_the_order_chosen_is_there_when_the_project_is_opened_again(tmp_path: Path) -> None:
    write_images(tmp_path / "photos", count=1)
    with Driver(tmp_path / "photos") as driver:
        driver.session.queue.kind = OrderKind.USEFUL
        assert not driver.session.project.folder.exists(), "an order alone makes no project"
        driver.session.set_classes(two_classes())
    with Driver(tmp_path / "photos") as driver:
        assert driver.session.queue.kind is OrderKind.USEFUL
        driver.session.queue.kind = OrderKind.FOLDER
    with Driver(tmp_path / "photos", read_only=True) as driver:
        assert driver.session.queue.kind is OrderKind.FOLDER
        driver.session.queue.kind = OrderKind.USEFUL
    with Driver(tmp_path / "photos") as driver:
        assert driver.session.queue.kind is OrderKind.FOLDER


def test_what_changed_since_the_last_look_is_told(tmp_path: Path) -> None:
    write_images(tmp_path / "photos", count=2)
    with Driver(tmp_path / "photos") as driver:
        session = driver.session
        session.set_classes(two_classes())
        for name in ("image_1.png", FIRST):
            driver.show(name)
            session.request_prediction()
        driver.dab(10, 10, 0)
        driver.dab(30, 50, 1)
        driver.wait(ImageScored, lambda event: event.image_id == "image_1.png" and event.changed is not None)
        assert session.queue.changed() == frozenset()
        for y in range(4, 48, 8):  # the person finds that light is dark as well
            driver.dab(y, 50, 0, radius=6.0)
        driver.wait(
            ImageScored, lambda event: event.image_id == "image_1.png" and (event.changed or 0.0) > 0.1
        )
        assert session.queue.changed() == {"image_1.png"}
