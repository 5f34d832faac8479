"""Every setting of a training step is measured beside a plain one, and does what a plain one does."""

import sys
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from engine.config import Compiling, OptimizerConfig, OptimizerKind, Precision
from engine.learn.batches import Batch
from engine.learn.bench_steps import PLAIN, StepSetting, bench_steps, settings
from engine.learn.update import Updater, make_optimizer, make_scaler
from models.build import build_loss, build_model
from models.configs import CrossEntropyConfig
from models.presets import tiny

CPU, CARD = torch.device("cpu"), torch.device("cuda")


def test_every_setting_is_measured_against_the_plain_one() -> None:
    rows = list(
        bench_steps(tiny(), CrossEntropyConfig(), CPU, batch=1, edge=64, classes=3, runs=1, compiled=False)
    )
    assert [row.title for row in rows] == [each.title for each in settings(CPU, compiled=False)]
    assert rows[0].title == PLAIN.title
    assert all(row.milliseconds and row.ratio and not row.note for row in rows)


def test_what_cannot_run_here_is_a_note_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no compiler\nlong report")

    monkeypatch.setattr("engine.learn.bench_steps.compile_network", broken)
    rows = list(
        bench_steps(tiny(), CrossEntropyConfig(), CPU, batch=1, edge=32, classes=2, runs=1, compiled=True)
    )
    assert [row.note for row in rows[-2:]] == ["no compiler"] * 2
    assert all(row.ratio for row in rows[:-2])


def test_a_card_has_more_to_try_than_a_processor() -> None:
    on_card = settings(CARD, compiled=True)
    assert {each.compiled for each in on_card} == {None, *Compiling}
    assert Precision.FLOAT16 in {each.precision for each in on_card}
    assert {each.compiled for each in settings(CPU, compiled=True)} == {None, Compiling.CODE}


@pytest.mark.parametrize("kind", list(OptimizerKind))
def test_a_fused_optimizer_takes_the_same_steps(kind: OptimizerKind) -> None:
    generator = torch.Generator().manual_seed(0)
    crops = Batch(
        image=torch.randn(2, 3, 48, 48, generator=generator),
        target=torch.randint(0, 3, (2, 48, 48), generator=generator),
        provenance=torch.ones(2, 48, 48, dtype=torch.uint8),
    )
    weights = []
    for fused in (False, True):
        model = build_model(tiny(), 3, seed=0)
        updater = Updater(
            model=model,
            loss=build_loss(CrossEntropyConfig()),
            optimizer=make_optimizer(model, OptimizerConfig(kind=kind), fused=fused),
            scaler=make_scaler(CPU, Precision.FLOAT32),
            device=CPU,
            precision=Precision.FLOAT32,
            clip_norm=1.0,
        )
        for step in range(4):
            updater.update(crops, step, 1e-3)
        weights.append(model.state_dict())
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-4, atol=1e-5, msg=name)


def test_networks_of_a_setting_that_fails_are_gone_before_its_row_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built: list[weakref.ref[torch.nn.Module]] = []
    free: list[bool] = []

    def build(*arguments: Any, **more: Any) -> torch.nn.Module:
        model = build_model(*arguments, **more)
        built.append(weakref.ref(model))
        return model

    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    def gone() -> bool:
        return all(model() is None for model in built)

    monkeypatch.setattr("engine.learn.bench_steps.build_model", build)
    monkeypatch.setattr("engine.learn.bench_steps.measure_in_turns", full)
    monkeypatch.setattr("engine.learn.bench_steps.release_memory", lambda _: free.append(gone()))
    rows = bench_steps(tiny(), CrossEntropyConfig(), CPU, batch=1, edge=32, classes=2, runs=1, compiled=False)
    row = next(rows)
    assert "out of memory" in row.note
    assert len(built) == 2
    assert free == [True]
    assert sys.exception() is None
    rows.close()


def test_recorded_steps_are_warmed_up_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: dict[str, int] = {}

    def counted(setting: StepSetting, *_: object) -> Callable[[], object]:
        calls[setting.title] = 0

        def step() -> None:
            calls[setting.title] += 1

        return step

    recorded = replace(PLAIN, title="graphs", compiled=Compiling.GRAPHS)
    monkeypatch.setattr("engine.learn.bench_steps._step", counted)
    monkeypatch.setattr("engine.learn.bench_steps.settings", lambda *_, **__: (recorded,))
    rows = bench_steps(tiny(), CrossEntropyConfig(), CPU, batch=1, edge=32, classes=2, runs=5, compiled=True)
    assert [row.title for row in rows] == ["graphs"]
    assert calls == {PLAIN.title: 1 + 5, "graphs": 3 + 5}
