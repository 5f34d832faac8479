"""The quick model in a real session: painted, predicted, taken back."""

from pathlib import Path

import numpy as np

from engine.messages import PredictionReady, PredictionSource
from tests.support.driver import Driver, two_classes, write_images

FIRST, SECOND = "image_0.png", "image_1.png"


def test_two_painted_classes_are_predicted_without_training_and_undo_is_heard(tmp_path: Path) -> None:
    write_images(tmp_path / "photos")
    with Driver(tmp_path / "photos") as driver:
        session = driver.session
        driver.show(FIRST)
        session.request_prediction()  # nobody can answer yet: there is no class
        session.set_classes(two_classes())
        driver.dab(10, 10, 0)
        light = driver.dab(30, 50, 1)
        ready = driver.wait(PredictionReady, lambda event: event.complete)
        assert ready.prediction.source is PredictionSource.QUICK
        shown = session.prediction(FIRST)
        assert shown is not None
        assert shown.source is PredictionSource.QUICK
        truth = np.repeat([[0, 1]], 48, axis=0).repeat(32, axis=1)
        assert (shown.label_map == truth).mean() > 0.95

        wrong = driver.dab(30, 20, 1)
        driver.wait(PredictionReady, lambda event: event.complete)
        driver.undo(wrong)
        driver.wait(PredictionReady, lambda event: event.complete)
        again = session.prediction(FIRST)
        assert again is not None
        assert np.array_equal(again.label_map, ready.prediction.label_map)
        assert np.array_equal(again.confidence, ready.prediction.confidence)
        driver.undo(light)

        driver.show(SECOND)
        session.request_prediction()
        driver.dab(40, 60, 1)
        other = driver.wait(PredictionReady, lambda event: event.prediction.image_id == SECOND)
        assert other.prediction.source is PredictionSource.QUICK


def test_a_project_opened_again_is_predicted_without_a_stroke(tmp_path: Path) -> None:
    write_images(tmp_path / "photos")
    with Driver(tmp_path / "photos") as driver:
        driver.session.set_classes(two_classes())
        driver.show(FIRST)
        driver.dab(10, 10, 0)
        driver.dab(30, 50, 1)
        assert driver.session.flush()
    with Driver(tmp_path / "photos") as driver:
        driver.show(SECOND)
        driver.session.request_prediction()
        ready = driver.wait(PredictionReady)
        assert ready.prediction.source is PredictionSource.QUICK
        assert (ready.prediction.label_map[:, :30] == 0).mean() > 0.9
