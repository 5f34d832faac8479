"""Two processes that share a batch learn what one process learns from all of it."""

from typing import Any

import pytest
import torch

from engine.learn.ranks import ALONE
from tests.support.joint_steps import cases, learn, run_processes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("joint")
    run_processes(2, ["-m", "tests.support.joint_steps", str(folder)], cwd=folder)
    return [torch.load(folder / f"{number}.pt") for number in range(2)]


@pytest.mark.parametrize("name", list(cases()))
def test_two_processes_equal_one(two: list[dict[str, Any]], name: str) -> None:
    alone = learn(name, ALONE)
    first, second = two[0][name], two[1][name]
    assert alone["losses"]
    # SPGNet normalises one value per image, four in all; in float64 the two agree to 1e-7.
    close, near = (2e-3, 1e-3) if name == "SPGNet" else (1e-4, 1e-4)
    torch.testing.assert_close(first["losses"], alone["losses"], rtol=close, atol=1e-5)
    torch.testing.assert_close(first["weights"], alone["weights"], rtol=1e-3, atol=near)
    # What the processes have must be the same to the last bit, or they drift apart.
    for part in ("losses", "weights"):
        assert first[part].keys() == second[part].keys()
        assert all(torch.equal(first[part][key], second[part][key]) for key in first[part])


@pytest.mark.parametrize(("name", "buffer"), [("IDRNet", "relations.mean"), ("MCIBI", "memory.memory")])
def test_what_networks_remember_has_moved(two: list[dict[str, Any]], name: str, buffer: str) -> None:
    (found,) = [value for key, value in two[0][name]["weights"].items() if key.endswith(buffer)]
    assert found.abs().sum() > 0
    assert not torch.equal(found, torch.eye(len(found)))


def test_silent_pixels_are_agreed_on(two: list[dict[str, Any]]) -> None:
    losses = two[0]["agreement"]["losses"]
    assert (losses["consistency"] > 0).all()
    assert "consistency" not in two[0]["strokes before accepted"]["losses"]
