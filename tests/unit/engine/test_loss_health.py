import pytest
import torch

from engine.errors import TrainingError
from engine.learn.health import LossWatch


def _add(watch: LossWatch, value: float, steps: int = 1) -> None:
    for _ in range(steps):
        watch.add({"cross-entropy": torch.tensor(value)})


def test_terms_are_averaged_over_the_steps_since_the_last_reading() -> None:
    watch = LossWatch(4)
    watch.add({"a": torch.tensor(1.0), "b": torch.tensor(0.5)})
    watch.add({"a": torch.tensor(3.0), "b": torch.tensor(0.5)})
    report = watch.read()
    assert report is not None
    assert report.losses == {"a": 2.0, "b": 0.5}
    assert (report.steps, report.total) == (2, 2.5)
    assert watch.read() is None


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_named(value: float) -> None:
    watch = LossWatch(4)
    _add(watch, 1.0)
    _add(watch, value)
    with pytest.raises(TrainingError, match="no longer a number") as caught:
        watch.read()
    assert "learning rate" in caught.value.hint


def test_a_loss_far_above_its_beginning_is_named_after_a_while() -> None:
    watch = LossWatch(4)
    _add(watch, 1.4)
    watch.read()
    _add(watch, 60.0, 10)
    watch.read()
    assert not watch.is_healthy
    _add(watch, 60.0)
    with pytest.raises(TrainingError, match="rose to 60"):
        watch.read()


def test_one_hard_correction_is_no_poison() -> None:
    watch = LossWatch(2)
    for value in (0.7, 12.0, 0.6, 12.0, 0.5):
        _add(watch, value, 10)
        watch.read()
    assert watch.is_healthy


def test_a_run_poisoned_from_its_first_step_is_found() -> None:
    watch = LossWatch(8)
    with pytest.raises(TrainingError):
        for _ in range(3):
            _add(watch, 500.0, 10)
            watch.read()


def test_discarding_forgets_the_sums() -> None:
    watch = LossWatch(4)
    _add(watch, float("nan"))
    watch.discard()
    assert watch.read() is None
