"""What another minute is worth, by the held-out curve against seconds really worked."""

from collections.abc import Callable

import numpy as np
import pytest

from engine.messages import EvaluationDone, NetworkOpened, ShownScored
from engine.session.worth import IDLE_S, Measured, Worth, WorthControl, worth_of_a_minute


def curve(
    figure: Callable[[float], float], end: float, *, noise: float = 0.0, count: int = 30
) -> list[Measured]:
    rng = np.random.default_rng(1)
    times = np.linspace(20.0, end, count)
    return [Measured(float(t), float(figure(t) + noise * rng.normal())) for t in times]


def worth(points: list[Measured], *, images: int = 5, pixels: int = 50_000) -> Worth:
    return worth_of_a_minute(points, images=images, pixels=pixels)


@pytest.mark.parametrize("power", [0.25, 0.5, 1.0])
def test_a_power_law_is_followed_into_the_next_minute(power: float) -> None:
    def figure(t: float) -> float:
        return 0.6 - 0.4 * (t / 60) ** -power

    found = worth(curve(figure, 400.0))
    truth = 100 * (figure(460.0) - figure(400.0))
    assert found.points == pytest.approx(truth, abs=0.15)
    assert not found.stop


def test_a_curve_that_lies_flat_says_stop_and_one_that_rises_says_how_much() -> None:
    flat = worth(curve(lambda t: 0.5 - 0.2 * (t / 60) ** -2.0, 1500.0, noise=0.0005))
    assert flat.stop
    assert "good place to stop" in flat.sentence
    rising = worth(curve(lambda t: 0.1 * np.log(t), 300.0, noise=0.002))
    assert rising.points is not None
    assert rising.points == pytest.approx(100 * 0.1 * np.log(360 / 300), abs=0.4)
    assert "Another minute: about 1." in rising.sentence


def test_noise_forbids_to_say_stop() -> None:
    noisy = worth(curve(lambda t: 0.5, 400.0, noise=0.05))
    assert not noisy.stop
    assert noisy.spread > 0.1


def test_a_falling_curve_promises_nothing() -> None:
    falling = worth(curve(lambda t: 0.5 - t / 5000, 600.0))
    assert falling.points == pytest.approx(0.0, abs=1e-9)


def test_what_cannot_be_known_is_not_said() -> None:
    points = curve(lambda t: 0.1 * np.log(t), 300.0)
    for found, words in (
        (worth(points, images=1), "Another minute: too few held-out pixels"),
        (worth(points, pixels=500), "Another minute: too few held-out pixels"),
        (worth(points[:3]), "Another minute: too few measurements"),
        (worth(curve(lambda t: 0.3, 150.0)), "Another minute: too early"),
    ):
        assert found.points is None
        assert not found.stop
        assert found.sentence.startswith(words)


def test_only_work_counts_not_lunch() -> None:
    now = 0.0
    control = WorthControl(lambda: now)
    for step in (0.0, 5.0, 5.0, 3600.0, 5.0):
        now += step
        control.worked()
    assert control.seconds == pytest.approx(15.0 + IDLE_S)


def measured(miou: float | None, *, pixels: int = 9000) -> EvaluationDone:
    return EvaluationDone(step=1, miou=miou, iou_per_class={}, pixel_accuracy=None, images=3, pixels=pixels)


def test_what_is_shown_is_worth_something_not_the_network_in_training() -> None:
    now = 0.0
    control = WorthControl(lambda: now)
    for number in range(1200):
        now += 1.0
        control.worked()
        control.handle(measured(0.5))
        if number >= 100:
            control.handle(ShownScored(share=0.0, miou=0.0003 * number, images=3, pixels=9000))
    found = control.now()
    assert found is not None
    assert found.points is not None
    assert found.points > 0.5, "it rises, while the network in training does not"
    assert not found.stop
    control.handle(NetworkOpened(title="Tiny", parameters=1, device="CPU", checkpoint=None))
    control.handle(measured(0.5))
    assert control.now() is not None, "without a quick model the network is what is shown"


def test_the_curve_grows_with_measurements_and_starts_anew_with_another_network() -> None:
    now = 0.0
    control = WorthControl(lambda: now)
    assert control.now() is None
    control.handle(measured(None))
    assert control.now() is None, "nothing was held out yet"
    for number in range(1200):
        now += 1.0
        control.worked()
        control.handle(measured(0.5 - 0.3 * 0.99**number))
    found = control.now()
    assert found is not None
    assert found.stop
    control.handle(NetworkOpened(title="Tiny", parameters=1, device="CPU", checkpoint=None))
    assert control.now() is None
