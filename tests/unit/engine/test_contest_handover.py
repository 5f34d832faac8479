"""Before another model is shown: what people painted or accepted is not flipped by the change."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from engine.config import PromotionConfig
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
        self.seen_mistakes = 0

    @property
    def cells(self) -> Cells:
        places = np.arange(CELLS, dtype=np.int64)
        labels = (places // 40 >= 20).astype(np.uint8)
        return Cells(places, labels, np.ones(CELLS), np.full(CELLS, 4, np.int64))

    def readout(self) -> object:
        return object()

    def held_out(self) -> list[tuple[PoolItem, Cells]]:
        return [(item, self.cells) for item in self.items if item.split is Split.VAL]

    def protected(self, count: int) -> list[tuple[PoolItem, Cells]]:
        return [(item, self.cells) for item in self.items if item.split is Split.TRAIN][-count:]

    def labels_without(
        self, item: PoolItem, read: Callable[[], object], cells: Cells, unseen: Sequence[str]
    ) -> NDArray[np.uint8]:
        found = cells.labels.copy()
        found[: self.mistakes if unseen else self.seen_mistakes] ^= 1
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


@pytest.fixture
def quick(tmp_path: Path) -> Quick:
    items = []
    for number, split in enumerate((Split.TRAIN, Split.TRAIN, Split.VAL)):
        path = tmp_path / f"{number}.png"
        Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(path)
        items.append(PoolItem(image_id=path.name, image_path=str(path), size=SIZE, split=split, revision=1))
    return Quick(items)


def settle(quick: Quick, network: Network, limits: PromotionConfig | None = None) -> Contest:
    """Let both be asked until nothing is open, three times over; the quick model was shown before."""
    contest = Contest(cast(QuickDesk, quick), lambda: 0.0, lambda path: read_image(Path(path)))
    contest.limits = limits or contest.limits
    live = cast(LiveNetwork, network)
    for version in range(3):
        quick.version = version
        while contest.is_due(live, trains=False):
            if contest.advance(live):
                return contest
    return contest


def test_a_better_network_is_shown_where_it_flips_next_to_nothing(quick: Quick) -> None:
    quick.mistakes = 600
    network = Network(mistakes=5)
    assert settle(quick, network).prefers_network(cast(LiveNetwork, network))


def test_a_better_network_is_not_shown_where_it_flips_what_people_said(quick: Quick) -> None:
    quick.mistakes = 600  # on images it has never seen; on those painted it is right
    network = Network(mistakes=100)
    contest = settle(quick, network)
    assert network.asked > 3
    assert not contest.prefers_network(cast(LiveNetwork, network))
    loose = replace(PromotionConfig(), enabled=False)
    assert settle(quick, network, loose).prefers_network(cast(LiveNetwork, network))


def test_flips_may_be_paid_for_while_the_shown_one_is_often_wrong(quick: Quick) -> None:
    quick.mistakes, quick.seen_mistakes = 600, 400
    assert settle(quick, one := Network(mistakes=100)).prefers_network(cast(LiveNetwork, one))
    assert not settle(quick, two := Network(mistakes=150)).prefers_network(cast(LiveNetwork, two))
