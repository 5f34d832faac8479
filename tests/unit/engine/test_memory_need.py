"""The memory plan measured before the first step."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.config import Precision
from engine.learn import memory_need
from engine.learn.machine_memory import available_bytes
from engine.learn.memory_need import MemoryNeed, fitting, measure, measured_plan, room
from engine.learn.memory_plan import Plan
from models.build import build_loss, build_model
from models.idrnet_presets import tiny_idrnet
from models.loss_configs import CrossEntropyConfig
from tests.support.learning import LOSS, NETWORK
from tests.support.resident import living_tensors

CPU = torch.device("cpu")
PLAN = Plan(crop=256, batch=4, precision=Precision.FLOAT32, on_cpu=True)


def test_measuring_leaves_no_trace() -> None:
    model = build_model(tiny_idrnet(), 3, seed=0).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.random.get_rng_state()
    measure(model, build_loss(CrossEntropyConfig()), CPU, Precision.FLOAT32)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_nothing_measured_stays_alive() -> None:
    """A graph that saves its own results must not hold itself: every run would leave its maps behind."""
    model, loss = build_model(NETWORK, 3, seed=0), build_loss(LOSS)
    counts = []
    for _ in range(3):
        measure(model, loss, CPU, Precision.FLOAT32)
        counts.append(living_tensors()[0])
    assert counts[1:] == counts[:1] * 2


def test_the_estimate_follows_what_a_larger_step_really_saves() -> None:
    model, loss = build_model(NETWORK, 3, seed=0), build_loss(LOSS)
    need = measure(model, loss, CPU, Precision.FLOAT32)
    plan = Plan(crop=256, batch=1, precision=Precision.FLOAT32, on_cpu=True)
    real = memory_need._saved_bytes(model, loss, CPU, Precision.FLOAT32, 256)
    estimated = (need.bytes(plan) - need.fixed) / memory_need._BESIDE
    assert estimated == pytest.approx(real, rel=0.2)


def test_crops_count_by_number_and_pairs_of_places_by_the_square() -> None:
    need = MemoryNeed(fixed=10.0, per_pixel=2.0, per_pair=0.5)
    assert need.bytes(Plan(crop=4, batch=3, precision=Precision.FLOAT32, on_cpu=True)) == 10 + 3 * (32 + 128)


def test_the_first_plan_that_fits_is_taken() -> None:
    need = MemoryNeed(fixed=0.0, per_pixel=1.0, per_pair=0.0)
    assert fitting(PLAN, need.bytes, need.bytes(PLAN)) == PLAN
    smaller = fitting(PLAN, need.bytes, need.bytes(PLAN) - 1)
    assert (smaller.crop, smaller.batch) == (192, 4)
    card = Plan(crop=128, batch=1, precision=Precision.FLOAT32, on_cpu=False)
    # Nothing fits: the smallest plan there is on the card is tried, the processor is left to the trainer.
    last = fitting(card, need.bytes, 0)
    assert (last.precision, last.on_cpu) == (Precision.BFLOAT16, False)


def test_one_sentence_tells_of_a_smaller_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    model, loss = build_model(NETWORK, 3, seed=0), build_loss(LOSS)
    told: list[str] = []
    assert measured_plan(PLAN, model, loss, CPU, told.append) == PLAN
    assert told == []
    need = measure(model, loss, CPU, Precision.FLOAT32)
    enough = need.bytes(Plan(crop=128, batch=4, precision=Precision.FLOAT32, on_cpu=True))
    monkeypatch.setattr(memory_need, "room", lambda device: enough)
    plan = measured_plan(PLAN, model, loss, CPU, told.append)
    assert (plan.crop, plan.batch) == (128, 4)
    assert told == ["Not enough memory for 4 crops of 256 px: training goes on with 4 crops of 128 px."]


def test_a_device_too_full_to_measure_keeps_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> MemoryNeed:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(memory_need, "measure", full)
    model = build_model(NETWORK, 3, seed=0)
    assert measured_plan(PLAN, model, build_loss(LOSS), CPU, pytest.fail) == PLAN


def test_the_machine_says_what_it_has() -> None:
    assert room(CPU) > 1 << 20


@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells it by a system call")
def test_containers_may_have_less_than_the_machine(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 100 kB\nMemAvailable:   64 kB\n", "ascii")
    assert available_bytes(meminfo=meminfo, cgroup=tmp_path) == 64 * 1024
    (tmp_path / "memory.max").write_text("50000\n", "ascii")
    (tmp_path / "memory.current").write_text("30000\n", "ascii")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 5000\n", "ascii")
    assert available_bytes(meminfo=meminfo, cgroup=tmp_path) == 25_000
    (tmp_path / "memory.max").write_text("max\n", "ascii")
    assert available_bytes(meminfo=meminfo, cgroup=tmp_path) == 64 * 1024
    meminfo.write_text("MemTotal: 100 kB\n", "ascii")
    assert available_bytes(meminfo=meminfo, cgroup=tmp_path) is None


def test_numbers_of_16_bits_need_no_more_for_each_pixel() -> None:
    """Copies of the weights are as large whatever the crop: wide networks must not seem to need more maps."""
    wide = replace(NETWORK, backbone=replace(NETWORK.backbone, width=128))
    model, loss = build_model(wide, 3, seed=0), build_loss(LOSS)
    full = measure(model, loss, CPU, Precision.FLOAT32)
    half = measure(model, loss, CPU, Precision.BFLOAT16)
    assert 0 < half.per_pixel <= full.per_pixel
    copies = 2 * sum(value.numel() for value in model.parameters() if value.dim() > 1)
    assert half.fixed == full.fixed + copies


@pytest.mark.parametrize("is_full_here", [True, False])
def test_processes_decide_together_even_where_one_could_not_measure(
    monkeypatch: pytest.MonkeyPatch, is_full_here: bool
) -> None:
    asked: list[int] = []

    def full(*_: object) -> MemoryNeed:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    def least(value: int) -> int:
        asked.append(value)
        return -1  # here or in another process

    if is_full_here:
        monkeypatch.setattr(memory_need, "measure", full)
    monkeypatch.setattr(memory_need, "least", least)
    monkeypatch.setattr(memory_need, "room", lambda device: 1)
    model = build_model(NETWORK, 3, seed=0)
    assert measured_plan(PLAN, model, build_loss(LOSS), CPU, pytest.fail) == PLAN
    assert asked == [-1 if is_full_here else 1]
