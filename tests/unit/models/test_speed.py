"""Time and memory of a computation."""

import torch

from models.speed import measure_speed

CPU = torch.device("cpu")


def test_memory_is_the_most_that_is_held_at_once() -> None:
    values = torch.ones(256, 1024)  # 1 MiB, there before

    def call() -> None:
        first = values + 1
        second = first * 2  # with the first: 2 MiB
        del first
        third = second.view(-1)[:10] + 1
        second.add_(1)
        del second, third

    speed = measure_speed(call, CPU, runs=3)
    assert 2.0 <= speed.memory_mb < 2.01
    assert speed.milliseconds > 0.0


def test_the_backward_pass_counts_too() -> None:
    values = torch.ones(256, 1024, requires_grad=True)

    def call() -> None:
        values.grad = None
        (values.exp().exp()).sum().backward()

    assert measure_speed(call, CPU, runs=1).memory_mb >= 3.0


def test_it_runs_as_often_as_asked() -> None:
    calls = []
    measure_speed(lambda: calls.append(1), CPU, runs=4)
    assert len(calls) == 6
