import sys
from pathlib import Path

import pytest

from engine.cli.entry import make_parser
from engine.learn import launch
from engine.learn.launch import can_launch, local_cards, training_command


def test_cards_are_counted_without_the_driver(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / str(number)).mkdir()
    assert local_cards(environment={}, cards=tmp_path) == 3
    assert local_cards(environment={"CUDA_VISIBLE_DEVICES": "0,2"}, cards=tmp_path) == 2
    assert local_cards(environment={"CUDA_VISIBLE_DEVICES": ""}, cards=tmp_path) == 0
    assert local_cards(environment={"CUDA_VISIBLE_DEVICES": "-1"}, cards=tmp_path) == 0
    assert local_cards(environment={}, cards=tmp_path / "none") == 0


@pytest.mark.parametrize(("cards", "expected"), [(1, False), (2, True)])
def test_one_card_is_no_reason_for_a_child(
    monkeypatch: pytest.MonkeyPatch, cards: int, expected: bool
) -> None:
    monkeypatch.setattr(launch, "local_cards", lambda: cards)
    assert can_launch() is expected
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert not can_launch()


def test_the_verb_understands_the_command(tmp_path: Path) -> None:
    command = training_command(tmp_path, tmp_path / "a.pt", cards=4, seconds=90, start_from=tmp_path / "b.pt")
    assert command[:6] == [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "4",
    ]
    words = command[command.index("app") + 1 :]
    arguments = make_parser().parse_args(words)
    assert (arguments.verb, arguments.folder, arguments.out) == ("train", tmp_path, tmp_path / "a.pt")
    assert (arguments.seconds, arguments.start_from, arguments.device) == (90.0, tmp_path / "b.pt", "cuda")
