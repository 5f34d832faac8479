"""How clear a lead the network needs before it is shown, and the quick model before it comes back."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from engine.messages import PoolItem
from engine.project.images import read_image
from engine.project.manifest import Split
from engine.quick.samples import Cells
from engine.worker.contest import Contest
from engine.worker.network import LiveNetwork
from engine.worker.quick_desk import QuickDesk

SIZE = (80, 80)
CELLS = 1600


class Quick:
    """A quick model that says zeros and ones by row, with mistakes where a test wants them."""

    version = 1

    def __init__(self, items: Sequence[PoolItem]) -> None:
        self.items = items
        self.mistakes = 0

    @property
    def cells(self) -> Cells:
        places = np.arange(CELLS, dtype=np.int64)
        labels = (places // 40 >= 20).astype(np.uint8)
        return Cells(places, labels, np.ones(CELLS), np.full(CELLS, 4, np.int64))

    def readout(self) -> object:
        return object()

    def held_out(self) -> list[tuple[PoolItem, Cells]]:
        return [(item, self.cells) for item in self.items if item.split is Split.VAL]

    def labels_without(
        self, item: PoolItem, read: Callable[[], object], cells: Cells, unseen: Sequence[str]
    ) -> NDArray[np.uint8]:
        found = cells.labels.copy()
        found[: self.mistakes] ^= 1
        return found


class Network:
    """A network right about everything but so many cells from the end."""

    has_learnt = True
    shown_step = 5

    def __init__(self, mistakes: int) -> None:
        self.mistakes = mistakes
        self.asked = 0

    def predictor(self) -> "Network":
        return self

    def predict_whole(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        self.asked += 1
        cells = np.arange(CELLS) // 40 >= 20
        cells[CELLS - self.mistakes :] ^= True
        whole = cells.reshape(40, 40).repeat(2, axis=0).repeat(2, axis=1).astype(np.uint8)
        return whole, np.ones(SIZE, np.float32)


def items(folder: Path, held_out: int) -> list[PoolItem]:
    found = []
    for number, split in enumerate((Split.TRAIN, *(Split.VAL,) * held_out)):
        path = folder / f"{number}.png"
        Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(path)
        found.append(PoolItem(image_id=path.name, image_path=str(path), size=SIZE, split=split, revision=1))
    return found


def settle(contest: Contest, quick: Quick, network: Network) -> bool:
    """Ask until nothing is open, three times over; return whether the network is shown in the end."""
    live = cast(LiveNetwork, network)
    for version in range(3):
        quick.version += version
        while contest.is_due(live, trains=False):
            if contest.advance(live):
                return contest.prefers_network(live)
    return contest.prefers_network(live)


def contest_of(quick: Quick) -> Contest:
    return Contest(cast(QuickDesk, quick), lambda: 0.0, lambda path: read_image(Path(path)))


@pytest.mark.parametrize(
    ("held_out", "mistakes", "is_shown"),
    [(1, 60, False), (1, 100, True), (2, 20, False), (2, 60, True)],
)
def test_the_network_needs_a_lead_that_is_longer_on_a_single_image(
    tmp_path: Path, held_out: int, mistakes: int, is_shown: bool
) -> None:
    quick = Quick(items(tmp_path, held_out))
    quick.mistakes = mistakes  # 60 of 1600 cells cost 0.07 of mIoU, 100 cost 0.12 and 20 cost 0.02
    network = Network(mistakes=0)
    assert settle(contest_of(quick), quick, network) is is_shown
    assert network.asked >= held_out


def test_the_way_back_is_as_short_on_a_single_image(tmp_path: Path) -> None:
    quick = Quick(items(tmp_path, 1))
    quick.mistakes = 400
    network = Network(mistakes=0)
    contest = contest_of(quick)
    assert settle(contest, quick, network)
    quick.mistakes, network.mistakes = 0, 60
    assert not settle(contest, quick, network)
