"""Before another model is shown: what people painted or accepted is not flipped by the change."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from engine.annotate.classes import ClassTable
from engine.config import PromotionConfig
from engine.messages import PoolItem
from engine.project.images import read_image
from engine.project.manifest import Split
from engine.quick.samples import Cells
from engine.worker.contest import Contest
from engine.worker.network import LiveNetwork
from engine.worker.quick_desk import Chances, QuickDesk

SIZE = (80, 80)
CELLS = 1600


class Quick:
    """A quick model that says zeros and ones by row, with mistakes where a test wants them."""

    version = 1
    has_learnt = True

    def __init__(self, items: Sequence[PoolItem]) -> None:
        self.items = items
        self.mistakes = 0
        self.seen_mistakes = 0

    @property
    def cells(self) -> Cells:
        places = np.arange(CELLS, dtype=np.int64)
        labels = (places // 40 >= 20).astype(np.uint8)
        return Cells(places, labels, np.ones(CELLS), np.full(CELLS, 4, np.int64))

    def held_out(self) -> list[tuple[PoolItem, Cells]]:
        return [(item, self.cells) for item in self.items if item.split is Split.VAL]

    @property
    def held_out_count(self) -> int:
        return len(self.held_out())

    def protected(self, count: int) -> list[tuple[PoolItem, Cells]]:
        return [(item, self.cells) for item in self.items if item.split is Split.TRAIN][-count:]

    def chances_without(
        self, item: PoolItem, read: Callable[[], object], cells: Cells, unseen: Sequence[str]
    ) -> Chances:
        found = cells.labels.copy()
        found[: self.mistakes if unseen else self.seen_mistakes] ^= 1
        return Chances(np.array([0, 1], np.uint8), said(found, 0.8), np.zeros(2, np.float32))


def said(labels: NDArray[np.uint8], sure: float) -> NDArray[np.float32]:
    """Return (2, n) probabilities of a model that is that sure of (n,) labels."""
    return np.where(labels == np.array([[0], [1]]), sure, 1 - sure).astype(np.float32)


class Network:
    """A network right about everything but so many cells from the end."""

    has_learnt = True
    shown_step = 5
    classes = ClassTable().add("one").add("two")

    def __init__(self, mistakes: int) -> None:
        self.mistakes = mistakes
        self.asked = 0

    def predictor(self) -> "Network":
        return self

    def probabilities_at(
        self, image: NDArray[np.uint8], rows: NDArray[np.int64], columns: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        self.asked += 1
        cells = np.arange(CELLS) // 40 >= 20
        cells[CELLS - self.mistakes :] ^= True
        whole = cells.reshape(40, 40).repeat(2, axis=0).repeat(2, axis=1)
        return said(whole[rows, columns].astype(np.uint8), 0.9)


@pytest.fixture
def quick(tmp_path: Path) -> Quick:
    items = []
    for number, split in enumerate((Split.TRAIN, Split.TRAIN, *(Split.VAL,) * 8)):
        path = tmp_path / f"{number}.png"
        Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(path)
        items.append(PoolItem(image_id=path.name, image_path=str(path), size=SIZE, split=split, revision=1))
    return Quick(items)


def settle(quick: Quick, network: Network, limits: PromotionConfig | None = None) -> float:
    """Let both be asked until nothing is open, over and over; return the share the network earned."""
    contest = Contest(
        cast(QuickDesk, quick), lambda: 0.0, lambda path: read_image(Path(path)), lambda _: None
    )
    contest.limits = limits or contest.limits
    live = cast(LiveNetwork, network)
    for version in range(24):
        quick.version = version
        while contest.is_due(live, trains=False):
            contest.advance(live)
    return contest.share(live)


def test_a_better_network_is_shown_where_it_flips_next_to_nothing(quick: Quick) -> None:
    quick.mistakes = 600
    assert settle(quick, Network(mistakes=5)) == 1.0


def test_one_that_flips_what_people_said_gets_no_more_than_a_share_that_does_not(quick: Quick) -> None:
    quick.mistakes = 600  # on images it has never seen; on those painted it is right
    network = Network(mistakes=100)
    assert settle(quick, network) == 0.3
    assert network.asked > 3
    loose = replace(PromotionConfig(), enabled=False)
    assert settle(quick, network, loose) > 0.3


def test_flips_may_be_paid_for_where_that_is_allowed_and_the_shown_one_is_often_wrong(quick: Quick) -> None:
    quick.mistakes, quick.seen_mistakes = 600, 400
    held = settle(quick, Network(mistakes=100))
    assert settle(quick, Network(mistakes=100), PromotionConfig(exchange=3.0)) > held
    assert settle(quick, Network(mistakes=150)) == 0.3


def test_a_worse_network_never_gets_a_say(quick: Quick) -> None:
    quick.mistakes = 5
    assert settle(quick, Network(mistakes=600)) == 0.0
