"""What processes do together; here a group of one."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn

from engine.config import Device
from engine.errors import DeviceMemoryError
from engine.learn import distributed
from engine.learn.distributed import (
    added_up,
    agreed,
    choose_apart,
    has_cards,
    joined,
    least,
    start_alike,
    sum_gradients,
    summed_losses,
)
from engine.learn.ranks import ALONE, Rank
from models.processes import are_several
from tests.support.group import group_of_one


@pytest.fixture
def generator_kept() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        yield


@pytest.mark.parametrize("several", [False, True])
def test_a_group_of_one_changes_nothing(several: bool) -> None:
    with group_of_one() if several else nullcontext():
        _nothing_changes()


def _nothing_changes() -> None:
    model = nn.Linear(3, 2)
    model(torch.ones(1, 3)).sum().backward()
    before = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
    weights = model.weight.detach().clone()
    sum_gradients([*model.parameters(), nn.Parameter(torch.zeros(2))])
    start_alike(model)
    torch.testing.assert_close([parameter.grad for parameter in model.parameters()], before)
    torch.testing.assert_close(model.weight.detach(), weights)
    assert summed_losses({"a": torch.tensor(2.0), "b": torch.tensor(3.0)})["b"].item() == 3.0
    assert summed_losses({}) == {}
    assert (agreed(7), least(7)) == (7, 7)
    np.testing.assert_array_equal(added_up(np.array([1.0, 2.0])), [1.0, 2.0])


def test_alone_nobody_is_joined() -> None:
    with joined(ALONE, on_cuda=False):
        assert not are_several()


def test_processes_choose_differently_and_repeatably(generator_kept: None) -> None:
    seeds = [choose_apart(Rank(number=number, count=3), 7) for number in range(3)]
    assert len(set(seeds)) == 3
    assert seeds[0] == 7
    first = torch.rand(1)
    choose_apart(Rank(number=2, count=3), 7)
    torch.testing.assert_close(torch.rand(1), first)


def test_the_processor_needs_no_cards() -> None:
    assert not has_cards(Device.CPU, 64)


@pytest.mark.parametrize("on_cuda", [False, True])
def test_a_process_that_fails_never_waits_for_the_others_to_take_leave(
    monkeypatch: pytest.MonkeyPatch, on_cuda: bool
) -> None:
    done: list[str] = []
    monkeypatch.setattr(distributed.torch.cuda, "set_device", lambda _: None)
    monkeypatch.setattr(distributed, "rendezvous", lambda *_, **__: iter([(None, 0, 2)]))
    monkeypatch.setattr(distributed, "PrefixStore", lambda *_: None)
    monkeypatch.setattr(distributed, "limit_threads", lambda: None)
    monkeypatch.setattr(distributed.dist, "init_process_group", lambda *_, **__: done.append("join"))
    monkeypatch.setattr(distributed.dist, "destroy_process_group", lambda: done.append("take leave"))
    monkeypatch.setattr(distributed.atexit, "register", lambda do: done.append(do.__name__))
    rank = Rank(number=0, count=2, local=0, local_count=2)
    with joined(rank, on_cuda=on_cuda):
        pass
    assert done == ["join", "take leave"], "all is well: they take leave together"
    done.clear()
    with pytest.raises(DeviceMemoryError), joined(rank, on_cuda=on_cuda):
        raise DeviceMemoryError("The card of this process is full.")
    assert done == ["join", "_leave_at_once" if on_cuda else "take leave"]


def test_leaving_at_once_says_first_what_was_to_be_said() -> None:
    program = (
        "import atexit; from engine.learn import distributed\n"
        "atexit.register(distributed._leave_at_once)\n"
        "print('the card is full'); raise SystemExit(3)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stdout == "the card is full\n"
