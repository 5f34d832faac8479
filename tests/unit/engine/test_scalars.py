"""Curves for TensorBoard: a clear word without the package, numbers with it."""

import sys
from pathlib import Path

import pytest

from engine.errors import EngineError
from engine.learn.scalars import Scalars


def test_without_the_package_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tensorboard", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(EngineError, match="tensorboard") as caught:
        Scalars(tmp_path / "curves")
    assert "pip install tensorboard" in caught.value.hint


@pytest.mark.filterwarnings("ignore")  # what another package deprecates inside is not ours
def test_known_numbers_are_written(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="reads back what it wrote: maskloop[tensorboard]")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    scalars = Scalars(tmp_path / "curves")
    for step in (1, 2):
        scalars.add({"loss/total": 1.0 / step, "held out/mIoU": None}, step)
    scalars.close()
    found = EventAccumulator(str(tmp_path / "curves"))
    found.Reload()
    assert found.Tags()["scalars"] == ["loss/total"]
    assert [(event.step, event.value) for event in found.Scalars("loss/total")] == [(1, 1.0), (2, 0.5)]
