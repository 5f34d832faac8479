from collections.abc import Mapping
from typing import Any

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


def _read_often(watch: LossWatch, value: float, steps: int) -> None:
    for _ in range(40 // steps):
        _add(watch, value, steps)
        watch.read()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_named(value: float) -> None:
    watch = LossWatch(4)
    _add(watch, 1.0)
    _add(watch, value)
    with pytest.raises(TrainingError, match="no longer a number") as caught:
        watch.read()
    assert "learning rate" in caught.value.hint


def test_a_loss_far_worse_than_a_guess_is_hidden_at_once_and_named_after_a_while() -> None:
    watch = LossWatch(4)
    _add(watch, 1.4)
    watch.read()
    _add(watch, 60.0, 10)
    watch.read()
    assert not watch.is_healthy
    _add(watch, 60.0, 10)
    with pytest.raises(TrainingError, match="rose to 57"):
        watch.read()


@pytest.mark.parametrize("steps", [1, 4, 25])
def test_a_run_poisoned_by_its_first_update_is_found_however_often_it_is_read(steps: int) -> None:
    watch = LossWatch(8)
    _add(watch, 2.1)
    with pytest.raises(TrainingError):
        _read_often(watch, 6.0, steps)


def test_an_ordinary_run_is_healthy_whatever_the_number_of_terms() -> None:
    watch = LossWatch(8)
    for step in range(200):
        fall = 2.0 * 0.98**step
        watch.add({"cross-entropy": torch.tensor(fall), "auxiliary": torch.tensor(2 * fall)})
        watch.read()
        assert watch.is_healthy


def test_hard_corrections_are_no_poison() -> None:
    watch = LossWatch(2)
    _add(watch, 0.1, 40)
    watch.read()
    watch.forgive()
    for _ in range(2):
        _add(watch, 4.0, 20)
        watch.read()
        assert watch.is_healthy
    _add(watch, 4.0, 40)
    with pytest.raises(TrainingError):
        watch.read()


def test_poison_is_found_in_the_time_of_grace_too() -> None:
    watch = LossWatch(2)
    watch.forgive()
    _add(watch, 0.7)
    _add(watch, 100.0, 25)
    with pytest.raises(TrainingError):
        watch.read()


def test_discarding_forgets_the_sums() -> None:
    watch = LossWatch(4)
    _add(watch, float("nan"))
    watch.discard()
    assert watch.read() is None


def test_a_network_that_knew_a_lot_and_scores_like_a_guess_is_named() -> None:
    watch = LossWatch(4)
    for _ in range(2):
        _add(watch, 0.4, 20)
        watch.read()
    # One bad stretch is no poison, and what is new may be hard.
    for value in (1.35, 1.35, 0.5, 1.35, 1.35, 1.35):
        _add(watch, value, 20)
        watch.read()
    watch.forgive()
    for _ in range(3):
        _add(watch, 1.35, 20)
        watch.read()
    for _ in range(2):
        _add(watch, 1.35, 20)
        watch.read()
    _add(watch, 1.35, 20)
    with pytest.raises(TrainingError, match="forgot what it knew"):
        watch.read()


def test_a_network_that_never_learnt_is_not_said_to_have_forgotten() -> None:
    watch = LossWatch(4)
    for _ in range(20):
        _add(watch, 1.38, 20)
        watch.read()
    assert watch.is_healthy


def test_a_term_that_one_batch_made_very_small_says_nothing_about_a_guess() -> None:
    # Region mutual information of the first batch, as IDRNet and MCIBI met it on real streets.
    watch = LossWatch(11)
    for regions in (-6.1, 5.7, -2.0, *[1.2] * 60):
        watch.add(
            {"sigmoid": torch.tensor(3.9), "regions": torch.tensor(regions), "coarse": torch.tensor(2.0)}
        )
        watch.read()
    assert watch.is_healthy


class OnCard(torch.Tensor):
    """A tensor that, as one of a graphics card, does not go together with those of the processor."""

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Brings a tensor over where asked to, and refuses to stack what lies apart."""
        if func is torch.stack and any(type(value) is not cls for value in args[0]):
            raise RuntimeError("Expected all tensors to be on the same device")
        result = super().__torch_function__(func, types, args, kwargs or {})
        return result.as_subclass(torch.Tensor) if func in (torch.Tensor.to, torch.Tensor.cpu) else result


def test_a_run_that_moves_to_the_processor_is_still_watched() -> None:
    watch = LossWatch(4)
    watch.add({"a": torch.tensor(1.0).as_subclass(OnCard), "b": torch.tensor(2.0).as_subclass(OnCard)})
    watch.discard()
    for _ in range(2):
        watch.add({"a": torch.tensor(3.0), "b": torch.tensor(1.0)})
        report = watch.read()
        assert report is not None
        assert report.losses == {"a": 3.0, "b": 1.0}
