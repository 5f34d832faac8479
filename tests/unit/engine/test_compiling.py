"""Compiled networks learn as others do; what can't be says so. torch's own compiler is not run."""

import functools

import pytest
import torch

from engine.config import Compiling
from engine.errors import TrainingError
from engine.learn.compiling import check_compiling, compile_errors
from engine.learn.pool import Pool
from engine.learn.trainer import Trainer
from engine.messages import PoolItem
from engine.project.manifest import Split
from models.build import build_loss, build_model
from models.output import SegmentationOutput
from tests.support.group import group_of_one
from tests.support.learning import CLASSES, LOSS, NETWORK, SIZE, TRAINING, picture, sparse

CPU = torch.device("cpu")


def _learnt(compiling: Compiling | None, steps: int = 3) -> tuple[dict[str, torch.Tensor], list[float]]:
    """Names and values of a network's state after some steps, and the losses."""

    def read(item: PoolItem) -> tuple[object, object]:
        label_map = sparse(picture(0)[1])
        return label_map, (label_map != 255).astype("uint8")

    pool = Pool(read, CLASSES, TRAINING.crop, 10**8, read_pixels=lambda path: picture(0)[0])  # type: ignore[arg-type]
    pool.update(PoolItem(image_id="0", image_path="0", size=SIZE, split=Split.TRAIN, revision=1))
    model = build_model(NETWORK, len(CLASSES), seed=0)
    trainer = Trainer(model, build_loss(LOSS), TRAINING, CLASSES, pool, CPU, compiling=compiling)
    losses = [sum(float(value) for value in trainer.step().losses.values()) for _ in range(steps)]
    return dict(model.state_dict()), losses


def test_a_compiled_network_learns_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    plain_state, plain = _learnt(None)
    graphs: list[torch.fx.GraphModule] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> object:
        graphs.append(graph)
        return graph.forward

    # What torch would translate to code is run as it was recorded: the recording is what may go wrong here.
    traced = functools.partialmethod(_compile_with, backend)
    monkeypatch.setattr(torch.nn.Module, "compile", traced)
    state, losses = _learnt(Compiling.CODE)
    assert graphs
    assert losses == pytest.approx(plain, rel=1e-5)
    assert state.keys() == plain_state.keys()
    for name, value in plain_state.items():
        torch.testing.assert_close(state[name], value, rtol=1e-4, atol=1e-5, msg=name)


def _compile_with(model: torch.nn.Module, backend: object, *, mode: str, dynamic: bool) -> None:
    assert mode == "default"
    model._compiled_call_impl = torch.compile(model._call_impl, backend=backend, dynamic=dynamic)


def test_graphs_need_a_card() -> None:
    with pytest.raises(TrainingError) as error:
        check_compiling(Compiling.GRAPHS, CPU)
    assert "graphics card" in str(error.value)
    assert "--compile code" in error.value.hint


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> object:
        raise RuntimeError("No working C++ compiler found\nand a long report")

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(TrainingError) as error:
        check_compiling(Compiling.CODE, CPU)
    assert str(error.value).endswith("No working C++ compiler found")
    assert "leave --compile out" in error.value.hint


def test_a_network_that_fails_to_compile_says_what_to_do() -> None:
    def broken(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> object:
        raise ValueError("no kernel for this")

    model = build_model(NETWORK, len(CLASSES), seed=0)
    model._compiled_call_impl = torch.compile(model._call_impl, backend=broken, dynamic=False)
    with pytest.raises(TrainingError) as error, compile_errors():
        model(torch.zeros(1, 3, 32, 32))
    assert "no kernel for this" in str(error.value)
    assert error.value.hint == "Leave --compile out."
    with pytest.raises(RuntimeError, match="another"), compile_errors():
        raise RuntimeError("another matter")


def test_outputs_of_a_compiled_network_are_of_the_same_type() -> None:
    model = build_model(NETWORK, len(CLASSES), seed=0)
    model._compiled_call_impl = torch.compile(model._call_impl, backend="eager", dynamic=False)
    assert isinstance(model(torch.zeros(1, 3, 32, 32)), SegmentationOutput)


def test_graphs_are_for_one_process() -> None:
    with group_of_one(), pytest.raises(TrainingError, match="several processes") as error:
        check_compiling(Compiling.GRAPHS, torch.device("cuda"))
    assert "--compile code" in error.value.hint
